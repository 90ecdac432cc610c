//! The batch writer: single use, limits, guards, and what is left when an entry is turned away.

use base::{Event, EventKind, Position, TaskId};
use serde_json::json;
use store::{Denied, Ended, Entry, Limit, Origin, Outcome, Submitted};
use testkit::{Bench, each_database};

use crate::support::{debit, intent, keeps, limited_task, narrows, number, proof, submit};

async fn head(bench: &Bench) -> Position {
    bench.store.head().await.unwrap().position
}

fn outcome(bench: &Bench, intent: Position, task: &TaskId, bytes: i64) -> Entry {
    Entry::Outcome(Box::new(Outcome {
        origin: Origin::from(&bench.ctx()),
        subject: task.into(),
        task: task.clone(),
        ended: Ended { result: "done", code: None, seen: None },
        intent: intent.into(),
        debits: vec![debit(task, 0, bytes)],
        payload: None,
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_durable_with_all_that_belongs_to_it() {
    each_database(async |bench| {
        let task = limited_task(&bench, Some(2), Some(100)).await;
        let guard = head(&bench).await;
        let payload = bench.store.seal_payload(&bench.ctx(), b"to: ada").unwrap();
        let id = payload.id().clone();
        let mut one = intent(&bench, guard);
        one.debits = vec![debit(&task, 1, 10)];
        one.proof = Some(proof(&bench, 1));
        one.payload = Some(payload);
        let Submitted::Durable(receipt) = submit(&bench.store, one).await else { panic!("not durable") };
        assert_eq!((receipt.position(), receipt.digest()), (guard.plus(1), &[9; 32]));
        let usage = "select calls_used * 1000 + bytes_used from task_usage where task = $1";
        assert_eq!(number(&bench.store, usage, &[(&task).into()]).await, 1010);
        let open = "select count(*) from open_intent";
        assert_eq!(number(&bench.store, open, &[]).await, 1);
        assert!(bench.store.open_payload(receipt.position(), &id).await.unwrap().is_some());

        let answer = bench.store.submit(outcome(&bench, receipt.position(), &task, 500)).await.unwrap();
        assert!(matches!(answer, Submitted::Recorded(position) if position == guard.plus(2)));
        assert_eq!(number(&bench.store, open, &[]).await, 0);
        assert_eq!(number(&bench.store, usage, &[(&task).into()]).await, 1510, "what has flowed is counted");
        let mut two = intent(&bench, guard);
        two.debits = vec![debit(&task, 1, 0)];
        assert!(matches!(submit(&bench.store, two).await, Submitted::Limited(_, Limit::Bytes)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_turned_away_leaves_nothing() {
    each_database(async |bench| {
        let (parent, child) =
            (limited_task(&bench, Some(1), None).await, limited_task(&bench, Some(9), None).await);
        let guard = head(&bench).await;
        let both = vec![debit(&child, 1, 0), debit(&parent, 1, 0)];
        let mut one = intent(&bench, guard);
        one.debits.clone_from(&both);
        assert!(matches!(submit(&bench.store, one).await, Submitted::Durable(_)));

        let payload = bench.store.seal_payload(&bench.ctx(), b"x").unwrap();
        let mut two = intent(&bench, guard);
        (two.debits, two.proof, two.payload) = (both, Some(proof(&bench, 2)), Some(payload.clone()));
        let answer = submit(&bench.store, two).await;
        assert!(matches!(&answer, Submitted::Limited(task, Limit::Calls) if *task == parent), "{answer:?}");
        let used = "select calls_used from task_usage where task = $1";
        assert_eq!(number(&bench.store, used, &[(&child).into()]).await, 1, "the child's debit was undone");
        assert_eq!(number(&bench.store, "select count(*) from proof", &[]).await, 0);
        assert_eq!(number(&bench.store, "select count(*) from payload", &[]).await, 0);
        assert_eq!(head(&bench).await, guard.plus(1));

        let denied = Denied {
            origin: Origin::from(&bench.ctx()),
            event: Event::global(EventKind::CallDenied, json!({})),
            proof: Some(proof(&bench, 2)),
            payload: Some(payload),
        };
        let answer = bench.store.submit(Entry::Denied(Box::new(denied))).await.unwrap();
        assert!(matches!(answer, Submitted::Recorded(_)), "the same proof and payload go into the refusal");

        let mut gone = intent(&bench, guard);
        gone.debits = vec![debit(&TaskId::new(bench.ctx().now, &*bench.ctx().dice), 1, 0)];
        assert!(matches!(submit(&bench.store, gone).await, Submitted::Limited(_, Limit::Absent)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_not_held_up_by_one_of_its_entries() {
    each_database(async |bench| {
        let guard = head(&bench).await;
        let mut entries = tokio::task::JoinSet::new();
        for number in 0..40 {
            let mut one = intent(&bench, guard);
            // Two have data that no record holds; one guard is old.
            match number {
                5 | 21 => one.event.data = json!("x".repeat(70_000)).into(),
                9 => one.guard = Position::ZERO,
                _ => {}
            }
            let store = bench.store.clone();
            entries.spawn(async move { (number, store.submit(Entry::Intent(Box::new(one))).await) });
        }
        for (number, answer) in entries.join_all().await {
            match (number, answer) {
                (5 | 21, answer) => assert!(answer.is_err()),
                (9, answer) => assert!(matches!(answer, Ok(Submitted::Moved))),
                (_, answer) => assert!(matches!(answer, Ok(Submitted::Durable(_))), "{number}: {answer:?}"),
            }
        }
        assert_eq!(head(&bench).await, guard.plus(37));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_take_authority_away_do_not_go_through_the_queue() {
    each_database(async |bench| {
        let origin = Origin::from(&bench.ctx());
        assert!(bench.store.submit(Entry::Event(origin.clone(), narrows())).await.is_err());
        let answer = bench.store.submit(Entry::Event(origin, keeps(1))).await.unwrap();
        assert!(matches!(answer, Submitted::Recorded(Position(2))));
        let mut negative = intent(&bench, Position(2));
        negative.debits = vec![debit(&TaskId::new(bench.ctx().now, &*bench.ctx().dice), -1, 0)];
        assert!(bench.store.submit(Entry::Intent(Box::new(negative))).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_good_once_on_all_nodes_and_after_a_restart() {
    each_database(async |mut bench| {
        let second = match &bench.config.database {
            store::Database::Postgres(_) => bench.second_node().await.unwrap(),
            store::Database::Sqlite(_) => bench.store.clone(),
        };
        for round in 0..8 {
            let mut uses = tokio::task::JoinSet::new();
            for number in 0..32 {
                let store = if number % 2 == 0 { bench.store.clone() } else { second.clone() };
                // The same proofs in opposite orders, so that nodes meet.
                let which = if number % 4 < 2 { round * 8 + number % 8 } else { round * 8 + 7 - number % 8 };
                let entry = Entry::Proof(proof(&bench, which));
                uses.spawn(async move { (which, store.submit(entry).await) });
            }
            let mut noted = std::collections::BTreeMap::<u8, u32>::new();
            for (which, answer) in uses.join_all().await {
                match answer.unwrap() {
                    Submitted::Noted => *noted.entry(which).or_default() += 1,
                    Submitted::Replayed => {}
                    other => panic!("{other:?}"),
                }
            }
            assert!(noted.values().all(|&count| count == 1), "{noted:?}");
        }
        second.close().await.unwrap();
        bench.reopen().await.unwrap();
        let again = bench.store.submit(Entry::Proof(proof(&bench, 0))).await.unwrap();
        assert!(matches!(again, Submitted::Replayed));
        bench.store.sweep(bench.ctx().now, bench.ctx().now.plus_seconds(3600)).await.unwrap();
        let after = bench.store.submit(Entry::Proof(proof(&bench, 0))).await.unwrap();
        assert!(matches!(after, Submitted::Noted), "a proof that would be refused as too old is forgotten");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_race_goes_beyond_a_limit() {
    each_database(async |bench| {
        let parent = limited_task(&bench, Some(50), Some(1_000_000)).await;
        let mut children = Vec::new();
        for _ in 0..4 {
            children.push(limited_task(&bench, Some(20), None).await);
        }
        let second = match &bench.config.database {
            store::Database::Postgres(_) => Some(bench.second_node().await.unwrap()),
            store::Database::Sqlite(_) => None,
        };
        let guard = head(&bench).await;
        let mut calls = tokio::task::JoinSet::new();
        for number in 0..200 {
            let mut one = intent(&bench, guard);
            let child = children[number % children.len()].clone();
            one.debits = vec![debit(&child, 1, 0), debit(&parent, 1, 7)];
            let store = second.as_ref().filter(|_| number % 3 == 0).unwrap_or(&bench.store).clone();
            calls.spawn(async move { (child, submit(&store, one).await) });
        }
        let mut durable = std::collections::BTreeMap::<TaskId, i64>::new();
        for (child, answer) in calls.join_all().await {
            match answer {
                Submitted::Durable(_) => *durable.entry(child).or_default() += 1,
                Submitted::Limited(task, Limit::Calls) => assert!(task == child || task == parent),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(durable.values().sum::<i64>(), 50, "all that the limit admits, and no more");
        let used = "select calls_used from task_usage where task = $1";
        assert_eq!(number(&bench.store, used, &[(&parent).into()]).await, 50);
        for (child, count) in durable {
            assert!(count <= 20);
            assert_eq!(number(&bench.store, used, &[child.into()]).await, count);
        }
        if let Some(second) = second {
            second.close().await.unwrap();
        }
    })
    .await;
}

/// The law of revocation: once a record that takes authority away is acknowledged, no intent that was decided
/// before it becomes durable, on any node.
#[tokio::test(flavor = "multi_thread")]
async fn no_intent_passes_a_revocation_that_was_acknowledged_before() {
    each_database(async |bench| {
        let second = match &bench.config.database {
            store::Database::Postgres(_) => bench.second_node().await.unwrap(),
            store::Database::Sqlite(_) => bench.store.clone(),
        };
        let (send, acknowledged) = tokio::sync::watch::channel(Position::ZERO);
        let revoking = {
            let bench = bench.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let tx = bench.store.begin(&bench.ctx()).await.unwrap();
                    let position = tx.commit([narrows()]).await.unwrap();
                    send.send(position).unwrap();
                    tokio::task::yield_now().await;
                }
            })
        };
        let mut callers = tokio::task::JoinSet::new();
        for caller in 0..16 {
            let (bench, acknowledged) = (bench.clone(), acknowledged.clone());
            let store = if caller % 2 == 0 { bench.store.clone() } else { second.clone() };
            callers.spawn(async move {
                let (mut durable, mut moved) = (0, 0);
                while acknowledged.has_changed().is_ok() {
                    // Decided on a state that may be old by the time the intent is submitted.
                    let guard = store.head().await.unwrap().position;
                    for _ in 0..caller % 3 {
                        tokio::task::yield_now().await;
                    }
                    let revoked = *acknowledged.borrow();
                    let mut call = intent(&bench, guard);
                    call.event.data = json!({ "guard": guard }).into();
                    match submit(&store, call).await {
                        Submitted::Durable(receipt) => {
                            assert!(guard >= revoked, "decided at {guard}, revoked at {revoked}");
                            assert!(receipt.position() > guard);
                            durable += 1;
                        }
                        Submitted::Moved => moved += 1,
                        other => panic!("{other:?}"),
                    }
                }
                (durable, moved)
            });
        }
        revoking.await.unwrap();
        let counts = callers.join_all().await;
        assert!(counts.iter().any(|(durable, _)| *durable > 0), "some calls went through: {counts:?}");
        // The log itself agrees: between an intent's guard and its position nothing narrows.
        let records = bench.store.follow(Position::ZERO, 4096).await.unwrap();
        let mut narrowed = Position::ZERO;
        for record in &records {
            if record.kind.narrows() {
                narrowed = record.position;
            } else if record.kind == EventKind::CallAllowed {
                let guard = record.data().unwrap()["guard"].as_i64().unwrap();
                assert!(guard >= narrowed.0, "decided at {guard}, narrowed at {narrowed}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_outcomes_become_unknown() {
    each_database(async |mut bench| {
        let guard = head(&bench).await;
        for _ in 0..3 {
            assert!(matches!(submit(&bench.store, intent(&bench, guard)).await, Submitted::Durable(_)));
        }
        let now = bench.ctx().now;
        assert_eq!(bench.store.sweep(now, now).await.unwrap().unknown, 0, "they are not old yet");
        assert_eq!(bench.store.sweep(now.plus_seconds(1), now).await.unwrap().unknown, 3);
        assert_eq!(bench.store.sweep(now.plus_seconds(1), now).await.unwrap().unknown, 0, "once each");
        let records = bench.store.follow(guard.plus(3), 10).await.unwrap();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].data().unwrap(), json!({ "intent": guard.plus(1), "result": "unknown" }));

        assert!(matches!(submit(&bench.store, intent(&bench, guard)).await, Submitted::Durable(_)));
        bench.reopen().await.unwrap();
        let last = bench.store.follow(guard.plus(7), 10).await.unwrap().remove(0);
        assert_eq!(last.kind, EventKind::CallEnded, "a restart ends what this node left open");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_closing_everything_is_a_fault() {
    each_database(async |bench| {
        let guard = head(&bench).await;
        bench.store.close().await.unwrap();
        assert!(bench.store.submit(Entry::Intent(Box::new(intent(&bench, guard)))).await.is_err());
        assert!(bench.store.begin(&bench.ctx()).await.is_err());
        assert!(bench.store.head().await.is_err());
    })
    .await;
}

/// More than the queue holds is turned away at once; what waits is written when the database is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_busy() {
    let bench = Bench::sqlite().await;
    let tx = bench.store.begin(&bench.ctx()).await.unwrap();
    let origin = Origin::from(&bench.ctx());
    let mut entries = tokio::task::JoinSet::new();
    for number in 0..6000 {
        let (store, origin) = (bench.store.clone(), origin.clone());
        entries.spawn(async move { store.submit(Entry::Event(origin, keeps(number))).await.unwrap() });
    }
    let mut answers = Vec::new();
    // Nothing can be written now, so the first answers are those of the queue.
    while answers.len() < 500 {
        answers.push(entries.join_next().await.unwrap().unwrap());
    }
    assert!(answers.iter().all(|answer| matches!(answer, Submitted::Busy)));
    tx.rollback().await.unwrap();
    answers.extend(entries.join_all().await);
    let recorded = answers.iter().filter(|answer| matches!(answer, Submitted::Recorded(_))).count();
    let busy = answers.iter().filter(|answer| matches!(answer, Submitted::Busy)).count();
    assert_eq!(recorded + busy, 6000);
    assert_eq!(head(&bench).await, Position(1 + i64::try_from(recorded).unwrap()));
}

/// Whoever asked has given up, before the intent was written or after: either way nothing was forwarded, and the log
/// must not say for ten minutes that something may have been.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_nobody_waits_for_is_left_out_or_ended() {
    each_database(async |bench| {
        let guard = head(&bench).await;
        for round in 0..20 {
            // Holds the writer on SQLite and the head on PostgreSQL.
            let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
            tx.exec("update log_head set position = position where id = 1", &[]).await.unwrap();
            let asked = intent(&bench, guard);
            let store = bench.store.clone();
            let asking = tokio::spawn(async move { submit(&store, asked).await });
            for _ in 0..round * 10 {
                tokio::task::yield_now().await;
            }
            asking.abort();
            assert!(asking.await.unwrap_err().is_cancelled(), "it was answered while the log was held");
            tx.rollback().await.unwrap();
        }
        // What comes after it in the queue is answered after it was dealt with, its end included.
        for _ in 0..2 {
            let last = Entry::Event(Origin::from(&bench.ctx()), keeps(1));
            assert!(matches!(bench.store.submit(last).await.unwrap(), Submitted::Recorded(_)));
        }
        let of = "select count(*) from record where kind = $1";
        let allowed = number(&bench.store, of, &["call.allowed".into()]).await;
        assert_eq!(number(&bench.store, of, &["call.ended".into()]).await, allowed);
        assert_eq!(number(&bench.store, "select count(*) from open_intent", &[]).await, 0);
    })
    .await;
}
