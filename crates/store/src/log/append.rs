//! Appending: positions, times and leaf hashes are given under the head's lock.

use std::sync::LazyLock;

use base::{EventKind, Fault, Position, Timestamp};
use wire::tlog::Hash;

use super::{Draft, Head, head::write_head};
use crate::{
    engine::{Conn, Shaped, values},
    value::Value,
};

static INSERT: LazyLock<Shaped> = LazyLock::new(|| {
    let head =
        "insert into record (position, time, kind, tenant, actor, subject, task, intent, leaf, body) values ";
    Shaped::new(|rows| format!("{head}{}", values(rows, 10)))
});

/// Records that were appended, and are durable once the transaction is committed.
pub(crate) struct Appended {
    /// The position before the first.
    pub(crate) before: Position,
    /// Where the log stands after them.
    pub(crate) head: Head,
    /// Their leaf hashes.
    pub(crate) leaves: Vec<Hash>,
}

/// Writes `drafts` behind `head` and moves the head. The caller holds the head's lock and commits next.
pub(crate) async fn append(conn: &mut Conn, mut head: Head, drafts: &[&Draft]) -> Result<Appended, Fault> {
    let (before, mut leaves) = (head.position, Vec::with_capacity(drafts.len()));
    for (sql, batch) in INSERT.split(drafts) {
        let mut args: Vec<Value> = Vec::with_capacity(batch.len() * 10);
        for &draft in batch {
            let (time, body) = place(&mut head, draft);
            leaves.push(head.leaf);
            args.extend([
                head.position.into(),
                time.into(),
                draft.kind.as_str().into(),
                (&draft.tenant).into(),
                (&draft.actor).into(),
                draft.subject.as_ref().into(),
                draft.task.as_ref().into(),
                draft.intent.into(),
                head.leaf.into(),
                body.into(),
            ]);
        }
        conn.exec(sql, &args).await?;
    }
    write_head(conn, &head).await?;
    Ok(Appended { before, head, leaves })
}

/// Gives a draft the next position and moves the head there.
///
/// INVARIANT: time never decreases along the log, whatever the nodes' clocks say.
fn place(head: &mut Head, draft: &Draft) -> (Timestamp, String) {
    head.position = head.position.plus(1);
    head.time = head.time.max(draft.now);
    if draft.kind.narrows() {
        head.guard = head.position;
    }
    if !draft.kind.is_quiet() {
        head.state = head.position;
    }
    if draft.kind == EventKind::GenerationStarted {
        head.generation_position = head.position;
        head.generation_started_at = head.time;
    }
    let (body, leaf) = draft.body(head.position, head.generation, head.time);
    head.leaf = leaf;
    (head.time, body)
}
