//! Sweeping: outcomes that were lost become `unknown`, and proofs that are too old go.

use std::sync::LazyLock;

use base::{Actor, AnyId, Fault, Position, Timestamp, TraceId};
use tokio::time::Instant;

use crate::{
    Ended, Origin, Row, Store, Unrecorded, Value,
    deadline::Deadline,
    engine::Shaped,
    log::{Draft, append, lock_head},
    store::Inner,
};

/// Intents that one transaction ends.
const CHUNK: i64 = 256;
/// Proofs that one transaction forgets: others wait for its end.
const PROOFS: u64 = 4096;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Calls whose outcome is now recorded as unknown.
    pub unknown: u64,
    /// Used proofs that were forgotten because they are too old to be accepted.
    pub proofs: u64,
}

static TOUCH: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        let positions: Vec<String> = (2..rows + 2).map(|number| format!("${number}")).collect();
        format!("update open_intent set at = $1 where position in ({})", positions.join(", "))
    })
});

impl Store {
    /// Says of intents that what they allowed is still under way here, so that no node takes them for lost.
    pub async fn under_way(&self, intents: &[Position], now: Timestamp) -> Result<(), Fault> {
        if intents.is_empty() {
            return Ok(());
        }
        let mut conn = self.inner().engine.begin_alone(Deadline::of_change(Instant::now())).await?;
        lock_head(&mut conn).await?;
        for (sql, positions) in TOUCH.split(intents) {
            let args: Vec<Value> =
                std::iter::once(now.into()).chain(positions.iter().map(|&at| at.into())).collect();
            conn.exec(sql, &args).await?;
        }
        conn.commit().await?;
        self.inner().count_unrecorded(Unrecorded::Node);
        Ok(())
    }

    /// Ends intents, of any node, that have no outcome and gave no sign of life since `older_than`: a `call.ended` with
    /// the data `{"intent": position, "result": "unknown"}`. Forgets proofs that expired before `now`.
    pub async fn sweep(&self, older_than: Timestamp, now: Timestamp) -> Result<Swept, Fault> {
        const SQL: &str = concat!(
            "select o.position, r.tenant, r.subject, r.task from open_intent o ",
            "join record r on r.position = o.position where o.at < $1 order by o.position limit $2"
        );
        self.inner().forget_erased().await;
        let unknown = end_intents(self.inner(), SQL, &[older_than.into(), CHUNK.into()], now).await?;

        let mut proofs = 0;
        loop {
            let forgotten = self.forget_proofs(now).await?;
            proofs += forgotten;
            if forgotten < PROOFS {
                return Ok(Swept { unknown, proofs });
            }
        }
    }

    async fn forget_proofs(&self, now: Timestamp) -> Result<u64, Fault> {
        const SQL: &str = "delete from proof where digest in \
                           (select digest from proof where expires < $1 limit $2)";
        let mut conn = self.inner().engine.begin_alone(Deadline::of_change(Instant::now())).await?;
        let forgotten =
            conn.exec(SQL, &[now.into(), i64::try_from(PROOFS).unwrap_or(i64::MAX).into()]).await?;
        conn.commit().await?;
        if forgotten > 0 {
            self.inner().count_unrecorded(Unrecorded::Expired);
        }
        Ok(forgotten)
    }
}

/// Ends what this node's previous run left open. Before the batch writer starts: all of it is from before.
pub(crate) async fn own_intents(inner: &Inner, now: Timestamp) -> Result<u64, Fault> {
    const SQL: &str = concat!(
        "select o.position, r.tenant, r.subject, r.task from open_intent o ",
        "join record r on r.position = o.position where o.node = $1 order by o.position limit $2"
    );
    end_intents(inner, SQL, &[inner.node.as_str().into(), CHUNK.into()], now).await
}

async fn end_intents(inner: &Inner, sql: &'static str, args: &[Value], now: Timestamp) -> Result<u64, Fault> {
    let mut ended = 0;
    loop {
        let mut conn = inner.engine.begin_alone(Deadline::of_change(Instant::now())).await?;
        // Before the rows of open intents, which the batch writer touches under this lock.
        let head = lock_head(&mut conn).await?;
        let rows = conn.rows(sql, args).await?;
        if rows.is_empty() {
            conn.rollback().await?;
            return Ok(ended);
        }
        let drafts = rows.iter().map(|row| unknown_outcome(row, now)).collect::<Result<Vec<_>, _>>()?;
        for row in &rows {
            let position = row.position(0)?;
            conn.exec("delete from open_intent where position = $1", &[position.into()]).await?;
        }
        let appended = append(&mut conn, head, &drafts.iter().collect::<Vec<_>>()).await?;
        conn.commit().await?;
        inner.appended(&appended);
        inner.committed(appended.head, false).await?;
        ended += drafts.len() as u64;
    }
}

fn unknown_outcome(row: &Row, now: Timestamp) -> Result<Draft, Fault> {
    let intent = row.position(0)?;
    let origin =
        Origin { tenant: row.parsed(1)?, actor: Actor::System("sweep".into()), trace: TraceId([0; 16]), now };
    let (subject, task) = (row.opt_parsed::<AnyId>(2)?, row.opt_parsed(3)?);
    Ok(Draft::of_end(&origin, subject, task, Ended::UNKNOWN).ending(intent))
}
