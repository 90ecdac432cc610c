//! Transactions.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base::{Ctx, Event, Fault, Position};
use tokio::time::Instant;

use crate::{
    Head, Row, Value,
    deadline::Deadline,
    engine::{Conn, Reader},
    error::SqlUndecided,
    log::{Draft, Origin, append, lock_head, read_head},
    store::{Inner, refuse_older},
};

/// How much later than a commit's own end its caller gives up waiting for word of it.
const WORD_TIME: Duration = Duration::from_millis(100);

/// A write transaction. It runs alone among its like: what it read stays true until it commits.
///
/// INVARIANT: a change is kept only together with the record of it, through [`Tx::commit`]. Dropping rolls back.
/// A transaction awaits nothing but SQL.
#[must_use = "a transaction that is dropped keeps nothing"]
pub struct Tx {
    view: View,
    origin: Origin,
    inner: Arc<Inner>,
    /// Whether it destroys what must not be found on the disk afterwards.
    pub(crate) erases: bool,
}

/// Why a write needs no record. Closed, and counted per reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unrecorded {
    /// Rows whose time is over: used proofs, ended sessions, spent codes.
    Expired,
    /// What can be computed from the log: tiles, checkpoints, projections.
    Derived,
    /// State of a ceremony that gives no authority by itself: a challenge, a pending form.
    Ceremony,
    /// Last-used times and similar, which no decision rests on.
    Observed,
    /// A node's own state: leases on background work, delivery cursors.
    Node,
}

impl Unrecorded {
    /// All reasons.
    pub const ALL: [Self; 5] = [Self::Expired, Self::Derived, Self::Ceremony, Self::Observed, Self::Node];

    /// The reason as a metric's label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Derived => "derived",
            Self::Ceremony => "ceremony",
            Self::Observed => "observed",
            Self::Node => "node",
        }
    }
}

impl Tx {
    pub(crate) async fn begin(inner: Arc<Inner>, ctx: &Ctx) -> Result<Self, Fault> {
        let conn = inner.engine.begin_alone(Deadline::of_change(Instant::now())).await?;
        Ok(Self { view: View { conn }, origin: Origin::from(ctx), inner, erases: false })
    }

    /// The patience counts from here: whoever writes has waited since then already.
    pub fn waiting_since(mut self, begun: Instant) -> Self {
        *self.view.conn.deadline() = Deadline::of_change(begun);
        self
    }

    /// Runs a statement; says how many rows it touched.
    pub async fn exec(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Fault> {
        self.view.conn.exec(sql, args).await
    }

    /// The head as this transaction sees it, without locking it.
    pub async fn head(&mut self) -> Result<Head, Fault> {
        read_head(&mut self.view.conn).await
    }

    /// Keeps the writes and records the events, in the order given. Answers with the last one's position, after
    /// everything is durable and, when an event may take authority away, after the high-water mark is.
    ///
    /// Without an event this is a fault: nothing changes without a record.
    ///
    /// A caller that goes away in the middle does not cut it in two: the commit runs to its end regardless. When that
    /// takes too long, the fault [says that it is undecided](crate::is_undecided).
    pub async fn commit(self, events: impl IntoIterator<Item = Event>) -> Result<Position, Fault> {
        let Self { view: View { mut conn }, origin, inner, erases } = self;
        let erased_in = erases.then(|| Arc::clone(&inner));
        let drafts =
            events.into_iter().map(|event| Draft::new(&origin, event)).collect::<Result<Vec<_>, _>>()?;
        if drafts.is_empty() {
            return Err(Fault::new("committing", "a change was to be kept without a record"));
        }
        *conn.deadline() = conn.deadline().to_commit(drafts.len());
        let until = conn.deadline().until() + WORD_TIME;
        let work = tokio::spawn(async move {
            let written = write(&inner, conn, &drafts).await;
            // Here, so that it is known also where nobody waits any more.
            inner.has_erased.fetch_or(erases, Ordering::SeqCst);
            inner.engine.health().note(&written);
            written
        });
        let position = match tokio::time::timeout_at(until, work).await {
            Ok(written) => written.map_err(|error| Fault::new("committing", error))??,
            Err(_) => return Err(Fault::new("committing", SqlUndecided::late())),
        };
        if let Some(inner) = &erased_in {
            inner.forget_erased().await;
        }
        Ok(position)
    }

    /// Keeps the writes without a record, for one of the few reasons for which that is right.
    pub async fn commit_unrecorded(self, reason: Unrecorded) -> Result<(), Fault> {
        let Self { view: View { mut conn }, inner, .. } = self;
        *conn.deadline() = conn.deadline().to_commit(0);
        let work = tokio::spawn(conn.commit());
        let written = work.await.map_err(|error| Fault::new("committing", error))?;
        // That it went well says nothing of the log, which it did not touch.
        if written.is_err() {
            inner.engine.health().note(&written);
        }
        written?;
        inner.count_unrecorded(reason);
        Ok(())
    }

    /// Gives the writes up, and waits until the database has done so. Dropping does the same later.
    pub async fn rollback(self) -> Result<(), Fault> {
        self.view.conn.rollback().await
    }
}

/// Appends the records of a change and makes both durable.
async fn write(inner: &Inner, mut conn: Conn, drafts: &[Draft]) -> Result<Position, Fault> {
    let head = lock_head(&mut conn).await?;
    refuse_older(inner.keeper.known().as_ref(), &head)?;
    let appended = append(&mut conn, head, &drafts.iter().collect::<Vec<_>>()).await?;
    conn.commit().await?;
    inner.appended(&appended);
    let head = appended.head;
    let narrowed = drafts.iter().any(|draft| draft.kind.narrows());
    inner.committed(head, narrowed).await?;
    Ok(head.position)
}

/// A read: every statement sees the same state, that of [`Read::head`].
pub struct Read {
    view: View,
    head: Head,
}

impl Read {
    pub(crate) async fn begin(inner: &Inner, reader: Reader) -> Result<Self, Fault> {
        let mut conn = inner.engine.begin_read(reader).await?;
        // SQLite and PostgreSQL both take the snapshot at the first statement: this one.
        let head = read_head(&mut conn).await?;
        Ok(Self { view: View { conn }, head })
    }

    /// The log's head in this state.
    pub const fn head(&self) -> Head {
        self.head
    }
}

/// What can be asked within a transaction. [`Tx`] and [`Read`] both turn into it, so that one function serves
/// both: `fn find(view: &mut View, id: &TaskId)` is called as `find(&mut tx, id)` and as `find(&mut read, id)`.
pub struct View {
    conn: Conn,
}

impl View {
    pub(crate) const fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// All rows of a statement's answer.
    pub async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Fault> {
        self.conn.rows(sql, args).await
    }

    /// The row of a statement's answer, if there is one. More than one is a fault.
    pub async fn row(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, Fault> {
        self.conn.row(sql, args).await
    }
}

impl Deref for Tx {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut View {
        &mut self.view
    }
}

impl Deref for Read {
    type Target = View;

    fn deref(&self) -> &View {
        &self.view
    }
}

impl DerefMut for Read {
    fn deref_mut(&mut self) -> &mut View {
        &mut self.view
    }
}
