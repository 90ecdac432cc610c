//! A real MCP server over HTTP that remembers what reached it, and whose tools can be changed under the feet of those
//! who know them.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::any,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::AbortHandle};

/// A call of a tool as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) tool: String,
    pub(crate) arguments: Value,
}

/// What the server knows; shared with the test.
pub(crate) struct Upstream {
    pub(crate) url: String,
    tools: Mutex<Vec<Value>>,
    calls: Mutex<Vec<Call>>,
    /// Every message with its headers, in the form in which they travelled.
    heard: Mutex<Vec<String>>,
    /// How many streams are open.
    streams: watch::Sender<usize>,
    /// Whether it takes requests and says nothing.
    silent: AtomicBool,
    serving: Mutex<Option<AbortHandle>>,
}

fn tool(name: &str, description: &str, read_only: bool) -> Value {
    json!({
        "name": name, "description": description,
        "inputSchema": { "type": "object", "properties": { "text": { "type": "string" }, "to": { "type": "string" } } },
        "annotations": { "readOnlyHint": read_only, "destructiveHint": !read_only },
    })
}

impl Upstream {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = Arc::new(Self {
            url: format!("http://{}/mcp", listener.local_addr().unwrap()),
            tools: Mutex::new(vec![
                tool("read_note", "reads a note", true),
                tool("send_note", "sends a note", false),
                tool("drop_note", "destroys a note", false),
                tool("watch_notes", "tells of new notes", true),
            ]),
            calls: Mutex::default(),
            heard: Mutex::default(),
            streams: watch::Sender::new(0),
            silent: AtomicBool::new(false),
            serving: Mutex::default(),
        });
        let router = Router::new().route("/mcp", any(enter)).with_state(upstream.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        *upstream.serving.lock().unwrap() = Some(serving.abort_handle());
        upstream
    }

    /// The calls that arrived so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// How many messages arrived so far.
    pub(crate) fn messages(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// How many sessions it was told to end.
    pub(crate) fn ended(&self) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| heard.starts_with("DELETE ")).count()
    }

    /// Whether a text stood in anything that arrived: headers or bodies.
    pub(crate) fn heard(&self, text: &str) -> bool {
        self.heard.lock().unwrap().iter().any(|heard| heard.contains(text))
    }

    /// Changes what a tool says about itself.
    pub(crate) fn describe(&self, name: &str, description: &str) {
        let mut tools = self.tools.lock().unwrap();
        let tool = tools.iter_mut().find(|tool| tool["name"] == name).unwrap();
        tool["description"] = json!(description);
    }

    /// Takes no connection any more.
    pub(crate) fn close(&self) {
        self.serving.lock().unwrap().take().expect("a server that is open").abort();
    }

    /// Takes requests from now on and says nothing.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// Offers one more tool.
    pub(crate) fn offer(&self, name: &str) {
        self.tools.lock().unwrap().push(tool(name, "new", true));
    }
}

async fn enter(
    State(upstream): State<Arc<Upstream>>,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&body);
    let shown: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    upstream.heard.lock().unwrap().push(format!("{method} {}\n{text}", shown.join("\n")));
    if upstream.silent.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    match method {
        Method::POST => {}
        Method::GET => {
            let said = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
            return upstream.open_stream(&said);
        }
        Method::DELETE => return StatusCode::OK.into_response(),
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let (Some(method), Some(id)) = (message["method"].as_str(), message.get("id")) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let result = match method {
        "initialize" => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {}, "tasks": { "requests": { "tools": { "call": {} } } } },
            "serverInfo": { "name": "notes", "version": "1" },
        }),
        "tools/list" => json!({ "tools": *upstream.tools.lock().unwrap() }),
        "tools/call" if message["params"]["task"].is_object() => {
            json!({ "task": { "taskId": "job-1", "status": "working" } })
        }
        "tools/call" => return upstream.call(&message, id),
        "tasks/result" => json!({ "content": [{ "type": "text", "text": "what came of it" }] }),
        _ => json!({}),
    };
    let answer = axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    if method == "initialize" {
        return ([("mcp-session-id", format!("upstream-{}", upstream.messages()))], answer).into_response();
    }
    answer.into_response()
}

impl Upstream {
    fn call(self: &Arc<Self>, message: &Value, id: &Value) -> Response {
        let name = message["params"]["name"].as_str().unwrap_or_default();
        let arguments = message["params"]["arguments"].clone();
        self.calls.lock().unwrap().push(Call { tool: name.to_owned(), arguments: arguments.clone() });
        if name == "watch_notes" {
            return self.open_stream(&json!({
                "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": message["params"]["_meta"]["progressToken"], "progress": 1 },
            }));
        }
        let result = json!({ "content": [{ "type": "text", "text": format!("{name} {arguments}") }] });
        axum::Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response()
    }

    /// A stream that shows one message and then stays open.
    fn open_stream(self: &Arc<Self>, first: &Value) -> Response {
        let open = Open::new(self.clone());
        let events = Events { first: Some(Bytes::from(format!("data: {first}\n\n"))), _open: open };
        ([("content-type", "text/event-stream")], Body::new(events)).into_response()
    }

    /// Waits until so many streams are open.
    pub(crate) async fn streams(&self, count: usize) {
        let mut streams = self.streams.subscribe();
        let waited = streams.wait_for(|open| *open == count);
        tokio::time::timeout(std::time::Duration::from_secs(10), waited).await.expect("streams").unwrap();
    }
}

/// One open stream, counted.
struct Open(Arc<Upstream>);

impl Open {
    fn new(upstream: Arc<Upstream>) -> Self {
        upstream.streams.send_modify(|open| *open += 1);
        Self(upstream)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.streams.send_modify(|open| *open -= 1);
    }
}

struct Events {
    first: Option<Bytes>,
    _open: Open,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        self.first.take().map_or(std::task::Poll::Pending, |first| {
            std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(first))))
        })
    }
}
