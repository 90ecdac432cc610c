//! Many clients for long: nobody hears another's answer, everybody is answered, and the server is afterwards what it was
//! before.
//!
//! Clients of both generations at servers of both, all of them with the same request ids and progress tokens, ten to a
//! task; calls that stream, come late, twice or under another's id, are taken back, left, cut off and gone on with.

mod client;
mod cut;
mod hostile;

use std::{
    collections::BTreeMap,
    io::BufRead as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    command::writ,
    node::{Node, On},
    world::{World, access_token, document},
};
use client::{Client, Part};
use hostile::Hostile;

/// How many clients share a task, and so everything that the gate keeps for its holder.
const CLIENTS_PER_TASK: usize = 10;
/// How often the server's memory is looked at.
const LOOKS: usize = 40;
/// How much larger the memory may be on average in the last quarter of the calls than in the second; the first is for
/// warming up.
const GROWTH_KIB_MAX: u64 = 16 * 1024;
/// How long the server may take to let go of what was left behind.
const CLEARING_TIME_MAX: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_calls_leave_nothing_behind() {
    soak(5000, 50).await;
}

/// Of an optimised build; an unoptimised one takes an hour, which is how long a token lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: make verify"]
async fn a_million_calls_leave_nothing_behind() {
    soak(calls_wanted().unwrap_or(1_000_000), 200).await;
}

/// `WRIT_SOAK_CALLS`: another number of calls of the test at full size.
#[expect(clippy::disallowed_methods, reason = "how a person asks this test for more or less")]
fn calls_wanted() -> Option<usize> {
    std::env::var("WRIT_SOAK_CALLS").ok()?.parse().ok()
}

/// What the clients found.
#[derive(Default)]
pub(crate) struct Tally {
    calls: watch::Sender<usize>,
    by_mode: Mutex<BTreeMap<&'static str, usize>>,
    crossed: Mutex<Vec<String>>,
    objections: Mutex<Vec<String>>,
    objected: AtomicUsize,
}

impl Tally {
    fn count(&self, mode: &'static str) {
        *self.by_mode.lock().unwrap().entry(mode).or_default() += 1;
        self.calls.send_modify(|calls| *calls += 1);
    }

    /// Somebody heard something that was another's.
    fn cross(&self, what: String) {
        self.crossed.lock().unwrap().push(what);
    }

    /// Something was not as it must be. The first few are told.
    fn object(&self, what: String) {
        if self.objected.fetch_add(1, Ordering::SeqCst) < 20 {
            self.objections.lock().unwrap().push(what);
        }
    }
}

async fn soak(calls: usize, clients: usize) {
    let mut hostile = Hostile::start();
    let mut world = World::new(On::Sqlite).await;
    admit(&world, &hostile).await;
    let parts = parts(&world, clients).await;
    let (pid, before) = (world.node.pid(), descriptors(world.node.pid()));

    let tally = Arc::new(Tally::default());
    let mut ready = Vec::new();
    for part in parts {
        ready.push(Client::open(part, Arc::clone(&tally)).await);
    }
    let mut running = JoinSet::new();
    for (number, client) in ready.into_iter().enumerate() {
        running.spawn(client.run(calls / clients + usize::from(number < calls % clients)));
    }
    let mut looks = Vec::new();
    let mut counted = tally.calls.subscribe();
    for look in 1..=LOOKS {
        let until = calls * look / LOOKS;
        // Clients that end before the others are asked how they ended; one that failed ends the test.
        loop {
            tokio::select! {
                reached = counted.wait_for(|calls| *calls >= until) => break drop(reached.unwrap()),
                Some(ended) = running.join_next() => ended.unwrap(),
            }
        }
        looks.push(memory(pid));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }

    // What clients left lets go of the server's side too, although the server never ends it by itself.
    wait_until("answers are still held at the upstream", || hostile.held() == 0).await;
    hostile.stop();
    wait_until("descriptors leak", || descriptors(pid) <= before).await;

    let (early, late) = (mean(&looks[LOOKS / 4..LOOKS / 2]), mean(&looks[LOOKS * 3 / 4..]));
    eprintln!(
        "soak: {calls} calls of {clients} clients: {:?}; descriptors {before} before, {} after; \
         memory {early} KiB in the second quarter, {late} KiB in the last; every look: {looks:?}",
        tally.by_mode.lock().unwrap(),
        descriptors(pid),
    );
    let crossed = std::mem::take(&mut *tally.crossed.lock().unwrap());
    assert!(
        crossed.is_empty(),
        "{} answers crossed: {:#?}",
        crossed.len(),
        &crossed[..crossed.len().min(20)]
    );
    let objections = std::mem::take(&mut *tally.objections.lock().unwrap());
    let count = tally.objected.load(Ordering::SeqCst);
    assert!(objections.is_empty(), "{count} calls were not answered as they must be: {objections:#?}");
    assert!(late <= early + GROWTH_KIB_MAX, "the memory grows: {looks:?}");
    // The outcomes that wait for their record are written before the end.
    world.node.stop();
    world.node.launch().await;
    let allowed = account_for(&world.node);
    assert!(allowed >= calls, "{allowed} intents for {calls} calls");
}

/// Lets the agents use the servers.
async fn admit(world: &World, hostile: &Hostile) {
    let limits =
        json!({ "calls_max": 100_000_000, "bytes_max": 1_000_000_000_000_i64, "token_seconds": 3600 });
    let mut documents =
        vec![document("Blueprint", "notes", &json!({ "description": "keeps notes", "limits": limits }))];
    for server in ["elder", "young"] {
        let url = format!("{}/{server}", hostile.url);
        documents.push(document("Server", server, &json!({ "url": url, "timeout_seconds": 3 })));
        for to in ["person/maya", "blueprint/notes"] {
            let name = format!("{}-{server}", to.replace('/', "-"));
            let on = format!("server/{server}");
            let grant = json!({ "to": to, "role": "notes", "on": on, "reason": "soaks" });
            documents.push(document("Grant", &name, &grant));
        }
    }
    world.admin.post("apply", &json!({ "documents": documents })).await.done();
    for server in ["elder", "young"] {
        world.admin.act(&format!("servers/{server}/discover")).await.done();
        let label = json!({ "effect": "read" });
        world.admin.put(&format!("tools/{server}/soak/label"), &label).await.done();
    }
}

/// Who calls whom: every revision at either server within each task.
async fn parts(world: &World, clients: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    while parts.len() < clients {
        let rules = ["elder", "young"].map(|server| json!({ "server": server, "tool": "soak" }));
        let limits = json!({ "calls_max": 10_000_000, "bytes_max": 100_000_000_000_i64 });
        let task = world.task_with(&rules, json!({ "limits": limits })).await;
        let mut tokens = Vec::new();
        for server in ["elder", "young"] {
            let asked = world.token_request(&task, &format!("mcp/{server}")).send().await;
            tokens.push(access_token(&asked.done()));
        }
        let numbers = parts.len()..(parts.len() + CLIENTS_PER_TASK).min(clients);
        parts.extend(numbers.map(|number| Part::new(number, &world.node.url(), &tokens)));
    }
    parts
}

/// Reads the whole log: each intent has one outcome, which is the gate's own. How many there are.
fn account_for(node: &Node) -> usize {
    let (home, file) = (node.beside(""), node.beside("log.jsonl"));
    writ(&node.admin(), &home, &["audit", "export", "--file", file.to_str().unwrap()]).done();
    let mut intents: Vec<i64> = Vec::new();
    let mut outcomes: Vec<i64> = Vec::new();
    for line in std::io::BufReader::new(std::fs::File::open(&file).unwrap()).lines() {
        let line = line.unwrap();
        if line.contains("\"call.allowed\"") {
            let record: Value = serde_json::from_str(&line).unwrap();
            intents.push(record["position"].as_i64().unwrap());
        } else if line.contains("\"call.ended\"") {
            let record: Value = serde_json::from_str(&line).unwrap();
            let data = &record["record"]["data"];
            outcomes.push(data["intent"].as_i64().unwrap());
            assert!(data["ended"].is_i64(), "an outcome was lost and swept up: {line}");
        }
    }
    outcomes.sort_unstable();
    assert!(
        intents == outcomes,
        "{} intents, {} outcomes, and not one for each",
        intents.len(),
        outcomes.len()
    );
    intents.len()
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while !is_so() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(CLEARING_TIME_MAX, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

fn mean(looks: &[u64]) -> u64 {
    looks.iter().sum::<u64>() / looks.len() as u64
}

/// How many files and sockets a process has open.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

/// The resident memory of a process, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
