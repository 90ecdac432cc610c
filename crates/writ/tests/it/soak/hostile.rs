//! A server that echoes each call's nonce, on threads of its own: in sessions at one path and without at another, and
//! sometimes as no server should: late, twice, under another request's id, not at all.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::any,
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Notify};

const STATELESS: &str = "2026-07-28";
/// How late an answer comes that comes late.
const LATE: Duration = Duration::from_millis(20);

/// The server, until it is dropped.
pub(crate) struct Hostile {
    pub(crate) url: String,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    sessions: AtomicUsize,
    /// The id that came last, whoever sent it.
    last_id: AtomicI64,
    /// How many answers are under way that wait for their end.
    held: AtomicUsize,
    /// What is told when a request is taken back, by session and id.
    waiting: Mutex<HashMap<(String, i64), Arc<Notify>>>,
}

impl Hostile {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let shared = Arc::new(Shared {
            sessions: AtomicUsize::new(0),
            last_id: AtomicI64::new(0),
            held: AtomicUsize::new(0),
            waiting: Mutex::default(),
        });
        let router = Router::new()
            .route("/elder", any(elder))
            .route("/young", any(young))
            .with_state(Arc::clone(&shared));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await
        });
        Self { url, shared, runtime: Some(runtime) }
    }

    /// How many answers wait for their end.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// Closes all connections.
    pub(crate) fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop();
    }
}

fn tools() -> Value {
    json!([{ "name": "soak", "description": "echoes", "inputSchema": { "type": "object" } }])
}

async fn elder(
    State(server): State<Arc<Shared>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match method {
        Method::DELETE => return StatusCode::OK.into_response(),
        Method::POST => {}
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    let session = headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let id = message["id"].as_i64();
    match message["method"].as_str() {
        Some("initialize") => {
            let greeting = json!({
                "protocolVersion": message["params"]["protocolVersion"], "capabilities": { "tools": {} },
                "serverInfo": { "name": "elder", "version": "1" },
            });
            let session = format!("s-{}", server.sessions.fetch_add(1, Ordering::Relaxed));
            ([("mcp-session-id", session)], text(id, &greeting)).into_response()
        }
        Some("tools/list") => text(id, &json!({ "tools": tools() })),
        Some("tools/call") => server.call(session.unwrap_or_default(), &message).await,
        Some("notifications/cancelled") => {
            let key = (session.unwrap_or_default(), message["params"]["requestId"].as_i64().unwrap());
            if let Some(waiting) = server.waiting.lock().unwrap().get(&key) {
                waiting.notify_one();
            }
            StatusCode::ACCEPTED.into_response()
        }
        _ if id.is_some() => no_method(id, 200),
        _ => StatusCode::ACCEPTED.into_response(),
    }
}

async fn young(State(server): State<Arc<Shared>>, method: Method, body: Bytes) -> Response {
    if method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let id = message["id"].as_i64();
    let about = json!({ "io.modelcontextprotocol/serverInfo": { "name": "young", "version": "1" } });
    match message["method"].as_str() {
        Some("server/discover") => text(
            id,
            &json!({
                "resultType": "complete", "supportedVersions": [STATELESS], "capabilities": { "tools": {} },
                "_meta": about,
            }),
        ),
        Some("tools/list") => text(id, &json!({ "resultType": "complete", "tools": tools() })),
        Some("tools/call") => server.call(String::new(), &message).await,
        _ => no_method(id, 404),
    }
}

fn text(id: Option<i64>, result: &Value) -> Response {
    axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
}

fn no_method(id: Option<i64>, status: u16) -> Response {
    let error = json!({ "code": -32601, "message": "no such method" });
    let answer = axum::Json(json!({ "jsonrpc": "2.0", "id": id, "error": error }));
    (StatusCode::from_u16(status).unwrap(), answer).into_response()
}

impl Shared {
    async fn call(self: &Arc<Self>, session: String, message: &Value) -> Response {
        let id = message["id"].as_i64().unwrap();
        let other = self.last_id.swap(id, Ordering::Relaxed);
        let arguments = message["params"]["arguments"].clone();
        let nonce = arguments["nonce"].as_str().unwrap_or_default().to_owned();
        let answer = |id: i64, nonce: &str| {
            let client = &arguments["client"];
            json!({ "jsonrpc": "2.0", "id": id, "result": {
                "resultType": "complete", "content": [{ "type": "text", "text": nonce }],
                "structuredContent": { "nonce": nonce, "client": client },
            } })
            .to_string()
        };
        let (own, foreign) = (answer(id, &nonce), answer(other, &nonce));
        let token = &message["params"]["_meta"]["progressToken"];
        let progress = |number: u8| {
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": {
                "progressToken": token, "progress": number, "message": nonce,
            } })
            .to_string()
        };
        match arguments["mode"].as_str().unwrap_or_default() {
            "stream" => events([progress(1), progress(2), own]),
            "twice" => events([own, answer(id, &format!("second-{nonce}"))]),
            "strange" => events([foreign, progress(1), own]),
            "wrong" => json_text(foreign),
            "late" => late([], own),
            "slow" => late([progress(1)], own),
            "silent" => {
                // Not even a head.
                let _held = Held::new(self, None);
                std::future::pending().await
            }
            "hold" => self.hold((session, id), progress(1), own),
            _ => json_text(own),
        }
    }

    /// A stream that ends when it is taken back, and then answers nevertheless.
    fn hold(self: &Arc<Self>, key: (String, i64), first: String, last: String) -> Response {
        let taken_back = Arc::new(Notify::new());
        self.waiting.lock().unwrap().insert(key.clone(), Arc::clone(&taken_back));
        let held = Held::new(self, Some(key));
        let rest = stream::once(async move {
            taken_back.notified().await;
            drop(held);
            data(&last)
        });
        sse(stream::once(async move { data(&first) }).chain(rest))
    }
}

/// An answer that waits for its end, counted.
struct Held(Arc<Shared>, Option<(String, i64)>);

impl Held {
    fn new(server: &Arc<Shared>, key: Option<(String, i64)>) -> Self {
        server.held.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(server), key)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
        if let Some(key) = &self.1 {
            self.0.waiting.lock().unwrap().remove(key);
        }
    }
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

fn data(message: &str) -> Bytes {
    format!("data: {message}\n\n").into()
}

fn events<const N: usize>(messages: [String; N]) -> Response {
    sse(stream::iter(messages.map(|message| data(&message))))
}

/// An answer after some time; what comes before it makes it a stream.
fn late<const N: usize>(first: [String; N], last: String) -> Response {
    let first = stream::iter(first.map(|message| data(&message)));
    let rest = stream::once(async move {
        tokio::time::sleep(LATE).await;
        data(&last)
    });
    sse(first.chain(rest))
}

fn sse(pieces: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces.map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}
