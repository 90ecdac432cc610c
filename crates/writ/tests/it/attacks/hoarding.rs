//! Bodies that are sent and never ended, and sessions that are opened and never used: what they make the server hold is
//! bounded, and others are served meanwhile.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Body, Frame},
    client::conn::http2::SendRequest,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::{net::TcpSocket, task::JoinSet, time::timeout};

use super::{credential, crowding::metric, kill, session, wish};
use crate::{
    mcp::{Mcp, Pass, is_done},
    node::{On, Setup, read},
    world::{World, access_token},
};

const MIB: usize = 1024 * 1024;
/// What all bodies may be together, and what allocating, parsing and the rest of a request may add to it.
const GROWTH_BYTES_MAX: usize = (64 + 48) * MIB;
/// How long one who behaves may wait while others do not.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many bytes, and then neither more nor an end.
struct Endless(usize);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        const PIECE: &[u8] = &[b' '; 16 * 1024];
        let piece = &PIECE[..self.0.min(PIECE.len())];
        self.0 -= piece.len();
        if piece.is_empty() { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(Bytes::from(piece))))) }
    }
}

/// A connection of HTTP/2 from `127.0.0.{host}` with so many requests of this form at once.
async fn flood(world: &World, host: u8, count: usize, form: impl Fn() -> Request<Endless>) -> Flood {
    let server: SocketAddr = world.node.url().strip_prefix("http://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    let io = TokioIo::new(socket.connect(server).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let mut running = JoinSet::new();
    for _ in 0..count {
        let (mut sender, request) = (sender.clone(), form());
        running.spawn(async move {
            sender.ready().await.ok()?;
            let answer = sender.send_request(request).await.ok()?;
            let status = answer.status();
            let retry = answer.headers().contains_key("retry-after");
            drop(answer.into_body().collect().await);
            Some((status, retry))
        });
    }
    tokio::spawn(connection);
    Flood { running, _sender: sender }
}

/// Requests under way over one connection; dropping it ends them and the connection.
struct Flood {
    running: JoinSet<Option<Answered>>,
    /// A connection ends with its last sender.
    _sender: SendRequest<Endless>,
}

/// The status of an answer, and whether it says when to come back.
type Answered = (StatusCode, bool);

impl Flood {
    /// The next answer; nothing when there is none before everything else under way is over.
    async fn answer(&mut self) -> Option<Answered> {
        loop {
            let next = timeout(Duration::from_mins(1), self.running.join_next()).await.expect("an end")?;
            if let Some(answered) = next.unwrap() {
                return Some(answered);
            }
        }
    }

    /// The first answers.
    async fn answers(&mut self, count: usize) -> Vec<Answered> {
        let mut answers = Vec::new();
        while answers.len() < count
            && let Some(answer) = self.answer().await
        {
            answers.push(answer);
        }
        answers
    }
}

/// The most memory that the server ever had, in bytes.
fn peak(world: &World) -> usize {
    let status = read(format!("/proc/{}/status", world.node.pid()).as_ref());
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn ask(world: &World, path: &str, media: &str) -> http::request::Builder {
    Request::post(format!("{}{path}", world.node.url()))
        .header("content-type", media)
        .header("accept", "application/json, text/event-stream")
}

/// Somebody who behaves is served: the API, a token, a session, a call.
async fn others_are_served(world: &World, secret: &str) {
    let served = async {
        world.admin.get("agents/eve").await.done();
        let mcp = session(world, "eve", secret, None).await;
        assert!(is_done(&mcp.called("read_note", &json!({ "text": "mine" })).await));
    };
    timeout(PATIENCE, served).await.expect("somebody who behaves waits for those who do not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_make_the_server_hold_little() {
    const FORM: (&str, usize) = ("application/x-www-form-urlencoded", 250 * 1024);
    const JSON: (&str, usize) = ("application/json", MIB - 1);
    let world = World::new(On::Sqlite).await;
    let (_, eve) = credential(&world, "eve").await;
    others_are_served(&world, &eve).await;
    let before = peak(&world);
    let mut floods = Vec::new();
    for host in 2..8 {
        for (path, (media, bytes)) in [
            ("/api/v1/kill", JSON),
            ("/api/v1/apply", JSON),
            ("/mcp/notes", JSON),
            ("/oauth2/token", FORM),
            ("/oauth2/introspect", FORM),
        ] {
            let form = || ask(&world, path, media).body(Endless(bytes)).unwrap();
            floods.push((path, flood(&world, host, 50, form).await));
        }
    }
    others_are_served(&world, &eve).await;
    for (path, flood) in &mut floods {
        // Of forms, those that there is room for are waited for.
        let (count, expected) = if path.starts_with("/oauth2/") { (34, 503) } else { (50, 401) };
        for (status, retry) in flood.answers(count).await {
            assert_eq!((status.as_u16(), retry), (expected, expected == 503), "{path}");
        }
    }
    let growth = peak(&world) - before;
    assert!(growth < GROWTH_BYTES_MAX, "strangers made it hold {} MiB", growth / MIB);
    others_are_served(&world, &eve).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_agent_holds_its_share_and_no_more() {
    let world = World::new(On::Sqlite).await;
    let (_, eve) = credential(&world, "eve").await;
    others_are_served(&world, &eve).await;
    let token = world.token(&world.wide_task().await).await;
    let before = peak(&world);
    let form = || {
        let ask = ask(&world, "/mcp/notes", "application/json");
        ask.header("authorization", format!("Bearer {token}")).body(Endless(4 * MIB - 1)).unwrap()
    };
    let mut floods = Vec::new();
    for host in 2..8 {
        floods.push(flood(&world, host, 100, form).await);
    }
    others_are_served(&world, &eve).await;
    // A handful is held; all others are sent away.
    for flood in &mut floods {
        for (status, retry) in flood.answers(80).await {
            assert_eq!((status.as_u16(), retry), (503, true));
        }
    }
    let growth = peak(&world) - before;
    assert!(growth < GROWTH_BYTES_MAX / 2, "one agent made it hold {} MiB", growth / MIB);
    // What is held by those who left is free again.
    drop(floods);
    let mcp = loop {
        let token = world.token(&world.wide_task().await).await;
        match Mcp::new(&world.node.url(), Pass::Bearer(token)) {
            mcp if mcp.initialize().await.status == 200 => break mcp,
            _ => tokio::task::yield_now().await,
        }
    };
    let large = json!({ "text": "x".repeat(MIB) });
    assert!(is_done(&mcp.called("read_note", &large).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reserved_connection_carries_one_request_over_http_2() {
    let limits = "[connections]\nper_address_max = 1\nidle_seconds = 600\n";
    let world = World::with(On::Sqlite, Setup { config: Some(limits.to_owned()), ..Setup::default() }).await;
    let form = || Request::get(format!("{}/livez", world.node.url())).body(Endless(0)).unwrap();
    let mut general = flood(&world, 2, 3, form).await;
    assert!(general.answers(3).await.iter().all(|(status, _)| *status == 200));
    // The client does not know yet how many requests there may be.
    let answers = flood(&world, 2, 60, form).await.answers(60).await;
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    assert!(answers.iter().all(|(status, _)| [200, 503].contains(&status.as_u16())), "{answers:?}");
    assert_eq!(served, 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_hoards_sessions_keeps_nobody_out_and_a_kill_frees_them() {
    /// Of one agent within one task.
    const SESSIONS_MAX: usize = 256;
    let world = World::new(On::Sqlite).await;
    let (_, eve) = credential(&world, "eve").await;
    let token = access_token(&wish(&world, "eve", &eve, None, "mcp/notes").send().await.done());
    let before = world.upstream.ended();
    let hoarder = Mcp::new(&world.node.url(), Pass::Bearer(token));
    for _ in 0..13 {
        let answers = (0..20).map(|_| hoarder.initialize());
        assert!(join_all(answers).await.iter().all(|answer| answer.status == 200));
    }
    // What she has too many of is given up at the server as well.
    until(async || world.upstream.ended() - before == 13 * 20 - SESSIONS_MAX).await;
    let mcp = world.session(&world.wide_task().await).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));

    kill(&world, "agent", "eve").await;
    until(async || metric(&world, "writ_mcp_sessions").await < 1.5).await;
    until(async || world.upstream.ended() - before == 13 * 20).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect("it does not become so");
}
