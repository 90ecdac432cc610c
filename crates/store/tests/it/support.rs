//! What these tests have in common.

use base::{Ctx, Event, EventKind, PersonId, Position, TaskId};
use serde_json::json;
use store::{Debit, Entry, Intent, Origin, ProofUse, Store, Submitted, Value};
use testkit::Bench;

/// An event that takes no authority away.
pub(crate) fn keeps(number: i64) -> Event {
    Event::global(EventKind::NodeStarted, json!({ "number": number }))
}

/// An event that may.
pub(crate) fn narrows() -> Event {
    Event::global(EventKind::AuthorityRevoked, json!({}))
}

pub(crate) fn intent(bench: &Bench, guard: Position) -> Intent {
    intent_at(&bench.ctx(), guard)
}

pub(crate) fn intent_at(ctx: &Ctx, guard: Position) -> Intent {
    Intent {
        origin: Origin::from(ctx),
        event: Event::global(EventKind::CallAllowed, json!({ "tool": "send" })),
        guard,
        digest: [9; 32],
        debits: Vec::new(),
        proof: None,
        payload: None,
    }
}

pub(crate) async fn submit(store: &Store, intent: Intent) -> Submitted {
    store.submit(Entry::Intent(Box::new(intent))).await.expect("an answer")
}

pub(crate) fn proof(bench: &Bench, number: u8) -> ProofUse {
    ProofUse { digest: [number; 32], expires: bench.ctx().now.plus_seconds(60) }
}

pub(crate) fn debit(task: &TaskId, calls: i64, bytes: i64) -> Debit {
    Debit { task: task.clone(), calls, bytes }
}

/// Makes a task's row of limits.
pub(crate) async fn limited_task(bench: &Bench, calls: Option<i64>, bytes: Option<i64>) -> TaskId {
    let ctx = bench.ctx();
    let task = TaskId::new(ctx.now, &*ctx.dice);
    let mut tx = bench.store.begin(&ctx).await.unwrap();
    let sql = "insert into task_usage (task, calls_used, calls_max, bytes_used, bytes_max) values ($1, 0, $2, 0, $3)";
    tx.exec(sql, &[(&task).into(), calls.into(), bytes.into()]).await.unwrap();
    let person = PersonId::new(ctx.now, &*ctx.dice);
    tx.commit([Event::new(EventKind::TaskCreated, person, json!({})).within(task.clone())]).await.unwrap();
    task
}

/// One integer.
pub(crate) async fn number(store: &Store, sql: &'static str, args: &[Value]) -> i64 {
    store.read().await.unwrap().row(sql, args).await.unwrap().unwrap().int(0).unwrap()
}
