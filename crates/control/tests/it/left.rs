//! What a task has left, as a policy sees it on the way of a real call.

use base::Refuse as _;
use control::{
    decide::{Caller, Message, Refused},
    documents::Document,
    task::{Limits, Task, TaskRequest},
};
use policy::{Act, ActKind, ResourceRule, Scope};
use serde_json::{Value, json};
use wire::json::Json;

use crate::{
    app::{App, each_database},
    client::{CRM, Client},
    world::existing,
};

/// The last call is not for resources; nor is what little volume is left.
const FORBID: &str = "forbid (principal is Agent, action == Action::\"read_resource\", resource) when {
    (context.task has calls_left && context.task.calls_left < 2) ||
    (context.task has bytes_left && context.task.bytes_left < 100) };";

pub(crate) fn document(kind: &str, name: &str, spec: &Value) -> Document {
    let document =
        json!({ "apiVersion": "writ/v1", "kind": kind, "metadata": { "name": name }, "spec": spec });
    serde_json::from_value(document).unwrap()
}

fn policy(text: &str) -> Document {
    document("Policy", "sparing", &json!({ "description": "keeps something back", "text": text }))
}

/// An agent that may read at the CRM, and the policy.
pub(crate) async fn rex(app: &App) -> Client {
    app.populate().await;
    let granted = [
        document("Role", "reads", &json!({ "description": "reads", "effects": ["read"] })),
        document(
            "Grant",
            "rex-reads",
            &json!({ "to": "agent/rex", "role": "reads", "on": "server/crm", "reason": "test" }),
        ),
        policy(FORBID),
    ];
    app.control.apply(&app.system(), granted.to_vec(), false).await.unwrap();
    app.client("rex").await
}

async fn task(app: &App, parent: Option<&Task>, calls_max: i64, bytes_max: i64) -> Task {
    task_until(app, parent, Limits { calls_max, bytes_max }, 600).await
}

pub(crate) async fn task_until(app: &App, parent: Option<&Task>, limits: Limits, seconds: i64) -> Task {
    let rule: ResourceRule =
        serde_json::from_value(json!({ "server": "crm", "uri": { "exact": "file:///notes" } })).unwrap();
    let request = TaskRequest {
        agent: app.id("rex").as_str().parse().unwrap(),
        person: None,
        parent: parent.map(|task| task.id.clone()),
        purpose: "read the notes".to_owned(),
        instruction: None,
        scope: Scope { resources: vec![rule], ..Scope::nothing(app.control.now().plus_seconds(seconds)) },
        limits: Some(limits),
        joinable: false,
        source: None,
    };
    app.control.create_task(&app.system(), request).await.unwrap()
}

pub(crate) async fn caller(app: &App, rex: &Client, task: &Task) -> Caller {
    let details = existing(&task.id);
    let form = [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &details)];
    app.caller(&rex.token(app, &form).await.token(), "crm").unwrap()
}

/// Reads a resource of so many bytes; `allow`, or the code of the refusal.
pub(crate) async fn read(app: &App, caller: &Caller, bytes: i64) -> String {
    let kind = ActKind::Resource { uri: "file:///notes".to_owned() };
    let act = Act { server: "crm".parse().unwrap(), kind, arguments: Json::Null };
    let server = app.control.snapshot().servers.named("crm").unwrap().id.clone();
    let message =
        Message { server: &server, url: "https://crm.example/mcp", digest: [7; 32], bytes, is_call: true };
    match app.control.authorize(caller, &act, &message).await {
        Ok(_) => "allow".to_owned(),
        Err(Refused::Denied(answer)) => answer.code.to_owned(),
        Err(Refused::Dead(dead)) => dead.code().to_owned(),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_policy_sees_what_is_left_along_the_chain_and_after_a_restart() {
    each_database(|app| async move {
        let rex = rex(&app).await;
        let parent = task(&app, None, 4, 1_000_000).await;
        let child = task(&app, Some(&parent), 4, 1_000_000).await;
        let (of_parent, of_child) = (caller(&app, &rex, &parent).await, caller(&app, &rex, &child).await);
        for turn in ["first", "second"] {
            assert_eq!(read(&app, &of_parent, 10).await, "allow", "{turn}");
        }
        assert_eq!(read(&app, &of_child, 10).await, "allow");
        // The child has three of its four left, its parent one.
        assert_eq!(read(&app, &of_child, 10).await, "forbidden");
        assert_eq!(read(&app, &of_parent, 10).await, "forbidden");
        let app = app.restart(|_| {}).await;
        assert_eq!(read(&app, &of_child, 10).await, "forbidden", "a restart forgets what was used");
        assert_eq!(read(&app, &of_parent, 10).await, "forbidden");

        // Without the policy, the limit itself: one more, and then none.
        let other = policy("forbid (principal is Agent, action == Action::\"get_prompt\", resource);");
        app.control.apply(&app.system(), vec![other], false).await.unwrap();
        assert_eq!(read(&app, &of_child, 10).await, "allow");
        assert_eq!(read(&app, &of_child, 10).await, "limit_reached");
    })
    .await;
}

#[tokio::test]
async fn bytes_count_too() {
    each_database(|app| async move {
        let rex = rex(&app).await;
        let task = task(&app, None, 100, 1000).await;
        let caller = caller(&app, &rex, &task).await;
        assert_eq!(read(&app, &caller, 900).await, "allow");
        assert_eq!(read(&app, &caller, 1).await, "allow", "a hundred bytes are left, which is enough");
        assert_eq!(read(&app, &caller, 1).await, "forbidden");
    })
    .await;
}

#[tokio::test]
async fn a_node_learns_what_another_let_through() {
    each_database(|app| async move {
        let rex = rex(&app).await;
        let parent = task(&app, None, 5, 1_000_000).await;
        let child = task(&app, Some(&parent), 5, 1_000_000).await;
        let (of_parent, of_child) = (caller(&app, &rex, &parent).await, caller(&app, &rex, &child).await);
        let other = app.second_node().await;
        other.catch_up(&app).await;
        assert_eq!(read(&app, &of_child, 10).await, "allow");
        assert_eq!(read(&other, &of_child, 10).await, "allow");
        assert_eq!(read(&app, &of_child, 10).await, "allow");
        assert_eq!(read(&app, &of_child, 10).await, "allow");
        // One is left of the parent. The other node made one call of its own, and follows the rest.
        other.catch_up(&app).await;
        assert_eq!(read(&other, &of_parent, 10).await, "forbidden", "calls of another node are not seen");
        assert_eq!(read(&other, &of_child, 10).await, "forbidden");

        // A task that was made elsewhere is counted as well, from its first call on.
        let late = task(&app, None, 3, 1_000_000).await;
        let late = caller(&app, &rex, &late).await;
        for _ in 0..2 {
            assert_eq!(read(&app, &late, 10).await, "allow");
        }
        other.catch_up(&app).await;
        assert_eq!(read(&other, &late, 10).await, "forbidden");
        other.bench.store.close().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_policy_that_does_not_ask_whether_there_is_a_limit_is_refused() {
    each_database(|app| async move {
        app.populate().await;
        for attribute in ["calls_left", "bytes_left"] {
            let text = format!(
                "forbid (principal is Agent, action, resource) when {{ context.task.{attribute} < 2 }};"
            );
            let applied = app.control.apply(&app.system(), vec![policy(&text)], false).await;
            let Err(refused) = applied else { panic!("a policy that may err is taken") };
            let said = format!("{refused:?}");
            assert!(said.contains(attribute), "{said}");
        }
    })
    .await;
}
