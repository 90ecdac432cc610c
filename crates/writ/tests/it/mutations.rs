//! Whatever is changed in an exported log is found, by the command line alone, offline.

use std::path::{Path, PathBuf};

use serde_json::json;
use testkit::SeededDice;

use crate::{
    command::{offline, writ},
    mcp::is_done,
    node::On,
    world::{World, rule},
};

/// How a copy is changed.
const WAYS: u64 = 9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_mutations_are_all_found() {
    all_are_found(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: make verify"]
async fn two_thousand_mutations_are_all_found() {
    all_are_found(2000).await;
}

async fn all_are_found(count: usize) {
    let world = World::new(On::Sqlite).await;
    // More records than one tile holds, of every kind that a small world has.
    let task = world.task(&[rule("read_note")]).await;
    let mcp = world.session(&task).await;
    for text in 0..120 {
        assert!(is_done(&mcp.called("read_note", &json!({ "text": text })).await));
        mcp.called("send_note", &json!({ "text": text })).await;
    }
    let (home, file) = (world.node.beside(""), world.node.beside("log.jsonl"));
    writ(&world.admin, &home, &["audit", "export", "--file", file.to_str().unwrap()]).done();
    let log = std::fs::read(&file).unwrap();
    let header: serde_json::Value = serde_json::from_slice(lines(&log)[0]).unwrap();
    let key = header["vkey"].as_str().unwrap();
    assert!(header["to"].as_u64().unwrap() > 256, "{header}");
    // Its own key is found in it and says nothing; the one noted elsewhere does.
    for arguments in [vec![], vec!["--key", key]] {
        let mut all = vec!["audit", "verify", file.to_str().unwrap()];
        all.extend(arguments);
        offline(&home, &all).done();
    }
    let dice = SeededDice::new(2026);
    let copy = world.node.beside("copy.jsonl");
    for number in 0..count {
        let (way, changed) = loop {
            let way = dice.below(WAYS);
            let changed = mutated(&log, way, &dice);
            // Two equal lines that change places are no change.
            if changed != log {
                break (way, changed);
            }
        };
        verify_finds(&home, &copy, &changed, key, &format!("mutation {number} of way {way}"));
    }
}

fn verify_finds(home: &Path, copy: &PathBuf, changed: &[u8], key: &str, what: &str) {
    std::fs::write(copy, changed).unwrap();
    let ran = offline(home, &["audit", "verify", copy.to_str().unwrap(), "--key", key]);
    assert_eq!(ran.exit, 6, "{what} was not found: {ran:?}");
    assert!(ran.said.contains("does not verify"), "{what}: {ran:?}");
}

fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split_inclusive(|&byte| byte == b'\n').collect()
}

/// A copy of a log with one thing changed.
fn mutated(log: &[u8], way: u64, dice: &SeededDice) -> Vec<u8> {
    let below = |bound: usize| usize::try_from(dice.below(bound as u64)).unwrap();
    let mut all = lines(log);
    let (one, other) = (below(all.len()), below(all.len()));
    match way {
        // A bit, a byte more, a byte less, anywhere.
        0..=2 => {
            let mut copy = log.to_vec();
            let at = below(copy.len());
            match way {
                0 => copy[at] ^= 1 << below(8),
                1 => copy.insert(at, u8::try_from(below(256)).unwrap()),
                _ => drop(copy.remove(at)),
            }
            return copy;
        }
        3 => drop(all.remove(one)),
        4 => all.insert(other, all[one]),
        5 => all.swap(one, other),
        // The end, or the beginning, is cut off.
        6 => all.truncate(one),
        7 => drop(all.drain(..=one)),
        // A digit anywhere becomes another: a time, an amount, an id.
        _ => {
            let digits: Vec<usize> = (0..log.len()).filter(|&at| log[at].is_ascii_digit()).collect();
            let mut copy = log.to_vec();
            let at = digits[below(digits.len())];
            copy[at] = b'0' + (copy[at] - b'0' + 1 + u8::try_from(below(9)).unwrap()) % 10;
            return copy;
        }
    }
    all.concat()
}
