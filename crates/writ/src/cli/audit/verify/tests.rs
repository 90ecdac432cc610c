//! Exports of a real log, whole and damaged, verified as a person far from the server does.

use std::path::{Path, PathBuf};

use base::{Event, EventKind, Position};
use clap::Parser;
use testkit::Bench;

use crate::cli::{
    Cli,
    environment::{Environment, Homes},
    exit::Exit,
    run,
};

/// A log of `records` records, exported to a file; and the log's key.
async fn exported(folder: &Path, records: usize) -> (PathBuf, String) {
    let bench = Bench::sqlite().await;
    for number in 0..records {
        let tx = bench.store.begin(&bench.ctx()).await.unwrap();
        let event = Event::global(EventKind::NodeStarted, serde_json::json!({ "number": number }));
        tx.commit([event]).await.unwrap();
    }
    bench.store.integrate(&bench.ctx()).await.unwrap();
    let mut export = bench.store.export(Position(1), Position(i64::MAX)).await.unwrap().expect("a log");
    let mut bytes = Vec::new();
    while let Some(piece) = export.next().await.unwrap() {
        bytes.extend_from_slice(piece.as_ref());
    }
    let path = folder.join("log.jsonl");
    std::fs::write(&path, bytes).unwrap();
    (path, bench.store.log_key().to_string())
}

/// Runs `writ audit verify` without any server.
async fn verify(path: &Path, key: Option<&str>) -> Result<Exit, String> {
    let mut words = vec!["writ", "audit", "verify", path.to_str().unwrap()];
    words.extend(key.into_iter().flat_map(|key| ["--key", key]));
    let environment = Environment {
        url: None,
        token: None,
        database: None,
        context: None,
        log: None,
        colour: false,
        config: None,
        homes: Homes::default(),
    };
    let outcome = run(Cli::try_parse_from(words).unwrap(), environment).await;
    outcome.map_err(|trouble| {
        assert_eq!(trouble.exit, Exit::Unverified, "{trouble}");
        trouble.what
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_export_verifies_offline_by_its_key_and_by_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = exported(folder.path(), 5).await;
    assert_eq!(verify(&path, None).await, Ok(Exit::Done));
    assert_eq!(verify(&path, Some(&key)).await, Ok(Exit::Done));
    let file = folder.path().join("log.vkey");
    std::fs::write(&file, format!("{key}\n")).unwrap();
    assert_eq!(verify(&path, file.to_str()).await, Ok(Exit::Done), "the key may be in a file");

    let other = wire::tlog::NoteSigner::from_seed("writ.example/log", &[7; 32]).unwrap();
    let refused = verify(&path, Some(&other.verifier().to_string())).await.unwrap_err();
    assert!(refused.contains("line 1"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_record_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = exported(folder.path(), 5).await;
    let text = std::fs::read_to_string(&path).unwrap();
    for number in 0..5 {
        let (wanted, forged) = (format!("\"number\":{number}"), format!("\"number\":{}", 9 - number));
        let line = text.lines().find(|line| line.contains(&wanted)).expect("the record");
        let position = line.split([':', ',']).nth(1).unwrap();
        std::fs::write(&path, text.replace(&wanted, &forged)).unwrap();
        let refused = verify(&path, Some(&key)).await.unwrap_err();
        assert!(refused.contains(&format!("record {position}:")), "{refused}, wanted {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_an_added_and_a_moved_line_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = exported(folder.path(), 5).await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for at in 0..lines.len() {
        let mut cut = lines.clone();
        let line = cut.remove(at);
        std::fs::write(&path, cut.join("\n") + "\n").unwrap();
        assert!(verify(&path, Some(&key)).await.is_err(), "without line {at}");
        cut.insert(at, line);
        cut.insert(at, line);
        std::fs::write(&path, cut.join("\n") + "\n").unwrap();
        assert!(verify(&path, Some(&key)).await.is_err(), "with line {at} twice");
    }
}
