//! Kill -9 under load: nothing that was acknowledged is lost, and the log verifies each time.
//!
//! The child is this very test binary, told by the environment what to open. `WRIT_KILL_ROUNDS` says how often.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use base::{EventKind, Position, Secret};
use store::{Database, Store, StoreConfig, Submitted};
use testkit::{Bench, FixedClock, SeededDice, each_database};
use wire::tlog::verify_export;

use crate::support::{intent_at, narrows};

const CHILD: &str = "WRIT_KILL_CHILD";
const ROUNDS: &str = "WRIT_KILL_ROUNDS";

#[expect(clippy::disallowed_methods, reason = "a test's own knobs")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn describe(config: &StoreConfig) -> String {
    let database = match &config.database {
        Database::Sqlite(path) => path.display().to_string(),
        Database::Postgres(url) => url.expose().to_owned(),
    };
    format!("{database}\n{}", config.data_dir.display())
}

fn read_config(text: &str) -> StoreConfig {
    let (database, data_dir) = text.split_once('\n').expect("two lines");
    StoreConfig {
        database: if database.starts_with("postgres:") {
            Database::Postgres(Secret::new(database.to_owned()))
        } else {
            Database::Sqlite(PathBuf::from(database))
        },
        data_dir: data_dir.into(),
        origin: "writ.example/log".into(),
        sqlite_pages_max: None,
    }
}

/// Says on standard output what was acknowledged, a whole line at once.
fn acknowledge(what: &str, position: Position) {
    let mut out = std::io::stdout().lock();
    // When the other end is gone, so is this process, any moment now.
    let _ = out.write_all(format!("\nacknowledged {what} {position}\n").as_bytes());
    let _ = out.flush();
}

/// The child: writes until it is killed. Without its variable it is no test at all.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by `no_acknowledged_record_is_lost` as its child"]
async fn child() {
    let Some(config) = environment(CHILD) else { return };
    let config = read_config(&config);
    let clock = Arc::new(FixedClock::default());
    let dice = Arc::new(SeededDice::new(u64::from(std::process::id())));
    let store = Store::open(config, clock, dice.clone()).await.unwrap();
    let ctx = testkit::ctx(FixedClock::BEGIN, dice);
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (store, ctx) = (store.clone(), ctx.clone());
        writers.spawn(async move {
            loop {
                let guard = store.head().await.unwrap().position;
                if let Submitted::Durable(receipt) =
                    crate::support::submit(&store, intent_at(&ctx, guard)).await
                {
                    acknowledge("call.allowed", receipt.position());
                }
            }
        });
    }
    writers.spawn(async move {
        loop {
            let position = store.begin(&ctx).await.unwrap().commit([narrows()]).await.unwrap();
            acknowledge("authority.revoked", position);
        }
    });
    writers.join_next().await;
    panic!("a writer stopped");
}

/// Runs a child until `acks` acknowledgements have come, kills it, and gives all that it had acknowledged.
fn run_and_kill(config: &StoreConfig, acks: u64) -> Vec<(EventKind, Position)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(CHILD, describe(config))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Ok(line) = line else { break };
        // The last line may be cut off by the kill; only whole ones count, and those have three words.
        let words: Vec<_> = line.split(' ').collect();
        if let ["acknowledged", kind, position] = words[..]
            && let Some(kind) = EventKind::parse(kind)
        {
            said.push((kind, Position(position.parse().unwrap())));
        }
        if said.len() as u64 == acks {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_record_is_lost() {
    let rounds = environment(ROUNDS).map_or(10, |rounds| rounds.parse().expect("a number of rounds"));
    each_database(async |mut bench| {
        let dice = SeededDice::new(99);
        bench.store.close().await.unwrap();
        for round in 0..rounds {
            let (config, acks) = (bench.config.clone(), 1 + dice.below(60));
            let said = tokio::task::spawn_blocking(move || run_and_kill(&config, acks)).await.unwrap();
            assert!(said.len() as u64 >= acks, "round {round}: the child stopped by itself");
            bench.store = bench.open(bench.config.clone()).await.unwrap();
            check(&bench, &said).await;
            bench.store.close().await.unwrap();
        }
    })
    .await;
}

async fn check(bench: &Bench, said: &[(EventKind, Position)]) {
    let head = bench.store.head().await.unwrap();
    assert_eq!(head.generation, 1, "the mark was never ahead of the database");
    let revoked = said.iter().filter(|(kind, _)| kind.narrows()).map(|(_, position)| *position).max();
    assert!(revoked.is_none_or(|revoked| head.guard >= revoked));
    let mut at = Position::ZERO;
    let mut kinds = Vec::new();
    while at < head.position {
        for record in bench.store.follow(at, 4096).await.unwrap() {
            assert_eq!(record.position, at.plus(1), "no gap");
            at = record.position;
            kinds.push(record.kind);
        }
    }
    for (kind, position) in said {
        let place = usize::try_from(position.0).unwrap() - 1;
        assert_eq!(kinds.get(place), Some(kind), "acknowledged at {position}");
    }
    bench.store.integrate(&bench.ctx()).await.unwrap();
    let mut export = bench.store.export(Position(1), head.position).await.unwrap().unwrap();
    let mut text = String::new();
    while let Some(piece) = export.next().await.unwrap() {
        text.push_str(&piece);
    }
    let report = verify_export(text.as_bytes(), Some(bench.store.log_key())).unwrap();
    assert_eq!(report.records, head.position.0.unsigned_abs());
    let open = "select count(*) from open_intent";
    assert_eq!(
        crate::support::number(&bench.store, open, &[]).await,
        0,
        "lost outcomes are recorded as unknown"
    );
}
