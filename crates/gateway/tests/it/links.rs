//! Servers that are no servers of streamable HTTP: HTTP+SSE, and the ends of a process, here in the hands of the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use gateway::{Ending, Local, NotStarted, Passes, Patience, Pipes, Upstream};
use http::{Method, StatusCode};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use wire::json::Json;

use crate::{
    plane::{CountingDice, NOW, SetClock, TestPlane},
    servers::Seen,
    stage::{Scripted, Stage, Stream, call, data, header, result_of, roomy, sse, stage, status},
    world::{gate_with, post, tool},
};

/// What a server of 2024-11-05 says to `initialize`.
const OLD: &str = r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}"#;

/// A server of HTTP+SSE: all that it says is on the stream of a GET.
async fn elder(server: Arc<Scripted>, seen: Seen) -> axum::response::Response {
    if seen.method == Method::GET {
        return server.telling_stream(vec!["event: endpoint\ndata: /rpc?session=7\n\n".to_owned()]);
    }
    let is_elder = server.seen().iter().any(|seen| seen.method == Method::GET);
    // At the address itself it takes no POST; a first word of the other generation comes there alone.
    if !is_elder || seen.body.contains("server/discover") {
        return status(405);
    }
    if seen.body.contains(r#""method":"initialize""#) {
        server.tell(result_of(&seen, OLD));
    } else if seen.body.contains("tools/call") {
        let id = seen.json().get("id").cloned().unwrap_or_default().to_text();
        server.tell(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":1}}}}"#
        ));
        server.tell(result_of(&seen, r#"{"content":[{"type":"text","text":"called"}]}"#));
    }
    status(202)
}

#[tokio::test]
async fn a_server_of_http_and_sse_is_found_and_spoken_to() {
    let stage = stage(Scripted::start(elder).await);
    let session = stage.open("alice", "2025-06-18", "{}").await;
    let answer = stage.ask("alice", &session, tool(3, "echo")).await;
    assert_eq!(answer.last().pointer("/result/content/0/text"), Some(&Json::from("called")));
    assert_eq!(answer.last().get("id"), Some(&Json::from(3)));
    let posted = stage.server.saw(|seen| seen.body.contains("tools/call")).await;
    assert!(header(&posted, "authorization").is_some(), "each message carries the credential");
    assert_eq!(header(&posted, "mcp-session-id"), None);
    // One that is of the other generation is served in a session that is kept for it.
    let answer = stage.modern("bob", call(4, "echo", "")).await;
    assert_eq!(answer.last().pointer("/result/content/0/text"), Some(&Json::from("called")));
    // The end of the session is the end of its stream.
    let mut request = post("alice", Some(&session), "");
    *request.method_mut() = Method::DELETE;
    assert_eq!(stage.send(request).await.status(), StatusCode::NO_CONTENT);
    stage.server.was_left(1).await;
}

#[tokio::test]
async fn an_endpoint_elsewhere_is_refused() {
    let behave = |server: Arc<Scripted>, seen: Seen| async move {
        if seen.method == Method::GET {
            return server.open_stream(&["event: endpoint\ndata: http://127.0.0.1:9/rpc\n\n".to_owned()]);
        }
        status(404)
    };
    let stage = stage(Scripted::start(behave).await);
    let opening = crate::world::initialize();
    let answer = crate::world::answer(stage.send(post("alice", None, opening)).await).await;
    assert_eq!(answer.code(), "upstream_invalid", "{}", answer.text);
}

#[tokio::test]
async fn a_server_that_only_refuses_is_none_of_http_and_sse() {
    let behave = |_, seen: Seen| async move {
        if seen.method == Method::GET { sse(data("{}").into()) } else { status(404) }
    };
    let stage = stage(Scripted::start(behave).await);
    let opening = crate::world::initialize();
    let answer = crate::world::answer(stage.send(post("alice", None, opening)).await).await;
    assert_eq!(answer.code(), "upstream_status", "{}", answer.text);
}

/// The other ends of processes that a test plays.
#[derive(Default)]
struct Played(Mutex<Vec<Process>>);

struct Process {
    heard: BufReader<DuplexStream>,
    says: DuplexStream,
}

struct Player(Arc<Played>);

impl Local for Player {
    fn start(&self, name: &str) -> Result<Pipes, NotStarted> {
        if name != "played" {
            return Err(NotStarted::Unknown);
        }
        let (input, heard) = tokio::io::duplex(1024);
        let (says, output) = tokio::io::duplex(1024);
        self.0.0.lock().unwrap().push(Process { heard: BufReader::new(heard), says });
        let end = Box::pin(std::future::ready(None));
        Ok(Pipes { input: Box::new(input), output: Box::new(output), end, idle: Duration::from_hours(1) })
    }
}

impl Process {
    async fn hear(&mut self) -> Json {
        let mut line = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.heard.read_line(&mut line));
        read.await.expect("a line").unwrap();
        Json::parse(line.as_bytes()).unwrap()
    }

    async fn say(&mut self, text: &str) {
        self.says.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self, asked: &Json, result: &str) {
        let id = asked.get("id").unwrap().to_text();
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)).await;
    }
}

/// A gateway in front of a process that the test plays.
fn played(patience: Duration) -> (Stage, Arc<Played>) {
    let dice = CountingDice::new();
    let upstream = |name: &str, url: &str| {
        let upstream = Upstream {
            id: base::ServerId::new(NOW, &dice),
            name: name.into(),
            url: url.parse().unwrap(),
            patience: Patience { headers: patience, idle: patience },
            answer_bytes_max: 10_000,
            passes: Passes { logging: true, ..Passes::default() },
            authority: None,
        };
        (name.to_owned(), Arc::new(upstream))
    };
    let plane =
        TestPlane::new([upstream("main", "stdio://played"), upstream("other", "stdio://nobody")].into());
    let (plane, clock) = (Arc::new(plane), Arc::new(SetClock(NOW.millis().into())));
    let played = Arc::new(Played::default());
    let gate = gate_with(&plane, &clock, roomy(), Arc::new(Player(Arc::clone(&played))));
    let server = Scripted::at("127.0.0.1:9".parse().unwrap());
    (Stage { plane, server, clock, router: gate.router(), gate }, played)
}

/// A session, and the process that is its other side.
async fn opened(stage: &Stage, played: &Played, token: &str) -> (String, Process) {
    let opening = stage.open(token, "2025-11-25", "{}");
    let greeting = async {
        let mut process = loop {
            if let Some(process) = played.0.lock().unwrap().pop() {
                break process;
            }
            tokio::task::yield_now().await;
        };
        let asked = process.hear().await;
        assert_eq!(asked.get("method"), Some(&Json::from("initialize")));
        process.answer(&asked, OLD).await;
        process
    };
    tokio::join!(opening, greeting)
}

#[tokio::test]
async fn what_a_process_says_finds_the_request_that_it_belongs_to() {
    let (stage, played) = played(Duration::from_secs(10));
    let (session, mut process) = opened(&stage, &played, "alice").await;
    let mut listening = Stream::of(stage.get("alice", &session, None).await);
    let ask = |id: i64| stage.ask("alice", &session, tool(id, "echo"));
    let line = |text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{text}"}}}}"#
        )
    };
    // Two at once: answers cross, and what names neither is for the listening stream.
    let playing = async {
        let (first, second) = (process.hear().await, process.hear().await);
        process.say(&line("to the listener")).await;
        process.answer(&second, r#"{"content":[{"type":"text","text":"second"}]}"#).await;
        process.say(&line("to the first")).await;
        process.answer(&first, r#"{"content":[{"type":"text","text":"first"}]}"#).await;
        (first, second)
    };
    let hearing = async { listening.next().await.unwrap().pointer("/params/data").cloned() };
    let (one, two, (first, _), heard) = tokio::join!(ask(1), ask(2), playing, hearing);
    assert_eq!(heard, Some(Json::from("to the listener")));
    let texts = |answer: &crate::world::Answer| answer.last().pointer("/result/content/0/text").cloned();
    let (of_first, of_second) =
        if texts(&one) == Some(Json::from("first")) { (&one, &two) } else { (&two, &one) };
    assert_eq!((texts(of_first), texts(of_second)), (Some("first".into()), Some("second".into())));
    assert!(
        of_first.text.contains("to the first") && !of_second.text.contains("to the"),
        "{}",
        of_first.text
    );
    // A second answer finds nobody, and a sign of life is answered.
    process.answer(&first, r#"{"content":[]}"#).await;
    process.say(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#).await;
    assert_eq!(process.hear().await.get("id"), Some(&Json::from("p")));
}

#[tokio::test]
async fn one_that_does_not_read_holds_up_its_own_session_alone() {
    let (stage, played) = played(Duration::from_millis(300));
    let (deaf, _process) = opened(&stage, &played, "alice").await;
    let (other, mut process) = opened(&stage, &played, "bob").await;
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"{}"}}}}}}"#,
        "x".repeat(9000)
    );
    let playing = async {
        let asked = process.hear().await;
        process.answer(&asked, r#"{"content":[]}"#).await;
    };
    let (stuck, served, ()) =
        tokio::join!(stage.ask("alice", &deaf, large), stage.ask("bob", &other, tool(1, "echo")), playing);
    assert_eq!(stuck.code(), "upstream_timeout", "{}", stuck.text);
    assert!(served.last().get("result").is_some(), "{}", served.text);
    // Half a line was written: the session is over.
    loop {
        if stage.ask("alice", &deaf, tool(2, "echo")).await.status == StatusCode::NOT_FOUND {
            break;
        }
    }
}

#[tokio::test]
async fn a_process_that_ends_takes_its_session_with_it() {
    let (stage, played) = played(Duration::from_secs(10));
    let (session, mut process) = opened(&stage, &played, "alice").await;
    let playing = async {
        process.hear().await;
        process.say("{").await;
        drop(process);
    };
    let (answer, ()) = tokio::join!(stage.ask("alice", &session, tool(1, "echo")), playing);
    assert_eq!(answer.code(), "upstream_invalid", "{}", answer.text);
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Unknown);
    while stage.ask("alice", &session, tool(2, "echo")).await.status != StatusCode::NOT_FOUND {}
    let (_, mut process) = opened(&stage, &played, "alice").await;
    process.say("").await;
}

#[tokio::test]
async fn a_name_that_the_node_does_not_know_starts_nothing() {
    let (stage, played) = played(Duration::from_secs(10));
    let mut request = post("alice", None, crate::world::initialize());
    *request.uri_mut() = "/mcp/other".parse().unwrap();
    let answer = crate::world::answer(stage.send(request).await).await;
    assert_eq!(answer.code(), "upstream_unknown", "{}", answer.text);
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Failed);
    assert!(played.0.lock().unwrap().is_empty());
}
