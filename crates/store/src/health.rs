//! Whether the database takes writes, as the last write showed.
//!
//! Reads go on working on a full disk, so a node that only reads looks well while every call is refused. An operator
//! must see the difference, and the node itself must find out when it is over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use base::{Ctx, Fault};
use tokio::time::Instant;

use crate::{Store, Unrecorded, conflict, deadline::Deadline, log::lock_head};

/// Positions begin at one, so nobody ever sees this one.
const INSERT: &str = "insert into record (position, time, kind, tenant, actor, body, leaf) \
                      values (0, $1, 'probe', '', '', '', $2)";

/// What the last writes were like.
#[derive(Debug, Default)]
pub(crate) struct Health {
    fails: AtomicBool,
    kept: AtomicU64,
}

impl Health {
    /// Takes note that a write had no answer.
    pub(crate) fn fails(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }

    /// Takes note of how a write ended. One that clashed with a row shows that the database works.
    pub(crate) fn note<T>(&self, written: &Result<T, Fault>) {
        let works = written.as_ref().map_or_else(|fault| conflict(fault).is_some(), |_| true);
        self.fails.store(!works, Ordering::Relaxed);
        if works {
            self.kept.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Store {
    /// Whether the last write was kept.
    pub fn takes_writes(&self) -> bool {
        !self.inner().engine.health().fails.load(Ordering::Relaxed)
    }

    /// How many writes were kept since the start; stands still when nothing is written, or nothing can be.
    pub fn writes_kept(&self) -> u64 {
        self.inner().engine.health().kept.load(Ordering::Relaxed)
    }

    /// Writes a record and takes it back in the same transaction, to see whether the database takes one.
    pub async fn probe(&self, ctx: &Ctx) -> Result<(), Fault> {
        let probed = async {
            let deadline = Deadline::of_change(Instant::now());
            let mut conn = self.inner().engine.begin_alone(deadline).await?;
            lock_head(&mut conn).await?;
            conn.exec(INSERT, &[ctx.now.into(), [0_u8; 32].into()]).await?;
            conn.exec("delete from record where position = 0", &[]).await?;
            conn.commit().await
        }
        .await;
        tracing::trace!(trace = %ctx.trace, kept = probed.is_ok(), "probed the database");
        self.inner().engine.health().note(&probed);
        if probed.is_ok() {
            self.inner().count_unrecorded(Unrecorded::Node);
        }
        probed
    }
}
