//! A real MCP server over HTTP that behaves as each tool's name says, and remembers what reached it.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    response::Response,
    routing::any,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::{Notify, watch};
use wire::json::Json;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Json {
        Json::parse(self.body.as_bytes()).unwrap()
    }
}

pub(crate) struct Server {
    pub(crate) address: std::net::SocketAddr,
    seen: watch::Sender<Vec<Seen>>,
    /// Lets the tools that wait go on.
    pub(crate) go: Notify,
    /// The result of `initialize`.
    pub(crate) greeting: Mutex<String>,
    sessions: AtomicUsize,
    pub(crate) has_sessions: bool,
    pub(crate) listening: watch::Sender<Vec<String>>,
}

pub(crate) const GREETING: &str = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{},"logging":{}},"serverInfo":{"name":"fixture","version":"1"},"instructions":"hello"}"#;

impl Server {
    pub(crate) async fn start(has_sessions: bool) -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            seen: watch::Sender::new(Vec::new()),
            go: Notify::new(),
            greeting: Mutex::new(GREETING.into()),
            sessions: AtomicUsize::new(1),
            has_sessions,
            listening: watch::Sender::new(Vec::new()),
        });
        let router = Router::new().route("/rpc", any(enter)).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// Waits until a request has come that satisfies `is_it`.
    pub(crate) async fn saw(&self, is_it: impl Fn(&Seen) -> bool) -> Seen {
        let seen = self.seen.subscribe().wait_for(|seen| seen.iter().any(&is_it)).await.unwrap().clone();
        seen.into_iter().find(|seen| is_it(seen)).unwrap()
    }
}

async fn enter(State(server): State<Arc<Server>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    let seen = Seen { method: parts.method.clone(), headers: parts.headers, body: body.clone() };
    server.seen.send_modify(|all| all.push(seen));
    match parts.method {
        Method::GET => listen(&server),
        Method::DELETE => status(200),
        _ => {
            let message = Json::parse(body.as_bytes()).unwrap();
            match (message.get("method").and_then(Json::as_str), message.get("id")) {
                (Some(method), Some(id)) => answer(&server, method, &id.to_text(), &message).await,
                _ => status(202),
            }
        }
    }
}

async fn answer(server: &Server, method: &str, id: &str, message: &Json) -> Response {
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let name = message.pointer("/params/name").and_then(Json::as_str).unwrap_or_default();
    match method {
        "initialize" => {
            let mut response = json(result(&server.greeting.lock().unwrap()));
            if server.has_sessions {
                let session = format!("upstream-{}", server.sessions.fetch_add(1, Ordering::SeqCst));
                response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
            }
            response
        }
        "tools/list" if message.pointer("/params/cursor").and_then(Json::as_str) == Some("c2") => {
            json(result(r#"{"tools":[{"name":"last","inputSchema":{}}]}"#))
        }
        "tools/list" => json(result(
            r#"{"tools":[{"name":"echo","inputSchema":{},"x-new":1.50},{"name":"secret","inputSchema":{}}],"nextCursor":"c2","_meta":{"k":1}}"#,
        )),
        "resources/list" => {
            json(result(r#"{"resources":[{"uri":"a:1","name":"same"},{"uri":"a:2","name":"same"}]}"#))
        }
        "resources/templates/list" => {
            json(result(r#"{"resourceTemplates":[{"uriTemplate":"a:{x}","name":"t"}]}"#))
        }
        "prompts/list" => json(result(r#"{"prompts":[{"name":"p"},{"name":"secret"}]}"#)),
        "tools/call" => call(server, name, id, message).await,
        _ => json(result(r#"{"ok":true}"#)),
    }
}

async fn call(server: &Server, name: &str, id: &str, message: &Json) -> Response {
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
    let done = result(r#"{"content":[{"type":"text","text":"done"}]}"#);
    match name {
        "echo" => {
            let arguments = message.pointer("/params/arguments").cloned().unwrap_or_default().to_text();
            json(result(&format!(r#"{{"content":[],"structuredContent":{arguments}}}"#)))
        }
        "tool_error" => json(result(r#"{"content":[],"isError":true}"#)),
        "rpc_error" => json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32042,"message":"later","data":{{"n":1.10}},"extra":1}}}}"#
        )),
        "sse" => events(&[done]),
        "progress" => {
            let token = message.pointer("/params/_meta/progressToken").map_or("0".into(), Json::to_text);
            let progress = |token: &str| {
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
                )
            };
            let log =
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
            let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            events(&[progress(&token), progress("424242"), log.into(), changed.into(), done])
        }
        "strays" => events(&[
            r#"{"jsonrpc":"2.0","id":999999,"result":{"stray":1}}"#.into(),
            format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"stray":2}}}}"#),
            done.clone(),
            result(r#"{"stray":3}"#),
        ]),
        "wrong_id" => json(r#"{"jsonrpc":"2.0","id":999999,"result":{}}"#.into()),
        "asks" => events(&[
            r#"{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{}}"#.into(),
            r#"{"jsonrpc":"2.0","id":"s2","method":"ping"}"#.into(),
            done,
        ]),
        "waits" => {
            server.go.notified().await;
            json(done)
        }
        "streams" => open_stream(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#),
        "dies" => {
            let head = Ok(Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"id\":"));
            let broken = Err(std::io::Error::other("the fixture dies"));
            sse_response(Body::from_stream(stream::iter([head, broken])))
        }
        "no_answer" => sse_response(Body::from(": nothing\n\n")),
        "garbage" => json("<html>".into()),
        "garbage_event" => events(&["{\"jsonrpc\":\"2.0\"".into()]),
        "batch" => json(format!("[{done}]")),
        "duplicate" => json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}},"result":{{"evil":1}}}}"#)),
        "html" => {
            let mut response = json(done);
            response.headers_mut().insert(header::CONTENT_TYPE, "text/html".parse().unwrap());
            response
        }
        "huge" => json(result(&format!(r#"{{"content":"{}"}}"#, "x".repeat(200_000)))),
        "huge_event" => events(&[result(&format!(r#"{{"content":"{}"}}"#, "x".repeat(200_000)))]),
        "redirect" => with_header(status(307), "location", "/other"),
        "unauthorized" => with_header(status(401), "www-authenticate", "Bearer realm=\"upstream\""),
        "broken" => status(500),
        "gone" => status(404),
        other => panic!("no behaviour `{other}`"),
    }
}

fn listen(server: &Arc<Server>) -> Response {
    let mut messages = server.listening.subscribe();
    messages.mark_changed();
    let events = stream::unfold((messages, 0), |(mut messages, sent)| async move {
        messages.wait_for(|all| all.len() > sent).await.ok()?;
        let message = messages.borrow()[sent].clone();
        Some((Ok::<_, Infallible>(Bytes::from(format!("data: {message}\n\n"))), (messages, sent + 1)))
    });
    sse_response(Body::from_stream(events))
}

fn status(code: u16) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

fn json(text: String) -> Response {
    with_header(Response::new(text.into()), "content-type", "application/json")
}

/// A stream of these events, primed with an empty one, in small pieces, CRLF for good measure.
fn events(messages: &[String]) -> Response {
    let event = |message: &String| format!("event: message\r\ndata: {message}\r\n\r\n");
    let text = messages.iter().map(event).fold("id: 1\r\ndata: \r\n\r\n".to_owned(), |all, one| all + &one);
    let pieces: Vec<_> = text.into_bytes().chunks(1000).map(Bytes::copy_from_slice).collect();
    sse_response(Body::from_stream(stream::iter(pieces).map(Ok::<_, Infallible>)))
}

/// A stream that shows one event and then stays open.
fn open_stream(message: &str) -> Response {
    let first = Bytes::from(format!("data: {message}\n\n"));
    let events = stream::once(async { first }).chain(stream::pending());
    sse_response(Body::from_stream(events.map(Ok::<_, Infallible>)))
}

fn sse_response(body: Body) -> Response {
    with_header(Response::new(body), "content-type", "text/event-stream; charset=utf-8")
}
