//! What fails must fail closed: without a durable intent there is no forward, whoever is to blame.

use std::process::Command;

use base::Secret;
use serde_json::json;
use testkit::Postgres;

use crate::{
    mcp::{Mcp, is_done, message, refusal},
    node::{Node, On},
    web::Ask,
    world::World,
};

/// Asks until the answer is `status`; an operator's probe does the same.
async fn becomes(url: &str, status: u16) {
    let asking = async { while Ask::new("GET", url).send().await.status != status {} };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(20), asking).await;
    assert!(asked.is_ok(), "{url} does not become {status}");
}

/// Calls once; what came back must be a refusal that somebody can act on, and nothing may have gone upstream.
async fn refused(world: &World, mcp: &Mcp) {
    let before = world.upstream.calls().len();
    let answer = mcp.call("read_note", &json!({})).send().await;
    assert_eq!(world.upstream.calls().len(), before, "a call went through: {}", answer.text());
    if answer.status == 200 {
        let said = message(&answer);
        assert!(!is_done(&said), "{said}");
        assert!(!refusal(&said).is_empty(), "{said}");
    } else {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    for inside in ["sqlite", "SQLITE", "postgres", "disk", "os error", world.node.data().to_str().unwrap()] {
        assert!(!answer.text().contains(inside), "the agent is told of our insides: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_means_no_for_all_and_yes_when_it_is_back() {
    let world = World::new(On::Postgres).await;
    let mcp = world.session(&world.wide_task().await).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    let url = Secret::new(world.node.database().unwrap().to_owned());
    let ready = format!("{}/readyz", world.node.url());
    let alive = format!("{}/livez", world.node.url());
    becomes(&ready, 200).await;

    let cut = url.clone();
    tokio::task::spawn_blocking(move || Postgres::start().cut(&cut)).await.unwrap();
    // Before the node even knows, and after.
    refused(&world, &mcp).await;
    becomes(&ready, 503).await;
    refused(&world, &mcp).await;
    let task = world.maya.post("tasks", &json!({})).await;
    assert!(task.status == 503 || task.status == 400, "{}: {}", task.status, task.text());
    assert_eq!(world.admin.get("self").await.status, 503);
    assert_eq!(Ask::new("GET", &alive).send().await.status, 200, "it lives and says no");

    tokio::task::spawn_blocking(move || Postgres::start().mend(&url)).await.unwrap();
    becomes(&ready, 200).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_means_no_forward_and_nothing_half_done() {
    let mut world = World::new(On::Sqlite).await;
    let task = world.wide_task().await;
    let mcp = world.session(&task).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    let before = world.admin.get("export").await.body;

    file_size_limit(&world.node, "0:");
    refused(&world, &mcp).await;
    let put = world.admin.put("groups/new", &json!({ "of": "person", "description": "x" })).await;
    assert!(put.status.is_server_error(), "{}: {}", put.status, put.text());
    let kill = json!({ "kind": "agent", "name": "eve", "reason": "test" });
    assert!(
        world.admin.post("kill", &kill).await.status.is_server_error(),
        "a stop was acknowledged and is not kept"
    );
    assert!(
        !world.token_request(&task, "mcp/notes").send().await.status.is_success(),
        "a token without a record"
    );
    assert_eq!(world.admin.get("export").await.body, before);

    file_size_limit(&world.node, "unlimited:");
    let again = mcp.called("read_note", &json!({})).await;
    assert!(is_done(&again), "{again}");
    world.node.kill_and_start().await;
    assert_eq!(world.node.admin().get("export").await.body, before, "something was half done");
}

/// Bounds the size of the files that the server can write: with 0, each write fails as on a full disk.
fn file_size_limit(node: &Node, limit: &str) {
    let done = Command::new("prlimit")
        .args(["--pid", &node.pid().to_string(), &format!("--fsize={limit}")])
        .output()
        .expect("`prlimit` of the package util-linux");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_task_in_the_middle_of_its_work() {
    let world = World::new(On::Sqlite).await;
    let task = world.task_with(&[crate::world::rule("read_note")], json!({ "seconds": 2 })).await;
    let mcp = world.session(&task).await;
    let mut done = 0;
    let working = async {
        loop {
            let answer = mcp.call("read_note", &json!({})).send().await;
            if answer.status == 401 {
                break;
            }
            let answer = message(&answer);
            if refusal(&answer) == "deadline_reached" {
                // Cut while it was under way: whether it arrived is not known.
                continue;
            }
            assert!(is_done(&answer), "{answer}");
            done += 1;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), working).await.expect("the task does not end");
    let arrived = world.upstream.calls().len();
    assert!(done > 0 && (done..=done + 1).contains(&arrived), "{done} done, {arrived} arrived");
    assert!(!world.token_request(&task, "mcp/notes").send().await.status.is_success());
}
