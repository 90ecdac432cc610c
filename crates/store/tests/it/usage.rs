//! What tasks have used, as a node knows it without asking the database.

use base::TaskId;
use store::{Ended, Entry, Origin, Outcome, Store, Submitted, Used};
use testkit::{Bench, each_database};

use crate::support::{debit, intent_at, keeps, limited_task, submit};

fn seen(used: &Used) -> (i64, i64) {
    (used.calls(), used.bytes())
}

async fn call(bench: &Bench, store: &Store, tasks: &[&TaskId], bytes: i64) -> Submitted {
    let mut intent = intent_at(&bench.ctx(), store.head().await.unwrap().position);
    intent.debits = tasks.iter().map(|task| debit(task, 1, bytes)).collect();
    submit(store, intent).await
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_known_from_the_commit_on_and_only_what_was_kept() {
    each_database(async |bench| {
        let (parent, child) =
            (limited_task(&bench, Some(2), None).await, limited_task(&bench, Some(9), None).await);
        let store = &bench.store;
        let (of_parent, of_child) = (store.count_usage(&parent), store.count_usage(&child));
        let Submitted::Durable(receipt) = call(&bench, store, &[&child, &parent], 10).await else { panic!() };
        assert_eq!((seen(&of_parent), seen(&of_child)), ((1, 10), (1, 10)));
        assert!(store.wrote(receipt.position()));
        let outcome = Outcome {
            origin: Origin::from(&bench.ctx()),
            subject: (&child).into(),
            task: child.clone(),
            ended: Ended { result: "done", code: None, seen: None },
            intent: receipt.position().into(),
            debits: vec![debit(&child, 0, 500)],
            payload: None,
        };
        store.submit(Entry::Outcome(Box::new(outcome))).await.unwrap();
        assert_eq!((seen(&of_parent), seen(&of_child)), ((1, 10), (1, 510)));
        call(&bench, store, &[&parent], 0).await;
        let refused = call(&bench, store, &[&child, &parent], 7).await;
        assert!(matches!(refused, Submitted::Limited(..)), "{refused:?}");
        assert_eq!(
            (seen(&of_parent), seen(&of_child)),
            ((2, 10), (1, 510)),
            "what was turned away is counted"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_of_another_node_and_from_before_is_read() {
    each_database(async |bench| {
        let task = limited_task(&bench, Some(9), None).await;
        call(&bench, &bench.store, &[&task], 10).await;
        let other = bench.second_node().await.unwrap();
        let (here, there) = (bench.store.count_usage(&task), other.count_usage(&task));
        assert_eq!((seen(&here), seen(&there)), ((0, 0), (0, 0)));
        for store in [&bench.store, &other] {
            let mut read = store.read().await.unwrap();
            store.refresh_usage(&mut read, std::slice::from_ref(&task)).await.unwrap();
        }
        assert_eq!((seen(&here), seen(&there)), ((1, 10), (1, 10)));

        // The other node reads the row that this one moved on, so its own call shows both.
        call(&bench, &bench.store, &[&task], 10).await;
        let Submitted::Durable(receipt) = call(&bench, &other, &[&task], 10).await else { panic!() };
        assert_eq!((seen(&here), seen(&there)), ((2, 20), (3, 30)));
        assert!(other.wrote(receipt.position()) && !bench.store.wrote(receipt.position()));
        other.close().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_transaction_is_nobodys_call() {
    each_database(async |bench| {
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let position = tx.commit([keeps(1)]).await.unwrap();
        assert!(!bench.store.wrote(position));
    })
    .await;
}
