//! `subscriptions/listen`: each resource decided, and nothing told that was not asked for.

use gateway::Ending;
use http::Method;
use wire::json::Json;

use crate::{
    elder::elder,
    plane::{Told, denial},
    servers::Seen,
    stage::{Scripted, Stage, Stream, call, header, modern, modern_post, stage},
    young::young,
};

const WANTED: &str =
    r#"{"notifications":{"toolsListChanged":true,"resourceSubscriptions":["a://x","a://denied"]}}"#;

fn listen(params: &str) -> String {
    modern("\"sub\"", "subscriptions/listen", params, "{}", "")
}

async fn listening(stage: &Stage, params: &str) -> Stream {
    Stream::of(stage.send(modern_post("alice", listen(params))).await)
}

fn told(what: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{what}","params":{params}}}"#)
}

async fn acknowledged(stream: &mut Stream) -> String {
    let first = stream.next().await.unwrap();
    assert_eq!(
        first.get("method"),
        Some(&Json::from("notifications/subscriptions/acknowledged")),
        "{}",
        first.to_text()
    );
    assert_eq!(subscription(&first), Some(&Json::from("sub")));
    first.pointer("/params/notifications").unwrap().to_text()
}

fn subscription(message: &Json) -> Option<&Json> {
    message.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId")
}

async fn listened(server: &Scripted) -> Seen {
    server.saw(|seen| seen.body.contains("subscriptions/listen")).await
}

#[tokio::test]
async fn what_is_told_was_asked_for_and_decided() {
    let stage = stage(young().await);
    stage.modern("alice", call(1, "echo", "")).await;
    stage.plane.deny("a://denied", denial());
    let mut stream = listening(&stage, WANTED).await;
    let granted = r#"{"toolsListChanged":true,"resourceSubscriptions":["a://x"]}"#;
    assert_eq!(acknowledged(&mut stream).await, granted);
    let seen = listened(&stage.server).await;
    assert_eq!(seen.json().pointer("/params/notifications").unwrap().to_text(), granted);
    assert!(!seen.body.contains("denied"));
    assert_eq!((stage.authorized("a://x"), stage.authorized("listen")), (1, 1));
    let id = seen.json().get("id").unwrap().to_text();
    let meta = |id: &str| format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let updated = |uri: &str, meta: &str| told("resources/updated", &format!(r#"{{"uri":"{uri}",{meta}}}"#));
    let changed = |what: &str| told(&format!("{what}/list_changed"), &format!("{{{}}}", meta(&id)));
    // A right that ends while the stream lasts.
    stage.plane.hidden.lock().unwrap().insert("a://x/ended".into());
    for dropped in [
        changed("prompts"),
        changed("resources"),
        updated("a://denied", &meta(&id)),
        updated("a://xy", &meta(&id)),
        updated("a://x", &meta("424242")),
        updated("a://x", &meta(&format!("\"{id}\""))),
        updated("a://x", r#""n":1"#),
        told("message", &format!(r#"{{"level":"error","data":"x",{}}}"#, meta(&id))),
        told("progress", &format!(r#"{{"progressToken":"sub","progress":1,{}}}"#, meta(&id))),
        told("tasks/status", &format!(r#"{{"taskId":"t",{}}}"#, meta(&id))),
        told("resources/updated", &format!(r#"{{"uri":1,{}}}"#, meta(&id))),
        r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":424242,"result":{}}"#.to_owned(),
        updated("a://x/ended", &meta(&id)),
        updated("a://x/part", &meta(&id)),
        changed("tools"),
    ] {
        stage.server.tell(dropped);
    }
    let (part, tools) = (stream.next().await.unwrap(), stream.next().await.unwrap());
    assert_eq!(part.pointer("/params/uri"), Some(&Json::from("a://x/part")));
    assert_eq!(tools.get("method"), Some(&Json::from("notifications/tools/list_changed")));
    assert!([&part, &tools].iter().all(|message| subscription(message) == Some(&Json::from("sub"))));
    // The server ends it.
    stage.server.tell(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete"}}}}"#));
    let last = stream.next().await.unwrap();
    assert_eq!(last.get("id"), Some(&Json::from("sub")));
    let marked = last.pointer("/result/_meta/io.modelcontextprotocol~1subscriptionId");
    assert_eq!(marked, Some(&Json::from("sub")));
    assert!(stream.next().await.is_none());
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Done);
    stage.server.was_left(1).await;
}

#[tokio::test]
async fn an_acknowledgement_grants_no_more_than_was_decided() {
    let stage = stage(young().await);
    stage.modern("alice", call(1, "echo", "")).await;
    let mut stream = listening(&stage, r#"{"notifications":{"toolsListChanged":true}}"#).await;
    acknowledged(&mut stream).await;
    let id = listened(&stage.server).await.json().get("id").unwrap().to_text();
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}"#);
    let all = r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["a://x"]}"#;
    stage.server.tell(told("subscriptions/acknowledged", &format!(r#"{{"notifications":{all},{meta}}}"#)));
    assert_eq!(acknowledged(&mut stream).await, r#"{"toolsListChanged":true}"#);
    stage.server.tell(told("prompts/list_changed", &format!("{{{meta}}}")));
    stage.server.tell(told("resources/updated", &format!(r#"{{"uri":"a://x",{meta}}}"#)));
    stage.server.tell(told("tools/list_changed", &format!("{{{meta}}}")));
    let heard = stream.next().await.unwrap();
    assert_eq!(heard.get("method"), Some(&Json::from("notifications/tools/list_changed")));
}

#[tokio::test]
async fn a_revocation_cuts_the_stream() {
    let stage = stage(young().await);
    let mut stream = listening(&stage, WANTED).await;
    acknowledged(&mut stream).await;
    stage.plane.revoke("alice");
    let last = stream.next().await.unwrap();
    assert_eq!(last.get("id"), Some(&Json::from("sub")));
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("authority_revoked")));
    assert!(stream.next().await.is_none());
    stage.server.was_left(1).await;
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Cut);
}

#[tokio::test]
async fn who_leaves_lets_go() {
    let stage = stage(young().await);
    let mut stream = listening(&stage, WANTED).await;
    acknowledged(&mut stream).await;
    drop(stream);
    stage.server.was_left(1).await;
}

#[tokio::test]
async fn filters_of_the_wrong_shape_reach_nobody() {
    let stage = stage(young().await);
    let many: Vec<_> = (0..65).map(|n| format!("\"a://{n}\"")).collect();
    let many = format!(r#"{{"notifications":{{"resourceSubscriptions":[{}]}}}}"#, many.join(","));
    for params in [
        "{}",
        r#"{"notifications":[]}"#,
        r#"{"notifications":{"toolsListChanged":"yes"}}"#,
        r#"{"notifications":{"resourceSubscriptions":"a://x"}}"#,
        r#"{"notifications":{"resourceSubscriptions":[1]}}"#,
        many.as_str(),
    ] {
        let answer = stage.unforwarded(modern_post("alice", listen(params)), params).await;
        assert_eq!(answer.error_code(), Some(-32602), "{params}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_is_an_error_and_a_failure() {
    let stage = stage(young().await);
    stage.modern("alice", call(1, "echo", "")).await;
    let params = r#"{"notifications":{"resourceSubscriptions":["a://refused"]}}"#;
    let answer = stage.modern("alice", listen(params)).await;
    assert_eq!((answer.error_code(), answer.status.as_u16()), (Some(-32601), 404), "{}", answer.text);
    assert_eq!(answer.last().get("id"), Some(&Json::from("sub")));
    let outcome = stage.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Failed, Some("upstream_error")));
}

fn of_method<'a>(seen: &'a [Seen], method: &Method) -> Vec<&'a Seen> {
    seen.iter().filter(|seen| seen.method == *method).collect()
}

#[tokio::test]
async fn a_server_with_sessions_gets_one_for_the_stream() {
    let stage = stage(elder().await);
    stage.plane.deny("a://denied", denial());
    stage.modern("alice", call(1, "echo", "")).await;
    let kept = header(&stage.server.saw(|seen| seen.body.contains("echo")).await, "mcp-session-id");
    let mut stream = listening(&stage, WANTED).await;
    assert_eq!(
        acknowledged(&mut stream).await,
        r#"{"toolsListChanged":true,"resourceSubscriptions":["a://x"]}"#
    );
    let seen = stage.server.seen();
    let own = header(of_method(&seen, &Method::GET)[0], "mcp-session-id");
    assert!(own.is_some() && own != kept);
    let asked: Vec<_> = seen.iter().filter(|seen| seen.body.contains("resources/subscribe")).collect();
    assert!(asked.len() == 1 && header(asked[0], "mcp-session-id") == own && asked[0].body.contains("a://x"));
    assert_eq!(stage.server.count("a://denied"), 0);
    stage.plane.hidden.lock().unwrap().insert("a://x/ended".into());
    for message in [
        told("prompts/list_changed", "{}"),
        told("resources/updated", r#"{"uri":"a://denied"}"#),
        told("resources/updated", r#"{"uri":"a://x/ended"}"#),
        told("message", r#"{"level":"error","data":"x"}"#),
        r#"{"jsonrpc":"2.0","id":"s1","method":"elicitation/create","params":{}}"#.to_owned(),
        told("resources/updated", r#"{"uri":"a://x"}"#),
    ] {
        stage.server.tell(message);
    }
    let heard = stream.next().await.unwrap();
    assert_eq!(heard.pointer("/params/uri"), Some(&Json::from("a://x")), "{}", heard.to_text());
    assert_eq!(subscription(&heard), Some(&Json::from("sub")));
    let refused = stage.server.saw(|seen| seen.body.contains(r#""id":"s1""#)).await.json();
    assert_eq!(refused.pointer("/error/code"), Some(&Json::from(-32601)));
    drop(stream);
    let ended = stage.server.saw(|seen| seen.method == Method::DELETE).await;
    assert_eq!(header(&ended, "mcp-session-id"), own, "the session ends with its stream, and no other");
    stage.modern("alice", call(1, "echo", "")).await;
    assert_eq!(header(&stage.server.seen().pop().unwrap(), "mcp-session-id"), kept);
}

#[tokio::test]
async fn the_session_of_a_stream_that_is_refused_ends_too() {
    let stage = stage(elder().await);
    stage.plane.deny("listen", denial());
    let answer = stage.modern("alice", listen(WANTED)).await;
    assert_eq!(answer.error_code(), Some(-32003), "{}", answer.text);
    let opened = stage.server.saw(|seen| seen.body.contains("notifications/initialized")).await;
    let ended = stage.server.saw(|seen| seen.method == Method::DELETE).await;
    assert_eq!(header(&ended, "mcp-session-id"), header(&opened, "mcp-session-id"));
}

#[tokio::test]
async fn a_revocation_ends_the_session_of_the_stream() {
    let stage = stage(elder().await);
    let mut stream = listening(&stage, WANTED).await;
    acknowledged(&mut stream).await;
    stage.plane.revoke("alice");
    assert_eq!(
        stream.next().await.unwrap().pointer("/error/data/code"),
        Some(&Json::from("authority_revoked"))
    );
    assert!(stream.next().await.is_none());
    stage.server.saw(|seen| seen.method == Method::DELETE).await;
    stage.server.was_left(1).await;
    assert!(
        stage.plane.told().iter().any(|told| matches!(told, Told::Concluded(o) if o.result == Ending::Cut))
    );
}
