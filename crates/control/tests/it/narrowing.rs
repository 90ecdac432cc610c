//! No sequence of delegations, exchanges and child tasks ever widens authority.

use base::{Name, TaskId};
use control::{decide::Caller, task::Task};
use http::Method;
use policy::{Act, ActKind, Effect};
use serde_json::{Value, json};
use testkit::{Bench, SeededDice};
use wire::json::Json;

use crate::{
    app::App,
    client::{API, CRM, Client, MAIL, claims},
    world::existing,
};

const CASES: u64 = 64;
const STEPS: usize = 10;
const SERVERS: [&str; 2] = ["crm", "mail"];
const TOOLS: [&str; 3] = ["read", "write", "send"];
const EFFECTS: [Effect; 3] = [Effect::Read, Effect::Write, Effect::Send];
const AMOUNTS: [i64; 4] = [1, 10, 50, 1000];

/// Every act that there is in this small world.
fn acts() -> Vec<Act> {
    let mut acts = Vec::new();
    for server in SERVERS {
        for (tool, effect) in TOOLS.into_iter().zip(EFFECTS) {
            for amount in AMOUNTS {
                acts.push(Act {
                    server: server.parse::<Name>().unwrap(),
                    kind: ActKind::Tool { name: tool.into(), definition_hash: [0; 32], effect },
                    arguments: Json::object([("amount", amount.into())]),
                });
            }
        }
    }
    acts
}

/// A random wish, often wider than what its asker has.
fn random_wish(dice: &SeededDice) -> String {
    let rules: Vec<Value> = (0..=dice.below(2))
        .map(|_| {
            let mut rule = json!({ "server": pick(dice, &["crm", "mail", "*"]), "tool": pick(dice, &["read", "write", "send", "*"]) });
            if dice.below(2) == 0 {
                rule["effects"] = json!([pick(dice, &["read", "write", "send"])]);
            }
            if dice.below(2) == 0 {
                let most = pick(dice, &[1, 10, 100]);
                rule["constraints"] = json!([{ "argument": "/amount", "rule": { "range": { "max": most } } }]);
            }
            rule
        })
        .collect();
    let mut wish = json!({ "type": "writ_task", "purpose": "random", "tools": rules });
    if dice.below(2) == 0 {
        wish["limits"] = json!({ "calls": pick(dice, &[1, 5, 100]), "bytes": pick(dice, &[10, 1000]) });
    }
    if dice.below(2) == 0 {
        wish["expires_in"] = json!(pick(dice, &[5, 60, 3600]));
    }
    json!([wish]).to_string()
}

fn pick<T: Copy>(dice: &SeededDice, from: &[T]) -> T {
    from[usize::try_from(dice.below(from.len() as u64)).unwrap()]
}

/// A token that somebody got, and the task from whose authority it came.
struct Held {
    token: String,
    resource: &'static str,
    task: TaskId,
}

/// What a token's holder may do is what its whole chain covers.
async fn chain(app: &App, task: &TaskId) -> Vec<Task> {
    let mut chain = Vec::new();
    let mut next = Some(task.clone());
    while let Some(id) = next.take() {
        let task = app.control.find_task(&id).await.unwrap();
        next.clone_from(&task.parent);
        chain.push(task);
    }
    chain
}

fn covers(task: &Task, act: &Act, app: &App) -> bool {
    task.scope.covers(act, app.control.now()).is_ok()
}

/// Checks a token that came out of another against the task it came from.
async fn check(app: &App, acts: &[Act], from: Option<&Held>, got: &str, resource: &str, seed: u64) -> TaskId {
    let said = claims(got);
    let task: TaskId = said["task"].as_str().unwrap().parse().unwrap();
    let chain = chain(app, &task).await;
    let own = &chain[0];
    assert_eq!(said["aud"], resource, "seed {seed}");
    assert_eq!(said["client_id"], own.agent.as_str(), "seed {seed}");
    assert!(said["exp"].as_i64().unwrap() <= own.scope.deadline.seconds(), "seed {seed}");
    assert!(chain.len() <= base::limit::TASK_DEPTH_MAX, "seed {seed}");
    for pair in chain.windows(2) {
        let (child, parent) = (&pair[0], &pair[1]);
        assert_eq!(child.person, parent.person, "seed {seed}");
        assert!(child.scope.deadline <= parent.scope.deadline, "seed {seed}");
        assert!(child.limits.calls_max <= parent.limits.calls_max, "seed {seed}");
        assert!(child.limits.bytes_max <= parent.limits.bytes_max, "seed {seed}");
        for act in acts {
            assert!(!covers(child, act, app) || covers(parent, act, app), "seed {seed}: {act:?}");
        }
    }
    if let Some(from) = from {
        let before = claims(&from.token);
        assert_eq!(said["sub"], before["sub"], "seed {seed}: the authority is still the same person's");
        assert!(said["exp"].as_i64().unwrap() <= before["exp"].as_i64().unwrap(), "seed {seed}");
        assert!(
            chain.iter().any(|task| task.id == from.task),
            "seed {seed}: it descends from what was given"
        );
    }
    task
}

/// What came of a step.
#[derive(PartialEq)]
enum Step {
    Issued,
    ThroughApi,
    Refused,
}

async fn step(
    app: &App,
    acts: &[Act],
    dice: &SeededDice,
    agents: &[Client],
    ada: &str,
    held: &mut Vec<Held>,
    seed: u64,
) -> Step {
    let client = &agents[usize::try_from(dice.below(agents.len() as u64)).unwrap()];
    let resource = pick(dice, &[CRM, MAIL, API, API]);
    let wished = (dice.below(4) != 0).then(|| random_wish(dice));
    let from = (!held.is_empty()).then(|| &held[usize::try_from(dice.below(held.len() as u64)).unwrap()]);
    let (answer, from) = match (dice.below(6), from) {
        (1, Some(from)) => {
            (client.exchange(app, &from.token, resource, Some(&existing(&from.task))).await, Some(from))
        }
        // Through the API: an agent makes a task below its own for another, who then asks for it.
        (2 | 3, Some(from)) if from.resource == API => {
            let wish: Value = serde_json::from_str(&random_wish(dice)).unwrap();
            let new = json!({ "agent": client.id, "parent": from.task, "purpose": "random", "tools": wish[0]["tools"], "seconds": pick(dice, &[5, 60, 3600]) });
            let made = app.api(Method::POST, "/api/v1/tasks", &from.token, &new).await;
            let Some(id) = made.body["id"].as_str().filter(|_| made.status == 200) else {
                return Step::Refused;
            };
            let details = json!([{ "type": "writ_task", "task": id }]).to_string();
            let form = [
                ("grant_type", "client_credentials"),
                ("resource", resource),
                ("authorization_details", &*details),
            ];
            let answer = client.token(app, &form).await;
            // Asked for anew, so not bounded by the other token's life; the task's chain is.
            check(app, acts, None, &answer.token(), resource, seed).await;
            return Step::ThroughApi;
        }
        (2.., Some(from)) => {
            (client.exchange(app, &from.token, resource, wished.as_deref()).await, Some(from))
        }
        // From the beginning.
        (_, _) => (client.exchange(app, ada, resource, wished.as_deref()).await, None),
    };
    if answer.status == 200 {
        let token = answer.token();
        let task = check(app, acts, from, &token, resource, seed).await;
        let server = resource.rsplit('/').next().unwrap();
        let caller: Option<Caller> =
            (resource != API).then(|| app.caller(&token, server).expect("a living token"));
        assert!(caller.is_none_or(|caller| caller.task == task), "seed {seed}");
        held.push(Held { token, resource, task });
        Step::Issued
    } else {
        assert_eq!(answer.status, 400, "seed {seed}: {answer:?}");
        Step::Refused
    }
}

#[tokio::test]
async fn no_sequence_widens() {
    let app = App::start(Bench::sqlite().await).await;
    app.populate().await;
    let mut agents = Vec::new();
    for name in ["rex", "ivy", "max", "kid"] {
        agents.push(app.client(name).await);
    }
    let (ada, acts) = (app.api_token("ada").await, acts());
    let (mut issued, mut through_api, mut refused, mut handed_down) = (0, 0, 0, 0);
    for seed in 0..CASES {
        let dice = SeededDice::new(seed);
        let mut held = Vec::new();
        for _ in 0..STEPS {
            match step(&app, &acts, &dice, &agents, &ada, &mut held, seed).await {
                Step::Issued => issued += 1,
                Step::ThroughApi => through_api += 1,
                Step::Refused => refused += 1,
            }
        }
        handed_down += held.iter().filter(|held| app.control.snapshot().tasks[&held.task].depth > 1).count();
    }
    // The test is about something: all ways were gone, many tokens came about, many of them below others.
    let summary = format!(
        "{issued} issued, {through_api} through the API, {refused} refused, {handed_down} handed down"
    );
    assert!(issued > 100 && through_api > 5 && refused > 100 && handed_down > 30, "{summary}");
}
