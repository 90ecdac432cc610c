//! What attacks on a running server found, each as a test of what must hold: held-back bodies, authority that widens
//! on its way, credentials that outlive what they came from.

mod crowding;
mod delegation;
mod evidence;
mod forwarded;
mod held;
mod hoarding;
mod life;
mod listening;
mod smuggling;
mod turns;

use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, Pass},
    node::Api,
    web::{Answer, Ask},
    world::{World, access_token},
};

/// A new shared secret of an agent: its id and text.
async fn credential(world: &World, agent: &str) -> (String, String) {
    let body = json!({ "label": "attack", "secret": true });
    let made = world.admin.post(&format!("agents/{agent}/credentials"), &body).await.done();
    (text(&made["id"]), text(&made["secret"]))
}

/// A request for an access token by an agent's secret, for a task or for whichever it works on.
fn wish(world: &World, agent: &str, secret: &str, task: Option<&str>, resource: &str) -> Ask {
    let resource = format!("{}/{resource}", world.node.url());
    let details = task.map(|task| json!([{ "type": "writ_task", "task": task }]).to_string());
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", agent),
        ("client_secret", secret),
        ("resource", &resource),
    ];
    form.extend(details.as_deref().map(|details| ("authorization_details", details)));
    Ask::new("POST", format!("{}/oauth2/token", world.node.url())).form(&form)
}

/// A session of an agent's with the notes, within a task or whichever it works on.
async fn session(world: &World, agent: &str, secret: &str, task: Option<&str>) -> Mcp {
    let token = access_token(&wish(world, agent, secret, task, "mcp/notes").send().await.done());
    Mcp::open(&world.node.url(), Pass::Bearer(token)).await
}

/// An agent's way into the API, and the task that it has there.
async fn agent_api(world: &World, agent: &str, secret: &str, task: Option<&str>) -> (Api, String) {
    let answer = wish(world, agent, secret, task, "api/v1").send().await.done();
    (world.node.api(&access_token(&answer)), text(&answer["authorization_details"][0]["task"]))
}

/// The ids of a person's or workload's API tokens.
async fn token_ids(world: &World, principal: &str) -> Vec<String> {
    let tokens = world.admin.get(&format!("{principal}/tokens")).await.done();
    tokens.as_array().unwrap().iter().map(|token| text(&token["id"])).collect()
}

async fn revoke_tokens(world: &World, principal: &str) {
    for id in token_ids(world, principal).await {
        world.admin.ask("DELETE", &format!("tokens/{id}")).send().await.done();
    }
}

async fn kill(world: &World, kind: &str, name: &str) {
    world.admin.post("kill", &json!({ "kind": kind, "name": name, "reason": "test" })).await.done();
}

/// Everything, for a task that leaves the rest to grants.
fn anything() -> Value {
    json!([{ "server": "*", "tool": "*" }])
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// Whether a session's next call is refused for its credential, and reaches nobody.
async fn is_dead(world: &World, mcp: &Mcp) -> bool {
    let before = world.upstream.calls().len();
    let answer = mcp.call("read_note", &json!({})).send().await;
    assert_eq!(world.upstream.calls().len(), before, "a call of the dead went through: {}", answer.text());
    answer.status == 401
}

/// Whether an answer is a refusal, and not a failure of the server.
#[track_caller]
fn refused(answer: &Answer, outcome: &str) {
    assert_eq!(answer.outcome(), outcome, "{}", answer.text());
}
