//! Framing that two readers may take for different requests (threat class 24), at Writ itself and behind nginx.
//!
//! What must hold for each shape: calls that reached the upstream, intents in the log, and answers that show the call's
//! own words are the same in number; and a request that came along without a credential is never carried out.

mod nginx;
mod shapes;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use self::shapes::{Fate, Shape, shapes};
use crate::{
    mcp::{Mcp, Pass},
    node::On,
    world::World,
};

/// How long a connection may take to end.
const END_TIME_MAX: Duration = Duration::from_secs(10);

/// Ada, with a session.
struct Client {
    world: World,
    /// Who answers: Writ, or a proxy before it.
    address: String,
    token: String,
    session: String,
}

/// What came of one shape.
struct Seen {
    /// Calls at the upstream with the words of the shape's own calls.
    carried: usize,
    /// Calls at the upstream with the words of what came along.
    smuggled: usize,
    intents: usize,
    answers: usize,
    /// The first answer's status line.
    first: String,
    has_ended: bool,
}

impl Client {
    async fn new() -> Self {
        let world = World::new(On::Sqlite).await;
        let token = world.token(&world.wide_task().await).await;
        let opened = Mcp::new(&world.node.url(), Pass::Bearer(token.clone())).initialize().await;
        let session = opened.headers["mcp-session-id"].to_str().unwrap().to_owned();
        let address = world.node.url().trim_start_matches("http://").to_owned();
        Self { world, address, token, session }
    }

    /// The shape as bytes, with words that only its own calls have.
    fn bytes(&self, shape: &Shape, words: &str) -> Vec<u8> {
        let common = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n";
        let session = format!("mcp-session-id: {}\r\n{common}", self.session);
        let auth = format!("authorization: Bearer {}\r\n{session}", self.token);
        let (call, evil_call) = (call(words), call(&format!("evil {words}")));
        let evil = format!(
            "POST /mcp/notes HTTP/1.1\r\nhost: {}\r\n{session}content-length: {}\r\n\r\n{evil_call}",
            self.address,
            evil_call.len()
        );
        let hex = format!("{:x}", call.len());
        let both = hex.len() + call.len() + 9 + evil.len();
        let text = shape.bytes.replace("{auth}", &auth).replace("{evil-len}", &evil.len().to_string());
        let text =
            text.replace("{call}", &call).replace("{evil}", &evil).replace("{both}", &both.to_string());
        let text = text.replace("{len}", &call.len().to_string()).replace("{hex}", &hex);
        text.replace("{host}", &self.address).into_bytes()
    }

    async fn intents(&self) -> usize {
        self.world.admin.records("kind=call.allowed&limit=1000").await.len()
    }

    /// Sends a shape, and one more request that ends the connection where nothing has ended it before.
    async fn send(&self, shape: &Shape, number: usize) -> Seen {
        let words = format!("shape {number:03}");
        let (evil, before) = (format!("evil {words}"), self.intents().await);
        let mut bytes = self.bytes(shape, &words);
        let last = format!("GET /livez HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        bytes.extend(last.as_bytes());
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        // Who is refused early may find the connection gone while it still sends.
        drop(stream.write_all(&bytes).await);
        let mut heard = Vec::new();
        let has_ended = tokio::time::timeout(END_TIME_MAX, stream.read_to_end(&mut heard)).await.is_ok();
        let heard = String::from_utf8_lossy(&heard).into_owned();
        let calls = self.world.upstream.calls();
        let with = |words: &str| calls.iter().filter(|call| call.arguments["text"] == words).count();
        Seen {
            carried: with(&words),
            smuggled: with(&evil),
            intents: self.intents().await - before,
            answers: heard.matches(&format!("{{\\\"text\\\":\\\"{words}\\\"}}")).count(),
            first: heard.lines().next().unwrap_or_default().to_owned(),
            has_ended,
        }
    }
}

fn call(words: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"read_note","arguments":{{"text":"{words}"}}}}}}"#
    )
}

/// What is wrong with what was seen, whoever is in front.
fn faults(seen: &Seen) -> Option<String> {
    let Seen { carried, smuggled, intents, answers, first, has_ended } = seen;
    let is_one = carried == intents && carried == answers && *smuggled == 0 && *has_ended;
    (!is_one).then(|| format!("{carried} carried out, {intents} intents, {answers} answers, {smuggled} smuggled, ended {has_ended}: {first}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_seen_is_one_decided() {
    let client = Client::new().await;
    let shapes = shapes();
    assert!(shapes.len() > 100, "{}", shapes.len());
    let mut wrong = Vec::new();
    for (number, shape) in shapes.iter().enumerate() {
        let seen = client.send(shape, number).await;
        let wanted = match shape.fate {
            Fate::Served(calls) => calls,
            Fate::Refused => 0,
        };
        let is_said = shape.fate != Fate::Refused || !seen.first.contains(" 200 ");
        let other = (seen.carried != wanted || !is_said)
            .then(|| format!("{:?} expected, {} carried out: {}", shape.fate, seen.carried, seen.first));
        wrong.extend(faults(&seen).or(other).map(|fault| format!("{}: {fault}", shape.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_seen_is_one_decided_behind_nginx() {
    let Some(program) = nginx::find() else {
        eprintln!(
            "SKIPPED: nginx is not installed, so what it and Writ read differently was not tried: scripts/setup.sh nginx"
        );
        return;
    };
    let mut client = Client::new().await;
    let folder = client.world.node.beside("nginx");
    let (_proxy, port) = nginx::start(&program, &folder, &client.address).await;
    client.address = format!("127.0.0.1:{port}");
    let (mut wrong, mut served) = (Vec::new(), 0);
    for (number, shape) in shapes().iter().enumerate() {
        let seen = client.send(shape, number).await;
        served += seen.carried;
        wrong.extend(faults(&seen).map(|fault| format!("{}: {fault}", shape.name)));
        // The next one of the same proxy, over the same connections, gets its own answer and nobody else's.
        let next = Shape { name: "next", fate: Fate::Served(1), bytes: shapes()[0].bytes.clone() };
        let seen = client.send(&next, 500 + number).await;
        let other = (seen.carried != 1).then(|| seen.first.clone());
        wrong.extend(faults(&seen).or(other).map(|fault| format!("after {}: {fault}", shape.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(served > 20, "hardly anything came through the proxy: {served}");
}
