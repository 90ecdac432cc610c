//! A gateway with its plane, its server and a client.

use std::{
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use gateway::{Config, Gateway, Limits, Local, Passes, Patience, Upstream};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use wire::{
    json::Json,
    sse::{Decoder, Event},
};

use crate::{
    plane::{CountingDice, NOW, SetClock, TestPlane},
    servers::Server,
};

pub(crate) struct World {
    pub(crate) plane: Arc<TestPlane>,
    pub(crate) server: Arc<Server>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) router: Router,
    pub(crate) gate: Arc<Gateway<TestPlane>>,
}

/// Small bounds, so that reaching them is quick.
pub(crate) fn limits() -> Limits {
    Limits {
        request_bytes_max: 64 * 1024,
        request_wait: Duration::from_millis(200),
        sessions_max: 8,
        sessions_per_holder_max: 4,
        sessions_per_agent_max: 6,
        in_flight_max: 4,
        listeners_max: 1,
        keep_alive: Duration::from_millis(100),
        ..Limits::default()
    }
}

pub(crate) async fn world() -> World {
    world_with(Server::start(true).await, limits())
}

/// A server of the catalogue at this address, by its name.
pub(crate) fn upstream(dice: &dyn base::Dice, name: &str, address: &str) -> (String, Arc<Upstream>) {
    let upstream = Upstream {
        id: base::ServerId::new(NOW, dice),
        name: name.into(),
        url: format!("http://{address}/rpc").parse().unwrap(),
        patience: Patience { headers: Duration::from_millis(400), idle: Duration::from_millis(400) },
        answer_bytes_max: 100_000,
        passes: Passes::default(),
        authority: None,
    };
    (name.to_owned(), Arc::new(upstream))
}

pub(crate) fn world_with(server: Arc<Server>, limits: Limits) -> World {
    let dice = CountingDice::new();
    let upstream = |name: &str, address: String| upstream(&dice, name, &address);
    // Port 9 of loopback: nobody listens there.
    let upstreams =
        [upstream("main", server.address.to_string()), upstream("gone", "127.0.0.1:9".into())].into();
    world_over(TestPlane::new(upstreams), server, limits)
}

/// A gateway with this plane.
pub(crate) fn world_over(plane: TestPlane, server: Arc<Server>, limits: Limits) -> World {
    let (plane, clock) = (Arc::new(plane), Arc::new(SetClock(AtomicI64::new(NOW.millis()))));
    let gate = gate(&plane, &clock, limits);
    World { plane, server, clock, router: gate.router(), gate }
}

pub(crate) fn gate(plane: &Arc<TestPlane>, clock: &Arc<SetClock>, limits: Limits) -> Arc<Gateway<TestPlane>> {
    gate_with(plane, clock, limits, Arc::new(()))
}

/// The same with servers of this machine.
pub(crate) fn gate_with(
    plane: &Arc<TestPlane>,
    clock: &Arc<SetClock>,
    limits: Limits,
    local: Arc<dyn Local>,
) -> Arc<Gateway<TestPlane>> {
    let config = Config {
        public_url: "https://writ.example/".parse().unwrap(),
        hosts: Vec::new(),
        clock: Arc::clone(clock) as _,
        dice: Arc::new(CountingDice::new()),
        bodies: base::Bodies::default(),
        answers: base::Bodies::new(base::Shares::of_answers()),
        local,
        limits,
    };
    Gateway::new(Arc::clone(plane), config).unwrap()
}

/// A request as a well-behaved client sends it, to be changed.
pub(crate) fn post(token: &str, session: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::new(body.into());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/mcp/main".parse().unwrap();
    let headers = request.headers_mut();
    headers.insert(header::HOST, "localhost:7447".parse().unwrap());
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    headers.insert(header::ACCEPT, "application/json, text/event-stream".parse().unwrap());
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    if let Some(session) = session {
        headers.insert("mcp-session-id", session.parse().unwrap());
    }
    request
}

pub(crate) fn initialize() -> &'static str {
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"sampling":{}},"clientInfo":{"name":"t","version":"1"}}}"#
}

pub(crate) fn tool(id: impl std::fmt::Display, name: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{}}}}}}"#
    )
}

impl World {
    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Opens a session and gives its id.
    pub(crate) async fn open(&self, token: &str) -> String {
        let response = self.send(post(token, None, initialize())).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    /// Sends one message within a session and reads the whole answer.
    pub(crate) async fn ask(&self, session: &str, message: impl Into<Body>) -> Answer {
        answer(self.send(post("alice", Some(session), message)).await).await
    }

    pub(crate) async fn listen(&self, token: &str, session: &str) -> Response {
        let mut request = post(token, Some(session), Body::empty());
        *request.method_mut() = Method::GET;
        self.send(request).await
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
    /// The messages: one, or those of a stream.
    pub(crate) messages: Vec<Json>,
}

impl Answer {
    pub(crate) fn last(&self) -> &Json {
        self.messages.last().expect("a message")
    }

    pub(crate) fn error_code(&self) -> Option<i64> {
        self.last().pointer("/error/code")?.as_i64()
    }

    /// The stable code in an error's data.
    pub(crate) fn code(&self) -> &str {
        self.last().pointer("/error/data/code").and_then(Json::as_str).unwrap_or_default()
    }
}

pub(crate) async fn answer(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = tokio::time::timeout(Duration::from_secs(10), body.collect()).await.expect("an end").unwrap();
    let bytes = bytes.to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let is_stream = parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == "text/event-stream");
    let messages = if is_stream {
        // Streams that can be gone on with begin with an event without data.
        let events = events(&bytes).into_iter().filter(|event| !event.data.is_empty());
        events.map(|event| Json::parse(event.data.as_bytes()).unwrap()).collect()
    } else {
        Json::parse(&bytes).into_iter().collect()
    };
    Answer { status: parts.status, headers: parts.headers, text, messages }
}

pub(crate) fn events(bytes: &[u8]) -> Vec<Event> {
    let mut events = Vec::new();
    Decoder::new(1_000_000).push(bytes, &mut events).unwrap();
    events
}

/// The next events of a stream that is still open; keep-alive comments count for nothing.
pub(crate) async fn next_events(body: &mut Body) -> Option<Vec<Event>> {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("a frame")?;
        let bytes: Bytes = frame.unwrap().into_data().unwrap_or_default();
        let events = events(&bytes);
        if !events.is_empty() {
            return Some(events);
        }
    }
}
