//! Many connections: who opens all that the server accepts does not keep others from stopping things.

use std::{
    net::SocketAddr,
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    command::writ,
    mcp::is_done,
    node::{On, Setup, WRIT, free_port, launch},
    web::Ask,
    world::World,
};

/// How long a connection that must end may take to; longer than any limit in these tests.
const END_TIME_MAX: Duration = Duration::from_secs(20);

fn setup(config: &str) -> Setup {
    Setup { config: Some(config.to_owned()), ..Setup::default() }
}

/// A connection from the loopback address `127.0.0.{host}`.
async fn connect(world: &World, host: u8) -> TcpStream {
    connect_to(world.node.url().strip_prefix("http://").unwrap().parse().unwrap(), host).await
}

async fn connect_to(server: SocketAddr, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    socket.connect(server).await.unwrap()
}

/// So many connections that say nothing. The server takes connections in the order in which they come, so whoever
/// connects after this meets it with these taken or refused.
async fn crowd(world: &World, host: u8, count: usize) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for _ in 0..count {
        crowd.push(connect(world, host).await);
    }
    crowd
}

/// Waits until the server closes a connection; what it said before.
async fn end_of(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = timeout(END_TIME_MAX, stream.read_to_end(&mut said)).await.expect("the connection stays open");
    String::from_utf8_lossy(&said).into_owned()
}

/// Whether the server has not closed a connection that it said nothing on.
fn is_open(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

/// `writ kill`; how long it took from the request to the acknowledgement.
async fn killed(world: &World, kind: &'static str, name: &'static str) -> Duration {
    let (admin, home) = (world.admin.clone(), world.node.beside("home"));
    let killing = tokio::task::spawn_blocking(move || {
        writ(&admin, &home, &["kill", kind, name, "--reason", "test", "--yes", "-o", "json"]).done()
    });
    let said: Value = serde_json::from_slice(&killing.await.unwrap()).unwrap();
    Duration::from_micros(said["elapsed_us"].as_u64().unwrap())
}

/// The status of one request over HTTP/2, after which the server ends the connection.
async fn second_http(world: &World, path: &str) -> u16 {
    let io = TokioIo::new(connect(world, 1).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let ended = tokio::spawn(connection);
    let request =
        http::Request::get(format!("{}{path}", world.node.url())).body(Empty::<Bytes>::new()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    let ended = timeout(END_TIME_MAX, ended).await.expect("a reserved place is kept over HTTP/2");
    ended.unwrap().unwrap();
    status
}

/// A number that the server shows; zero when it does not.
pub(super) async fn metric(world: &World, name: &str) -> f64 {
    let answer = Ask::new("GET", format!("{}/metrics", world.node.url())).send().await;
    let line = answer.text().lines().find(|line| line.starts_with(name)).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

/// Waits until no other connection has a general place: those that were closed a moment ago have given theirs back.
async fn until_alone(world: &World) {
    let alone = async {
        let ask = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        loop {
            let mut stream = connect(world, 1).await;
            stream.write_all(ask).await.unwrap();
            if end_of(&mut stream).await.contains("writ_connections{lane=\"general\"} 1\n") {
                return;
            }
        }
    };
    timeout(END_TIME_MAX, alone).await.expect("connections that were closed keep their places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_button_works_while_every_place_is_taken() {
    let limits = "[connections]\ngeneral_max = 40\nper_address_max = 20\nreserved_max = 12\n\
                  reserved_per_address_max = 4\nidle_seconds = 600\n";
    let world = World::with(On::Sqlite, setup(limits)).await;
    let mcp = world.session(&world.wide_task().await).await;
    until_alone(&world).await;

    // Two addresses share the general lane, and take what they can get of the reserved one as well.
    let mut crowds = [crowd(&world, 2, 24).await, crowd(&world, 3, 24).await];
    // Whoever comes from there next has the reserved place of the one who said nothing for longest.
    let mut newcomers = Vec::new();
    for (crowd, host) in crowds.iter_mut().zip([2, 3]) {
        newcomers.push(connect(&world, host).await);
        let replaced = timeout(Duration::from_secs(2), end_of(&mut crowd[20])).await;
        assert_eq!(replaced.expect("an address has more than its share"), "");
        assert!(is_open(&crowd[21]));
    }

    let answer = mcp.call("read_note", &json!({})).send().await;
    assert_eq!(answer.outcome(), "503 busy", "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after") && answer.headers["connection"] == "close");
    assert!(metric(&world, "writ_connections_refused_total").await >= 2.0);
    assert!(metric(&world, "writ_connections{lane=\"general\"}").await >= 40.0);
    for path in ["livez", "readyz"] {
        assert_eq!(
            Ask::new("GET", format!("{}/{path}", world.node.url())).send().await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(second_http(&world, "/livez").await, 200);
    assert_eq!(second_http(&world, "/mcp/notes").await, 503);
    let took = killed(&world, "agent", "eve").await;
    assert!(took < Duration::from_secs(1), "the stop button took {took:?}");
    assert!(world.admin.get("agents/eve").await.text().contains("\"suspended\""));

    // Those who hold reserved places and say nothing lose them soon; the general ones may stay much longer here.
    for crowd in &mut crowds {
        for holder in &mut crowd[20..] {
            end_of(holder).await;
        }
        assert!(is_open(&crowd[0]));
    }

    // The places come back, and with them the calls.
    drop(crowds);
    for _ in 0..1000 {
        let answer = mcp.call("read_note", &json!({})).send().await;
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.outcome(), "503 busy");
    }
    panic!("the places of those who left do not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_button_works_from_the_address_that_floods() {
    let limits = "[connections]\nper_address_max = 20\nreserved_per_address_max = 4\nidle_seconds = 600\n";
    let world = World::with(On::Sqlite, setup(limits)).await;
    let _crowd = crowd(&world, 1, 60).await;
    let took = killed(&world, "agent", "eve").await;
    assert!(took < Duration::from_secs(1), "the stop button took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_takes_ends_its_connection() {
    let limits = "[connections]\nper_address_max = 1\nidle_seconds = 1\n";
    let world = World::with(On::Sqlite, setup(limits)).await;
    // Of host 2, one connection is in the general lane and one in the reserved one.
    let mut held = Vec::new();
    for _ in 0..2 {
        let io = TokioIo::new(connect(&world, 2).await);
        let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (mut sender, connection) = client.initial_stream_window_size(0).handshake(io).await.unwrap();
        let ended = tokio::spawn(connection);
        let ask = http::Request::get(format!("{}/livez", world.node.url()));
        let answer = sender.send_request(ask.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        held.push((sender, answer, ended));
    }
    for (_sender, _answer, ended) in held {
        drop(timeout(END_TIME_MAX, ended).await.expect("what nobody takes is held for ever"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stop_button_works_where_the_system_gives_few_descriptors() {
    let config = "[connections]\nper_address_max = 100000\n";
    let world = World::with(On::Sqlite, Setup { files_max: Some(400), ..setup(config) }).await;
    assert!(world.node.said().contains("open files"), "nobody is told that there is less room");
    let _crowd = crowd(&world, 2, 500).await;
    let took = killed(&world, "agent", "eve").await;
    assert!(took < Duration::from_secs(1), "the stop button took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_does_nothing_ends_and_one_that_is_used_does_not() {
    let world = World::with(On::Sqlite, setup("[connections]\nidle_seconds = 1\n")).await;
    let mcp = world.session(&world.wide_task().await).await;
    let mut used = mcp.call("watch_notes", &json!({})).open().await.unwrap().into_body();
    // Its first event only gives it a name; the second says how far it is.
    for _ in 0..2 {
        used.frame().await.unwrap().unwrap();
    }

    let mut silent = connect(&world, 1).await;
    let mut slow = connect(&world, 1).await;
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut kept = connect(&world, 1).await;
    kept.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // A client of HTTP/2 that said who it is, and nothing more (RFC 9113, section 3.4).
    let mut second = connect(&world, 1).await;
    second.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();

    assert_eq!(end_of(&mut silent).await, "");
    end_of(&mut slow).await;
    let said = end_of(&mut kept).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("\r\n\r\nok\n"), "{said}");
    end_of(&mut second).await;
    // A stream that was open before and all that time is still there.
    world.upstream.streams(1).await;
    assert!(timeout(Duration::ZERO, used.frame()).await.is_err(), "a stream under way was cut");
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
}

/// A server that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_has_a_place_and_an_end() {
    let folder = TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=x",
        ])
        .arg("-keyout")
        .arg(path("key"))
        .arg("-out")
        .arg(path("certificate"))
        .output()
        .expect("`openssl`");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let limits = "general_max = 2\nper_address_max = 2\nreserved_max = 2\nreserved_per_address_max = 1\n";
    std::fs::write(path("writ.toml"), format!("[connections]\n{limits}idle_seconds = 3\n")).unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let mut command = Command::new(WRIT);
    command.args(["up", "--listen", &server.to_string(), "--data"]).arg(path("data"));
    command.arg("--config").arg(path("writ.toml")).arg("--tls-key").arg(path("key"));
    command.arg("--tls-cert").arg(path("certificate"));
    let _process = Running(launch(command, Arc::default()).await.unwrap());

    let mut silent = Vec::new();
    for host in [2, 2, 2, 3] {
        silent.push(connect_to(server, host).await);
    }
    assert_eq!(end_of(&mut connect_to(server, 4).await).await, "");
    assert!(silent.iter().all(is_open), "a handshake was given no time");
    for stream in &mut silent {
        end_of(stream).await;
    }
}
