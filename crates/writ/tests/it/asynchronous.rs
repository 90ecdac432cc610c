//! Asynchronous mode: what a person has confirmed as `read` goes on before its record is on disk, nothing else does.

use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, is_done, message, refusal},
    node::{On, Setup},
    world::{World, document, rule},
};

/// A world in which reads need not wait, as far as the agent's limits go.
async fn world(on: On) -> World {
    let config = "asynchronous_reads = true\n".to_owned();
    let world = World::with(on, Setup { config: Some(config), ..Setup::default() }).await;
    let limits = json!({ "calls_max": 100_000, "bytes_max": 10_000_000_000_i64, "token_seconds": 3600 });
    let roomy = document("Blueprint", "notes", &json!({ "description": "keeps notes", "limits": limits }));
    world.admin.post("apply", &json!({ "documents": [roomy] })).await.done();
    world.admin.put("tools/notes/read_note/label", &json!({ "effect": "read" })).await.done();
    world
}

/// A session with room for many calls.
async fn session(world: &World) -> (String, Mcp) {
    let limits = json!({ "limits": { "calls_max": 20_000, "bytes_max": 1_000_000_000 } });
    let task = world.task_with(&[rule("read_note"), rule("send_note")], limits).await;
    let mcp = world.session(&task).await;
    (task, mcp)
}

/// The facts of the calls of tools on record, newest first, when all of them have ended.
async fn calls(world: &World, count: usize) -> Vec<Value> {
    loop {
        let facts = async |kind: &str| {
            let records = world.admin.records(&format!("kind={kind}&limit=1000")).await;
            records.into_iter().map(|record| record["record"].clone()).collect::<Vec<_>>()
        };
        let allowed: Vec<_> = facts("call.allowed")
            .await
            .into_iter()
            .filter(|record| record["data"]["what"] == "tool")
            .collect();
        let ended: Vec<_> =
            facts("call.ended").await.into_iter().map(|record| record["data"]["intent"].clone()).collect();
        if allowed.len() >= count && allowed.iter().all(|record| ended.contains(&record["position"])) {
            return allowed.into_iter().map(|record| record["data"].clone()).collect();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_reads_go_on_and_are_on_record_all_the_same() {
    for on in [On::Sqlite, On::Postgres] {
        let world = world(on).await;
        let (task, mcp) = session(&world).await;
        for text in 0..20 {
            let done = mcp.called("read_note", &json!({ "text": text.to_string() })).await;
            assert!(is_done(&done), "{done}");
        }
        assert!(is_done(&mcp.called("send_note", &json!({ "to": "noah", "text": "x" })).await));
        let calls = calls(&world, 21).await;
        let modes: Vec<_> = calls.iter().map(|data| (data["name"].clone(), data["mode"].clone())).collect();
        assert_eq!(modes[0], (json!("send_note"), Value::Null), "a send waits");
        assert_eq!(modes[1..].len(), 20);
        // On a busy machine the log may not keep up for a moment; then they wait.
        let asynchronous = modes[1..].iter().filter(|mode| mode.1 == "asynchronous").count();
        assert!(asynchronous >= 10, "{modes:?}");
        assert_eq!(world.upstream.calls().len(), 21);

        // What is taken away is taken away at once.
        world.admin.post("kill", &json!({ "kind": "task", "name": task, "reason": "test" })).await.done();
        let after = mcp.call("read_note", &json!({ "text": "x" })).send().await;
        assert!(after.status != 200 || !is_done(&message(&after)));
        assert_eq!(world.upstream.calls().len(), 21);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_guessed_or_near_its_limit_waits() {
    let world = world(On::Sqlite).await;
    let limits = json!({ "limits": { "calls_max": 100, "bytes_max": 1_000_000_000 } });
    let near = world.task_with(&[rule("read_note")], limits).await;
    let near = world.session(&near).await;
    assert!(is_done(&near.called("read_note", &json!({ "text": "x" })).await));
    assert_eq!(calls(&world, 1).await[0]["mode"], Value::Null, "little is left");

    let (_, mcp) = session(&world).await;
    assert!(is_done(&mcp.called("read_note", &json!({ "text": "x" })).await));
    assert_eq!(calls(&world, 2).await[0]["mode"], "asynchronous");
    // Another definition is pinned: what it does is guessed anew, and nobody has confirmed it.
    world.upstream.describe("read_note", "reads a note, and more");
    mcp.listed().await;
    let refused = mcp.called("read_note", &json!({ "text": "x" })).await;
    assert_eq!(refusal(&refused), "definition_changed", "{refused}");
    let tool = world.admin.get("tools/notes/read_note").await.done();
    let looked_at = json!({ "digest": tool["spec"]["digest"] });
    world.admin.post("tools/notes/read_note/approve", &looked_at).await.done();
    mcp.called("read_note", &json!({ "text": "x" })).await;
    let asynchronous = calls(&world, 2).await.into_iter().filter(|data| data["mode"] == "asynchronous");
    assert_eq!(asynchronous.count(), 1, "a guess is no confirmation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_decided_as_a_read_waits() {
    let world = world(On::Sqlite).await;
    let (_, mcp) = session(&world).await;
    let call = json!({ "name": "read_note", "arguments": { "text": "x" }, "task": {} });
    let made = message(&mcp.request("tools/call", &call).send().await);
    let id = made["result"]["task"]["taskId"].clone();
    let result = message(&mcp.request("tasks/result", &json!({ "taskId": id })).send().await);
    assert_eq!(result["result"]["content"][0]["text"], "what came of it", "{result}");
    let calls = calls(&world, 2).await;
    assert_eq!(calls[0]["mode"], Value::Null, "asking for what came of it is no read: {calls:?}");
    assert_eq!(calls[1]["mode"], "asynchronous", "{calls:?}");
}
