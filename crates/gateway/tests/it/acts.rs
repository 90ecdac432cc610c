//! Acts that are allowed, denied, carried and filtered.

use gateway::{Ending, Refused, Request};
use http::StatusCode;
use wire::json::Json;

use crate::{
    plane::{Told, UPSTREAM_SECRET, denial, unauthorized},
    world::{answer, initialize, post, tool, world},
};

#[tokio::test]
async fn initialize_promises_only_what_is_carried() {
    let world = world().await;
    let answer = answer(world.send(post("alice", None, initialize())).await).await;
    assert_eq!(
        answer.last().get("result").unwrap().to_text(),
        r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"fixture","version":"1"},"instructions":"hello"}"#
    );
    assert_eq!(answer.last().get("id"), Some(&Json::from(0)));
    let session = answer.headers["mcp-session-id"].to_str().unwrap();
    assert_eq!(session.len(), 32);
    assert!(!answer.text.contains("upstream-1") && session != "upstream-1", "sessions are ours");
    let seen = world.server.seen()[0].json();
    assert_eq!(seen.pointer("/params/capabilities").unwrap().to_text(), "{}");
    assert_eq!(world.plane.told()[0], Told::Authorized(Request::Open));
    assert_eq!(world.plane.outcomes()[0].result, Ending::Done);
}

#[tokio::test]
async fn what_is_decided_on_is_what_is_sent_and_comes_back_exactly() {
    let world = world().await;
    let session = world.open("alice").await;
    let message = r#"{ "jsonrpc":"2.0", "id":"q\u00e9", "method":"tools/call", "future":[1.0],
        "params":{"name":"\u0065cho","arguments":{"n":1.10,"big":123456789012345678901234567890,"s":"\u0041"},"new":true,
        "_meta":{"progressToken":"p","vendor/x":1,"traceparent":"00-ab"}} }"#;
    let answer = world.ask(&session, message).await;
    assert_eq!(
        answer.text,
        r#"{"jsonrpc":"2.0","id":"qé","result":{"content":[],"structuredContent":{"n":1.10,"big":123456789012345678901234567890,"s":"A"}}}"#
    );
    let seen = world.server.seen().pop().unwrap();
    let number = seen.json().get("id").unwrap().as_i64().unwrap();
    assert_eq!(
        seen.body,
        format!(
            r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"echo","arguments":{{"n":1.10,"big":123456789012345678901234567890,"s":"A"}},"new":true,"_meta":{{"vendor/x":1,"progressToken":{number},"traceparent":"00-ab"}}}},"future":[1.0]}}"#
        )
    );
    assert_eq!(seen.headers["mcp-session-id"], "upstream-1");
    assert_eq!(seen.headers["mcp-protocol-version"], "2025-06-18");
    let Some(Told::Authorized(Request::CallTool { name, arguments })) =
        world.plane.told().into_iter().rfind(|told| matches!(told, Told::Authorized(_)))
    else {
        panic!("not authorised")
    };
    assert_eq!((name.as_str(), arguments.get("s")), ("echo", Some(&Json::from("A"))));
    let outcome = world.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Done, None));
    assert!(outcome.digest.is_some() && outcome.bytes > 0);
}

#[tokio::test]
async fn no_header_of_the_client_reaches_the_server_and_no_secret_the_client() {
    let world = world().await;
    let session = world.open("alice").await;
    let mut request = post("alice", Some(&session), tool(1, "echo"));
    for (name, value) in [
        ("dpop", "canary-proof"),
        ("cookie", "canary=1"),
        ("x-forwarded-for", "canary"),
        ("forwarded", "for=canary"),
        ("proxy-authorization", "canary"),
        ("x-canary", "1"),
        ("connection", "x-canary"),
        ("mcp-name", "canary"),
        ("traceparent", "canary"),
    ] {
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let answer = answer(world.send(request).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    for seen in world.server.seen() {
        let all = format!("{seen:?}");
        assert!(!all.contains("alice") && !all.contains("canary"), "{all}");
        assert_eq!(seen.headers["authorization"], format!("Bearer {UPSTREAM_SECRET}"));
        assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
        let names: Vec<_> = seen.headers.keys().map(http::HeaderName::as_str).collect();
        let known = [
            "accept",
            "content-type",
            "content-length",
            "host",
            "authorization",
            "mcp-session-id",
            "mcp-protocol-version",
        ];
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    }
    assert!(!format!("{answer:?}").contains(UPSTREAM_SECRET));
}

#[tokio::test]
async fn a_denied_tool_is_an_answer_and_reaches_nobody() {
    let world = world().await;
    let session = world.open("alice").await;
    world.plane.deny("echo", denial());
    world.plane.deny("a:1", denial());
    let before = world.server.seen().len();
    let answer = world.ask(&session, tool(1, "echo")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.last().pointer("/result/isError"), Some(&Json::Bool(true)));
    assert_eq!(answer.last().pointer("/result/structuredContent/code"), Some(&Json::from("not_granted")));
    let read = r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"a:1"}}"#;
    let answer = world.ask(&session, read).await;
    assert_eq!((answer.status, answer.error_code()), (StatusCode::OK, Some(-32003)));
    assert_eq!(answer.code(), "not_granted");
    assert_eq!(world.server.seen().len(), before);
}

#[tokio::test]
async fn a_denied_session_is_an_error_and_a_challenge_stays_one() {
    let world = world().await;
    world.plane.deny("open", denial());
    let denied = answer(world.send(post("alice", None, initialize())).await).await;
    assert_eq!((denied.status, denied.error_code()), (StatusCode::OK, Some(-32003)));
    assert!(!denied.headers.contains_key("mcp-session-id"));
    world.plane.deny("open", Refused::Unauthorized(unauthorized()));
    let challenged = answer(world.send(post("alice", None, initialize())).await).await;
    assert_eq!(challenged.status, StatusCode::UNAUTHORIZED);
    assert!(world.server.seen().is_empty());
}

#[tokio::test]
async fn a_permit_for_another_message_sends_nothing() {
    let world = world().await;
    let session = world.open("alice").await;
    let before = world.server.seen().len();
    world.plane.gives_wrong_permits.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.ask(&session, tool(1, "echo")).await;
    assert_eq!(answer.code(), "not_permitted");
    assert_eq!(world.server.seen().len(), before);
    assert_eq!(world.plane.outcomes().pop().unwrap().result, Ending::Failed);
}

#[tokio::test]
async fn a_credential_cannot_be_injected_as_framing() {
    let world = world().await;
    let session = world.open("alice").await;
    let before = world.server.seen().len();
    for name in ["host", "content-length", "transfer-encoding", "connection", "mcp-session-id", "accept"] {
        *world.plane.inject_as.lock().unwrap() = name.parse().unwrap();
        assert_eq!(world.ask(&session, tool(1, "echo")).await.code(), "not_permitted", "{name}");
    }
    assert_eq!(world.server.seen().len(), before);
}

#[tokio::test]
async fn lists_are_reported_then_filtered() {
    let world = world().await;
    let session = world.open("alice").await;
    world.plane.hidden.lock().unwrap().extend(["secret".to_owned(), "a:1".into(), "a:{x}".into()]);
    let list = |method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"cursor":"c1"}}}}"#)
    };
    for (method, result) in [
        (
            "tools/list",
            r#"{"tools":[{"name":"echo","inputSchema":{},"x-new":1.50}],"nextCursor":"c2","_meta":{"k":1}}"#,
        ),
        ("resources/list", r#"{"resources":[{"uri":"a:2","name":"same"}]}"#),
        ("resources/templates/list", r#"{"resourceTemplates":[]}"#),
        ("prompts/list", r#"{"prompts":[{"name":"p"}]}"#),
    ] {
        let answer = world.ask(&session, list(method)).await;
        assert_eq!(answer.last().get("result").unwrap().to_text(), result);
        assert_eq!(
            world.server.seen().pop().unwrap().json().pointer("/params/cursor"),
            Some(&Json::from("c1"))
        );
    }
    assert!(world.plane.told().contains(&Told::Observed(vec!["echo".into(), "secret".into()])));
}

#[tokio::test]
async fn each_method_is_the_act_that_it_names() {
    let world = world().await;
    let session = world.open("alice").await;
    let object = || Json::object::<&str, 0>([]);
    let typed = Json::parse(br#"{"argument":{"name":"a","value":"b"},"context":null}"#).unwrap();
    let cases = [
        ("resources/read", r#"{"uri":"a:1"}"#, Request::ReadResource { uri: "a:1".into() }),
        ("resources/subscribe", r#"{"uri":"a:1"}"#, Request::Subscribe { uri: "a:1".into() }),
        ("resources/unsubscribe", r#"{"uri":"a:1"}"#, Request::Unsubscribe { uri: "a:1".into() }),
        ("prompts/get", r#"{"name":"p"}"#, Request::GetPrompt { name: "p".into(), arguments: object() }),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"b"}}"#,
            Request::CompletePrompt { name: "p".into(), arguments: typed.clone() },
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":"a:{x}"},"argument":{"name":"a","value":"b"}}"#,
            Request::CompleteResource { uri: "a:{x}".into(), arguments: typed },
        ),
    ];
    for (method, params, request) in cases {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let answer = world.ask(&session, message).await;
        assert_eq!(answer.last().pointer("/result/ok"), Some(&Json::Bool(true)), "{method}");
        assert!(world.plane.told().contains(&Told::Authorized(request)), "{method}");
    }
}

#[tokio::test]
async fn methods_that_are_not_carried_do_not_exist() {
    let world = world().await;
    let session = world.open("alice").await;
    let before = world.server.seen().len();
    for method in
        ["logging/setLevel", "no/such", "tasks/list", "sampling/createMessage", "Tools/Call", "rpc.discover"]
    {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{}}}}"#);
        let answer = world.ask(&session, message).await;
        assert_eq!((answer.status, answer.error_code()), (StatusCode::OK, Some(-32601)), "{method}");
    }
    let ping = world.ask(&session, r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#).await;
    assert_eq!(ping.text, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    assert_eq!(world.server.seen().len(), before);
    assert!(world.plane.told().contains(&Told::Admitted));
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_named() {
    let world = world().await;
    let session = world.open("alice").await;
    let before = world.server.seen().len();
    for (method, params, member) in [
        ("tools/call", "{}", "params.name"),
        ("tools/call", r#"{"name":1}"#, "params.name"),
        ("tools/call", r#"{"name":"echo","arguments":[]}"#, "params.arguments"),
        ("tools/call", r#"{"name":"echo","arguments":null}"#, "params.arguments"),
        ("tools/call", r#"{"name":"echo","_meta":{"progressToken":1.5}}"#, "progressToken"),
        ("resources/read", "{}", "params.uri"),
        ("completion/complete", r#"{"ref":{"type":"x"},"argument":{}}"#, "params.ref.type"),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt","name":"p"}}"#, "params.argument"),
    ] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let answer = world.ask(&session, message).await;
        assert_eq!((answer.status, answer.error_code()), (StatusCode::OK, Some(-32602)), "{params}");
        assert!(answer.text.contains(member), "{}", answer.text);
    }
    assert_eq!(world.server.seen().len(), before);
}

#[tokio::test]
async fn errors_of_the_server_pass_and_count_as_failed() {
    let world = world().await;
    let session = world.open("alice").await;
    let error = world.ask(&session, tool(1, "rpc_error")).await;
    assert_eq!(
        error.text,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"later","data":{"n":1.10},"extra":1}}"#
    );
    let result = world.ask(&session, tool(1, "tool_error")).await;
    assert_eq!(result.last().pointer("/result/isError"), Some(&Json::Bool(true)));
    let endings: Vec<_> = world.plane.outcomes().iter().map(|outcome| outcome.result).collect();
    assert_eq!(endings, [Ending::Done, Ending::Failed, Ending::Failed]);
}
