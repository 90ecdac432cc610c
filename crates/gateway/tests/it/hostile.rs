//! Servers that say what no server may say.

use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::json::Json;

use crate::{
    elder,
    servers::Seen,
    stage::{Scripted, call, header, json, modern, result_of, stage},
    world::{post, tool},
    young::young,
};

#[tokio::test]
async fn questions_of_wrong_shapes_reach_nobody() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", r#"{"elicitation":{}}"#).await;
    for (name, code) in [
        ("asks_sampling", "upstream_wants"),
        ("asks_half", "upstream_wants"),
        ("asks_unknown", "upstream_wants"),
        ("asks_list", "upstream_invalid"),
        ("asks_text", "upstream_invalid"),
        ("asks_no_object", "upstream_invalid"),
        ("no_object", "upstream_invalid"),
    ] {
        let answer = stage.modern("alice", call(1, name, "")).await;
        assert_eq!(answer.code(), code, "{name}: {}", answer.text);
        assert!(!answer.text.contains("createMessage"));
        let old = stage.ask("alice", &session, tool(1, name)).await;
        assert_eq!(old.code(), code, "{name}: {}", old.text);
    }
    let answer = stage.modern("alice", call(1, "state_is_no_text", "")).await;
    assert_eq!(answer.code(), "upstream_invalid");
    assert_eq!(stage.ask("alice", &session, tool(1, "asks_nothing")).await.code(), "upstream_invalid");
    assert_eq!(stage.modern("alice", call(1, "echo", "")).await.error_code(), None, "nothing is left of it");
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let stage = stage(young().await);
    for _ in 0..3 {
        let answer = stage.modern("alice", call(1, "answers_twice", "")).await;
        assert_eq!(answer.messages.len(), 1);
        assert_eq!(answer.last().pointer("/result/n"), Some(&Json::from(1)));
    }
    let answer = stage.modern("alice", call(1, "asks_midway", "")).await;
    assert!(answer.messages.len() == 1 && answer.text.contains("done"), "{}", answer.text);
    assert_eq!(stage.server.count(r#""id":"m1""#), 0, "there is nobody to answer");
}

/// Answers each connection with these bytes after its request.
async fn raw(bytes: Vec<u8>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 65536];
                let _read = socket.read(&mut request).await;
                let _written = socket.write_all(&bytes).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn session_ids_that_no_header_holds_open_nothing() {
    let greeting = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{}}}"#;
    let head = |session: &str| {
        let length = greeting.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nmcp-session-id: {session}\r\nconnection: close\r\n\r\n{greeting}"
        )
    };
    for session in ["a\rb", "a\nb", "a\r\n b", "a\0b", "a\x7fb", &"x".repeat(1025), &"x".repeat(1024 * 1024)]
    {
        let address = raw(head(session).into_bytes()).await;
        let stage = stage(Scripted::at(address));
        let opening = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{}}}"#;
        let answer = crate::world::answer(stage.send(post("alice", None, opening)).await).await;
        let shown: String = session.chars().take(8).collect();
        assert_eq!(
            (answer.status, answer.error_code()),
            (StatusCode::OK, Some(-32603)),
            "{shown:?}: {}",
            answer.text
        );
        assert!(!answer.headers.contains_key("mcp-session-id"), "{shown:?}");
    }
}

async fn grasping(server: Arc<Scripted>, seen: Seen) -> Response {
    let mut response = if seen.body.contains("\"echo\"") && header(&seen, "mcp-session-id").is_some() {
        json(result_of(&seen, r#"{"content":[],"mine":true}"#))
    } else {
        elder::behave(server, seen).await
    };
    for (name, value) in [
        ("set-cookie", "evil=1"),
        ("www-authenticate", "Bearer evil"),
        ("location", "https://evil.example"),
        ("access-control-allow-origin", "*"),
        ("mcp-protocol-version", "1999-01-01"),
    ] {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response.headers_mut().entry("mcp-session-id").or_insert("another".parse().unwrap());
    response
}

#[tokio::test]
async fn headers_of_servers_stay_here() {
    let stage = stage(Scripted::start(grasping).await);
    for answer in [
        stage.modern("alice", call(1, "echo", "")).await,
        stage.modern("alice", modern(1, "server/discover", "{}", "{}", "")).await,
        stage.modern("alice", modern(1, "tools/list", "{}", "{}", "")).await,
    ] {
        assert_eq!(answer.error_code(), None);
        let shown = format!("{:?}", answer.headers);
        assert!(!shown.contains("evil") && !shown.contains("another") && !shown.contains("1999"), "{shown}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    // A session id in a later answer changes nothing.
    stage.modern("alice", call(1, "echo", "")).await;
    assert!(header(&stage.server.seen().pop().unwrap(), "mcp-session-id").unwrap().starts_with("up-"));
}
