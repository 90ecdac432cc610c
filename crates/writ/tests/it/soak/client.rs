//! A client that knows what it has asked: whatever it hears is held against that.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::{body::Incoming, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use testkit::SeededDice;
use tokio::net::TcpStream;

use super::Tally;

/// How long anything may take that must not take for ever.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(1);
const STATELESS: &str = "2026-07-28";

/// Who calls whom, and how.
#[derive(Clone)]
pub(crate) struct Part {
    number: usize,
    /// `127.0.0.1:8420`
    pub(crate) authority: String,
    pub(crate) token: String,
    /// `elder` or `young`.
    pub(crate) server: &'static str,
    /// In which revision.
    pub(crate) revision: &'static str,
}

impl Part {
    /// The part of the client with this number, so that every revision meets either server. `tokens` are for them, in turn.
    pub(crate) fn new(number: usize, url: &str, tokens: &[String]) -> Self {
        Self {
            number,
            authority: url.strip_prefix("http://").unwrap().to_owned(),
            token: tokens[number % 2].clone(),
            server: ["elder", "young"][number % 2],
            revision: ["2026-07-28", "2025-11-25", "2026-07-28", "2025-06-18"][number / 2 % 4],
        }
    }
}

/// How a call's server behaves, and its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Plain,
    Stream,
    Twice,
    Strange,
    Wrong,
    Late,
    Silent,
    /// Left in the middle, and gone on with.
    Slow,
    /// Waits until it is taken back; by a notification, or by leaving.
    Notified,
    Left,
}

impl Mode {
    fn draw(dice: &SeededDice, revision: &str) -> Self {
        let (in_sessions, resumes) = (revision != STATELESS, revision == "2025-11-25");
        match dice.below(1000) {
            0 => Self::Silent,
            1..=10 => Self::Wrong,
            11..=30 => Self::Twice,
            31..=50 => Self::Strange,
            51..=70 => Self::Late,
            71..=120 => Self::Stream,
            121..=140 if resumes => Self::Slow,
            141..=170 if in_sessions => Self::Notified,
            // Who can come back and does not keeps a place for a minute, and those are few: that is for the last call.
            171..=200 if resumes => Self::Notified,
            141..=200 => Self::Left,
            _ => Self::Plain,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Stream => "stream",
            Self::Twice => "twice",
            Self::Strange => "strange",
            Self::Wrong => "wrong",
            Self::Late => "late",
            Self::Silent => "silent",
            Self::Slow => "slow",
            Self::Notified | Self::Left => "hold",
        }
    }
}

/// One client on its way through its calls.
pub(crate) struct Client {
    part: Part,
    line: Line,
    session: Option<String>,
    dice: SeededDice,
    tally: Arc<Tally>,
    id: u64,
    mode: Mode,
    nonce: String,
}

impl Client {
    pub(crate) async fn open(part: Part, tally: Arc<Tally>) -> Self {
        let dice = SeededDice::new(part.number as u64);
        let line = Line::to(&part.authority, part.number % 2 == 1);
        let mut client =
            Self { part, line, session: None, dice, tally, id: 0, mode: Mode::Plain, nonce: String::new() };
        if client.part.revision != STATELESS {
            let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": client.part.revision, "capabilities": {}, "clientInfo": { "name": "soak", "version": "1" },
            } });
            let request = client.request(Method::POST, hello.to_string());
            let answer = client.line.send(request).await;
            assert_eq!(answer.status(), 200, "a session was not opened");
            client.session = Some(answer.headers()["mcp-session-id"].to_str().unwrap().to_owned());
            answer.into_body().collect().await.unwrap();
        }
        client
    }

    /// Makes so many calls, and ends the session.
    pub(crate) async fn run(mut self, calls: usize) {
        for call in 1..=calls {
            let leaves_for_good = call == calls && self.part.revision == "2025-11-25";
            let mode = if leaves_for_good { Mode::Left } else { Mode::draw(&self.dice, self.part.revision) };
            self.next(mode);
            let within = tokio::time::timeout(ANSWER_TIME_MAX, self.call()).await;
            if within.is_err() {
                self.object("did not end");
                self.line.sender = None;
            }
            self.tally.count(self.mode.name());
        }
        if self.session.is_some() {
            let request = self.request(Method::DELETE, String::new());
            let answer = self.line.send(request).await;
            assert_eq!(answer.status(), 204, "a session was not ended");
        }
    }

    /// Begins a call whose server never ends it by itself.
    pub(crate) async fn hold(&mut self) -> Heard {
        self.next(Mode::Left);
        let mut heard = Heard::of(self.line.send(self.request(Method::POST, self.message())).await);
        self.judge_first(&mut heard).await;
        heard
    }

    /// Makes one call that is answered at once; the status.
    pub(crate) async fn plain(&mut self) -> StatusCode {
        self.next(Mode::Plain);
        let answer = self.line.send(self.request(Method::POST, self.message())).await;
        let status = answer.status();
        answer.into_body().collect().await.unwrap();
        status
    }

    fn next(&mut self, mode: Mode) {
        self.id += 1;
        self.mode = mode;
        self.nonce = format!("{}-{}-{:x}", self.part.number, self.id, self.dice.next());
    }

    async fn call(&mut self) {
        let request = self.request(Method::POST, self.message());
        let answer = self.line.send(request).await;
        if answer.status() != 200 {
            let status = answer.status();
            let body = answer.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
            return self.object(&format!("{status}: {}", String::from_utf8_lossy(&body)));
        }
        match self.mode {
            Mode::Notified => {
                let mut heard = Heard::of(answer);
                self.judge_first(&mut heard).await;
                let mut other = Line::to(&self.part.authority, self.line.is_abrupt);
                let told = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": self.id } });
                let answer = other.send(self.request(Method::POST, told.to_string())).await;
                if answer.status() != 202 {
                    self.object(&format!("a cancellation: {}", answer.status()));
                }
                let rest = heard.all().await;
                self.judge(&rest);
            }
            Mode::Left => {
                let mut heard = Heard::of(answer);
                self.judge_first(&mut heard).await;
                // The connection goes with the rest of the answer.
                self.line.sender = None;
            }
            Mode::Slow => {
                let mut heard = Heard::of(answer);
                self.judge_first(&mut heard).await;
                let event = heard.last_id.clone();
                drop(heard);
                self.line.sender = None;
                self.go_on(event).await;
            }
            mode => {
                let messages = Heard::of(answer).all().await;
                let answers = self.judge(&messages);
                let error = messages.iter().find_map(|message| message["error"]["data"]["code"].as_str());
                let is_right = match mode {
                    Mode::Wrong => error == Some("upstream_no_answer"),
                    Mode::Silent => error == Some("upstream_timeout"),
                    _ => answers == 1,
                };
                if !is_right {
                    self.object(&format!("{answers} answers: {messages:?}"));
                }
            }
        }
    }

    /// Goes on with a stream that was left.
    async fn go_on(&mut self, event: Option<String>) {
        let Some(event) = event else { return self.object("a stream without an id") };
        // The server has to see first that the stream was left; until then there is nothing to go on with.
        loop {
            let mut request = self.request(Method::GET, String::new());
            request.headers_mut().insert("last-event-id", event.parse().unwrap());
            let answer = self.line.send(request).await;
            if answer.status() == 200 {
                let messages = Heard::of(answer).all().await;
                if self.judge(&messages) != 1 {
                    self.object(&format!("gone on with: {messages:?}"));
                }
                return;
            }
            answer.into_body().collect().await.unwrap();
        }
    }

    fn message(&self) -> String {
        let mut meta = json!({ "progressToken": "p" });
        if self.part.revision == STATELESS {
            meta["io.modelcontextprotocol/protocolVersion"] = json!(STATELESS);
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
        }
        let arguments = json!({ "client": self.part.number, "nonce": self.nonce, "mode": self.mode.name() });
        json!({ "jsonrpc": "2.0", "id": self.id, "method": "tools/call", "params": {
            "name": "soak", "arguments": arguments, "_meta": meta,
        } })
        .to_string()
    }

    fn request(&self, method: Method, body: String) -> Request<Full<Bytes>> {
        let is_post = method == Method::POST;
        let mut builder = Request::builder()
            .method(method)
            .uri(format!("/mcp/{}", self.part.server))
            .header(header::HOST, &self.part.authority)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.part.token))
            .header(header::ACCEPT, "application/json, text/event-stream");
        if is_post {
            builder = builder.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(session) = &self.session {
            builder = builder.header("mcp-session-id", session);
        }
        if self.part.revision == STATELESS {
            builder = builder
                .header("mcp-protocol-version", STATELESS)
                .header("mcp-method", "tools/call")
                .header("mcp-name", "soak");
        }
        builder.body(Full::new(body.into())).unwrap()
    }

    /// Holds what was heard against what was asked; how many answers it was.
    pub(crate) fn judge(&self, messages: &[Value]) -> usize {
        let mut answers = 0;
        for message in messages {
            if message["method"] == "notifications/progress" {
                if message["params"]["message"] != self.nonce.as_str() {
                    self.tally.cross(format!("{} heard {message}", self.nonce));
                }
                continue;
            }
            if message["id"] != self.id {
                self.tally.cross(format!("{} heard {message}", self.nonce));
            }
            if message["error"].is_object() {
                continue;
            }
            let result = &message["result"];
            let is_own = result["content"][0]["text"] == self.nonce.as_str()
                && result["structuredContent"] == json!({ "nonce": self.nonce, "client": self.part.number });
            if is_own {
                answers += 1;
            } else if result["isError"] != true {
                self.tally.cross(format!("{} heard {message}", self.nonce));
            }
        }
        answers
    }

    /// The first thing that is heard of a call that tells of its progress.
    async fn judge_first(&self, heard: &mut Heard) {
        let first = heard.next().await;
        self.judge(first.as_slice());
        if first.as_ref().is_none_or(|first| first["method"] != "notifications/progress") {
            self.object(&format!("began with {first:?}"));
        }
    }

    fn object(&self, why: &str) {
        let Part { server, revision, .. } = self.part;
        self.tally.object(format!("{} {:?} in {revision} at {server}: {why}", self.nonce, self.mode));
    }
}

/// A connection that is made anew when it is gone.
struct Line {
    authority: String,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// Whether it ends with a reset.
    is_abrupt: bool,
}

impl Line {
    fn to(authority: &str, is_abrupt: bool) -> Self {
        Self { authority: authority.to_owned(), sender: None, is_abrupt }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Incoming> {
        let mut request = request;
        loop {
            if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
                self.sender = Some(self.connect().await);
            }
            let sender = self.sender.as_mut().unwrap();
            if sender.ready().await.is_err() {
                self.sender = None;
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(answer) => return answer,
                Err(mut error) => {
                    // A connection that was closed while it was idle has taken nothing.
                    request = error.take_message().unwrap_or_else(|| panic!("{}", error.error()));
                    self.sender = None;
                }
            }
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(&self.authority).await.unwrap();
        stream.set_nodelay(true).unwrap();
        if self.is_abrupt {
            stream.set_zero_linger().unwrap();
        }
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// The messages of an answer, as they come.
pub(crate) struct Heard {
    body: Incoming,
    is_stream: bool,
    rest: String,
    last_id: Option<String>,
}

impl Heard {
    fn of(answer: Response<Incoming>) -> Self {
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        Self { body: answer.into_body(), is_stream, rest: String::new(), last_id: None }
    }

    /// The next message; none at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            while self.is_stream
                && let Some((event, rest)) = self.rest.split_once("\n\n")
            {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
                if let Some(id) = field("id: ") {
                    self.last_id = Some(id.to_owned());
                }
                let message = field("data: ").and_then(|data| serde_json::from_str(data).ok());
                self.rest = rest.into();
                if message.is_some() {
                    return message;
                }
            }
            let Some(Ok(frame)) = self.body.frame().await else {
                let rest = std::mem::take(&mut self.rest);
                return if self.is_stream { None } else { serde_json::from_str(&rest).ok() };
            };
            let data = frame.into_data().unwrap_or_default();
            self.rest.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    pub(crate) async fn all(mut self) -> Vec<Value> {
        self.until_end().await
    }

    pub(crate) async fn until_end(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await {
            all.push(message);
        }
        all
    }
}
