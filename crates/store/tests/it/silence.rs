//! Connections that go silent, and beginnings that nobody waits for.

use std::time::Duration;

use store::{Database, Store, Unrecorded, is_busy, is_undecided};
use testkit::{Bench, Postgres};
use tokio::time::Instant;

use crate::{support::keeps, wire::Wire};

/// What somebody who writes waits at most, and a little.
const IN_TIME: Duration = Duration::from_millis(1700);
const INSERT: &str = "insert into proof (digest, expires) values ($1, 5)";

#[tokio::test]
async fn a_write_whose_connection_goes_silent_ends_and_the_next_one_goes_on() {
    let bench = Bench::postgres().await;
    let (store, wire) = Wire::node(&bench).await;
    let mut tx = store.begin(&bench.ctx()).await.unwrap();
    tx.exec(INSERT, &[[1; 32].into()]).await.unwrap();
    wire.go_silent();

    let fault = in_time(async || tx.exec(INSERT, &[[2; 32].into()]).await.unwrap_err()).await;
    assert!(is_busy(&fault), "{fault}");
    assert!(!store.takes_writes(), "nobody is told");
    drop(tx);
    // The lock that it held is free, because the connection is gone and not only given back.
    goes_on(&bench, &store).await;
}

#[tokio::test]
async fn a_commit_whose_connection_goes_silent_is_undecided() {
    let bench = Bench::postgres().await;
    let (store, wire) = Wire::node(&bench).await;
    let tx = store.begin(&bench.ctx()).await.unwrap();
    wire.go_silent();
    let fault = in_time(async || tx.commit([keeps(1)]).await.unwrap_err()).await;
    assert!(is_busy(&fault) || is_undecided(&fault), "{fault}");
    goes_on(&bench, &store).await;

    let mut tx = store.begin(&bench.ctx()).await.unwrap();
    tx.exec(INSERT, &[[1; 32].into()]).await.unwrap();
    wire.go_silent();
    let fault = in_time(async || tx.commit_unrecorded(Unrecorded::Node).await.unwrap_err()).await;
    assert!(is_undecided(&fault), "{fault}");
    goes_on(&bench, &store).await;
}

#[tokio::test]
async fn upkeep_on_a_connection_that_went_silent_ends() {
    let bench = Bench::postgres().await;
    let (store, wire) = Wire::node(&bench).await;
    wire.go_silent();
    let now = bench.ctx().now;
    in_time(async || store.sweep(now, now).await.unwrap_err()).await;
    goes_on(&bench, &store).await;
}

#[tokio::test]
async fn a_beginning_that_nobody_waits_for_leaves_no_transaction_open() {
    let bench = Bench::postgres().await;
    let (store, wire) = Wire::node(&bench).await;
    let ctx = bench.ctx();
    for writes in [true, false] {
        wire.hold_after("begin");
        tokio::select! {
            _ = store.begin(&ctx), if writes => unreachable!("its answer is held back"),
            _ = store.read(), if !writes => unreachable!("its answer is held back"),
            () = wire.is_held() => {}
        }
        wire.let_go();
    }
    let Database::Postgres(url) = &bench.config.database else { unreachable!() };
    let name = url.expose().rsplit('/').next().unwrap();
    let open = format!(
        "do $$ begin if exists (select from pg_stat_activity where datname = '{name}' \
         and application_name = 'writ' and state like 'idle in transaction%') \
         then raise 'a transaction is open'; end if; end $$"
    );
    goes_on(&bench, &store).await;
    drop(store.read().await.unwrap().rows("select 1", &[]).await.unwrap());
    // Long before the database itself ends it.
    let mut is_clear = false;
    for _ in 0..20 {
        let open = open.clone();
        let asked = tokio::task::spawn_blocking(move || Postgres::start().psql("postgres", &open)).await;
        is_clear = is_clear || asked.is_ok();
    }
    assert!(is_clear, "a transaction that nobody knows of is open");
}

/// Runs something that waits for the silent database, as fast as the clock can be turned.
async fn in_time<T>(work: impl AsyncFnOnce() -> T) -> T {
    tokio::time::pause();
    let began = Instant::now();
    let done = work().await;
    let took = began.elapsed();
    tokio::time::resume();
    assert!(took <= IN_TIME, "it took {took:?}");
    done
}

async fn goes_on(bench: &Bench, store: &Store) {
    store.begin(&bench.ctx()).await.unwrap().commit([keeps(2)]).await.unwrap();
    assert!(store.takes_writes());
}
