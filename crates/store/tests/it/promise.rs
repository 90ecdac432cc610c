//! Intents that are promised: durable shortly, whatever happens meanwhile.

use base::{AnyId, Event, EventKind, Place, Position, TaskId};
use serde_json::json;
use store::{Ended, Intent, Origin, Outcome, Store, Value};
use testkit::{Bench, each_database};

use crate::support::{debit, intent, limited_task, narrows, number, proof, submit};

async fn head(bench: &Bench) -> Position {
    bench.store.head().await.unwrap().position
}

/// Promises an intent; the place in which it will stand.
fn promise(store: &Store, intent: Intent) -> Option<Place> {
    let promised = store.reserve(1)?.promise(intent).expect("no fault");
    promised.map(|promise| promise.place().clone())
}

fn outcome(bench: &Bench, intent: Place, task: &TaskId) -> Outcome {
    Outcome {
        origin: Origin::from(&bench.ctx()),
        subject: AnyId::from(task),
        task: task.clone(),
        ended: Ended { result: "done", code: None, seen: None },
        intent,
        debits: vec![debit(task, 0, 50)],
        payload: None,
    }
}

/// Closes the store, which writes all that it owes, and opens it again.
async fn settled(bench: &mut Bench) {
    bench.reopen().await.unwrap();
}

async fn count(store: &Store, kind: &str) -> i64 {
    number(store, "select count(*) from record where kind = $1", &[Value::from(kind)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_promised_is_written_with_its_end() {
    each_database(async |mut bench| {
        let task = limited_task(&bench, Some(10), Some(1000)).await;
        let guard = head(&bench).await;
        let mut one = intent(&bench, guard);
        one.debits = vec![debit(&task, 1, 5)];
        let place = promise(&bench.store, one).unwrap();
        bench.store.leave(outcome(&bench, place.clone(), &task));
        settled(&mut bench).await;

        let stands = place.position().expect("a position");
        let ended = "select count(*) from record where kind = 'call.ended' and intent = $1";
        assert_eq!(number(&bench.store, ended, &[stands.into()]).await, 1);
        assert_eq!(number(&bench.store, "select count(*) from open_intent", &[]).await, 0);
        let used = "select calls_used * 1000 + bytes_used from task_usage where task = $1";
        assert_eq!(number(&bench.store, used, &[(&task).into()]).await, 1055);
        let records = bench.store.follow(guard, 10).await.unwrap();
        let said = records.iter().find(|record| record.kind == EventKind::CallEnded).unwrap();
        assert_eq!(said.data().unwrap(), json!({ "intent": stands, "result": "done" }));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_comes_later_finds_its_intent() {
    each_database(async |mut bench| {
        let task = limited_task(&bench, None, None).await;
        let place = promise(&bench.store, intent(&bench, head(&bench).await)).unwrap();
        // Whatever is waited for takes along what was promised before.
        submit(&bench.store, intent(&bench, head(&bench).await)).await;
        let stands = place.position().expect("a position");
        assert_eq!(number(&bench.store, "select count(*) from open_intent", &[]).await, 2);
        bench.store.leave(outcome(&bench, place, &task));
        settled(&mut bench).await;
        let open = "select count(*) from open_intent where position = $1";
        assert_eq!(number(&bench.store, open, &[stands.into()]).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_name_their_intents_whenever_they_come() {
    each_database(async |mut bench| {
        let task = limited_task(&bench, None, None).await;
        let guard = head(&bench).await;
        for number in 0..400 {
            let Some(place) = promise(&bench.store, intent(&bench, guard)) else { continue };
            if number % 7 == 0 {
                // The batch of the intent is on its way, or through, when its end is left.
                tokio::task::yield_now().await;
            }
            if number % 40 == 0 {
                submit(&bench.store, intent(&bench, guard)).await;
            }
            bench.store.leave(outcome(&bench, place, &task));
        }
        settled(&mut bench).await;
        // What was submitted has no end of its own: the start ended it.
        let strays = "select count(*) from record e where e.kind = 'call.ended' and not exists \
                      (select 1 from record i where i.position = e.intent and i.kind = 'call.allowed')";
        assert_eq!(number(&bench.store, strays, &[]).await, 0);
        let doubles = "select count(*) - count(distinct intent) from record where kind = 'call.ended'";
        assert_eq!(number(&bench.store, doubles, &[]).await, 0);
        assert_eq!(count(&bench.store, "call.ended").await, count(&bench.store, "call.allowed").await);
        assert_eq!(number(&bench.store, "select count(*) from open_intent", &[]).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_promised_on_ended_authority_or_with_a_proof() {
    each_database(async |mut bench| {
        let guard = head(&bench).await;
        let before = promise(&bench.store, intent(&bench, guard)).unwrap();
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.commit([narrows()]).await.unwrap();
        assert!(promise(&bench.store, intent(&bench, guard)).is_none());

        let mut one = intent(&bench, head(&bench).await);
        one.proof = Some(proof(&bench, 1));
        assert!(bench.store.reserve(1).unwrap().promise(one).is_err());
        settled(&mut bench).await;
        assert!(before.position().is_some(), "what went on before is on record");
        assert_eq!(count(&bench.store, "call.allowed").await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_promised_than_may_be_lost() {
    each_database(async |mut bench| {
        let held: Vec<_> = std::iter::from_fn(|| bench.store.reserve(1)).collect();
        assert_eq!(held.len(), 1024);
        drop(held);
        assert!(bench.store.reserve(17 * 1024 * 1024).is_none(), "too many bytes");
        let closed = bench.store.clone();
        let late = closed.reserve(1).unwrap();
        settled(&mut bench).await;
        assert!(late.promise(intent(&bench, head(&bench).await)).is_err(), "a promise that nobody keeps");
        assert!(closed.reserve(1).is_none());
        // A writer that is held up promises nothing more, and keeps what it promised when it can.
        let guard = head(&bench).await;
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let mut promised = Vec::new();
        while let Some(place) = promise(&bench.store, intent(&bench, guard)) {
            promised.push(place);
            tokio::task::yield_now().await;
        }
        assert!(!promised.is_empty() && promised.len() <= 1024);
        tx.commit([Event::global(EventKind::NodeStarted, json!({}))]).await.unwrap();
        settled(&mut bench).await;
        let mut positions: Vec<_> = promised.iter().map(|place| place.position().unwrap()).collect();
        positions.sort_unstable();
        positions.dedup();
        assert_eq!(positions.len(), promised.len());
        assert_eq!(count(&bench.store, "call.allowed").await, i64::try_from(promised.len()).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_let_go_of_keeps_its_promises() {
    each_database(async |mut bench| {
        let task = limited_task(&bench, None, None).await;
        let place = promise(&bench.store, intent(&bench, head(&bench).await)).unwrap();
        bench.store.leave(outcome(&bench, place.clone(), &task));
        let other = bench.second_node().await.unwrap();
        // Nobody closes it: whoever embeds it may just drop it.
        bench.store = other;
        while place.position().is_none() || count(&bench.store, "call.ended").await == 0 {}
        assert_eq!(count(&bench.store, "call.allowed").await, 1);
    })
    .await;
}
