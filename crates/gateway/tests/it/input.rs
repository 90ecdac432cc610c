//! Bad input: every row gets a clear answer, and nothing reaches a server.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, StatusCode, header};
use wire::json::Json;

use crate::{
    plane::{DEADLY, Told},
    world::{World, answer, initialize, post, tool, world},
};

/// Sends requests none of which may reach the server, be authorised or count as admitted.
async fn refused(world: &World, request: Request<Body>, what: &str) -> (StatusCode, Json) {
    let (seen, told) = (world.server.seen().len(), world.plane.told().len());
    let answer = answer(world.send(request).await).await;
    assert_eq!(world.server.seen().len(), seen, "{what} reached the server");
    assert_eq!(world.plane.told().len(), told, "{what} was acted on");
    assert_eq!(answer.headers["content-type"], "application/json", "{what}");
    (answer.status, answer.last().clone())
}

#[tokio::test]
async fn what_is_not_one_message_is_a_400() {
    let world = world().await;
    let session = world.open("alice").await;
    let batch = format!("[{}]", tool(1, "echo"));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"x":{}}}}}"#, "[".repeat(100));
    let cases: [(&[u8], i64); 13] = [
        (b"", -32700),
        (b"{", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} x", -32700),
        (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", -32700),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xff\"}", -32700),
        (br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"secret"}}"#, -32700),
        (br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"secret"}}"#, -32700),
        (deep.as_bytes(), -32700),
        (b"[]", -32600),
        (batch.as_bytes(), -32600),
        (br#"{"id":1,"method":"ping"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}"#, -32600),
    ];
    for (body, code) in cases {
        let what = String::from_utf8_lossy(body).into_owned();
        let request = post("alice", Some(&session), Bytes::copy_from_slice(body));
        let (status, message) = refused(&world, request, &what).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{what}");
        assert_eq!(message.pointer("/error/code"), Some(&Json::from(code)), "{what}");
        assert_eq!(message.get("jsonrpc"), Some(&Json::from("2.0")), "{what}");
        assert!(message.as_object().unwrap().contains("id"), "{what}");
    }
}

#[tokio::test]
async fn large_messages_stop_early_announced_or_not() {
    let world = world().await;
    let session = world.open("alice").await;
    let large = "x".repeat(64 * 1024 + 1);
    let mut announced = post("alice", Some(&session), Body::empty());
    announced.headers_mut().insert(header::CONTENT_LENGTH, "9999999".parse().unwrap());
    for (request, what) in [(announced, "announced"), (post("alice", Some(&session), large), "streamed")] {
        assert_eq!(refused(&world, request, what).await.0, StatusCode::PAYLOAD_TOO_LARGE, "{what}");
    }
}

#[tokio::test]
async fn bodies_that_never_end_or_break_are_let_go() {
    let world = world().await;
    let session = world.open("alice").await;
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let request = post("alice", Some(&session), endless);
    assert_eq!(refused(&world, request, "endless").await.0, StatusCode::REQUEST_TIMEOUT);
    let broken = Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))]));
    let request = post("alice", Some(&session), broken);
    assert_eq!(refused(&world, request, "broken").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn headers_are_checked() {
    let world = world().await;
    let session = world.open("alice").await;
    let cases: [(&'static str, Option<&str>, StatusCode); 16] = [
        ("content-type", None, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-type", Some("text/plain"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-type", Some("application/jsonx"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("content-encoding", Some("gzip"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("accept", Some("application/json"), StatusCode::NOT_ACCEPTABLE),
        ("accept", Some("text/html"), StatusCode::NOT_ACCEPTABLE),
        ("host", None, StatusCode::FORBIDDEN),
        ("host", Some("evil.example"), StatusCode::FORBIDDEN),
        ("origin", Some("https://evil.example"), StatusCode::FORBIDDEN),
        ("origin", Some("null"), StatusCode::FORBIDDEN),
        ("mcp-protocol-version", Some("2025-11-25"), StatusCode::BAD_REQUEST),
        ("mcp-protocol-version", Some("2026-07-28"), StatusCode::BAD_REQUEST),
        ("mcp-protocol-version", Some(""), StatusCode::BAD_REQUEST),
        ("mcp-session-id", Some("upstream-1"), StatusCode::NOT_FOUND),
        ("mcp-session-id", Some("00000000000000000000000000000000"), StatusCode::NOT_FOUND),
        ("mcp-session-id", Some(""), StatusCode::NOT_FOUND),
    ];
    for (name, value, status) in cases {
        let mut request = post("alice", Some(&session), tool(1, "echo"));
        match value {
            Some(value) => request.headers_mut().insert(name, value.parse().unwrap()),
            None => request.headers_mut().remove(name),
        };
        assert_eq!(refused(&world, request, name).await.0, status, "{name}: {value:?}");
    }
    for name in ["mcp-session-id", "mcp-protocol-version", "host", "origin", "content-type"] {
        let value = match name {
            "mcp-session-id" => session.as_str(),
            "mcp-protocol-version" => "2025-06-18",
            "origin" => "http://localhost",
            "host" => "localhost",
            _ => "application/json",
        };
        let mut request = post("alice", Some(&session), tool(1, "echo"));
        request.headers_mut().insert(name, value.parse().unwrap());
        request.headers_mut().append(name, value.parse().unwrap());
        assert!(refused(&world, request, name).await.0.is_client_error(), "{name} twice");
    }
    let mut good = post("alice", Some(&session), tool(1, "echo"));
    good.headers_mut().insert("mcp-protocol-version", "2025-06-18".parse().unwrap());
    good.headers_mut().insert("origin", "https://writ.example".parse().unwrap());
    good.headers_mut().insert("content-type", "Application/JSON; charset=utf-8".parse().unwrap());
    assert_eq!(world.send(good).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn who_is_not_known_is_challenged_before_anything_is_read() {
    let world = world().await;
    for authorization in [None, Some("Bearer nobody"), Some("Basic YWxpY2U6"), Some("bearer alice")] {
        let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let mut request = post("alice", None, endless);
        match authorization {
            Some(value) => request.headers_mut().insert(header::AUTHORIZATION, value.parse().unwrap()),
            None => request.headers_mut().remove(header::AUTHORIZATION),
        };
        let answer = answer(world.send(request).await).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let lines: Vec<_> = answer.headers.get_all(header::WWW_AUTHENTICATE).iter().collect();
        assert_eq!(lines, ["Bearer error=\"invalid_token\"", "DPoP"], "as made, on lines of their own");
        assert_eq!(answer.headers["dpop-nonce"], "n1");
        assert_eq!(answer.text, r#"{"error":"invalid_token"}"#);
    }
    // A token in the query is no token.
    let mut request = post("alice", None, initialize());
    *request.uri_mut() = "/mcp/main?access_token=alice".parse().unwrap();
    request.headers_mut().remove(header::AUTHORIZATION);
    assert_eq!(world.send(request).await.status(), StatusCode::UNAUTHORIZED);
    assert!(world.server.seen().is_empty());
}

#[tokio::test]
async fn servers_have_one_spelling() {
    let world = world().await;
    for path in
        ["/mcp/other", "/mcp/Main", "/mcp/m%61in", "/mcp/main%2f", "/mcp/main;x", "/mcp/main%00", "/mcp/.."]
    {
        let mut request = post("alice", None, initialize());
        *request.uri_mut() = path.parse().unwrap();
        let (status, message) = refused(&world, request, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(message.get("error"), Some(&Json::from("not_found")), "{path}");
    }
}

#[tokio::test]
async fn who_dies_while_the_server_is_looked_up_hears_that_and_not_that_there_is_none() {
    let world = world().await;
    let mut request = post("alice", None, initialize());
    *request.uri_mut() = format!("/mcp/{DEADLY}").parse().unwrap();
    let (status, message) = refused(&world, request, "dying").await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(message.get("error"), Some(&Json::from("invalid_token")));
}

#[tokio::test]
async fn other_methods_do_not_exist() {
    let world = world().await;
    for method in [Method::HEAD, Method::PUT, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let mut request = post("alice", None, initialize());
        *request.method_mut() = method;
        let response = world.send(request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "POST, GET, DELETE");
    }
}

#[tokio::test]
async fn before_a_session_there_is_only_initialize() {
    let world = world().await;
    for message in [
        tool(1, "echo"),
        r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
    ] {
        let (status, answer) = refused(&world, post("alice", None, message.clone()), &message).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.pointer("/error/code"), Some(&Json::from(-32000)));
    }
    for params in ["{}", r#"{"protocolVersion":"2025-06-18"}"#] {
        let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}"#);
        let answer = answer(world.send(post("alice", None, message)).await).await;
        assert_eq!(answer.error_code(), Some(-32602));
    }
    assert!(!world.plane.told().iter().any(|told| matches!(told, Told::Authorized(_))));
}
