//! Clients with sessions in front of a server of 2026-07-28.

use axum::response::Response;
use gateway::{Ending, Passes};
use http::StatusCode;
use http_body_util::BodyExt;
use wire::json::Json;

use crate::{
    plane::denial,
    stage::{Stage, Stream, header, roomy, stage, stage_with},
    world::{answer, post, tool},
    young::young,
};

const ASKED: &str = r#"{"elicitation":{}}"#;

async fn asking(stage: &Stage, session: &str, message: String) -> Response {
    stage.send(post("alice", Some(session), message)).await
}

/// Answers a question of the stream.
async fn reply(stage: &Stage, session: &str, question: &Json, outcome: &str) {
    let id = question.get("id").unwrap().to_text();
    assert_eq!(question.get("method"), Some(&Json::from("elicitation/create")), "{}", question.to_text());
    let answered = stage.ask("alice", session, format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#)).await;
    assert_eq!(answered.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn initialize_is_answered_from_what_the_server_says_of_itself() {
    let stage = stage(young().await);
    for (revision, agreed) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("1999-01-01", "2025-11-25")]
    {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":"i","method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{{"elicitation":{{}},"sampling":{{}}}},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
        );
        let answer = answer(stage.send(post("alice", None, message)).await).await;
        assert_eq!(
            answer.text,
            format!(
                r#"{{"jsonrpc":"2.0","id":"i","result":{{"protocolVersion":"{agreed}","capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true,"listChanged":true}},"prompts":{{"listChanged":true}}}},"serverInfo":{{"name":"young","version":"1"}},"instructions":"hi"}}}}"#
            )
        );
        let session = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
        assert_eq!(stage.ask("alice", &session, tool(1, "echo")).await.status, StatusCode::OK);
        let seen = stage.server.seen().pop().unwrap();
        let meta = seen.json().pointer("/params/_meta").unwrap().clone();
        let of = |member: &str| meta.get(&format!("io.modelcontextprotocol/{member}")).map(Json::to_text);
        assert_eq!(of("clientCapabilities").as_deref(), Some(ASKED), "sampling does not pass");
        assert_eq!(of("clientInfo").as_deref(), Some(r#"{"name":"t","version":"1"}"#));
        assert_eq!(header(&seen, "mcp-session-id"), None);
        assert_eq!(header(&seen, "mcp-name").as_deref(), Some("echo"));
    }
}

#[tokio::test]
async fn results_are_told_as_they_were_before() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let list = stage.ask("alice", &session, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
    let texts = ["resultType", "ttlMs", "cacheScope"];
    assert!(
        list.text.contains("echo") && !texts.iter().any(|text| list.text.contains(text)),
        "{}",
        list.text
    );
    let seen = stage.server.seen().pop().unwrap();
    assert_eq!(header(&seen, "mcp-method").as_deref(), Some("tools/list"));
    for method in ["tasks/get", "tasks/list", "tasks/update", "server/discover", "subscriptions/listen"] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"taskId":"t"}}}}"#);
        let answer = stage.unforwarded(post("alice", Some(&session), message), method).await;
        assert_eq!(answer.error_code(), Some(-32601), "{method}");
    }
}

#[tokio::test]
async fn answers_without_a_question_are_refused() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    // Only the gate asks again in the name of such a client: a state that the client made up would pass unsealed.
    for member in [r#""requestState":"state-1""#, r#""inputResponses":{"a":{"action":"accept"}}"#] {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"asks_two",{member}}}}}"#
        );
        let answer = stage.unforwarded(post("alice", Some(&session), message), member).await;
        assert_eq!(answer.error_code(), Some(-32602), "{member}");
    }
}

#[tokio::test]
async fn what_only_another_generation_can_is_not_promised() {
    let stage = stage(young().await);
    let can = r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
    let session = stage.open("alice", "2025-11-25", can).await;
    assert_eq!(stage.ask("alice", &session, tool(1, "echo")).await.error_code(), None);
    let told = stage.server.seen().pop().unwrap().json();
    let capabilities = told.pointer("/params/_meta/io.modelcontextprotocol~1clientCapabilities").unwrap();
    assert_eq!(capabilities.to_text(), ASKED, "a task could not be asked about in this session");
}

#[tokio::test]
async fn a_round_of_questions_is_asked_on_the_stream() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let message = r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"asks_two","arguments":{"x":1.0},"_meta":{"vendor/x":1}}}"#;
    let mut stream = Stream::of(asking(&stage, &session, message.into()).await);
    let (one, two) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    assert_ne!(one.get("id"), two.get("id"));
    assert_eq!(one.pointer("/params/message"), Some(&Json::from("sure?")));
    // In the other order.
    reply(&stage, &session, &two, r#""result":{"action":"decline"}"#).await;
    assert_eq!(stage.server.count("asks_two"), 1, "not before all is answered");
    reply(&stage, &session, &one, r#""result":{"action":"accept","content":{"n":1.0}}"#).await;
    let last = stream.next().await.unwrap();
    assert_eq!(last.get("id"), Some(&Json::from("c")));
    assert_eq!(
        last.pointer("/result/structuredContent").unwrap().to_text(),
        r#"{"arguments":{"x":1.0},"answers":{"a":{"action":"accept","content":{"n":1.0}},"b":{"action":"decline"}},"state":"state-1"}"#
    );
    assert!(stream.next().await.is_none());
    assert_eq!(stage.authorized("asks_two"), 2, "each sending has a permit of its own");
    let calls: Vec<_> =
        stage.server.seen().into_iter().filter(|seen| seen.body.contains("asks_two")).collect();
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].json().get("id"), calls[1].json().get("id"));
    assert_eq!(calls[1].json().pointer("/params/_meta/vendor~1x"), Some(&Json::from(1)));
    assert_eq!(header(&calls[1], "mcp-name").as_deref(), Some("asks_two"));
    let outcomes = stage.plane.outcomes();
    let (last, first) = (outcomes.last().unwrap(), &outcomes[outcomes.len() - 2]);
    assert_eq!((first.result, first.code), (Ending::Done, Some("input_required")));
    assert_eq!((last.result, last.code), (Ending::Done, None));
    // An answer finds its question once, and nobody else's.
    reply(&stage, &session, &one, r#""result":{"action":"accept"}"#).await;
    assert_eq!(stage.server.count("asks_two"), 2);
}

#[tokio::test]
async fn another_session_cannot_answer() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let (second, bobs) =
        (stage.open("alice", "2025-11-25", ASKED).await, stage.open("bob", "2025-11-25", ASKED).await);
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_two")).await);
    let (one, two) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    for question in [&one, &two] {
        let id = question.get("id").unwrap().to_text();
        let forged = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"forged"}}}}"#);
        assert_eq!(stage.ask("alice", &second, forged.clone()).await.status, StatusCode::ACCEPTED);
        assert_eq!(stage.ask("bob", &bobs, forged.clone()).await.status, StatusCode::ACCEPTED);
        assert_eq!(stage.ask("bob", &session, forged).await.status, StatusCode::NOT_FOUND);
    }
    for question in [&one, &two] {
        reply(&stage, &session, question, r#""result":{"action":"accept"}"#).await;
    }
    let last = stream.next().await.unwrap().to_text();
    assert!(last.contains("accept") && !last.contains("forged"), "{last}");
    assert_eq!(stage.server.count("forged"), 0);
}

#[tokio::test]
async fn a_second_permit_that_is_denied_ends_as_a_denial() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_two")).await);
    let (one, two) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    stage.plane.deny("asks_two", denial());
    reply(&stage, &session, &one, r#""result":{"action":"accept"}"#).await;
    reply(&stage, &session, &two, r#""result":{"action":"accept"}"#).await;
    let last = stream.next().await.unwrap();
    assert_eq!(last.pointer("/result/isError"), Some(&Json::Bool(true)));
    assert_eq!(last.pointer("/result/structuredContent/code"), Some(&Json::from("not_granted")));
    assert_eq!(stage.server.count("asks_two"), 1);
}

#[tokio::test]
async fn what_becomes_of_the_second_sending_is_recorded() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_then_fails")).await);
    for _ in 0..2 {
        let question = stream.next().await.unwrap();
        reply(&stage, &session, &question, r#""result":{"action":"accept"}"#).await;
    }
    let last = stream.next().await.unwrap();
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("upstream_status")));
    let outcome = stage.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Failed, Some("upstream_status")));
}

#[tokio::test]
async fn a_client_that_refuses_to_answer_ends_the_call() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_two")).await);
    let one = stream.next().await.unwrap();
    reply(&stage, &session, &one, r#""error":{"code":-1,"message":"no"}"#).await;
    let mut last = stream.next().await.unwrap();
    if last.get("method").is_some() {
        last = stream.next().await.unwrap();
    }
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("input_refused")), "{}", last.to_text());
    assert_eq!(stage.server.count("asks_two"), 1);
}

#[tokio::test]
async fn questions_end() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    // Twice as often as a session has room for questions.
    for _ in 0..4 {
        let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_again")).await);
        let last = loop {
            let message = stream.next().await.unwrap();
            if message.get("method").is_none() {
                break message;
            }
            reply(&stage, &session, &message, r#""result":{"action":"accept"}"#).await;
        };
        assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("upstream_invalid")));
    }
    assert_eq!(stage.server.count("asks_again"), 4 * 11, "as often as clients of that generation ask");
}

#[tokio::test]
async fn what_cannot_be_asked_ends_the_call_and_takes_no_room() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    for _ in 0..20 {
        for name in ["asks_sampling", "asks_half"] {
            let answer = stage.ask("alice", &session, tool(1, name)).await;
            assert_eq!((answer.error_code(), answer.code()), (Some(-32603), "upstream_wants"), "{name}");
            assert_eq!(answer.messages.len(), 1, "no half of a round is asked");
        }
    }
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_two")).await);
    let first = stream.next().await.unwrap();
    assert_eq!(first.get("method"), Some(&Json::from("elicitation/create")), "{}", first.to_text());
    let deaf = stage.open("bob", "2025-11-25", "{}").await;
    assert_eq!(stage.ask("bob", &deaf, tool(1, "asks_two")).await.code(), "upstream_wants");
}

#[tokio::test]
async fn a_cancellation_lets_go_of_the_server() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let message = r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"hangs","_meta":{"progressToken":1}}}"#;
    let mut stream = Stream::of(asking(&stage, &session, message.into()).await);
    assert!(stream.next().await.unwrap().get("method").is_some());
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#;
    assert_eq!(stage.ask("alice", &session, cancel).await.status, StatusCode::ACCEPTED);
    assert_eq!(stream.next().await.unwrap().pointer("/error/data/code"), Some(&Json::from("cancelled")));
    assert!(stream.next().await.is_none());
    stage.server.was_left(1).await;
    assert_eq!(stage.server.count("notifications/cancelled"), 0);
    assert_eq!(stage.plane.outcomes().pop().unwrap().code, Some("cancelled"));
}

#[tokio::test]
async fn a_cancellation_ends_a_round() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let mut stream = Stream::of(asking(&stage, &session, tool(r#""c""#, "asks_two")).await);
    let one = stream.next().await.unwrap();
    stream.next().await.unwrap();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c"}}"#;
    assert_eq!(stage.ask("alice", &session, cancel).await.status, StatusCode::ACCEPTED);
    // Keep-alive comments would go on for ever.
    let ending = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next()).await;
    let last = ending.expect("the round ends").unwrap();
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("cancelled")));
    reply(&stage, &session, &one, r#""result":{"action":"accept"}"#).await;
    assert_eq!(stage.server.count("asks_two"), 1);
    assert_eq!(
        stage.ask("alice", &session, tool(r#""c""#, "echo")).await.error_code(),
        None,
        "its id is free"
    );
}

#[tokio::test]
async fn a_revocation_ends_a_round() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let mut stream = Stream::of(asking(&stage, &session, tool(1, "asks_two")).await);
    stream.next().await.unwrap();
    stream.next().await.unwrap();
    stage.plane.revoke("alice");
    let last = stream.next().await.unwrap();
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("authority_revoked")));
    assert_eq!(stage.server.count("asks_two"), 1);
}

#[tokio::test]
async fn the_level_of_the_log_is_kept_here() {
    let stage = stage_with(young().await, Passes { logging: true, ..Passes::default() }, roomy());
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let other = stage.open("alice", "2025-11-25", "{}").await;
    let before = stage.server.seen().len();
    let wish = r#"{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"error"}}"#;
    assert_eq!(stage.ask("alice", &session, wish).await.text, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    assert_eq!(stage.server.seen().len(), before, "that server knows no such request");
    assert_eq!(stage.authorized("log level"), 1);
    let level = async |session: &str| {
        stage.ask("alice", session, tool(1, "echo")).await;
        let sent = stage.server.seen().pop().unwrap().json();
        sent.pointer("/params/_meta/io.modelcontextprotocol~1logLevel").cloned()
    };
    assert_eq!((level(&session).await, level(&other).await), (Some(Json::from("error")), None));
    stage.plane.deny("log level", denial());
    let refused = stage.ask("alice", &session, wish.replace("error", "debug")).await;
    assert_eq!((refused.error_code(), level(&session).await), (Some(-32003), Some(Json::from("error"))));
}

fn subscribe(method: &str, uri: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"resources/{method}","params":{{"uri":"{uri}"}}}}"#)
}

fn updated(uri: &str, subscription: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}","_meta":{{"io.modelcontextprotocol/subscriptionId":{subscription}}}}}}}"#
    )
}

#[tokio::test]
async fn subscriptions_are_told_with_the_listening_stream() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    stage.plane.deny("a://denied", denial());
    let before = stage.server.seen().len();
    assert_eq!(stage.ask("alice", &session, subscribe("subscribe", "a://x")).await.error_code(), None);
    let denied = stage.ask("alice", &session, subscribe("subscribe", "a://denied")).await;
    assert_eq!(denied.error_code(), Some(-32003));
    assert_eq!(stage.server.seen().len(), before);
    let mut stream = Stream::of(stage.get("alice", &session, None).await);
    let hearing = async {
        let listening = stage.server.saw(|seen| seen.body.contains("subscriptions/listen")).await;
        let wanted = listening.json().pointer("/params/notifications").unwrap().to_text();
        assert_eq!(
            wanted,
            r#"{"toolsListChanged":true,"resourcesListChanged":true,"resourceSubscriptions":["a://x"]}"#
        );
        stage.server.tell(updated("a://x", &listening.json().get("id").unwrap().to_text()));
    };
    let (heard, ()) = tokio::join!(stream.next(), hearing);
    assert_eq!(heard.unwrap().pointer("/params").unwrap().to_text(), r#"{"uri":"a://x"}"#);
    // Another wish is told with another stream.
    let wishing = async {
        assert_eq!(stage.ask("alice", &session, subscribe("subscribe", "a://y")).await.error_code(), None);
        assert_eq!(stage.ask("alice", &session, subscribe("unsubscribe", "a://x")).await.error_code(), None);
        let is_it = |seen: &crate::servers::Seen| seen.body.contains(r#"Subscriptions":["a://y"]"#);
        let listening = stage.server.saw(is_it).await;
        stage.server.tell(updated("a://y", &listening.json().get("id").unwrap().to_text()));
    };
    let hearing = async {
        loop {
            let heard = stream.next().await.unwrap();
            if heard.pointer("/params/uri") == Some(&Json::from("a://y")) {
                break;
            }
        }
    };
    let ((), ()) = tokio::join!(hearing, wishing);
}

#[tokio::test]
async fn a_server_that_has_nothing_to_tell_leaves_the_stream_open() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    stage.ask("alice", &session, subscribe("subscribe", "a://refused")).await;
    let mut body = stage.get("alice", &session, None).await.into_body();
    for _ in 0..4 {
        let frame = tokio::time::timeout(std::time::Duration::from_secs(10), body.frame()).await.unwrap();
        let frame = frame.expect("it stays open").unwrap().into_data().unwrap();
        assert_eq!(frame, ": keep-alive\n\n");
    }
    assert_eq!(stage.server.count("subscriptions/listen"), 1, "asked once");
}

#[tokio::test]
async fn a_server_of_this_generation_asks_nothing_on_its_streams() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", ASKED).await;
    let answer = stage.ask("alice", &session, tool(1, "asks_midway")).await;
    assert_eq!(answer.messages.len(), 1, "{}", answer.text);
    assert!(answer.text.contains("done"));
    let mut stream = Stream::of(stage.get("alice", &session, None).await);
    let telling = async {
        let listening = stage.server.saw(|seen| seen.body.contains("subscriptions/listen")).await;
        stage.server.tell(r#"{"jsonrpc":"2.0","id":"m2","method":"elicitation/create","params":{}}"#);
        let id = listening.json().get("id").unwrap().to_text();
        stage.server.tell(updated("a://x", &id));
    };
    let (heard, ()) = tokio::join!(stream.next(), telling);
    assert!(heard.unwrap().pointer("/params/uri").is_some());
    assert_eq!(
        stage.server.count(r#""id":"m1""#) + stage.server.count(r#""id":"m2""#),
        0,
        "nor is it answered"
    );
}
