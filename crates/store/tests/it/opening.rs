//! Starting: keys, permissions, older databases, full disks, lost databases.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base::{EventKind, Position};
use store::{Database, Entry, StoreConfig};
use testkit::{Bench, FixedClock, Postgres, each_database};

use crate::support::{intent, keeps, narrows, number};

async fn commit(bench: &Bench, events: usize) {
    for number in 0..events {
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.commit([keeps(i64::try_from(number).unwrap())]).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_generation() {
    each_database(async |mut bench| {
        commit(&bench, 3).await;
        bench.reopen().await.unwrap();
        let head = bench.store.head().await.unwrap();
        assert_eq!((head.generation, head.position), (1, Position(4)));
        assert_eq!(bench.store.generation_started_at(), FixedClock::BEGIN);
    })
    .await;
}

/// Puts an earlier state of the database back while the store is closed, as a restore from a backup does.
struct Backup(Database);

impl Backup {
    async fn take(bench: &Bench) -> Self {
        match &bench.config.database {
            Database::Sqlite(path) => {
                bench.store.close().await.unwrap();
                let copy = path.with_extension("backup");
                fs::copy(path, &copy).unwrap();
                Self(Database::Sqlite(copy))
            }
            Database::Postgres(url) => {
                bench.store.close().await.unwrap();
                let url = url.clone();
                let copy = tokio::task::spawn_blocking(move || Postgres::start().copy(&url)).await.unwrap();
                Self(Database::Postgres(copy))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_older_database_begins_a_new_generation() {
    each_database(async |mut bench| {
        commit(&bench, 3).await;
        let backup = Backup::take(&bench).await;
        bench.store = bench.open(bench.config.clone()).await.unwrap();
        bench.clock.advance_seconds(60);
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let revoked = tx.commit([narrows()]).await.unwrap();
        assert_eq!(revoked, Position(5));
        bench.store.close().await.unwrap();

        // The clock was turned back too.
        bench.clock.advance_seconds(-3600);
        bench.config.database = backup.0;
        bench.store = bench.open(bench.config.clone()).await.unwrap();
        let head = bench.store.head().await.unwrap();
        assert_eq!((head.generation, head.position, head.guard), (2, Position(5), Position(5)));
        assert_eq!(head.generation_position, Position(5));
        assert!(bench.store.time_floor() >= FixedClock::BEGIN.plus_seconds(60), "time does not go back");
        assert!(head.generation_started_at >= FixedClock::BEGIN.plus_seconds(60));
        let record = bench.store.follow(Position(4), 1).await.unwrap().remove(0);
        assert_eq!(record.kind, EventKind::GenerationStarted);

        bench.reopen().await.unwrap();
        assert_eq!(bench.store.head().await.unwrap().generation, 2, "once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_that_grew_elsewhere_is_seen_by_its_history() {
    each_database(async |mut bench| {
        commit(&bench, 3).await;
        let backup = Backup::take(&bench).await;
        bench.store = bench.open(bench.config.clone()).await.unwrap();
        commit(&bench, 2).await;
        bench.store.close().await.unwrap();

        // Another node with a folder of its own meets the restored database and writes on.
        bench.config.database = backup.0;
        bench.clock.advance_seconds(5);
        let other = bench.second_node().await.unwrap();
        for number in 10..20 {
            other.begin(&bench.ctx()).await.unwrap().commit([keeps(number)]).await.unwrap();
        }
        other.close().await.unwrap();
        bench.store = bench.open(bench.config.clone()).await.unwrap();
        assert_eq!(bench.store.head().await.unwrap().generation, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_with_its_data_folder_begins_a_new_generation() {
    let mut bench = Bench::sqlite().await;
    commit(&bench, 1).await;
    bench.store.close().await.unwrap();
    bench.config.database = Database::Sqlite(bench.folder().join("new.db"));
    bench.store = bench.open(bench.config.clone()).await.unwrap();
    assert_eq!(bench.store.head().await.unwrap().generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_must_be_there_and_the_right_one_and_private() {
    each_database(async |bench| {
        bench.store.close().await.unwrap();
        let kek = bench.config.data_dir.join("kek");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for file in ["kek", "node", "high-water", "lock"] {
            assert_eq!(mode(&bench.config.data_dir.join(file)), 0o600, "{file}");
        }
        assert_eq!(mode(&bench.config.data_dir), 0o700);
        let right = fs::read(&kek).unwrap();
        let refused = async |part: &str| {
            let fault = bench.open(bench.config.clone()).await.err().expect("a fault").to_string();
            assert!(fault.contains(part), "{fault}");
        };
        fs::set_permissions(&kek, fs::Permissions::from_mode(0o640)).unwrap();
        refused("chmod 600").await;
        fs::set_permissions(&kek, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&kek, "00".repeat(32)).unwrap();
        refused("is not the one that this database was sealed with").await;
        fs::write(&kek, "short").unwrap();
        refused("64 hexadecimal digits").await;
        fs::remove_file(&kek).unwrap();
        refused("put the file back").await;
        assert!(!kek.exists(), "a missing key is not replaced by a new one");
        fs::write(&kek, right).unwrap();
        fs::set_permissions(&kek, fs::Permissions::from_mode(0o600)).unwrap();
        bench.open(bench.config.clone()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_per_data_folder() {
    each_database(async |bench| {
        let fault = bench.open(bench.config.clone()).await.err().expect("a fault").to_string();
        assert!(fault.contains("another Writ process"), "{fault}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_database_is_refused() {
    each_database(async |bench| {
        let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
        tx.exec("insert into migration (name, digest) values ('9999_future', 'x')", &[]).await.unwrap();
        tx.commit([keeps(1)]).await.unwrap();
        bench.store.close().await.unwrap();
        let fault = bench.open(bench.config.clone()).await.err().expect("a fault").to_string();
        assert!(fault.contains("9999_future"), "{fault}");
    })
    .await;
}

/// A full disk refuses writes, keeps all that was acknowledged, and is over when there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing() {
    let mut bench = Bench::sqlite().await;
    bench.store.close().await.unwrap();
    let roomy = bench.config.clone();
    bench.config = StoreConfig { sqlite_pages_max: Some(120), ..roomy.clone() };
    bench.store = bench.open(bench.config.clone()).await.unwrap();
    let mut acknowledged = Vec::new();
    let refused = loop {
        let head = bench.store.head().await.unwrap();
        let mut call = intent(&bench, head.position);
        call.event.data = serde_json::json!("x".repeat(8000)).into();
        match bench.store.submit(Entry::Intent(Box::new(call))).await {
            Ok(store::Submitted::Durable(receipt)) => acknowledged.push(receipt.position().0),
            Ok(other) => panic!("{other:?}"),
            Err(fault) => break fault.to_string(),
        }
        assert!(acknowledged.len() < 1000, "the database never filled up");
    };
    assert!(refused.contains("full"), "{refused}");
    assert!(!acknowledged.is_empty());
    bench.config = roomy;
    bench.reopen().await.unwrap();
    let kept = number(&bench.store, "select count(*) from record where kind = 'call.allowed'", &[]).await;
    assert_eq!(kept, i64::try_from(acknowledged.len()).unwrap());
    commit(&bench, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_is_a_fault_until_it_is_back() {
    let bench = Bench::postgres().await;
    let Database::Postgres(url) = bench.config.database.clone() else { panic!("not PostgreSQL") };
    let guard = bench.store.head().await.unwrap().position;
    let cut = url.clone();
    tokio::task::spawn_blocking(move || Postgres::start().cut(&cut)).await.unwrap();
    assert!(bench.store.submit(Entry::Intent(Box::new(intent(&bench, guard)))).await.is_err());
    assert!(bench.store.begin(&bench.ctx()).await.is_err());
    assert!(bench.store.head().await.is_err(), "not provably fresh");
    tokio::task::spawn_blocking(move || Postgres::start().mend(&url)).await.unwrap();
    let answer = bench.store.submit(Entry::Intent(Box::new(intent(&bench, guard)))).await.unwrap();
    assert!(matches!(answer, store::Submitted::Durable(_)));
}

/// PostgreSQL is put back to an older state under a running node: the node does not take it for the present.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_back_under_a_running_node_is_a_fault() {
    let bench = Bench::postgres().await;
    commit(&bench, 3).await;
    let mut tx = bench.store.begin(&bench.ctx()).await.unwrap();
    tx.exec("update log_head set position = position - 1, guard_position = 1", &[]).await.unwrap();
    tx.exec("delete from record where position = 4", &[]).await.unwrap();
    tx.commit_unrecorded(store::Unrecorded::Derived).await.unwrap();
    assert!(bench.store.head().await.is_err());
    assert!(bench.store.submit(Entry::Intent(Box::new(intent(&bench, Position(3))))).await.is_err());
    let tx = bench.store.begin(&bench.ctx()).await.unwrap();
    assert!(tx.commit([keeps(1)]).await.is_err());
}

/// A revocation is acknowledged only when a restored older database would be noticed: where the mark cannot be
/// written, it stands but is not acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_cannot_be_written_holds_back_the_acknowledgement() {
    each_database(async |bench| {
        let data_dir = &bench.config.data_dir;
        let away = bench.folder().join("away");
        fs::rename(data_dir, &away).unwrap();
        let commit = async |event| bench.store.begin(&bench.ctx()).await.unwrap().commit([event]).await;
        assert!(commit(keeps(1)).await.is_ok(), "nothing hangs on the mark here");
        assert!(commit(narrows()).await.is_err());
        assert_eq!(bench.store.head().await.unwrap().guard, Position(3), "it stands nevertheless");
        fs::rename(&away, data_dir).unwrap();
        assert!(commit(narrows()).await.is_ok());
        let mark = fs::read_to_string(data_dir.join("high-water")).unwrap();
        assert!(mark.contains("\"position\":4,\"guard\":4"), "{mark}");
    })
    .await;
}
