//! Servers that fail in every way: the caller gets an error, the outcome is recorded, nobody else notices.

use gateway::Ending;
use http::StatusCode;
use wire::json::Json;

use crate::{
    servers::GREETING,
    world::{answer, initialize, post, tool, world},
};

#[tokio::test]
async fn each_failure_has_its_name_and_its_outcome() {
    let world = world().await;
    let session = world.open("alice").await;
    for (name, code, ending) in [
        ("dies", "upstream_broken", Ending::Unknown),
        ("no_answer", "upstream_no_answer", Ending::Unknown),
        ("wrong_id", "upstream_no_answer", Ending::Unknown),
        ("garbage", "upstream_invalid", Ending::Unknown),
        ("garbage_event", "upstream_invalid", Ending::Unknown),
        ("batch", "upstream_invalid", Ending::Unknown),
        ("duplicate", "upstream_invalid", Ending::Unknown),
        ("html", "upstream_invalid", Ending::Unknown),
        ("huge", "upstream_too_large", Ending::Unknown),
        ("huge_event", "upstream_too_large", Ending::Unknown),
        ("waits", "upstream_timeout", Ending::Unknown),
        ("streams", "upstream_stalled", Ending::Unknown),
        ("redirect", "upstream_status", Ending::Failed),
        ("unauthorized", "upstream_status", Ending::Failed),
        ("broken", "upstream_status", Ending::Failed),
    ] {
        let answer = world.ask(&session, tool(3, name)).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}");
        assert_eq!((answer.error_code(), answer.code()), (Some(-32603), code), "{name}");
        assert_eq!(answer.last().get("id"), Some(&Json::from(3)), "{name}");
        assert!(!answer.headers.contains_key("www-authenticate"), "{name}");
        let outcome = world.plane.outcomes().pop().unwrap();
        assert_eq!((outcome.result, outcome.code), (ending, Some(code)), "{name}");
        assert_eq!(world.ask(&session, tool(4, "echo")).await.error_code(), None, "after {name}");
    }
    let outcomes = world.plane.outcomes();
    let mut intents: Vec<_> = outcomes.iter().map(|outcome| outcome.intent.position()).collect();
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), outcomes.len(), "each intent is concluded once");
    assert!(!world.server.seen().iter().any(|seen| seen.body.is_empty()), "redirects are not followed");
}

#[tokio::test]
async fn a_server_that_is_not_there_was_never_reached() {
    let world = world().await;
    let mut request = post("alice", None, initialize());
    *request.uri_mut() = "/mcp/gone".parse().unwrap();
    let answer = answer(world.send(request).await).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, "upstream_unreachable"));
    assert_eq!(world.plane.outcomes()[0].result, Ending::Failed);
}

#[tokio::test]
async fn answers_to_other_requests_find_nobody() {
    let world = world().await;
    let session = world.open("alice").await;
    let answer = world.ask(&session, tool(1, "strays")).await;
    assert!(answer.text.contains("done") && !answer.text.contains("stray"), "{}", answer.text);
    assert_eq!(answer.messages.len(), 1);
    // The id that the server saw last is not this request's, even if the server answers it twice.
    let next = world.ask(&session, tool(1, "sse")).await;
    assert!(next.text.contains("done"));
}

#[tokio::test]
async fn servers_that_ask_are_answered_and_do_not_reach_the_client() {
    let world = world().await;
    let session = world.open("alice").await;
    let answer = world.ask(&session, tool(1, "asks")).await;
    assert!(answer.text.contains("done") && !answer.text.contains("sampling"), "{}", answer.text);
    let refused = world.server.saw(|seen| seen.body.contains(r#""id":"s1""#)).await.json();
    assert_eq!(refused.pointer("/error/code"), Some(&Json::from(-32601)));
    let pong = world.server.saw(|seen| seen.body.contains(r#""id":"s2""#)).await;
    assert_eq!(pong.body, r#"{"jsonrpc":"2.0","id":"s2","result":{}}"#);
    assert_eq!(pong.headers["mcp-session-id"], "upstream-1");
}

#[tokio::test]
async fn a_server_of_another_revision_or_without_manners_opens_nothing() {
    let world = world().await;
    for (greeting, code) in [
        (GREETING.replace("2025-06-18", "2024-10-07"), "upstream_revision"),
        (GREETING.replace("2025-06-18", "2026-07-28"), "upstream_revision"),
        ("{}".to_owned(), "upstream_revision"),
        (r#"{"protocolVersion":"2025-06-18"}"#.to_owned(), "upstream_invalid"),
    ] {
        *world.server.greeting.lock().unwrap() = greeting;
        let answer = answer(world.send(post("alice", None, initialize())).await).await;
        assert_eq!(answer.code(), code);
        assert!(!answer.headers.contains_key("mcp-session-id"));
    }
    let answer = answer(world.send(post("alice", None, tool(1, "echo"))).await).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "no session came of it");
}
