//! Authority handed on: by whom, to whom, how far and how often.

use serde_json::{Value, json};

use super::{agent_api, anything, credential, refused, session};
use crate::{
    mcp::{is_done, refusal},
    node::On,
    world::{World, token_of},
};

/// A task below another, for an agent.
fn child(agent: &str, parent: &str) -> Value {
    let tool = json!({ "server": "notes", "tool": "read_note", "effects": ["read"] });
    json!({ "agent": agent, "parent": parent, "purpose": "test", "tools": [tool], "seconds": 60 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hands_on_what_another_person_delegated() {
    let world = World::new(On::Sqlite).await;
    let ines = world.node.api(&token_of(&world.admin, "people/ines").await);
    let task = world.wide_task().await;
    assert_eq!(ines.get(&format!("tasks/{task}")).await.status, 200, "an auditor sees it");
    for (who, api) in [("auditor", &ines), ("administrator", &world.admin), ("other", &world.noah)] {
        let before = world.admin.position().await;
        let answer = api.post("tasks", &child("bob", &task)).await;
        assert_eq!(answer.outcome(), "404 not_found", "{who}: {}", answer.text());
        assert_eq!(world.admin.position().await, before, "{who}");
    }
    world.maya.post("tasks", &child("eve", &task)).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stronger_agent_does_for_a_weaker_one_only_what_that_may() {
    let world = World::new(On::Sqlite).await;
    let role = json!({ "description": "destroys", "effects": ["destroy"] });
    world.admin.put("roles/destroyer", &role).await.done();
    for to in ["person/maya", "agent/eve"] {
        let grant = json!({ "to": to, "role": "destroyer", "on": "server/notes", "reason": "test" });
        world.admin.put(&format!("grants/{}", to.replace('/', "-")), &grant).await.done();
    }
    let (_, eve) = credential(&world, "eve").await;
    let new = |agent: &str, parent: Option<&str>| {
        let seconds = if parent.is_some() { 60 } else { 600 };
        json!({ "agent": agent, "person": parent.is_none().then_some("maya"), "parent": parent, "purpose": "test",
            "tools": anything(), "seconds": seconds })
    };
    let id = |made: Value| made["id"].as_str().unwrap().to_owned();

    let own = id(world.maya.post("tasks", &new("eve", None)).await.done());
    let done = session(&world, "eve", &eve, Some(&own)).await.called("drop_note", &json!({})).await;
    assert!(is_done(&done), "she may by herself: {done}");

    let weak = id(world.maya.post("tasks", &new("ada", None)).await.done());
    let (ada, _) = agent_api(&world, "ada", &world.ada_secret, Some(&weak)).await;
    let handed = id(ada.post("tasks", &new("eve", Some(&weak))).await.done());
    let mcp = session(&world, "eve", &eve, Some(&handed)).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await), "what both may do is done");
    let before = world.upstream.calls().len();
    let denied = mcp.called("drop_note", &json!({})).await;
    assert_eq!(refusal(&denied), "not_granted", "{denied}");
    assert!(!mcp.listed().await.contains(&"drop_note".to_owned()));
    assert_eq!(world.upstream.calls().len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_no_fresh_limits_by_ending_the_task_that_it_joined() {
    let world = World::new(On::Sqlite).await;
    let limits = json!({ "description": "little", "limits": { "calls_max": 2 } });
    world.admin.put("blueprints/notes", &limits).await.done();
    let (api, task) = agent_api(&world, "ada", &world.ada_secret, None).await;
    let mcp = session(&world, "ada", &world.ada_secret, None).await;
    for _ in 0..2 {
        assert!(is_done(&mcp.called("read_note", &json!({})).await));
    }
    refused(&api.act(&format!("tasks/{task}/complete")).await, "403 not_permitted");
    let (_, again) = agent_api(&world, "ada", &world.ada_secret, None).await;
    assert_eq!(again, task, "the next token joins it again");
    let mcp = session(&world, "ada", &world.ada_secret, None).await;
    let denied = mcp.called("read_note", &json!({})).await;
    assert!(!is_done(&denied), "{denied}");
    assert_eq!(world.upstream.calls().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_depth_that_the_delegator_is_admitted_counts() {
    let world = World::new(On::Sqlite).await;
    let flat = json!({ "description": "does not delegate", "limits": { "depth_max": 1 } });
    world.admin.put("blueprints/flat", &flat).await.done();
    let agent = json!({ "owner": "maya", "blueprint": "flat", "purpose": "works alone" });
    world.admin.put("agents/flat", &agent).await.done();
    let (_, secret) = credential(&world, "flat").await;
    let (flat, task) = agent_api(&world, "flat", &secret, None).await;
    refused(&flat.post("tasks", &child("eve", &task)).await, "403 task_too_deep");
    let (ada, task) = agent_api(&world, "ada", &world.ada_secret, None).await;
    ada.post("tasks", &child("eve", &task)).await.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_tasks_and_their_scopes_are_bounded() {
    let world = World::new(On::Sqlite).await;
    let root = world.wide_task().await;
    let rules = |count: usize| {
        let value = "x".repeat(3900);
        let rule = json!({ "server": "notes", "tool": "send_note",
            "constraints": [{ "argument": "/to", "rule": { "one_of": [value] } }] });
        let mut task = child("bob", &root);
        task["tools"] = json!(vec![rule; count]);
        task
    };
    world.maya.post("tasks", &rules(10)).await.done();
    refused(&world.maya.post("tasks", &rules(20)).await, "400 bad_text");

    for number in 2..256 {
        let answer = world.maya.post("tasks", &child("ada", &root)).await;
        if number < 255 {
            assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        }
    }
    refused(&world.maya.post("tasks", &child("ada", &root)).await, "429 too_many_tasks");
    let fresh =
        json!({ "agent": "ada", "person": "noah", "purpose": "test", "tools": anything(), "seconds": 60 });
    world.noah.post("tasks", &fresh).await.done();
    refused(&world.noah.post("tasks", &fresh).await, "429 too_many_tasks");
}
