//! Making tasks over the API: what is said of agents that do not work, and to whom.

use control::{documents::Document, revoke::Target};
use http::Method;
use serde_json::{Value, json};

use crate::{
    app::{Answer, App, each_database},
    client::API,
};

impl App {
    async fn make_task(&self, token: &str, of: &Value) -> Answer {
        let mut body = json!({
            "purpose": "x", "seconds": 60, "tools": [{ "server": "crm", "tool": "*", "effects": ["read"] }],
        });
        for (name, value) in of.as_object().unwrap() {
            body[name] = value.clone();
        }
        self.api(Method::POST, "/api/v1/tasks", token, &body).await
    }

    /// Applies a change of an agent's document.
    async fn change_agent(&self, name: &str, change: &Value) {
        let admin = self.api_token("admin").await;
        let path = format!("/api/v1/agents/{name}");
        let mut spec = self.api(Method::GET, &path, &admin, &Value::Null).await.body["spec"].clone();
        for (name, value) in change.as_object().unwrap() {
            spec[name] = value.clone();
        }
        assert_eq!(self.api(Method::PUT, &path, &admin, &spec).await.status, 200);
    }
}

/// Makes an agent of each state in which it takes no task; all of them Ada's. Answers with their names.
async fn idle_agents(app: &App) -> [(&'static str, &'static str); 5] {
    let agent = |name: &str, more: Value| {
        let mut spec = json!({ "owner": "ada", "blueprint": "company", "purpose": "x" });
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        json!({ "apiVersion": "writ/v1", "kind": "Agent", "metadata": { "name": name }, "spec": spec })
    };
    let eve = json!({ "apiVersion": "writ/v1", "kind": "Person", "metadata": { "name": "eve" }, "spec": { "display_name": "Eve" } });
    let documents = json!([
        eve,
        agent("asleep", json!({})),
        agent("new", json!({ "state": "staged" })),
        agent("gone", json!({})),
        agent("over", json!({ "expires": "1970-01-01T00:00:01Z" })),
        agent("orphan", json!({ "owner": "eve" })),
    ]);
    let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
    app.control.apply(&app.system(), documents, false).await.unwrap();
    app.control.kill(&app.system(), &Target::Agent("asleep".into()), "test").await.unwrap();
    app.control.kill(&app.system(), &Target::Person("eve".into()), "test").await.unwrap();
    app.change_agent("gone", &json!({ "state": "retired" })).await;
    [
        ("asleep", "suspended"),
        ("new", "staged"),
        ("gone", "retired"),
        ("over", "expired"),
        ("orphan", "without an active owner"),
    ]
}

#[tokio::test]
async fn an_agent_that_does_not_work_is_a_conflict_that_names_its_state() {
    each_database(|app| async move {
        app.populate().await;
        let (ada, admin) = (app.api_token("ada").await, app.api_token("admin").await);
        for (agent, state) in idle_agents(&app).await {
            let mut answers = vec![app.make_task(&admin, &json!({ "agent": agent })).await];
            // Eve's agent is not Ada's to see.
            if agent != "orphan" {
                answers.push(app.make_task(&ada, &json!({ "agent": agent, "person": "ada" })).await);
            }
            for answer in answers {
                assert_eq!(
                    (answer.status.as_u16(), answer.body["code"].as_str()),
                    (409, Some("agent_not_active"))
                );
                let message = answer.body["message"].as_str().unwrap();
                assert!(message.contains(agent) && message.contains(state), "{message}");
                assert!(answer.body["help"].is_string(), "{}", answer.body);
            }
        }
        // A parent that is over is the request's fault as well, and not the token's.
        let parent =
            app.make_task(&ada, &json!({ "agent": "rex", "person": "ada" })).await.body["id"].clone();
        let path = format!("/api/v1/tasks/{}/complete", parent.as_str().unwrap());
        assert_eq!(app.api(Method::POST, &path, &ada, &Value::Null).await.status, 200);
        let child = app.make_task(&ada, &json!({ "agent": "kid", "parent": parent })).await;
        assert_eq!((child.status.as_u16(), child.body["code"].as_str()), (409, Some("task_ended")));
    })
    .await;
}

/// Whoever may not see an agent gets, byte for byte, what they get for a name that is nobody's.
#[tokio::test]
async fn an_agent_that_is_not_seen_is_not_there() {
    each_database(|app| async move {
        app.populate().await;
        let idle = idle_agents(&app).await.map(|(agent, _)| agent);
        let (bob, rex, watch) =
            (app.api_token("bob").await, app.client("rex").await, app.api_token("cron").await);
        let working = rex.exchange(&app, &app.api_token("ada").await, API, None).await.token();
        let own = crate::client::claims(&working)["task"].clone();
        let too_long = json!({ "seconds": 9_000_000 });
        let ways: [(&str, Value); 6] = [
            (&bob, json!({})),
            (&bob, json!({ "person": "bob" })),
            (&bob, json!({ "person": "ada" })),
            (&bob, json!({ "person": "nobody" })),
            (&working, json!({ "parent": own })),
            (&watch, json!({})),
        ];
        // `pal` is Ada's assistant and takes no task of anybody else; a child takes none outside of another's task.
        for agent in idle.into_iter().chain(["pal", "kid"]) {
            for (token, more) in &ways {
                // Below Rex's task both work for Ada.
                if ["pal", "kid"].contains(&agent) && more["parent"].is_string() {
                    continue;
                }
                for extra in [&json!({}), &too_long] {
                    let of = |agent: &str| {
                        let mut of = more.clone();
                        of["agent"] = json!(agent);
                        if !extra["seconds"].is_null() {
                            of["seconds"] = extra["seconds"].clone();
                        }
                        of
                    };
                    let (there, id) = (app.make_task(token, &of(agent)).await, app.id(agent).to_string());
                    let by_id = app.make_task(token, &of(&id)).await;
                    let nowhere = app.make_task(token, &of("nowhere")).await;
                    let said = |answer: &Answer| answer.body.to_string();
                    assert_eq!(there.status, nowhere.status, "{agent} {more}: {there:?}");
                    assert_eq!(said(&there).replace(agent, "?"), said(&nowhere).replace("nowhere", "?"));
                    assert_eq!(said(&by_id).replace(&id, "?"), said(&nowhere).replace("nowhere", "?"));
                }
            }
        }
        let nowhere = app.make_task(&bob, &json!({ "agent": "nowhere", "person": "bob" })).await;
        assert_eq!((nowhere.status.as_u16(), nowhere.body["code"].as_str()), (404, Some("not_found")));
    })
    .await;
}

/// The stop button tells nobody what there is, either.
#[tokio::test]
async fn what_is_not_theirs_to_stop_is_not_there() {
    each_database(|app| async move {
        app.populate().await;
        let bob = app.api_token("bob").await;
        for (kind, name) in [("agent", "rex"), ("person", "ada"), ("person", "bob"), ("workload", "cron")] {
            let of = |name: &str| json!({ "kind": kind, "name": name, "reason": "x" });
            let there = app.api(Method::POST, "/api/v1/kill", &bob, &of(name)).await;
            let nowhere = app.api(Method::POST, "/api/v1/kill", &bob, &of("nowhere")).await;
            assert_eq!((there.status.as_u16(), &there.body), (404, &nowhere.body), "{kind} {name}");
            assert_eq!(nowhere.status, 404);
        }
    })
    .await;
}
