//! A gateway in front of a server that a test scripts, and the messages of clients of both generations.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicI64},
    time::Duration,
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
use gateway::{Gateway, Limits, Passes, Patience, Upstream};
use http::{HeaderName, Method, Request, StatusCode};
use tokio::sync::watch;
use tower::ServiceExt;
use wire::{
    json::Json,
    mcp::{encode_header, named_param},
    sse::Event,
};

use crate::{
    plane::{CountingDice, NOW, SetClock, TestPlane, Told},
    servers::Seen,
    world::{Answer, answer, gate, limits, next_events, post},
};

type Behaving = Pin<Box<dyn Future<Output = Response> + Send>>;
type Behaviour = Box<dyn Fn(Arc<Scripted>, Seen) -> Behaving + Send + Sync>;

/// A server over HTTP that does what a function says, and remembers what reached it.
pub(crate) struct Scripted {
    pub(crate) address: std::net::SocketAddr,
    seen: watch::Sender<Vec<Seen>>,
    /// How many answers the other side has let go of before their end.
    left: watch::Sender<usize>,
    /// What open listening streams tell.
    telling: watch::Sender<Vec<String>>,
    /// The ids of sessions that are no longer known.
    pub(crate) forgotten: Mutex<Vec<String>>,
    /// Whether the server is of the other generation by now.
    pub(crate) is_changed: Mutex<bool>,
    behaviour: Behaviour,
}

impl Scripted {
    pub(crate) async fn start<F>(behave: fn(Arc<Self>, Seen) -> F) -> Arc<Self>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let behaviour: Behaviour = Box::new(move |server, seen| Box::pin(behave(server, seen)));
        let server = Arc::new(Self::new(listener.local_addr().unwrap(), behaviour));
        let router = Router::new().route("/rpc", any(enter)).with_state(Arc::clone(&server));
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Stands for a server that is somewhere else.
    pub(crate) fn at(address: std::net::SocketAddr) -> Arc<Self> {
        Arc::new(Self::new(address, Box::new(|_, _| Box::pin(std::future::ready(status(500))))))
    }

    fn new(address: std::net::SocketAddr, behaviour: Behaviour) -> Self {
        Self {
            address,
            seen: watch::Sender::new(Vec::new()),
            left: watch::Sender::new(0),
            telling: watch::Sender::new(Vec::new()),
            forgotten: Mutex::default(),
            is_changed: Mutex::new(false),
            behaviour,
        }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.seen().iter().filter(|seen| seen.body.contains(text)).count()
    }

    /// The first request that satisfies `is_it`, once it has come.
    pub(crate) async fn saw(&self, is_it: impl Fn(&Seen) -> bool) -> Seen {
        let mut all = self.seen.subscribe();
        let waiting = all.wait_for(|seen| seen.iter().any(&is_it));
        let seen = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it comes").unwrap();
        seen.iter().find(|seen| is_it(seen)).unwrap().clone()
    }

    /// Waits until so many requests with this text have come.
    pub(crate) async fn saw_times(&self, text: &str, count: usize) {
        let mut all = self.seen.subscribe();
        let is_enough =
            |seen: &Vec<Seen>| seen.iter().filter(|seen| seen.body.contains(text)).count() >= count;
        let waiting = all.wait_for(is_enough);
        drop(tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("they come").unwrap());
    }

    /// Waits until so many answers were let go of.
    pub(crate) async fn was_left(&self, count: usize) {
        let mut left = self.left.subscribe();
        let waiting = left.wait_for(|left| *left >= count);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is let go of").unwrap();
    }

    /// A stream of these pieces that then stays open, until the other side lets go of it.
    pub(crate) fn open_stream(self: &Arc<Self>, pieces: &[String]) -> Response {
        let guard = Left(Arc::clone(self));
        let pieces: Vec<_> = pieces.iter().map(|piece| Bytes::from(piece.clone())).collect();
        let rest = stream::pending().inspect(move |_: &Bytes| {
            let _ = &guard;
        });
        sse(Body::from_stream(stream::iter(pieces).chain(rest).map(Ok::<_, std::convert::Infallible>)))
    }

    /// An open stream of these pieces, and of what the server is made to tell.
    pub(crate) fn telling_stream(self: &Arc<Self>, first: Vec<String>) -> Response {
        let telling = self.telling.subscribe();
        let guard = Left(Arc::clone(self));
        let told = stream::unfold((telling, 0, guard), |(mut telling, sent, guard)| async move {
            let message = telling.wait_for(|all| all.len() > sent).await.ok()?[sent].clone();
            Some((data(&message), (telling, sent + 1, guard)))
        });
        let pieces = stream::iter(first).chain(told);
        sse(Body::from_stream(pieces.map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))))
    }

    pub(crate) fn tell(&self, message: impl Into<String>) {
        self.telling.send_modify(|all| all.push(message.into()));
    }
}

/// Counts an answer that was let go of.
struct Left(Arc<Scripted>);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.left.send_modify(|left| *left += 1);
    }
}

async fn enter(State(server): State<Arc<Scripted>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    let seen = Seen { method: parts.method, headers: parts.headers, body };
    server.seen.send_modify(|all| all.push(seen.clone()));
    (server.behaviour)(Arc::clone(&server), seen).await
}

pub(crate) fn status(code: u16) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

pub(crate) fn json(text: String) -> Response {
    let mut response = Response::new(text.into());
    response.headers_mut().insert("content-type", "application/json".parse().unwrap());
    response
}

pub(crate) fn sse(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", "text/event-stream".parse().unwrap());
    response
}

/// A stream of this text that ends.
pub(crate) fn sse_text(text: impl Into<String>) -> Response {
    sse(Body::from(text.into()))
}

/// A stream of this text that breaks off.
pub(crate) fn sse_broken(text: &str) -> Response {
    let text = Ok(Bytes::from(text.to_owned()));
    let dying = async {
        // What was written before is on its way by then.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("the fixture dies"))
    };
    sse(Body::from_stream(stream::once(async { text }).chain(stream::once(dying))))
}

pub(crate) fn data(message: &str) -> String {
    format!("data: {message}\n\n")
}

pub(crate) fn result_of(seen: &Seen, result: &str) -> String {
    let id = seen.json().get("id").cloned().unwrap_or_default().to_text();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub(crate) fn error_of(seen: &Seen, code: i64) -> String {
    let id = seen.json().get("id").cloned().unwrap_or_default().to_text();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no"}}}}"#)
}

/// A gateway, its plane, and the scripted server behind it.
pub(crate) struct Stage {
    pub(crate) plane: Arc<TestPlane>,
    pub(crate) server: Arc<Scripted>,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) gate: Arc<Gateway<TestPlane>>,
    pub(crate) router: Router,
}

pub(crate) fn stage(server: Arc<Scripted>) -> Stage {
    stage_with(server, Passes::default(), roomy())
}

pub(crate) fn roomy() -> Limits {
    Limits {
        in_flight_max: 100,
        sessions_max: 1000,
        sessions_per_holder_max: 100,
        sessions_per_agent_max: 100,
        request_wait: Duration::from_secs(10),
        ..limits()
    }
}

pub(crate) fn stage_with(server: Arc<Scripted>, passes: Passes, limits: Limits) -> Stage {
    stage_of(server, passes, limits, 100_000)
}

pub(crate) fn stage_of(
    server: Arc<Scripted>,
    passes: Passes,
    limits: Limits,
    answer_bytes_max: usize,
) -> Stage {
    let dice = CountingDice::new();
    let upstream = |name: &str| {
        let upstream = Upstream {
            id: base::ServerId::new(NOW, &dice),
            name: name.into(),
            url: format!("http://{}/rpc", server.address).parse().unwrap(),
            patience: Patience { headers: Duration::from_secs(10), idle: Duration::from_secs(10) },
            answer_bytes_max,
            passes,
            authority: None,
        };
        (name.to_owned(), Arc::new(upstream))
    };
    let plane = Arc::new(TestPlane::new([upstream("main"), upstream("other")].into()));
    let clock = Arc::new(SetClock(AtomicI64::new(NOW.millis())));
    let gate = gate(&plane, &clock, limits);
    Stage { plane, server, clock, router: gate.router(), gate }
}

/// A request of 2026-07-28. `params` is an object's text; the envelope with these capabilities goes into it.
pub(crate) fn modern(
    id: impl std::fmt::Display,
    method: &str,
    params: &str,
    capabilities: &str,
    meta: &str,
) -> String {
    let comma = |text: &str| if text.is_empty() { "" } else { "," };
    let inner = params.trim().trim_start_matches('{').strip_suffix('}').unwrap().trim();
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{inner}{}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{capabilities}{}{meta}}}}}}}"#,
        comma(inner),
        comma(meta),
    )
}

/// A call of a tool in 2026-07-28, by a client that can be asked.
pub(crate) fn call(id: impl std::fmt::Display, tool: &str, rest: &str) -> String {
    modern(id, "tools/call", &format!(r#"{{"name":"{tool}"{rest}}}"#), r#"{"elicitation":{}}"#, "")
}

/// A message of 2026-07-28 as a well-behaved client sends it, to be changed.
pub(crate) fn modern_post(token: &str, message: impl Into<String>) -> Request<Body> {
    let message = message.into();
    let read = Json::parse(message.as_bytes()).unwrap();
    let method = read.get("method").and_then(Json::as_str).unwrap().to_owned();
    let name = named_param(&method).and_then(|member| read.get("params")?.get(member));
    let name = name.and_then(Json::as_str).map(encode_header);
    let mut request = post(token, None, message);
    let headers = request.headers_mut();
    headers.insert("mcp-protocol-version", "2026-07-28".parse().unwrap());
    headers.insert("mcp-method", method.parse().unwrap());
    if let Some(name) = name {
        headers.insert("mcp-name", name.parse().unwrap());
    }
    request
}

impl Stage {
    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The whole answer to one message of 2026-07-28.
    pub(crate) async fn modern(&self, token: &str, message: impl Into<String>) -> Answer {
        answer(self.send(modern_post(token, message)).await).await
    }

    /// The whole answer to one message within a session.
    pub(crate) async fn ask(&self, token: &str, session: &str, message: impl Into<Body>) -> Answer {
        answer(self.send(post(token, Some(session), message)).await).await
    }

    /// Opens a session of this revision.
    pub(crate) async fn open(&self, token: &str, revision: &str, capabilities: &str) -> String {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{revision}","capabilities":{capabilities},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
        );
        let response = self.send(post(token, None, message)).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, token: &str, session: &str, event: Option<&str>) -> Response {
        let mut request = post(token, Some(session), Body::empty());
        *request.method_mut() = Method::GET;
        if let Some(event) = event {
            request.headers_mut().insert("last-event-id", event.parse().unwrap());
        }
        self.send(request).await
    }

    /// How many acts of this name were authorised.
    pub(crate) fn authorized(&self, name: &str) -> usize {
        let is_it = |told: &Told| matches!(told, Told::Authorized(act) if crate::plane::name_of(act) == name);
        self.plane.told().iter().filter(|told| is_it(told)).count()
    }

    /// How many acts were decided.
    pub(crate) fn decided(&self) -> usize {
        let is_it = |told: &Told| matches!(told, Told::Authorized(_) | Told::Denied(_));
        self.plane.told().iter().filter(|told| is_it(told)).count()
    }

    /// Sends a request that must neither be decided nor reach the server.
    pub(crate) async fn unforwarded(&self, request: Request<Body>, what: &str) -> Answer {
        let (seen, decided) = (self.server.seen().len(), self.decided());
        let answer = answer(self.send(request).await).await;
        assert_eq!(self.server.seen().len(), seen, "{what} reached the server");
        assert_eq!(self.decided(), decided, "{what} was decided");
        answer
    }
}

/// A header of a request as the server got it.
pub(crate) fn header(seen: &Seen, name: &'static str) -> Option<String> {
    let name = HeaderName::from_static(name);
    Some(seen.headers.get(name)?.to_str().unwrap().to_owned())
}

/// The messages of a stream that may still be open.
pub(crate) struct Stream {
    body: Body,
    ready: VecDeque<Event>,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
        Self { body: response.into_body(), ready: VecDeque::new() }
    }

    /// The next message; none at the end. Events without data count for nothing.
    pub(crate) async fn next(&mut self) -> Option<Json> {
        loop {
            match self.ready.pop_front() {
                Some(event) if event.data.is_empty() => {}
                Some(event) => return Some(Json::parse(event.data.as_bytes()).unwrap()),
                None => self.ready.extend(next_events(&mut self.body).await?),
            }
        }
    }
}
