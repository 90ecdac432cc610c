//! What is said of credentials: in lists, what a login would find; to agents, whether to come back.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    app::{App, each_database},
    client::bearer,
};

const CRM: &str = "https://writ.example/mcp/crm";

/// What an agent reads that calls with this token.
fn answered(app: &App, token: &str) -> String {
    let now = app.control.now();
    let called = app.control.verify_mcp_token(
        &bearer(token),
        &http::Method::POST,
        CRM,
        &control::oauth::Audience::Mcp("crm".into()),
        now,
    );
    let challenged = app
        .control
        .mcp_challenge(&control::oauth::Audience::Mcp("crm".into()), &called.expect_err("a dead token"));
    String::from_utf8(challenged.body.to_vec()).unwrap()
}

#[tokio::test]
async fn who_was_stopped_is_not_told_to_begin_anew() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let expired = rex.own_token(&app, CRM).await.token();
        app.advance(3601).await;
        assert!(answered(&app, &expired).contains("get a new token"), "{}", answered(&app, &expired));
        let killed = rex.own_token(&app, CRM).await.token();
        let task = control::revoke::Target::Task(app.caller(&killed, "crm").unwrap().task);
        app.control.kill(&app.system(), &task, "test").await.unwrap();
        let said = answered(&app, &killed);
        assert!(said.contains("ended by a person; stop") && !said.contains("new token"), "{said}");
        let stopped = rex.own_token(&app, CRM).await.token();
        let agent = control::revoke::Target::Agent("rex".into());
        app.control.kill(&app.system(), &agent, "test").await.unwrap();
        let said = answered(&app, &stopped);
        assert!(said.contains("stop") && !said.contains("new token"), "{said}");
    })
    .await;
}

/// What the list of Rex's keys says of one of them: its state, and since when it is dead.
async fn listed(app: &App, token: &str, id: &str) -> (Value, Value) {
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    let answer = app.get("/api/v1/agents/rex/credentials", headers).await;
    let rows = answer.body.as_array().unwrap_or_else(|| panic!("{answer:?}"));
    let row = rows.iter().find(|row| row["id"] == id).unwrap();
    (row["state"].clone(), row["dead_since"].clone())
}

#[tokio::test]
async fn a_list_says_what_became_of_each_credential() {
    each_database(|app| async move {
        app.populate().await;
        let system = app.system();
        let admin = app.api_token("admin").await;
        let rex = app.id("rex");
        let (brief, _) = app.control.add_secret(&system, &rex, "brief", Some(10)).await.unwrap();
        let (ended, _) = app.control.add_secret(&system, &rex, "ended", None).await.unwrap();
        let (lasting, _) = app.control.add_secret(&system, &rex, "lasting", None).await.unwrap();
        app.control.revoke_credential(&system, &ended).await.unwrap();
        app.advance(9).await;
        assert_eq!(listed(&app, &admin, brief.as_str()).await, (json!("active"), Value::Null));
        app.advance(1).await;
        assert_eq!(listed(&app, &admin, brief.as_str()).await, (json!("expired"), Value::Null));
        assert_eq!(listed(&app, &admin, ended.as_str()).await, (json!("revoked"), Value::Null));
        assert_eq!(listed(&app, &admin, lasting.as_str()).await, (json!("active"), Value::Null));

        let target = control::revoke::Target::Agent("rex".into());
        app.control.kill(&system, &target, "test").await.unwrap();
        let since = app.control.snapshot().revoked.get(&rex).unwrap().0;
        app.control.resume_agent(&system, "rex").await.unwrap();
        assert_eq!(listed(&app, &admin, lasting.as_str()).await, (json!("dead"), json!(since)));
        // What had ended before keeps its own reason.
        assert_eq!(listed(&app, &admin, brief.as_str()).await, (json!("expired"), Value::Null));
        let app = app.restart(|_| ()).await;
        assert_eq!(listed(&app, &admin, lasting.as_str()).await, (json!("dead"), json!(since)));
    })
    .await;
}

#[tokio::test]
async fn an_owner_who_is_disabled_by_a_document_takes_their_agents_along() {
    each_database(|app| async move {
        app.populate().await;
        let of_bobs_agent = app.client("max").await.own_token(&app, CRM).await.token();
        let disabled = json!([{
            "apiVersion": "writ/v1", "kind": "Person", "metadata": { "name": "bob" },
            "spec": { "display_name": "Bob", "state": "disabled" },
        }]);
        app.control.apply(&app.system(), serde_json::from_value(disabled).unwrap(), false).await.unwrap();
        assert_eq!(app.caller(&of_bobs_agent, "crm").unwrap_err(), "owner_inactive");
        let said = answered(&app, &of_bobs_agent);
        assert!(said.contains("stop") && !said.contains("new token"), "{said}");
    })
    .await;
}
