//! Changes and their records.

use std::collections::BTreeSet;

use base::{Event, EventKind, PersonId, Position, Timestamp};
use serde_json::json;
use store::{Bind as _, Record, Submitted, Unrecorded, Value, View};
use testkit::each_database;
use tokio::{sync::watch, task::JoinSet};
use wire::tlog::leaf_hash;

use crate::support::{intent, keeps, narrows, number, submit};

#[tokio::test(flavor = "multi_thread")]
async fn the_log_begins_with_its_generation() {
    each_database(async |bench| {
        let head = bench.store.head().await.unwrap();
        assert_eq!((head.position, head.guard, head.generation), (Position(1), Position(1), 1));
        let records = bench.store.follow(Position::ZERO, 10).await.unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].kind, EventKind::GenerationStarted);
        assert_eq!(records[0].data().unwrap()["reason"], "first start");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_kept_with_its_record_or_not_at_all() {
    each_database(async |bench| {
        let count = "select count(*) from proof";
        let insert = "insert into proof (digest, expires) values ($1, 5)";
        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec(insert, &[[1; 32].into()]).await.unwrap();
        drop(tx);
        assert_eq!(number(&bench.store, count, &[]).await, 0, "dropped");

        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec(insert, &[[1; 32].into()]).await.unwrap();
        assert!(tx.commit([]).await.is_err(), "no event");
        assert_eq!(number(&bench.store, count, &[]).await, 0, "without a record");

        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec(insert, &[[1; 32].into()]).await.unwrap();
        assert_eq!(tx.commit([keeps(1), narrows(), keeps(2)]).await.unwrap(), Position(4));
        assert_eq!(number(&bench.store, count, &[]).await, 1);
        assert_eq!(bench.store.head().await.unwrap().guard, Position(3));

        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec(insert, &[[2; 32].into()]).await.unwrap();
        let fault = tx.exec(insert, &[[2; 32].into()]).await.unwrap_err();
        assert!(store::conflict(&fault).is_some(), "{fault}");
        drop(tx);

        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec("delete from proof", &[]).await.unwrap();
        tx.commit_unrecorded(Unrecorded::Expired).await.unwrap();
        assert_eq!(number(&bench.store, count, &[]).await, 0);
        assert_eq!(bench.store.unrecorded()[0], (Unrecorded::Expired, 1));
        assert_eq!(bench.store.head().await.unwrap().position, Position(4));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_what_happened_in_canonical_json() {
    each_database(async |bench| {
        let ctx = bench.ctx();
        let person = PersonId::new(ctx.now, &*ctx.dice);
        let event = Event::new(EventKind::PersonCreated, &person, json!({ "z": 1, "a": "\u{e9}\"" }));
        bench.store.begin(&ctx).await.unwrap().commit([event]).await.unwrap();
        let record = bench.store.follow(Position(1), 10).await.unwrap().remove(0);
        let expected = format!(
            "{{\"actor\":\"system:test\",\"data\":{{\"a\":\"\u{e9}\\\"\",\"z\":1}},\"generation\":1,\
             \"kind\":\"person.created\",\"position\":2,\"subject\":\"{person}\",\"tenant\":\"{tenant}\",\
             \"time\":1795359845678,\"trace\":\"{trace}\",\"v\":1}}",
            tenant = ctx.tenant,
            trace = ctx.trace,
        );
        assert_eq!(record.body, expected);
        assert_eq!(record.leaf, leaf_hash(expected.as_bytes()));
        assert_eq!(record.subject, Some(person.into()));
        let value: serde_json::Value = serde_json::from_str(&record.body).unwrap();
        assert_eq!(wire::json::canonical_of(&value), record.body.as_bytes(), "the body is canonical");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_leave_no_gap() {
    each_database(async |bench| {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..64 {
            let bench = bench.clone();
            writers.spawn(async move {
                let mut last = Position::ZERO;
                for number in 0..4 {
                    let tx = bench.store.begin(&bench.ctx()).await.unwrap();
                    let position = tx.commit([keeps(writer), keeps(number)]).await.unwrap();
                    assert!(position > last, "commits of one writer are in its order");
                    last = position;
                }
                last
            });
        }
        let lasts = writers.join_all().await;
        assert_eq!(lasts.iter().collect::<BTreeSet<_>>().len(), 64);
        let records = bench.store.follow(Position::ZERO, 4096).await.unwrap();
        let positions: Vec<i64> = records.iter().map(|record| record.position.0).collect();
        assert_eq!(positions, (1..=1 + 64 * 8).collect::<Vec<_>>());
        assert_eq!(bench.store.head().await.unwrap().position, Position(1 + 64 * 8));
    })
    .await;
}

/// A follower that asks again and again never sees a later record before an earlier one.
#[tokio::test(flavor = "multi_thread")]
async fn followers_see_commits_in_order() {
    each_database(async |bench| {
        let follower = bench.store.clone();
        let following = tokio::spawn(async move {
            let (mut seen, mut changed) = (Position::ZERO, follower.positions());
            while seen < Position(201) {
                let records = follower.follow(seen, 7).await.unwrap();
                for record in &records {
                    assert_eq!(record.position, seen.plus(1));
                    seen = record.position;
                }
                if records.is_empty() {
                    changed.wait_for(|&position| position > seen).await.unwrap();
                }
            }
        });
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let bench = bench.clone();
            writers.spawn(async move {
                for number in 0..10 {
                    bench.store.begin(&bench.ctx()).await.unwrap().commit([keeps(number)]).await.unwrap();
                }
            });
        }
        writers.join_all().await;
        following.await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_one_state() {
    each_database(async |bench| {
        let mut read = bench.store.read().await.unwrap();
        bench.store.begin(&bench.ctx()).await.unwrap().commit([narrows()]).await.unwrap();
        let seen = read.row("select max(position) from record", &[]).await.unwrap().unwrap();
        assert_eq!(seen.position(0).unwrap(), read.head().position);
        assert_eq!(bench.store.head().await.unwrap().position, read.head().position.plus(1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_never_decreases_along_the_log() {
    each_database(async |mut bench| {
        bench.store.begin(&bench.ctx()).await.unwrap().commit([keeps(1)]).await.unwrap();
        bench.clock.advance_seconds(-3600);
        bench.store.begin(&bench.ctx()).await.unwrap().commit([keeps(2)]).await.unwrap();
        bench.reopen().await.unwrap();
        assert_eq!(bench.store.time_floor(), testkit::FixedClock::BEGIN, "the floor survives a restart");
        bench.store.begin(&bench.ctx()).await.unwrap().commit([keeps(3)]).await.unwrap();
        let records = bench.store.follow(Position::ZERO, 10).await.unwrap();
        assert!(records.is_sorted_by_key(|record| record.time));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_goes_away_does_not_cut_its_commit_in_two() {
    each_database(async |bench| {
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let mut positions = bench.store.positions();
        {
            let commit = std::pin::pin!(tx.commit([narrows()]));
            // One poll starts it; then the caller is gone.
            assert!(futures_poll_once(commit).await.is_none());
        }
        positions.wait_for(|&position| position == Position(2)).await.unwrap();
        assert_eq!(bench.store.head().await.unwrap().guard, Position(2));
    })
    .await;
}

async fn futures_poll_once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match future.as_mut().poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// Called with a transaction; a read would do.
async fn everything(view: &mut View) -> Vec<store::Row> {
    view.rows("select * from everything where t = $1", &["caf\u{e9}".into()]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_come_back_as_they_went_in() {
    each_database(async |bench| {
        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec(
            "create table everything (t text, i bigint, s integer, b boolean, y bytea, nt text, ni bigint, \
             ns integer, nb boolean, ny bytea)",
            &[],
        )
        .await
        .unwrap();
        let args: Vec<Value> = vec![
            "caf\u{e9}".into(),
            i64::MAX.into(),
            7_i64.into(),
            true.into(),
            (&[0_u8, 255][..]).into(),
            Option::<&str>::None.into(),
            Option::<Timestamp>::None.into(),
            Option::<i64>::None.into(),
            Option::<bool>::None.into(),
            <[u8; 2]>::NULL,
        ];
        let insert = "insert into everything values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        tx.exec(insert, &args).await.unwrap();
        let row = everything(&mut tx).await.remove(0);
        assert_eq!(row.text(0).unwrap(), "caf\u{e9}");
        assert_eq!((row.int(1).unwrap(), row.int(2).unwrap()), (i64::MAX, 7));
        assert!(row.bool(3).unwrap());
        assert_eq!(row.bytes(4).unwrap(), [0, 255]);
        assert_eq!((row.opt_text(5).unwrap(), row.opt_int(6).unwrap()), (None, None));
        assert_eq!((row.opt_int(7).unwrap(), row.opt_bool(8).unwrap()), (None, None));
        assert_eq!(row.opt_bytes(9).unwrap(), None);
        assert!(row.text(5).is_err(), "null is not a text");
    })
    .await;
}

#[test]
fn columns_of_records_are_as_documented() {
    assert_eq!(Record::COLUMNS.split(", ").count(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_all_readers_keeps_neither_the_follower_nor_writers_waiting() {
    each_database(async |bench| {
        let (held, mut readers) = (watch::Sender::new(0), JoinSet::new());
        for _ in 0..32 {
            let (store, held) = (bench.store.clone(), held.clone());
            readers.spawn(async move {
                let _read = store.read().await;
                held.send_modify(|held| *held += 1);
                std::future::pending::<()>().await;
            });
        }
        held.subscribe().wait_for(|&held| held >= 4).await.unwrap();
        for number in 0..8 {
            let tx = bench.store.begin(&bench.ctx()).await.unwrap();
            let position = tx.commit([keeps(number)]).await.unwrap();
            assert_eq!(bench.store.head().await.unwrap().position, position);
            let followed = bench.store.follow(Position::ZERO, 100).await.unwrap();
            assert_eq!(followed.last().unwrap().position, position);
            let intent = submit(&bench.store, intent(&bench, position)).await;
            assert!(matches!(intent, Submitted::Durable(_)), "{intent:?}");
        }
        readers.shutdown().await;
        bench.store.read().await.unwrap();
    })
    .await;
}
