//! A task is killed under many open streams: how soon its next call is refused and its streams are cut, and that nobody
//! else's are.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{
    Tally, admit,
    client::{Client, Heard, Part},
    hostile::Hostile,
    wait_until,
};
use crate::{
    node::On,
    web::Ask,
    world::{World, access_token},
};

/// How many streams of the task are open.
const STREAMS: usize = 64;
/// How many streams others have open: the same agent within another task, and another agent.
const OTHERS: usize = 8;
/// How many clients call once the kill is answered.
const CALLERS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_cuts_all_streams_of_its_task_and_no_others() {
    rounds(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: make verify"]
async fn how_soon_a_kill_reaches_64_streams() {
    rounds(60).await;
}

/// A stream that is open, and its client.
struct Open {
    client: Client,
    heard: Heard,
}

/// How long after its answer a kill took effect, and how long its answer took.
#[derive(Default)]
struct Times {
    answered: Vec<Duration>,
    refused: Vec<Duration>,
    cut: Vec<Duration>,
}

async fn rounds(count: usize) {
    let hostile = Hostile::start();
    let world = World::new(On::Sqlite).await;
    admit(&world, &hostile).await;
    let tally = Arc::new(Tally::default());
    let label = json!({ "label": "test", "secret": true });
    let made = world.admin.post("agents/eve/credentials", &label).await.done();
    let eves_secret = made["secret"].as_str().unwrap();
    let mut others = JoinSet::new();
    for (agent, secret) in [("ada", world.ada_secret.as_str()), ("eve", eves_secret)] {
        let (_, parts) = task(&world, agent, secret, OTHERS).await;
        for open in hold(parts, &tally).await {
            // It ends with the test, or too early.
            others.spawn(open.heard.all());
        }
    }
    let mut times = Times::default();
    for round in 0..count {
        let (killed, parts) = task(&world, "ada", &world.ada_secret, STREAMS + CALLERS).await;
        round_of(&world, &killed, parts, &tally, &mut times).await;
        wait_until("streams of the dead are still held", || hostile.held() <= 2 * OTHERS).await;
        assert_eq!(hostile.held(), 2 * OTHERS, "round {round}: others were cut");
    }
    assert!(others.try_join_next().is_none(), "a stream of others has ended");
    let objections = tally.objections.lock().unwrap();
    assert!(objections.is_empty() && tally.crossed.lock().unwrap().is_empty(), "{objections:#?}");
    eprintln!(
        "kill: {count} rounds of {STREAMS} streams, {} of others open beside: answered {}; after the answer: \
         next call refused {}; streams cut {}",
        2 * OTHERS,
        spread(times.answered),
        spread(times.refused),
        spread(times.cut),
    );
}

async fn round_of(world: &World, task: &str, mut parts: Vec<Part>, tally: &Arc<Tally>, times: &mut Times) {
    let callers = parts.split_off(STREAMS);
    let mut cut = JoinSet::new();
    for mut open in hold(parts, tally).await {
        cut.spawn(async move {
            let rest = open.heard.until_end().await;
            let at = Instant::now();
            let code = rest.last().map(|last| last["error"]["data"]["code"].clone());
            assert_eq!(code, Some(Value::from("authority_revoked")), "{rest:?}");
            open.client.judge(&rest);
            at
        });
    }
    let mut ready = Vec::new();
    for part in callers {
        let mut client = Client::open(part, Arc::clone(tally)).await;
        assert_eq!(client.plain().await, 200);
        ready.push(client);
    }
    let asked = Instant::now();
    let kill = json!({ "kind": "task", "name": task, "reason": "test" });
    world.admin.post("kill", &kill).await.done();
    let answered = Instant::now();
    times.answered.push(answered - asked);
    let mut calls = JoinSet::new();
    for mut client in ready {
        calls.spawn(async move {
            assert_eq!(client.plain().await, 401, "a call of the dead");
            Instant::now()
        });
    }
    let since = |at: Instant| at.saturating_duration_since(answered);
    times.refused.extend(calls.join_all().await.into_iter().map(since));
    let cut = tokio::time::timeout(Duration::from_secs(10), cut.join_all()).await;
    times.cut.extend(cut.expect("all streams end").into_iter().map(since));
}

/// Opens a stream for each.
async fn hold(parts: Vec<Part>, tally: &Arc<Tally>) -> Vec<Open> {
    let mut open = Vec::new();
    for part in parts {
        let mut client = Client::open(part, Arc::clone(tally)).await;
        let heard = client.hold().await;
        open.push(Open { client, heard });
    }
    open
}

/// A new task of an agent's, and clients within it: of both generations, at servers of both.
async fn task(world: &World, agent: &str, secret: &str, clients: usize) -> (String, Vec<Part>) {
    let rules = ["elder", "young"].map(|server| json!({ "server": server, "tool": "soak" }));
    let task = world.task_with(&rules, json!({ "agent": agent })).await;
    let mut tokens = Vec::new();
    for server in ["elder", "young"] {
        let details = json!([{ "type": "writ_task", "task": task }]).to_string();
        let asked = Ask::new("POST", format!("{}/oauth2/token", world.node.url())).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", agent),
            ("client_secret", secret),
            ("resource", &format!("{}/mcp/{server}", world.node.url())),
            ("authorization_details", &details),
        ]);
        tokens.push(access_token(&asked.send().await.done()));
    }
    let parts = (0..clients).map(|number| Part::new(number, &world.node.url(), &tokens));
    (task, parts.collect())
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let (p50, p99, max) = (at(50), at(99), at(100));
    format!("p50 {p50:.1?}, p99 {p99:.1?}, at most {max:.1?} ({} times)", times.len())
}
