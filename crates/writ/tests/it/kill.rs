//! Revocation: what was acknowledged as stopped stays stopped, on the next call, over open streams, over a power cut,
//! and over a database that was put back.

use std::path::Path;

use http_body_util::BodyExt as _;
use serde_json::json;

use crate::{
    mcp::{Mcp, is_done, message, refusal},
    node::On,
    world::{World, rule, token_of},
};

/// Whether a session's next call is refused for the credential, and reaches nobody.
async fn is_dead(world: &World, mcp: &Mcp) -> bool {
    let before = world.upstream.calls().len();
    let answer = mcp.call("read_note", &json!({})).send().await;
    assert_eq!(world.upstream.calls().len(), before, "a call of the dead went through: {}", answer.text());
    answer.status == 401
}

async fn kill(world: &World, kind: &str, name: &str) {
    world.admin.post("kill", &json!({ "kind": kind, "name": name, "reason": "test" })).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_stopped_is_dead_on_the_next_call_and_after_a_power_cut() {
    for on in [On::Sqlite, On::Postgres] {
        let mut world = World::new(on).await;
        for (kind, name, back) in [
            ("agent", "ada", "agents/ada/resume"),
            ("person", "maya", "people/maya/enable"),
            ("task", "", ""),
            ("all", "", ""),
        ] {
            let task = world.wide_task().await;
            let mcp = world.session(&task).await;
            assert!(is_done(&mcp.called("read_note", &json!({})).await), "{kind}");
            kill(&world, kind, if kind == "task" { &task } else { name }).await;
            assert!(is_dead(&world, &mcp).await, "{kind}");
            if kind == "all" {
                assert_eq!(world.admin.get("self").await.status, 401, "everything means everything");
                break;
            }
            world.node.kill_and_start().await;
            assert!(is_dead(&world, &mcp).await, "{kind}: a power cut brought it back");
            if !back.is_empty() {
                assert_eq!(
                    world.token_request(&task, "mcp/notes").send().await.status.as_u16() / 100,
                    4,
                    "{kind}"
                );
                world.admin.act(back).await.done();
                assert!(is_dead(&world, &mcp).await, "{kind}: old credentials live again with the principal");
                renew(&mut world, kind).await;
            }
        }
    }
}

/// Gives those whose credentials died new ones.
async fn renew(world: &mut World, kind: &str) {
    if kind == "person" {
        world.maya.token = token_of(&world.admin, "people/maya").await;
    }
    let made =
        world.admin.post("agents/ada/credentials", &json!({ "label": "new", "secret": true })).await.done();
    made["secret"].as_str().unwrap().clone_into(&mut world.ada_secret);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_dies_with_its_owner_and_a_child_with_its_parent() {
    let world = World::new(On::Sqlite).await;
    // The task is of Noah, who lives; the agent's owner does not.
    let body = json!({ "agent": "ada", "person": "noah", "purpose": "test", "tools": [rule("read_note")], "seconds": 600 });
    let task = world.noah.post("tasks", &body).await.done()["id"].as_str().unwrap().to_owned();
    let mcp = world.session(&task).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    kill(&world, "person", "maya").await;
    assert!(is_dead(&world, &mcp).await);

    let world = World::new(On::Sqlite).await;
    let parent = world.wide_task().await;
    let child = world.task_with(&[rule("read_note")], json!({ "parent": parent, "seconds": 60 })).await;
    let grandchild = world.task_with(&[rule("read_note")], json!({ "parent": child, "seconds": 30 })).await;
    let (of_child, of_grandchild) = (world.session(&child).await, world.session(&grandchild).await);
    assert!(is_done(&of_grandchild.called("read_note", &json!({})).await));
    world.maya.act(&format!("tasks/{parent}/complete")).await.done();
    assert!(is_dead(&world, &of_child).await && is_dead(&world, &of_grandchild).await);
    for task in [&child, &grandchild] {
        let shown = world.maya.get(&format!("tasks/{task}")).await.done();
        assert_ne!(shown["state"], "open", "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_are_cut() {
    let world = World::new(On::Sqlite).await;
    let task = world.wide_task().await;
    let mcp = world.session(&task).await;
    let mut stream = mcp.call("watch_notes", &json!({})).open().await.unwrap().into_body();
    // The stream begins with an event that only gives it a name.
    let mut heard = String::new();
    while !heard.contains("progress") {
        let piece = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
    world.upstream.streams(1).await;
    kill(&world, "task", &task).await;
    // Both sides: the agent's stream ends, and the upstream is let go.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(5), stream.collect()).await;
    let rest = ended.expect("the stream of a dead task stays open");
    if let Ok(rest) = rest {
        let rest = String::from_utf8(rest.to_bytes().to_vec()).unwrap();
        assert!(!rest.contains("\"result\"") || rest.contains("isError"), "{rest}");
    }
    world.upstream.streams(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_database_that_comes_back_brings_no_credential_back() {
    let mut world = World::new(On::Sqlite).await;
    let task = world.wide_task().await;
    let generation = world.admin.get("status").await.done()["generation"].as_i64().unwrap();

    // A copy as a backup makes it, of a server that stands still; then life goes on.
    world.node.kill();
    let (data, copy) = (world.node.data(), world.node.beside("copy"));
    copy_database(&data, &copy);
    world.node.launch().await;
    let mcp = world.session(&task).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    kill(&world, "agent", "ada").await;
    assert!(is_dead(&world, &mcp).await);
    let old_admin = world.admin.clone();

    world.node.kill();
    copy_database(&copy, &data);
    world.node.launch().await;
    assert!(is_dead(&world, &mcp).await, "the token of a killed agent lives in the older database");
    for old in [&old_admin, &world.maya, &world.noah] {
        assert_eq!(old.get("self").await.status, 401, "a credential from before lives");
    }
    assert_eq!(world.token_request(&task, "mcp/notes").send().await.status, 401, "the agent's secret lives");
    let admin = world.node.admin();
    assert_ne!(admin.token, old_admin.token);
    let status = admin.get("status").await.done();
    assert_eq!(status["generation"].as_i64(), Some(generation + 1), "{status}");
    assert_eq!(admin.records("kind=log.generation_started").await.len(), 2);
}

/// Copies the database with its journals, and nothing else: the high-water mark lies beside it.
fn copy_database(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for name in ["writ.db", "writ.db-wal", "writ.db-shm"] {
        let _ = std::fs::remove_file(to.join(name));
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_task_in_the_middle_of_its_work() {
    let world = World::new(On::Sqlite).await;
    let task = world.task_with(&[rule("read_note")], json!({ "seconds": 2 })).await;
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
