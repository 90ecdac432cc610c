//! `requestState`: sealed for its holder, its act, its server and a while.

use std::sync::atomic::Ordering;

use http::StatusCode;
use wire::json::Json;

use crate::{
    stage::{Stage, call, modern, modern_post, stage},
    young::young,
};

fn again(name: &str, state: &str, rest: &str) -> String {
    call(2, name, &format!(r#","arguments":{{"x":1}},"requestState":{state}{rest}"#))
}

async fn sealed(stage: &Stage, name: &str) -> String {
    let answer = stage.modern("alice", call(1, name, r#","arguments":{"x":1}"#)).await;
    let result = answer.last().get("result").unwrap();
    assert_eq!(result.get("resultType"), Some(&Json::from("input_required")), "{}", answer.text);
    assert!(!answer.text.contains("state-"), "the server's own words stay here");
    result.get("requestState").unwrap().to_text()
}

#[tokio::test]
async fn a_state_comes_back_to_its_server_as_it_was() {
    let stage = stage(young().await);
    let kept = sealed(&stage, "state_alone").await;
    let answer = stage.modern("alice", again("state_alone", &kept, "")).await;
    assert_eq!(answer.last().pointer("/result/structuredContent/state"), Some(&Json::from("state-é")));
    // The server judges whether it takes a state twice.
    let twice = stage.modern("alice", again("state_alone", &kept, "")).await;
    assert_eq!(twice.last().pointer("/result/structuredContent/state"), Some(&Json::from("state-é")));
    assert_eq!(stage.authorized("state_alone"), 3);
}

#[tokio::test]
async fn questions_and_answers_pass_between_those_who_know_them() {
    let stage = stage(young().await);
    let first = stage.modern("alice", call(1, "asks_two", r#","arguments":{"x":1}"#)).await;
    let keys: Vec<_> = first
        .last()
        .pointer("/result/inputRequests")
        .unwrap()
        .as_object()
        .unwrap()
        .names()
        .map(str::to_owned)
        .collect();
    assert_eq!(keys, ["a", "b"]);
    let kept = first.last().pointer("/result/requestState").unwrap().to_text();
    let answers =
        r#","inputResponses":{"a":{"action":"accept","content":{"n":1.0}},"b":{"action":"cancel"}}"#;
    let second = stage.modern("alice", again("asks_two", &kept, answers)).await;
    assert_eq!(
        second.last().pointer("/result/structuredContent").unwrap().to_text(),
        r#"{"arguments":{"x":1},"answers":{"a":{"action":"accept","content":{"n":1.0}},"b":{"action":"cancel"}},"state":"state-1"}"#
    );
    assert_eq!(stage.authorized("asks_two"), 2);
}

#[tokio::test]
async fn a_state_of_anything_else_is_refused_and_nothing_forwarded() {
    let stage = stage(young().await);
    let kept = sealed(&stage, "state_alone").await;
    let text = kept.trim_matches('"').to_owned();
    let quoted = |text: &str| format!("\"{text}\"");
    let mut flipped = text.clone();
    // Within the seal, whichever character it is.
    let middle = flipped.len() / 2;
    let other = if flipped.as_bytes()[middle] == b'0' { "1" } else { "0" };
    flipped.replace_range(middle..=middle, other);
    let good = again("state_alone", &kept, "");
    for (what, token, message) in [
        ("another holder", "bob", good.clone()),
        ("another task", "alice-too", good.clone()),
        ("another tool", "alice", again("echo", &kept, "")),
        ("other arguments", "alice", good.replace(r#"{"x":1}"#, r#"{"x":2}"#)),
        ("another number of the same size", "alice", good.replace(r#"{"x":1}"#, r#"{"x":1e400}"#)),
        ("another method", "alice", good.replace("tools/call", "prompts/get")),
        ("a further member", "alice", again("state_alone", &kept, r#","more":1"#)),
        ("the server's own", "alice", again("state_alone", &quoted("state-é"), "")),
        ("a part of it", "alice", again("state_alone", &quoted(&text[..text.len() - 1]), "")),
        ("more than it", "alice", again("state_alone", &quoted(&format!("{text}0")), "")),
        ("changed", "alice", again("state_alone", &quoted(&flipped), "")),
        ("without its kind", "alice", again("state_alone", &quoted(&text[2..]), "")),
        (
            "as a ticket",
            "alice",
            again(
                "state_alone",
                &quoted(&text.replacen("s.", "p.", 1)),
                r#","inputResponses":{"question":{}}"#,
            ),
        ),
        ("nothing", "alice", again("state_alone", "\"\"", "")),
        ("an empty seal", "alice", again("state_alone", "\"s.\"", "")),
        ("no text", "alice", again("state_alone", "{}", "")),
        ("null", "alice", again("state_alone", "null", "")),
    ] {
        let answer = stage.unforwarded(modern_post(token, message), what).await;
        assert_eq!((answer.error_code(), answer.status), (Some(-32602), StatusCode::BAD_REQUEST), "{what}");
    }
    let mut elsewhere = modern_post("alice", good.clone());
    *elsewhere.uri_mut() = "/mcp/other".parse().unwrap();
    assert_eq!(stage.unforwarded(elsewhere, "another server").await.error_code(), Some(-32602));
    stage.clock.0.fetch_add(3_599_999, Ordering::SeqCst);
    assert_eq!(stage.modern("alice", good.clone()).await.error_code(), None);
    stage.plane.deadline.fetch_add(10_000_000, Ordering::SeqCst);
    stage.clock.0.fetch_add(1, Ordering::SeqCst);
    assert_eq!(stage.unforwarded(modern_post("alice", good), "late").await.error_code(), Some(-32602));
}

#[tokio::test]
async fn a_state_may_come_with_another_id_and_other_traces() {
    let stage = stage(young().await);
    let kept = sealed(&stage, "state_alone").await;
    let params = format!(r#"{{"requestState":{kept},"arguments":{{"x":1}},"name":"state_alone"}}"#);
    let message = modern("\"z\"", "tools/call", &params, "{}", r#""traceparent":"00-x","progressToken":4"#);
    let answer = stage.modern("alice", message).await;
    assert_eq!(answer.last().pointer("/result/structuredContent/state"), Some(&Json::from("state-é")));
}
