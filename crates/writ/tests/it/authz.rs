//! The authorisation matrix: every operation of the API, asked by every kind of asker, for what is theirs, what is
//! another's, and what is not there. An operation that has no row here fails the test.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::{
    node::{Api, On},
    web::{Answer, Ask},
    world::{World, access_token, rule, token_of},
};

/// Which thing an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The operation names no thing.
    None,
    /// A thing of the person Maya.
    Own,
    /// A thing of somebody else.
    Other,
    /// A thing that is nobody's in particular.
    Any,
    /// No such thing.
    Missing,
}

const OWNED: &[Target] = &[Target::Own, Target::Other, Target::Missing];
const COMMON: &[Target] = &[Target::Any, Target::Missing];
const SINGLE: &[Target] = &[Target::None];

/// A request of an operation: the path below `/api/v1`, and a body where it takes one.
pub(crate) type Wanted = (String, Option<Value>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_for_every_asker() {
    let world = World::new(On::Sqlite).await;
    let (outsiders, askers) = askers(&world).await;
    let document = Ask::new("GET", format!("{}/api/v1/openapi.json", world.node.url())).send().await.done();
    let mut matrix = String::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        writeln!(matrix, "{} {path}", method.to_uppercase()).unwrap();
        for &target in targets(id) {
            for (api, refusal) in &outsiders {
                let answer = ask(api.as_ref(), &world, id, &method, target).await;
                assert_eq!(&answer.outcome(), refusal, "{method} {path} {target:?}");
                assert!(answer.headers.contains_key("www-authenticate"), "{method} {path}");
            }
            let mut outcomes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for (name, api) in &askers {
                let answer = ask(Some(api), &world, id, &method, target).await;
                outcomes.entry(shown(&answer)).or_default().push(name);
            }
            let outcomes = outcomes.iter().map(|(outcome, who)| format!("{outcome}: {}", who.join(", ")));
            let outcomes: Vec<String> = outcomes.collect();
            writeln!(matrix, "    {:8} {}", format!("{target:?}").to_lowercase(), outcomes.join(" | "))
                .unwrap();
        }
    }
    insta::assert_snapshot!("authorisation_matrix", matrix);
}

/// An outcome; for lists with their length, so that a list that shows too much is seen.
fn shown(answer: &Answer) -> String {
    let items = serde_json::from_slice::<Value>(&answer.body).ok();
    match items.as_ref().and_then(Value::as_array) {
        Some(items) => format!("{} with {}", answer.outcome(), items.len()),
        None => answer.outcome(),
    }
}

/// Methods, paths and descriptions of all operations, in order.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods.iter().map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    all.collect()
}

type Outsiders = Vec<(Option<Api>, &'static str)>;
type Askers = Vec<(&'static str, Api)>;

/// Those whom nobody knows, with the one refusal that they get everywhere; and those who are known, the one who may
/// do everything last: what they do must not change what the others see.
async fn askers(world: &World) -> (Outsiders, Askers) {
    let api = |token: &str| world.node.api(token);
    let task = world.wide_task().await;
    let agent = access_token(&world.token_request(&task, "api/v1").send().await.done());
    let outsiders = vec![
        (None, "401 unauthenticated"),
        (Some(api("writ_0000000000000000000000000000000000000000000")), "401 bad_token"),
        (Some(api(&world.token(&task).await)), "401 token_wrong_audience"),
    ];
    let askers = vec![
        ("agent", api(&agent)),
        ("workload", api(&token_of(&world.admin, "workloads/ci").await)),
        ("maya", world.maya.clone()),
        ("auditor", api(&token_of(&world.admin, "people/ines").await)),
        ("administrator", world.admin.clone()),
    ];
    (outsiders, askers)
}

/// Asks for an operation. A refusal must leave no trace.
async fn ask(api: Option<&Api>, world: &World, id: &str, method: &str, target: Target) -> Answer {
    let (path, body) = wanted(world, id, target).await;
    let ask = match api {
        Some(api) => api.ask(method, &path),
        None => Ask::new(method, format!("{}/api/v1/{path}", world.node.url())),
    };
    let before = world.admin.position().await;
    let answer = match body {
        Some(body) => ask.json(&body).send().await,
        None => ask.send().await,
    };
    if !answer.status.is_success() {
        assert_eq!(world.admin.position().await, before, "a refusal wrote something: {method} {path}");
    }
    answer
}

/// For which things an operation is asked.
pub(crate) fn targets(id: &str) -> &'static [Target] {
    match id {
        "add_agent_credential"
        | "list_agent_credentials"
        | "add_workload_credential"
        | "list_workload_credentials"
        | "issue_person_token"
        | "issue_workload_token"
        | "list_person_tokens"
        | "list_workload_tokens"
        | "revoke_credential"
        | "revoke_token"
        | "resume_agent"
        | "resume_workload"
        | "enable_person"
        | "invite_person"
        | "show_task"
        | "complete_task"
        | "kill"
        | "create_task" => OWNED,
        "show_people" | "show_agents" | "show_workloads" | "put_people" | "put_agents" | "put_workloads" => {
            OWNED
        }
        "add_client_credential"
        | "list_client_credentials"
        | "start_server"
        | "discover_tools"
        | "test_server"
        | "show_tool"
        | "delete_tool"
        | "label_tool"
        | "approve_tool"
        | "put_secret_value"
        | "show_record"
        | "prove_record"
        | "revoke_key" => COMMON,
        "check" | "apply" | "export" | "search_records" | "export_log" | "list_tools" | "list_keys"
        | "rotate_key" | "list_tasks" | "status" | "self" | "policy_schema" => SINGLE,
        _ if id.starts_with("show_") || id.starts_with("put_") || id.starts_with("delete_") => COMMON,
        _ if id.starts_with("list_") => SINGLE,
        other => panic!("the operation `{other}` is new: give it a row in this table"),
    }
}

/// What an operation is asked for, with whatever must be there for it made by the administrator.
pub(crate) async fn wanted(world: &World, id: &str, target: Target) -> Wanted {
    if let Some((verb, plural)) = id.split_once('_')
        && let Some(spec) = spec(plural, world)
    {
        return of_kind(world, verb, plural, target, spec).await;
    }
    match id {
        "create_task" | "show_task" | "complete_task" | "list_tasks" => of_task(world, id, target).await,
        "kill" => (
            id.into(),
            Some(json!({ "kind": "agent", "name": victim(world, target).await, "reason": "test" })),
        ),
        _ if id.contains("credential") || id.contains("token") => of_credential(world, id, target).await,
        _ if id.contains("tool") || id == "test_server" => of_tool(world, id, target).await,
        _ => of_the_rest(world, id, target).await,
    }
}

/// The name of an agent, person or workload, by whose it is.
fn named(kind: &str, target: Target) -> &'static str {
    match (kind, target) {
        ("agents", Target::Own) => "eve",
        ("agents", Target::Other) => "bob",
        ("people", Target::Own) => "maya",
        ("people", Target::Other) => "noah",
        ("workloads", Target::Own) => "ci",
        ("workloads", Target::Other) => "cron",
        ("clients", Target::Any) => "writ-cli",
        _ => "nowhere",
    }
}

/// An agent that is at work.
async fn victim(world: &World, target: Target) -> &'static str {
    let name = named("agents", target);
    if target != Target::Missing {
        world.admin.act(&format!("agents/{name}/resume")).await.done();
    }
    name
}

/// A spec of each kind that is served by the four common operations.
fn spec(plural: &str, world: &World) -> Option<Value> {
    Some(match plural {
        "people" => json!({ "display_name": "test" }),
        "groups" => json!({ "of": "person", "description": "test", "members": [] }),
        "workloads" => json!({ "owner": "maya", "purpose": "test" }),
        "agents" => json!({ "owner": "maya", "blueprint": "notes", "purpose": "test" }),
        "clients" => json!({ "display_name": "test", "redirect_uris": ["https://client.example/callback"] }),
        "blueprints" | "secrets" => json!({ "description": "test" }),
        "servers" => json!({ "url": world.upstream.url }),
        "roles" => json!({ "description": "test", "effects": ["read"] }),
        "grants" => json!({ "to": "person/maya", "role": "notes", "on": "server/notes", "reason": "test" }),
        "policies" => json!({
            "description": "test",
            "text": "forbid (principal is Agent, action == Action::\"notes/send_note\", resource) when { context.arguments has to && context.arguments.to == \"nobody\" };",
        }),
        _ => return None,
    })
}

async fn of_kind(world: &World, verb: &str, plural: &str, target: Target, mut spec: Value) -> Wanted {
    let owned = matches!(plural, "people" | "agents" | "workloads");
    let name = match (verb, target) {
        ("list", _) => return (plural.into(), None),
        // Nobody has made it before the administrator, who is asked last, does.
        ("put", Target::Missing) => "made-by-put".to_owned(),
        (_, Target::Missing) => "nowhere".to_owned(),
        _ if owned => named(plural, target).to_owned(),
        _ => format!("test-{plural}"),
    };
    let path = format!("{plural}/{name}");
    if target == Target::Any {
        world.admin.put(&path, &spec).await.done();
    }
    if owned && target == Target::Other && plural != "people" {
        spec["owner"] = json!("noah");
    }
    (path, (verb == "put").then_some(spec))
}

async fn of_task(world: &World, id: &str, target: Target) -> Wanted {
    let body = |agent: &str, person: Option<&str>| json!({ "agent": agent, "person": person, "purpose": "test", "tools": [rule("read_note")], "seconds": 600 });
    if id == "list_tasks" {
        return ("tasks".into(), None);
    }
    if id == "create_task" {
        let person = matches!(target, Target::Own | Target::Other).then(|| named("people", target));
        return ("tasks".into(), Some(body(victim(world, target).await, person)));
    }
    // Others' rows have stopped it.
    victim(world, Target::Other).await;
    let task = match target {
        Target::Own => world.maya.post("tasks", &body("ada", Some("maya"))).await.done(),
        Target::Other => world.noah.post("tasks", &body("bob", Some("noah"))).await.done(),
        _ => json!({ "id": "tsk_01jd9q3v5x7z8b2c4d6f8h0k2m" }),
    };
    let task = task["id"].as_str().unwrap();
    let path = if id == "show_task" { format!("tasks/{task}") } else { format!("tasks/{task}/complete") };
    (path, None)
}

async fn of_credential(world: &World, id: &str, target: Target) -> Wanted {
    let kind = match id {
        _ if id.contains("person") || id == "revoke_token" => "people",
        _ if id.contains("workload") => "workloads",
        _ if id.contains("client") => "clients",
        _ => "agents",
    };
    let name = named(kind, target);
    let credential = json!({ "label": "test", "secret": true });
    let token = json!({ "label": "test" });
    match id {
        "add_agent_credential" | "add_workload_credential" | "add_client_credential" => {
            (format!("{kind}/{name}/credentials"), Some(credential))
        }
        "list_agent_credentials" | "list_workload_credentials" | "list_client_credentials" => {
            (format!("{kind}/{name}/credentials"), None)
        }
        "issue_person_token" | "issue_workload_token" => (format!("{kind}/{name}/tokens"), Some(token)),
        "list_person_tokens" | "list_workload_tokens" => (format!("{kind}/{name}/tokens"), None),
        "revoke_credential" if target == Target::Missing => {
            ("credentials/crd_01jd9q3v5x7z8b2c4d6f8h0k2m".into(), None)
        }
        "revoke_token" if target == Target::Missing => ("tokens/tok_01jd9q3v5x7z8b2c4d6f8h0k2m".into(), None),
        "revoke_credential" => {
            let made = world.admin.post(&format!("{kind}/{name}/credentials"), &credential).await.done();
            (format!("credentials/{}", made["id"].as_str().unwrap()), None)
        }
        "revoke_token" => {
            let made = world.admin.post(&format!("{kind}/{name}/tokens"), &token).await.done();
            (format!("tokens/{}", made["id"].as_str().unwrap()), None)
        }
        other => panic!("no request for `{other}`"),
    }
}

async fn of_tool(world: &World, id: &str, target: Target) -> Wanted {
    let tool = if target == Target::Missing { "tools/notes/nowhere" } else { "tools/notes/drop_note" };
    match id {
        "list_tools" => ("tools".into(), None),
        "show_tool" => (tool.into(), None),
        "delete_tool" => {
            // What was deleted by the one before comes back.
            world.admin.act("servers/notes/discover").await.done();
            (tool.into(), None)
        }
        "label_tool" => (format!("{tool}/label"), Some(json!({ "effect": "destroy" }))),
        "approve_tool" => {
            let shown = world.admin.get("tools/notes/drop_note").await.done();
            (format!("{tool}/approve"), Some(json!({ "digest": shown["spec"]["digest"] })))
        }
        "discover_tools" if target == Target::Missing => ("servers/nowhere/discover".into(), None),
        "discover_tools" => ("servers/notes/discover".into(), None),
        "test_server" if target == Target::Missing => ("servers/nowhere/test".into(), None),
        "test_server" => ("servers/notes/test".into(), None),
        other => panic!("no request for `{other}`"),
    }
}

async fn of_the_rest(world: &World, id: &str, target: Target) -> Wanted {
    let missing = target == Target::Missing;
    match id {
        "resume_agent" => (format!("agents/{}/resume", named("agents", target)), None),
        "resume_workload" => (format!("workloads/{}/resume", named("workloads", target)), None),
        "enable_person" => (format!("people/{}/enable", named("people", target)), None),
        "invite_person" => (format!("people/{}/invitations", named("people", target)), Some(json!({}))),
        "start_server" => (format!("servers/{}/start", if missing { "nowhere" } else { "notes" }), None),
        "put_secret_value" => {
            let name = if missing { "nowhere" } else { "notes-key" };
            (format!("secrets/{name}/value"), Some(json!({ "value": crate::world::UPSTREAM_SECRET })))
        }
        "show_record" => (format!("audit/records/{}", if missing { 1_000_000 } else { 1 }), None),
        "prove_record" => (format!("audit/proof/{}", if missing { 1_000_000 } else { 1 }), None),
        "search_records" => ("audit/records?limit=1".into(), None),
        "export_log" => ("audit/export?to=1".into(), None),
        "check" => (id.into(), Some(json!({ "agent": "ada", "server": "notes", "tool": "read_note" }))),
        "apply" => ("apply?dry_run=true".into(), Some(json!({ "documents": [] }))),
        "list_keys" => ("keys".into(), None),
        "rotate_key" => ("keys/rotate".into(), Some(json!({ "algorithm": "EdDSA" }))),
        "revoke_key" if missing => ("keys/key_01jd9q3v5x7z8b2c4d6f8h0k2m".into(), None),
        "revoke_key" => (format!("keys/{}", retired_key(world).await), None),
        "export" | "status" | "self" => (id.into(), None),
        "policy_schema" => ("policy-schema".into(), None),
        other => panic!("no request for `{other}`"),
    }
}

/// A key that no longer signs.
async fn retired_key(world: &World) -> String {
    world.admin.post("keys/rotate", &json!({ "algorithm": "EdDSA" })).await.done();
    let keys = world.admin.get("keys").await.done();
    let old =
        keys.as_array().unwrap().iter().find(|key| key["algorithm"] == "EdDSA" && key["state"] != "signing");
    old.expect("a key that was rotated away")["id"].as_str().unwrap().to_owned()
}
