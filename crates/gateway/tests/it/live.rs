//! Streams, and how authority ends in the middle of them.

use std::{sync::atomic::Ordering, time::Duration};

use gateway::Ending;
use http::{StatusCode, header};
use http_body_util::BodyExt;
use wire::json::Json;

use crate::{
    plane::NOW,
    world::{answer, next_events, post, tool, world},
};

#[tokio::test]
async fn progress_comes_under_the_clients_own_token() {
    let world = world().await;
    let session = world.open("alice").await;
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"progress","_meta":{"progressToken":"mine"}}}"#;
    let answer = world.ask(&session, message).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.headers["x-accel-buffering"], "no");
    let texts: Vec<_> = answer.messages.iter().map(Json::to_text).collect();
    assert_eq!(
        texts,
        [
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"mine","progress":1}}"#,
            r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
            r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}"#,
        ]
    );
    // Who did not ask for progress gets none.
    let answer = world.ask(&session, tool(1, "progress")).await;
    assert!(!answer.text.contains("notifications/progress"));
}

#[tokio::test]
async fn a_single_event_stays_one_and_comes_whole() {
    let world = world().await;
    let session = world.open("alice").await;
    let answer = world.ask(&session, tool(1, "sse")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    assert_eq!(answer.messages.len(), 1);
    assert!(answer.text.contains("done"));
}

#[tokio::test]
async fn a_revocation_cuts_a_live_stream() {
    let world = world().await;
    let session = world.open("alice").await;
    let other = world.open("bob").await;
    let response = world.send(post("alice", Some(&session), tool(9, "streams"))).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let mut body = response.into_body();
    assert!(next_events(&mut body).await.unwrap()[0].data.contains("list_changed"));
    world.plane.revoke("alice");
    let last = next_events(&mut body).await.unwrap().remove(0);
    let last = Json::parse(last.data.as_bytes()).unwrap();
    assert_eq!(last.get("id"), Some(&Json::from(9)));
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("authority_revoked")));
    assert!(next_events(&mut body).await.is_none(), "the stream ends");
    let outcome = world.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Cut, Some("authority_revoked")));
    let cancelled = world.server.saw(|seen| seen.body.contains("notifications/cancelled")).await;
    let call = world.server.saw(|seen| seen.body.contains("streams")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), call.json().get("id"));
    let request = post("alice", Some(&session), tool(1, "echo"));
    assert_eq!(world.send(request).await.status(), StatusCode::UNAUTHORIZED);
    let request = post("bob", Some(&other), tool(1, "echo"));
    assert_eq!(world.send(request).await.status(), StatusCode::OK, "others go on");
}

#[tokio::test]
async fn a_revocation_cuts_a_request_that_waits() {
    let world = world().await;
    let session = world.open("alice").await;
    let calling = world.ask(&session, tool(9, "waits"));
    let revoking = async {
        world.server.saw(|seen| seen.body.contains("waits")).await;
        world.plane.revoke("alice");
    };
    let (answer, ()) = tokio::join!(calling, revoking);
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, "authority_revoked"));
    assert_eq!(world.plane.outcomes().pop().unwrap().result, Ending::Cut);
}

#[tokio::test]
async fn the_deadline_and_the_loss_of_the_plane_cut_too() {
    let world = world().await;
    let session = world.open("alice").await;
    let soon = NOW.plus_millis(50).millis();
    world.plane.deadline.store(soon, Ordering::SeqCst);
    let calling = world.ask(&session, tool(9, "waits"));
    let passing = async {
        world.server.saw(|seen| seen.body.contains("waits")).await;
        world.clock.0.store(soon, Ordering::SeqCst);
    };
    let (answer, ()) = tokio::join!(calling, passing);
    assert_eq!(answer.code(), "deadline_reached");
    world.plane.deadline.store(NOW.plus_seconds(3600).millis(), Ordering::SeqCst);
    let calling = world.ask(&session, tool(10, "waits"));
    let losing = async {
        world
            .server
            .saw(|seen| seen.body.contains("waits") && seen.json().get("id") == Some(&Json::from(3)))
            .await;
        drop(world.plane.revocations.lock().unwrap().take());
    };
    let (answer, ()) = tokio::join!(calling, losing);
    assert_eq!(answer.code(), "control_plane_gone");
}

/// A node that was cut off from the log cannot say that authority lasts, so nothing under way lasts either.
#[tokio::test]
async fn the_loss_of_freshness_cuts_too() {
    let world = world().await;
    let session = world.open("alice").await;
    let calling = world.ask(&session, tool(9, "waits"));
    let losing = async {
        world.server.saw(|seen| seen.body.contains("waits")).await;
        world.plane.is_stale.store(true, Ordering::SeqCst);
        world.plane.revocations.lock().unwrap().as_ref().unwrap().send_modify(|_| {});
    };
    let (answer, ()) = tokio::join!(calling, losing);
    assert_eq!(answer.code(), "node_stale");
}

#[tokio::test]
async fn authority_that_is_over_before_the_send_sends_nothing() {
    let world = world().await;
    let session = world.open("alice").await;
    let before = world.server.seen().len();
    world.plane.deadline.store(NOW.millis(), Ordering::SeqCst);
    let answer = world.ask(&session, tool(1, "echo")).await;
    assert_eq!(answer.code(), "deadline_reached");
    assert_eq!(world.server.seen().len(), before);
}

#[tokio::test]
async fn a_client_that_leaves_is_an_unknown_outcome() {
    let world = world().await;
    let session = world.open("alice").await;
    let response = world.send(post("alice", Some(&session), tool(9, "streams"))).await;
    drop(response);
    let outcome = world.plane.outcomes_of(2).await.pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Unknown, Some("client_left")));
    assert_eq!(world.ask(&session, tool(9, "echo")).await.error_code(), None, "its id is free again");
}

#[tokio::test]
async fn a_listening_stream_carries_what_is_told_and_ends_with_authority() {
    let world = world().await;
    let session = world.open("alice").await;
    let response = world.listen("alice", &session).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(world.listen("alice", &session).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let mut body = response.into_body();
    world.plane.hidden.lock().unwrap().insert("a:ended".into());
    for message in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"stray":1}}"#,
        r#"{"jsonrpc":"2.0","id":"s9","method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"x"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:ended"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"a:1"}}"#,
    ] {
        world.server.listening.send_modify(|all| all.push(message.to_owned()));
    }
    let events = next_events(&mut body).await.unwrap();
    assert_eq!(events.len(), 1);
    assert!(events[0].data.contains(r#""uri":"a:1""#), "{events:?}");
    let refused = world.server.saw(|seen| seen.body.contains("s9")).await;
    assert_eq!(refused.json().pointer("/error/code"), Some(&Json::from(-32601)));
    let listening = world.server.saw(|seen| seen.method == http::Method::GET).await;
    assert_eq!(listening.headers["mcp-session-id"], "upstream-1");
    world.plane.revoke("alice");
    assert!(next_events(&mut body).await.is_none());
    drop(body);
    assert_eq!(world.listen("alice", &session).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn listening_shows_signs_of_life() {
    let world = world().await;
    let session = world.open("alice").await;
    let mut body = world.listen("alice", &session).await.into_body();
    for _ in 0..3 {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), ": keep-alive\n\n");
    }
}

#[tokio::test]
async fn listening_needs_a_session_and_the_right_accept() {
    let world = world().await;
    let session = world.open("alice").await;
    let mut request = post("alice", Some(&session), axum::body::Body::empty());
    *request.method_mut() = http::Method::GET;
    request.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    let refused = answer(world.send(request).await).await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
}
