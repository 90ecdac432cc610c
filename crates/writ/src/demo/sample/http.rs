//! The streamable HTTP transport (MCP 2025-11-25, "Transports"): one endpoint, sessions by header.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::Value;

use super::rpc::{self, Arguments, Failure};
use super::{Shared, stream};

const BODY_BYTES_MAX: usize = base::limit::BODY_BYTES_MAX;
const SESSIONS_MAX: usize = 1024;
const SESSION: &str = "mcp-session-id";
const REVISION: &str = "mcp-protocol-version";

/// The open sessions. Their ids are numbers: a session is no credential, and there is nothing here to steal.
#[derive(Default)]
pub(super) struct Sessions {
    open: BTreeSet<String>,
    opened: u64,
}

impl Sessions {
    fn start(&mut self) -> Option<String> {
        if self.open.len() >= SESSIONS_MAX {
            return None;
        }
        self.opened += 1;
        let id = format!("sample-{}", self.opened);
        self.open.insert(id.clone());
        Some(id)
    }
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/mcp", post(receive).get(listen).delete(end))
        .layer(from_fn_with_state(shared.clone(), admit))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// What holds for every request: it is written down, it is not a foreign web page's, and it has the key.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    shared.journal.headers(headers);
    // A web page that reaches loopback by a rebound name sends its own origin (MCP, "Security Warning").
    if headers.contains_key(header::ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "this server is not for web pages");
    }
    if let Some(key) = &shared.key {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if sent.and_then(|value| value.strip_prefix("Bearer ")) != Some(key.expose()) {
            return refuse(StatusCode::UNAUTHORIZED, "this server wants its own key");
        }
    }
    next.run(request).await
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    if !accepts(&headers, "application/json") || !accepts(&headers, "text/event-stream") {
        return refuse(StatusCode::NOT_ACCEPTABLE, "accept both application/json and text/event-stream");
    }
    let Ok(message) = serde_json::from_str::<Value>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let (Some(method), true) = (message["method"].as_str(), message["jsonrpc"] == "2.0") else {
        // A client's response to a request of ours: none was sent.
        return refuse(StatusCode::BAD_REQUEST, "one JSON-RPC request or notification per POST");
    };
    if method == "initialize" {
        return initialize(&shared, &message);
    }
    if let Err(response) = in_session(&shared, &headers) {
        return *response;
    }
    let Some(id) = message.get("id").filter(|id| id.is_string() || id.is_number()) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let params = &message["params"];
    if method == "tools/call" && params["name"] == "watch_inbox" {
        return watch(shared, id, params, &body);
    }
    json(&rpc::response(id, rpc::answer(&shared, method, params, &body)))
}

fn initialize(shared: &Shared, message: &Value) -> Response {
    let started = shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).start();
    let Some(session) = started.and_then(|id| HeaderValue::try_from(id).ok()) else {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "too many sessions: end one with DELETE");
    };
    let mut response = json(&rpc::response(&message["id"], Ok(rpc::initialize(&message["params"]))));
    response.headers_mut().insert(SESSION, session);
    response
}

fn watch(shared: Arc<Shared>, id: &Value, params: &Value, body: &str) -> Response {
    shared.journal.call("watch_inbox", &params["arguments"], body);
    match Arguments::of(params, "watch_inbox").and_then(|arguments| arguments.seconds("seconds")) {
        Ok(seconds) => stream::watch(shared, id.clone(), params["_meta"]["progressToken"].clone(), seconds),
        Err(failure) => json(&rpc::response(id, Err(failure))),
    }
}

async fn listen(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if !accepts(&headers, "text/event-stream") {
        return refuse(StatusCode::NOT_ACCEPTABLE, "accept text/event-stream");
    }
    match in_session(&shared, &headers) {
        Ok(_) => stream::listen(shared),
        Err(response) => *response,
    }
}

async fn end(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    match in_session(&shared, &headers) {
        Ok(session) => {
            shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).open.remove(&session);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(response) => *response,
    }
}

/// The request's open session: 400 without one, 404 when it ended, 400 with a revision that is not served.
fn in_session(shared: &Shared, headers: &HeaderMap) -> Result<String, Box<Response>> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(revision) = text(REVISION)
        && !rpc::REVISIONS.contains(&revision)
    {
        return Err(Box::new(refuse(StatusCode::BAD_REQUEST, "this protocol revision is not served")));
    }
    let Some(session) = text(SESSION) else {
        return Err(Box::new(refuse(
            StatusCode::BAD_REQUEST,
            "the session header is missing: initialize first",
        )));
    };
    if !shared.sessions.lock().unwrap_or_else(PoisonError::into_inner).open.contains(session) {
        return Err(Box::new(refuse(StatusCode::NOT_FOUND, "this session has ended: initialize again")));
    }
    Ok(session.to_owned())
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| {
        let part = part.split(';').next().unwrap_or_default().trim();
        part == kind || part == "*/*"
    })
}

fn json(message: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], message.to_string()).into_response()
}

fn refuse(status: StatusCode, text: &str) -> Response {
    let failure = Failure(rpc::INVALID_REQUEST, text.to_owned());
    (status, json(&rpc::response(&Value::Null, Err(failure)))).into_response()
}
