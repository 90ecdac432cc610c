//! What a task has left, as a policy sees it: over real calls, a power cut and a second node.

use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, Pass, is_done, message, refusal},
    node::{Node, On},
    world::{World, document, rule},
};

/// The last call of a task is not for reading.
const FORBID: &str = "forbid (principal is Agent, action == Action::\"notes/read_note\", resource)
    when { context.task has calls_left && context.task.calls_left < 2 };";

/// A server with the policy, and a task with four calls in all, below it one that could have as many.
async fn world(on: On) -> (World, String, String) {
    let world = World::new(on).await;
    let policy = document("Policy", "sparing", &json!({ "description": "keeps one back", "text": FORBID }));
    world.admin.post("apply", &json!({ "documents": [policy] })).await.done();
    let limits = json!({ "calls_max": 4, "bytes_max": 1_000_000 });
    let parent = world.task_with(&[rule("read_note"), rule("send_note")], json!({ "limits": limits })).await;
    let below = json!({ "limits": limits, "parent": parent, "seconds": 600 });
    let child = world.task_with(&[rule("read_note"), rule("send_note")], below).await;
    (world, parent, child)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_keeps_the_last_call_of_a_task_back() {
    for on in [On::Sqlite, On::Postgres] {
        let (mut world, parent, child) = world(on).await;
        let (of_parent, of_child) = (world.session(&parent).await, world.session(&child).await);
        for mcp in [&of_parent, &of_parent, &of_child] {
            assert!(is_done(&mcp.called("read_note", &json!({})).await));
        }
        assert_eq!(refusal(&of_child.called("read_note", &json!({})).await), "forbidden");
        world.node.kill_and_start().await;
        let of_child = world.session(&child).await;
        assert_eq!(
            refusal(&of_child.called("read_note", &json!({})).await),
            "forbidden",
            "a power cut gave calls back"
        );
        assert!(is_done(&of_child.called("send_note", &json!({ "to": "a", "text": "b" })).await));
        assert_eq!(
            refusal(&of_child.called("send_note", &json!({ "to": "a", "text": "b" })).await),
            "limit_reached"
        );
        assert_eq!(world.upstream.calls().len(), 4);
    }
}

/// Reads a note at the second node, which clients know by the address of the first.
async fn read_at(second: &Node, first: &World, task: &str) -> Value {
    let mcp = Mcp::new(&second.url(), Pass::Bearer(first.token(task).await));
    let host = first.node.url().strip_prefix("http://").unwrap().to_owned();
    let opened = mcp.opening().header("host", &host).send().await;
    assert_eq!(opened.status, 200, "{}", opened.text());
    let session = opened.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    let mut call = mcp.call("read_note", &json!({})).header("host", &host);
    if let Some(session) = &session {
        call = call.header("mcp-session-id", session);
    }
    let answer = call.send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    message(&answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_counts_the_calls_of_another_node() {
    let (world, parent, child) = world(On::Postgres).await;
    let second = world.node.second().await;
    let of_child = world.session(&child).await;
    assert!(is_done(&read_at(&second, &world, &child).await));
    for _ in 0..2 {
        assert!(is_done(&of_child.called("read_note", &json!({})).await));
    }
    // Once a node has followed these calls, it has counted them.
    let (other, position) = (second.api(&world.admin.token), world.admin.position().await);
    while other.get("status").await.done()["applied"].as_i64().unwrap() < position {
        tokio::task::yield_now().await;
    }
    for task in [&parent, &child] {
        assert_eq!(refusal(&read_at(&second, &world, task).await), "forbidden");
    }
    assert_eq!(world.upstream.calls().len(), 3);
}
