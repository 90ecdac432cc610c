//! Servers of unknown generation: asked, remembered, and asked anew when they have changed.

use std::sync::Arc;

use axum::response::Response;
use wire::json::Json;

use crate::{
    elder,
    servers::Seen,
    stage::{Scripted, Stage, call, header, modern, stage},
    world::tool,
    young,
};

fn methods(stage: &Stage) -> Vec<String> {
    let method = |seen: &Seen| seen.json().get("method").and_then(Json::as_str).map(str::to_owned);
    stage.server.seen().iter().filter(|seen| !seen.body.is_empty()).filter_map(method).collect()
}

#[tokio::test]
async fn each_client_is_served_in_its_own_generation_first() {
    let known = stage(young::young().await);
    for token in ["alice", "bob"] {
        assert!(known.modern(token, call(1, "echo", "")).await.error_code().is_none());
    }
    assert_eq!(methods(&known), ["server/discover", "tools/call", "tools/call"]);

    let other = stage(young::young().await);
    for token in ["alice", "bob"] {
        other.open(token, "2025-11-25", "{}").await;
    }
    assert_eq!(methods(&other), ["initialize", "server/discover", "server/discover"]);
    assert!(other.modern("carol", call(1, "echo", "")).await.error_code().is_none());
    assert_eq!(methods(&other)[3..], ["tools/call"], "what one client learnt serves another");

    let old = stage(elder::elder().await);
    for token in ["alice", "bob"] {
        assert!(old.modern(token, call(1, "echo", "")).await.error_code().is_none());
    }
    let opened = ["initialize", "notifications/initialized", "tools/call"];
    let expected = [&["server/discover"][..], &opened[..], &opened[..]].concat();
    assert_eq!(methods(&old), expected);

    let older = stage(elder::elder().await);
    let session = older.open("alice", "2025-11-25", "{}").await;
    assert!(older.ask("alice", &session, tool(1, "echo")).await.error_code().is_none());
    assert_eq!(methods(&older), ["initialize", "tools/call"]);
    assert!(older.modern("alice", call(1, "echo", "")).await.error_code().is_none());
    let kept = header(&older.server.seen().pop().unwrap(), "mcp-session-id");
    assert_ne!(
        kept,
        header(&older.server.seen()[1], "mcp-session-id"),
        "the client's own session is its own"
    );
}

async fn growing(server: Arc<Scripted>, seen: Seen) -> Response {
    let is_changed = *server.is_changed.lock().unwrap();
    if is_changed { young::behave(server, seen).await } else { elder::behave(server, seen).await }
}

async fn shrinking(server: Arc<Scripted>, seen: Seen) -> Response {
    let is_changed = *server.is_changed.lock().unwrap();
    if is_changed { elder::behave(server, seen).await } else { young::behave(server, seen).await }
}

/// A client without sessions calls before and after the change. It may fail once.
async fn survives(stage: &Stage) {
    assert!(stage.modern("alice", call(1, "echo", "")).await.error_code().is_none());
    *stage.server.is_changed.lock().unwrap() = true;
    stage.modern("alice", call(2, "echo", "")).await;
    let after = stage.modern("alice", call(3, "echo", r#","arguments":{"m":"after"}"#)).await;
    assert!(after.error_code().is_none() && after.text.contains("after"), "{}", after.text);
    assert!(stage.modern("bob", call(3, "echo", "")).await.error_code().is_none());
    let executed = stage.server.seen().iter().filter(|seen| seen.body.contains("after")).count();
    assert_eq!(executed, 1);
}

#[tokio::test]
async fn a_server_may_learn_to_do_without_sessions() {
    survives(&stage(Scripted::start(growing).await)).await;
}

#[tokio::test]
async fn a_server_may_go_back_to_sessions() {
    survives(&stage(Scripted::start(shrinking).await)).await;
}

#[tokio::test]
async fn a_client_with_sessions_opens_another_one_after_a_change() {
    for start in [Scripted::start(growing).await, Scripted::start(shrinking).await] {
        let stage = stage(start);
        let session = stage.open("alice", "2025-11-25", "{}").await;
        assert!(stage.ask("alice", &session, tool(1, "echo")).await.error_code().is_none());
        *stage.server.is_changed.lock().unwrap() = true;
        stage.ask("alice", &session, tool(2, "echo")).await;
        let session = stage.open("alice", "2025-11-25", "{}").await;
        assert!(stage.ask("alice", &session, tool(3, "echo")).await.error_code().is_none());
    }
}

async fn neither(_server: Arc<Scripted>, seen: Seen) -> Response {
    young::refused(&seen, -32601, 404)
}

#[tokio::test]
async fn a_server_of_no_generation_is_an_error() {
    let stage = stage(Scripted::start(neither).await);
    for n in 1..3 {
        let answer = stage.modern("alice", call(7, "echo", "")).await;
        assert_eq!(answer.error_code(), Some(-32601), "{}", answer.text);
        assert_eq!(answer.last().get("id"), Some(&Json::from(7)));
        let discovered = stage.modern("alice", modern("\"d\"", "server/discover", "{}", "{}", "")).await;
        assert_eq!(discovered.last().get("id"), Some(&Json::from("d")));
        assert_eq!(methods(&stage).len(), n * 4, "nothing is remembered of it");
        assert_eq!(stage.server.count("tools/call"), 0);
    }
}
