//! What a client can send without a decision, and what it hears without being asked.

use http_body_util::BodyExt as _;
use serde_json::json;

use super::{kill, session};
use crate::{
    node::On,
    world::{UPSTREAM_SECRET, World},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_carry_nothing_of_the_client_upstream() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&world.wide_task().await)).await;
    let words = "smuggled-".repeat(1000);
    for method in ["notifications/initialized", "notifications/roots/list_changed", "notifications/mine"] {
        let params = json!({ "_meta": { "words": words }, "words": words });
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let answer = mcp.raw(body.to_string()).send().await;
        assert!(answer.status.as_u16() < 500, "{method}: {}", answer.text());
    }
    assert!(!world.upstream.heard("smuggled"));
    assert!(world.upstream.heard("notifications/initialized"), "the server is told in Writ's own words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listening_is_decided_and_on_record() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&world.wide_task().await)).await;
    let before = world.admin.position().await;
    let listening = mcp.listen().open().await.unwrap();
    assert_eq!(listening.status(), 200);
    world.upstream.streams(1).await;
    drop(listening);
    world.upstream.streams(0).await;
    assert!(world.admin.position().await > before, "listening left no record");
    assert!(!world.admin.records("kind=call.allowed&limit=10").await.is_empty());

    world.admin.ask("DELETE", "grants/agents-notes").send().await.done();
    let (before, denied) = (world.upstream.messages(), world.admin.records("kind=call.denied").await.len());
    let answer = mcp.listen().send().await;
    assert_eq!(answer.status, 405, "{}", answer.text());
    assert_eq!(world.upstream.messages(), before, "the server was asked all the same");
    assert_eq!(world.admin.records("kind=call.denied").await.len(), denied + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listening_stream_ends_with_its_server() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&world.wide_task().await)).await;
    let mut stream = mcp.listen().open().await.unwrap().into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(!String::from_utf8_lossy(&first).contains(UPSTREAM_SECRET));
    world.upstream.streams(1).await;
    kill(&world, "server", "notes").await;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), stream.collect()).await;
    drop(ended.expect("the stream of a stopped server stays open"));
    world.upstream.streams(0).await;
    assert_eq!(mcp.listen().send().await.status.as_u16() / 100, 4);
}
