//! A client and a server of 2026-07-28, with nothing to translate in between.

use axum::body::Body;
use gateway::{Ending, Passes};
use http::{Method, StatusCode};
use wire::json::Json;

use crate::{
    plane::{Told, UPSTREAM_SECRET, denial},
    stage::{call, header, modern, modern_post, roomy, stage, stage_with},
    world::{answer, next_events},
    young::young,
};

#[tokio::test]
async fn what_the_body_says_is_repeated_in_headers() {
    let stage = stage(young().await);
    let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"deep":{"type":"object","properties":{"on":{"type":"boolean","x-mcp-header":"On"}}}}}"#;
    stage.plane.schemas.lock().unwrap().insert("echo".into(), Json::parse(schema.as_bytes()).unwrap());
    let message = call(7, "echo", r#","arguments":{"region":" é\n","n":42.0,"deep":{"on":true}}"#);
    let mut request = modern_post("alice", message);
    let encoded = wire::mcp::encode_header(" é\n");
    for (name, value) in
        [("mcp-param-region", encoded.as_str()), ("mcp-param-n", "42"), ("mcp-param-on", "true")]
    {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request.headers_mut().insert("mcp-param-other", "canary".parse().unwrap());
    request.headers_mut().insert("cookie", "canary=1".parse().unwrap());
    request.headers_mut().insert("mcp-session-id", "canary".parse().unwrap());
    let answer = answer(stage.send(request).await).await;
    assert_eq!(
        (answer.status, answer.last().get("id")),
        (StatusCode::OK, Some(&Json::from(7))),
        "{}",
        answer.text
    );
    assert!(!answer.headers.contains_key("mcp-session-id"));
    let seen = stage.server.seen().pop().unwrap();
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "echo"),
        ("mcp-param-region", encoded.as_str()),
        ("mcp-param-n", "42.0"),
        ("mcp-param-on", "true"),
    ] {
        assert_eq!(header(&seen, name).as_deref(), Some(value), "{name}");
        assert_eq!(seen.headers.get_all(name).iter().count(), 1, "{name}");
    }
    assert!(!format!("{:?}", seen.headers).contains("canary"));
    assert_eq!(header(&seen, "authorization").unwrap(), format!("Bearer {UPSTREAM_SECRET}"));
    assert_eq!(header(&seen, "mcp-session-id"), None);
}

#[tokio::test]
async fn names_that_no_header_holds_are_encoded() {
    let stage = stage(young().await);
    for uri in ["a://é", " a://x", "=?base64?YQ==?=", "a://x\r\nmcp-method: evil", ""] {
        let uri_json = Json::from(uri).to_text();
        let message = modern(1, "resources/read", &format!(r#"{{"uri":{uri_json}}}"#), "{}", "");
        let answer = stage.modern("alice", message).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri:?}: {}", answer.text);
        let seen = stage.server.seen().pop().unwrap();
        assert_eq!(header(&seen, "mcp-method").as_deref(), Some("resources/read"));
        let name = header(&seen, "mcp-name").unwrap();
        assert_eq!(wire::mcp::decode_header(&name).as_deref(), Some(uri));
        assert_eq!(seen.json().pointer("/params/uri"), Some(&Json::from(uri)));
    }
}

#[tokio::test]
async fn the_envelope_is_carried_as_far_as_it_passes() {
    let told = r#"{"elicitation":{"url":{}},"sampling":{},"roots":{},"experimental":{"x":{}},"extensions":{"io.modelcontextprotocol/tasks":{},"other":{}}}"#;
    let meta = r#""io.modelcontextprotocol/clientInfo":{"name":"c","version":"2"},"io.modelcontextprotocol/logLevel":"error","vendor/x":1"#;
    let message = modern(1, "tools/call", r#"{"name":"echo","arguments":{}}"#, told, meta);
    let sent = async |passes: Passes| {
        let stage = stage_with(young().await, passes, roomy());
        assert_eq!(stage.modern("alice", message.clone()).await.status, StatusCode::OK);
        stage.server.seen().pop().unwrap().json().pointer("/params/_meta").unwrap().clone()
    };
    let narrow = sent(Passes::default()).await;
    let wide = sent(Passes { sampling: true, roots: true, logging: true }).await;
    let of =
        |meta: &Json, member: &str| meta.get(&format!("io.modelcontextprotocol/{member}")).map(Json::to_text);
    let tasks = r#""extensions":{"io.modelcontextprotocol/tasks":{}}"#;
    assert_eq!(
        of(&narrow, "clientCapabilities").unwrap(),
        format!(r#"{{"elicitation":{{"url":{{}}}},{tasks}}}"#)
    );
    assert_eq!(
        of(&wide, "clientCapabilities").unwrap(),
        format!(r#"{{"elicitation":{{"url":{{}}}},"sampling":{{}},"roots":{{}},{tasks}}}"#)
    );
    assert_eq!((of(&narrow, "logLevel"), of(&wide, "logLevel")), (None, Some(r#""error""#.into())));
    for meta in [&narrow, &wide] {
        assert_eq!(of(meta, "clientInfo").unwrap(), r#"{"name":"c","version":"2"}"#);
        assert_eq!(of(meta, "protocolVersion").unwrap(), r#""2026-07-28""#);
        assert_eq!(meta.get("vendor/x"), Some(&Json::from(1)));
    }
}

#[tokio::test]
async fn what_is_told_is_private_and_filtered() {
    let stage = stage(young().await);
    stage.plane.hidden.lock().unwrap().insert("secret".into());
    for (method, params) in
        [("tools/list", "{}"), ("server/discover", "{}"), ("resources/read", r#"{"uri":"a:1"}"#)]
    {
        let answer = stage.modern("alice", modern(1, method, params, "{}", "")).await;
        let result = answer.last().get("result").unwrap();
        assert_eq!(result.get("cacheScope"), Some(&Json::from("private")), "{method}");
        assert_eq!(result.get("ttlMs"), Some(&Json::from(5000)), "{method}");
        assert_eq!(result.get("resultType"), Some(&Json::from("complete")), "{method}");
        assert!(!answer.text.contains("secret"), "{method}");
    }
    let discovered = stage.modern("alice", modern("\"d\"", "server/discover", "{}", "{}", "")).await;
    assert_eq!(discovered.last().get("id"), Some(&Json::from("d")));
    assert_eq!(discovered.last().pointer("/result/supportedVersions/0"), Some(&Json::from("2026-07-28")));
    assert_eq!(discovered.last().pointer("/result/capabilities/logging"), None);
}

#[tokio::test]
async fn errors_have_the_status_that_they_have() {
    let stage = stage(young().await);
    stage.plane.deny("secret", denial());
    for (message, code, status) in [
        (call(1, "rpc_error", ""), -32000, 200),
        (call(1, "no_such", ""), -32601, 404),
        (modern(1, "no/such", "{}", "{}", ""), -32601, 404),
        (modern(1, "initialize", "{}", "{}", ""), -32601, 404),
        (modern(1, "ping", "{}", "{}", ""), -32601, 404),
        (modern(1, "logging/setLevel", r#"{"level":"debug"}"#, "{}", ""), -32601, 404),
        (modern(1, "resources/subscribe", r#"{"uri":"a:1"}"#, "{}", ""), -32601, 404),
        (modern(1, "tools/call", r#"{"name":1}"#, "{}", ""), -32602, 400),
        (modern(1, "tools/call", r#"{"name":"echo","arguments":[]}"#, "{}", ""), -32602, 400),
        (modern(1, "resources/read", r#"{"uri":"secret"}"#, "{}", ""), -32003, 200),
        (modern(1, "tasks/get", r#"{"taskId":"x"}"#, "{}", ""), -32021, 400),
        (call(1, "no_object", ""), -32603, 200),
    ] {
        let answer = stage.modern("alice", message.clone()).await;
        assert_eq!((answer.error_code(), answer.status.as_u16()), (Some(code), status), "{message}");
        assert_eq!(answer.last().get("id"), Some(&Json::from(1)), "{message}");
    }
    let denied = stage.modern("alice", call(2, "secret", "")).await;
    assert_eq!(denied.status, StatusCode::OK);
    assert_eq!(denied.last().pointer("/result/isError"), Some(&Json::Bool(true)));
    assert_eq!(denied.last().pointer("/result/resultType"), Some(&Json::from("complete")));
    assert_eq!(stage.server.count("secret"), 0);
}

#[tokio::test]
async fn progress_and_logs_pass_where_they_were_asked_for() {
    let texts = async |logging: bool, meta: &str| {
        let stage = stage_with(young().await, Passes { logging, ..Passes::default() }, roomy());
        let answer = stage
            .modern("alice", modern(1, "tools/call", r#"{"name":"talks","arguments":{}}"#, "{}", meta))
            .await;
        let (last, rest) = answer.messages.split_last().unwrap();
        assert_eq!(last.pointer("/result/content/0/text"), Some(&Json::from("done")), "{}", answer.text);
        rest.iter().map(|message| message.get("params").unwrap().to_text()).collect::<Vec<_>>()
    };
    let (progress, error, debug) = (
        r#"{"progressToken":"mine","progress":1}"#,
        r#"{"level":"error","data":"error"}"#,
        r#"{"level":"debug","data":"debug"}"#,
    );
    let level = |level: &str| format!(r#""io.modelcontextprotocol/logLevel":"{level}""#);
    let both = format!(r#""progressToken":"mine",{}"#, level("warning"));
    assert_eq!(texts(true, &both).await, [progress, error]);
    assert_eq!(texts(false, &both).await, [progress], "the log does not pass");
    assert_eq!(texts(true, &level("debug")).await, [debug, error]);
    assert_eq!(texts(true, r#""progressToken":"mine""#).await, [progress], "no log was asked for");
    assert!(texts(true, "").await.is_empty());
}

#[tokio::test]
async fn a_client_that_leaves_lets_go_of_the_server() {
    let stage = stage(young().await);
    let message = modern(1, "tools/call", r#"{"name":"hangs"}"#, "{}", r#""progressToken":1"#);
    let response = stage.send(modern_post("alice", message)).await;
    let mut body = response.into_body();
    assert!(next_events(&mut body).await.unwrap()[0].data.contains("progress"));
    drop(body);
    stage.server.was_left(1).await;
    let outcomes = stage.plane.outcomes_of(2).await;
    assert_eq!((outcomes[1].result, outcomes[1].code), (Ending::Unknown, Some("client_left")));
    assert_eq!(stage.server.count("cancelled"), 0, "letting go says it all");
}

#[tokio::test]
async fn a_revocation_lets_go_of_the_server_and_says_so() {
    let stage = stage(young().await);
    let message = modern(1, "tools/call", r#"{"name":"hangs"}"#, "{}", r#""progressToken":1"#);
    let mut body = stage.send(modern_post("alice", message)).await.into_body();
    next_events(&mut body).await.unwrap();
    stage.plane.revoke("alice");
    let last = next_events(&mut body).await.unwrap().remove(0);
    let last = Json::parse(last.data.as_bytes()).unwrap();
    assert_eq!(last.pointer("/error/data/code"), Some(&Json::from("authority_revoked")));
    assert_eq!(last.get("id"), Some(&Json::from(1)));
    assert!(next_events(&mut body).await.is_none());
    stage.server.was_left(1).await;
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Cut);
}

#[tokio::test]
async fn there_is_nothing_but_post() {
    let stage = stage(young().await);
    for method in [Method::GET, Method::DELETE] {
        let mut request = modern_post("alice", call(1, "echo", ""));
        *request.method_mut() = method.clone();
        *request.body_mut() = Body::empty();
        let answer = stage.unforwarded(request, method.as_str()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers["allow"], "POST");
    }
    // Nothing is answered or cancelled in this generation by a message of its own.
    let mut response = modern_post("alice", call(1, "echo", ""));
    *response.body_mut() = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.into();
    assert_eq!(stage.unforwarded(response, "a response").await.status, StatusCode::BAD_REQUEST);
    let mut notification = modern_post("alice", call(1, "echo", ""));
    *notification.body_mut() =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#.into();
    assert_eq!(stage.unforwarded(notification, "a notification").await.status, StatusCode::ACCEPTED);
    assert_eq!(stage.plane.told(), [Told::Admitted]);
}
