//! Power cuts under load: whatever was acknowledged is there afterwards, and the log holds together.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use testkit::SeededDice;
use tokio::task::JoinSet;

use crate::{
    command::{offline, writ},
    mcp::{Mcp, Pass, is_done, message},
    node::{Api, On},
    world::World,
};

/// Clients that change the state, and clients that call tools.
const WRITERS: usize = 4;
const CALLERS: usize = 4;

/// What the clients were told.
#[derive(Default)]
struct Acknowledged {
    /// Things that were made, by path, with the position of the record.
    made: Mutex<Vec<(String, i64)>>,
    /// Texts with which calls were answered.
    called: Mutex<Vec<String>>,
    count: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    rounds(On::Sqlite, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_on_postgres() {
    rounds(On::Postgres, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: make verify"]
async fn nothing_acknowledged_is_lost_in_500_rounds() {
    rounds(On::Sqlite, rounds_wanted().unwrap_or(500)).await;
}

/// `WRIT_KILL_ROUNDS`: another number of rounds of the test at full size.
#[expect(clippy::disallowed_methods, reason = "how a person asks this test for more or less")]
fn rounds_wanted() -> Option<usize> {
    std::env::var("WRIT_KILL_ROUNDS").ok()?.parse().ok()
}

/// How many power cuts one log goes through: it is read and verified as a whole after each.
const ROUNDS_OF_A_LOG: usize = 25;

async fn rounds(on: On, count: usize) {
    let dice = SeededDice::new(7);
    let mut left = count;
    while left > 0 {
        let rounds = left.min(ROUNDS_OF_A_LOG);
        rounds_of_a_log(on, rounds, &dice).await;
        left -= rounds;
    }
}

async fn rounds_of_a_log(on: On, count: usize, dice: &SeededDice) {
    let mut world = World::new(on).await;
    let limits = json!({ "limits": { "calls_max": 10_000, "bytes_max": 1_000_000_000 }, "seconds": 28_800 });
    let task = world.task_with(&[crate::world::rule("read_note")], limits).await;
    let acknowledged = Arc::new(Acknowledged::default());
    let mut last = 0;
    for round in 0..count {
        let token = world.token(&task).await;
        let mut clients = JoinSet::new();
        for client in 0..WRITERS {
            clients.spawn(write(world.admin.clone(), format!("r{round}-c{client}"), acknowledged.clone()));
        }
        for client in 0..CALLERS {
            let pass = Pass::Bearer(token.clone());
            clients.spawn(call(world.node.url(), pass, format!("r{round}-c{client}"), acknowledged.clone()));
        }
        // The instant of the cut is drawn, in acknowledgements: early, in the middle of a batch, or late.
        let more = 1 + usize::try_from(dice.below(60)).unwrap();
        let wanted = acknowledged.count.load(Ordering::SeqCst) + more;
        while acknowledged.count.load(Ordering::SeqCst) < wanted {
            assert!(!clients.is_empty(), "no client could do anything in round {round}");
            tokio::task::yield_now().await;
        }
        world.node.kill();
        clients.join_all().await;
        world.node.launch().await;
        last = check(&world, &task, &acknowledged, last, round).await;
    }
}

/// Makes groups until the server is gone.
async fn write(admin: Api, name: String, acknowledged: Arc<Acknowledged>) {
    for number in 0.. {
        let path = format!("groups/{name}-{number}");
        let spec = json!({ "of": "person", "description": "made under load", "members": ["maya"] });
        let Ok(answer) = admin.ask("PUT", &path).json(&spec).attempt().await else { return };
        if answer.status == 503 {
            continue;
        }
        let position = answer.done()["position"].as_i64().unwrap();
        acknowledged.made.lock().unwrap().push((path, position));
        acknowledged.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Calls a tool until the server is gone.
async fn call(server: String, pass: Pass, name: String, acknowledged: Arc<Acknowledged>) {
    let Ok(mcp) = Mcp::try_open(&server, pass).await else { return };
    for number in 0.. {
        let text = format!("{name}-{number}");
        let Ok(answer) = mcp.call("read_note", &json!({ "text": text })).attempt().await else { return };
        assert!(is_done(&message(&answer)), "{}", answer.text());
        acknowledged.called.lock().unwrap().push(text);
        acknowledged.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Checks what is there after a cut; the last position of the export.
async fn check(world: &World, task: &str, acknowledged: &Acknowledged, last: i64, round: usize) -> i64 {
    let (home, file) = (world.node.beside(""), world.node.beside("log.jsonl"));
    let path = file.to_str().unwrap();
    writ(&world.admin, &home, &["audit", "export", "--file", path]).done();
    let verified = offline(&home, &["-o", "json", "audit", "verify", path]).done();
    let report: Value = serde_json::from_slice(&verified).unwrap();
    assert_eq!(report["whole"], true, "round {round}: {report}");

    let log = crate::node::read(&file);
    let records: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with("{\"position\":"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let positions = records.iter().map(|record| record["position"].as_i64().unwrap());
    assert!(positions.eq(1..=report["to"].as_i64().unwrap()), "round {round}: the positions have gaps");
    assert!(report["to"].as_i64().unwrap() > last, "round {round}: the log became shorter");

    let groups = world.admin.get("groups").await.done();
    let names: BTreeSet<&str> =
        groups.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let ids: BTreeSet<&str> =
        groups.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    for (path, position) in acknowledged.made.lock().unwrap().iter() {
        let name = path.strip_prefix("groups/").unwrap();
        assert!(names.contains(name), "round {round}: `{name}` was acknowledged and is lost");
        let record = &records[usize::try_from(position - 1).unwrap()]["record"];
        assert_eq!(record["kind"], "group.created", "round {round}: {record}");
        assert!(ids.contains(record["subject"].as_str().unwrap()), "round {round}: {record}");
    }
    // Nothing reached the upstream without an intent on record; what was answered had reached it.
    let allowed = records
        .iter()
        .filter(|one| one["record"]["kind"] == "call.allowed" && one["record"]["data"]["what"] == "tool");
    let intents = allowed.filter(|one| one["record"]["task"] == task).count();
    let arrived = world.upstream.calls();
    assert!(intents >= arrived.len(), "round {round}: {intents} intents for {} calls", arrived.len());
    let arrived: BTreeSet<&str> = arrived.iter().filter_map(|call| call.arguments["text"].as_str()).collect();
    for text in acknowledged.called.lock().unwrap().iter() {
        assert!(arrived.contains(text.as_str()), "round {round}: `{text}` was answered and never arrived");
    }
    report["to"].as_i64().unwrap()
}
