//! What clients and servers may have the gate keep for them.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, future::join_all, stream};
use gateway::{Limits, Passes};
use http::{Method, StatusCode};
use wire::json::Json;

use crate::{
    elder::{self, elder},
    servers::Seen,
    stage::{
        Scripted, Stream, call, header, json, modern, modern_post, result_of, roomy, stage, stage_of,
        stage_with, status,
    },
    world::{answer, post},
    young::{self, refused, young},
};

#[tokio::test]
async fn requests_without_a_session_are_bounded_for_each_holder() {
    let limits = Limits { in_flight_alone_max: 3, ..roomy() };
    let stage = stage_with(young().await, Passes::default(), limits);
    let hangs = || modern(1, "tools/call", r#"{"name":"hangs"}"#, "{}", r#""progressToken":"p""#);
    let listens = || modern(1, "subscriptions/listen", r#"{"notifications":{}}"#, "{}", "");
    let mut open = Vec::new();
    for message in [hangs(), listens(), hangs()] {
        let mut stream = Stream::of(stage.send(modern_post("alice", message)).await);
        stream.next().await.expect("a stream that is open");
        open.push(stream);
    }
    for message in [call(1, "echo", ""), listens()] {
        let full = stage.unforwarded(modern_post("alice", message), "one too many").await;
        assert_eq!((full.status, full.code()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    }
    for other in ["bob", "alice-too"] {
        assert_eq!(stage.modern(other, call(1, "echo", "")).await.error_code(), None, "{other} has places");
    }
    for left in [0, 0] {
        drop(open.remove(left));
        assert_eq!(stage.modern("alice", call(1, "echo", "")).await.error_code(), None, "a place came back");
    }
}

#[tokio::test]
async fn questions_whose_stream_has_ended_make_room() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", r#"{"elicitation":{}}"#).await;
    for number in 0..17 {
        stage.server.tell(format!(
            r#"{{"jsonrpc":"2.0","id":"l-{number}","method":"elicitation/create","params":{{}}}}"#
        ));
    }
    let mut numbers = Vec::new();
    let mut stream = Stream::of(stage.get("alice", &session, None).await);
    for _ in 0..16 {
        numbers.push(stream.next().await.unwrap().get("id").unwrap().to_text());
    }
    let answers = |id: &'static str| {
        move |seen: &Seen| seen.body.contains(&format!(r#""id":"{id}""#)) && seen.method == Method::POST
    };
    // While the stream is open all of them wait, and one more is not asked.
    tokio::select! {
        heard = stream.next() => panic!("{heard:?}"),
        seen = stage.server.saw(answers("l-16")) => {
            assert_eq!(seen.json().pointer("/error/code"), Some(&Json::from(-32601)));
        }
    }
    drop(stream);
    // What was read can be answered although the stream has ended.
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"action":"accept"}}}}"#, numbers[15]);
    assert_eq!(stage.ask("alice", &session, answer).await.status, StatusCode::ACCEPTED);
    stage.server.saw(answers("l-15")).await;
    // Another stream asks again; the oldest give way, and their server learns it.
    let mut stream = Stream::of(stage.get("alice", &session, None).await);
    for _ in 0..2 {
        assert!(stream.next().await.unwrap().get("method").is_some());
    }
    let forgotten = stage.server.saw(answers("l-0")).await;
    assert_eq!(forgotten.json().pointer("/error/code"), Some(&Json::from(-32603)));
}

#[tokio::test]
async fn what_clients_say_of_themselves_is_bounded() {
    let stage = stage(young().await);
    let long = "x".repeat(16 * 1024);
    let short = "x".repeat(15 * 1024);
    let hello = |capability: &str, name: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{"elicitation":{{"x":"{capability}"}}}},"clientInfo":{{"name":"{name}","version":"1"}}}}}}"#
        )
    };
    let meta =
        |name: &str| format!(r#""io.modelcontextprotocol/clientInfo":{{"name":"{name}","version":"1"}}"#);
    let modern = |capability: &str, name: &str| {
        let capabilities = format!(r#"{{"elicitation":{{"x":"{capability}"}}}}"#);
        modern(1, "tools/call", r#"{"name":"echo"}"#, &capabilities, &meta(name))
    };
    for (capability, name) in [(&long, &short), (&short, &long)] {
        let said = post("alice", None, hello(capability, name));
        assert_eq!(stage.unforwarded(said, "too long").await.error_code(), Some(-32602));
        let said = modern_post("alice", modern(capability, name));
        assert_eq!(stage.unforwarded(said, "too long").await.error_code(), Some(-32602));
    }
    assert_eq!(answer(stage.send(post("alice", None, hello(&short, &short))).await).await.error_code(), None);
    assert_eq!(stage.modern("alice", modern(&short, &short)).await.error_code(), None);
}

/// A server that opens a session and says that it speaks what nobody does.
async fn stranger(_server: Arc<Scripted>, seen: Seen) -> http::Response<axum::body::Body> {
    if seen.method == Method::DELETE {
        return status(200);
    }
    if !seen.body.contains("\"initialize\"") {
        return refused(&seen, -32601, 404);
    }
    let greeting =
        r#"{"protocolVersion":"1999-01-01","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
    let mut response = json(result_of(&seen, greeting));
    response.headers_mut().insert("mcp-session-id", "unwanted".parse().unwrap());
    response
}

#[tokio::test]
async fn a_session_that_nobody_takes_is_ended() {
    let stage = stage(Scripted::start(stranger).await);
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let refused = answer(stage.send(post("alice", None, hello)).await).await;
    assert_eq!(refused.code(), "upstream_revision", "{}", refused.text);
    let ended = stage.server.saw(|seen| seen.method == Method::DELETE).await;
    assert_eq!(header(&ended, "mcp-session-id").as_deref(), Some("unwanted"));
}

fn first(marker: usize) -> String {
    let params = format!(r#"{{"name":"echo","arguments":{{"m":{marker}}}}}"#);
    modern(1, "tools/call", &params, "{}", "")
}

#[tokio::test]
async fn parallel_first_calls_share_one_session() {
    let stage = stage(elder().await);
    let answers = join_all((0..8).map(|marker| stage.modern("alice", first(marker)))).await;
    for (marker, answer) in answers.iter().enumerate() {
        let told = answer.last().pointer("/result/structuredContent/m").and_then(Json::as_i64);
        assert_eq!(told, i64::try_from(marker).ok(), "{}", answer.text);
    }
    assert_eq!(stage.server.count("\"initialize\""), 1);
    // Others do not wait for them, nor share it.
    stage.modern("bob", first(9)).await;
    assert_eq!(stage.server.count("\"initialize\""), 2);
}

/// A server that has no answer.
async fn broken(_server: Arc<Scripted>, _seen: Seen) -> http::Response<axum::body::Body> {
    status(500)
}

#[tokio::test]
async fn those_who_waited_for_a_failure_do_not_repeat_it() {
    let stage = stage(Scripted::start(broken).await);
    for attempts in 1..=2 {
        let answers = join_all((0..8).map(|marker| stage.modern("alice", first(marker)))).await;
        assert!(answers.iter().all(|answer| answer.code() == "upstream_status"));
        assert_eq!(stage.server.seen().len(), attempts, "whoever comes later tries again");
    }
}

/// A server that is silent at first.
async fn sleepy(server: Arc<Scripted>, seen: Seen) -> http::Response<axum::body::Body> {
    if !*server.is_changed.lock().unwrap() {
        return std::future::pending().await;
    }
    elder::behave(server, seen).await
}

#[tokio::test]
async fn who_opens_and_leaves_is_followed_by_the_next() {
    let stage = Arc::new(stage(Scripted::start(sleepy).await));
    let call = |marker| {
        let stage = Arc::clone(&stage);
        tokio::spawn(async move { stage.modern("alice", first(marker)).await })
    };
    let leaving = call(1);
    stage.server.saw(|_| true).await;
    let waiting = call(2);
    tokio::task::yield_now().await;
    assert_eq!(stage.server.seen().len(), 1, "the second waits for the first");
    *stage.server.is_changed.lock().unwrap() = true;
    leaving.abort();
    let answer = waiting.await.unwrap();
    assert_eq!(answer.last().pointer("/result/structuredContent/m"), Some(&Json::from(2)), "{}", answer.text);
}

const MIB: usize = 1024 * 1024;

/// A server whose answers are large: `fills` holds them back before their end.
async fn large(server: Arc<Scripted>, seen: Seen) -> axum::response::Response {
    let message = seen.json();
    let params = message.get("params").cloned().unwrap_or_default();
    match params.get("name").and_then(Json::as_str) {
        Some("fills") => {
            let held = stream::once(async { Bytes::from(vec![b' '; 15 * MIB]) });
            let rest = server.open_stream(&[]).into_body().into_data_stream();
            let body = held.map(Ok::<_, axum::Error>).chain(rest);
            let mut response = axum::response::Response::new(Body::from_stream(body));
            response.headers_mut().insert("content-type", "application/json".parse().unwrap());
            response
        }
        Some("tells") => {
            let room = " ".repeat(6 * MIB);
            json(room + &result_of(&seen, r#"{"resultType":"complete","content":[]}"#))
        }
        _ => young::behave(server, seen).await,
    }
}

#[tokio::test]
async fn what_servers_answer_is_bounded_for_each_agent() {
    let server = Scripted::start(large).await;
    let stage = Arc::new(stage_of(server, Passes::default(), roomy(), 64 * MIB));
    let mut filling = Vec::new();
    for number in 0..4 {
        let filled = Arc::clone(&stage);
        filling.push(tokio::spawn(async move { filled.modern("alice", call(number, "fills", "")).await }));
        stage.server.saw_times("fills", filling.len()).await;
    }
    // Four of them hold 60 MiB; what is large has no room beside them, what is little has.
    let is_crowded = async |token: &str, tool: &str| {
        let told = stage.modern(token, call(7, tool, "")).await;
        assert!(
            told.text.contains("answers_crowded") || told.text.contains(r#""content":["#),
            "{:.300}",
            told.text
        );
        told.text.contains("answers_crowded")
    };
    while !is_crowded("alice", "tells").await {}
    for (token, tool) in [("alice", "echo"), ("bob", "tells")] {
        assert!(!is_crowded(token, tool).await, "{token} {tool}");
    }
    for one in filling {
        one.abort();
        drop(one.await);
    }
    // It comes back, also that of answers which a client has and lets go of.
    for _ in 0..12 {
        assert!(!is_crowded("alice", "tells").await);
    }
}
