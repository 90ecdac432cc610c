//! A client that sends the head of a request and holds its body back, while what the head shows comes to its end.

use serde_json::json;

use super::{kill, revoke_tokens, session};
use crate::{
    node::On,
    upstream::Upstream,
    web::Ask,
    world::{UPSTREAM_SECRET, World, document, token_of},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_ends_while_the_body_is_held_back_changes_nothing() {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on).await;
        let grant = json!({ "to": "person/ines", "role": "administrator", "on": "system", "reason": "test" });
        world.admin.put("grants/ines-administers", &grant).await.done();
        let ines = world.node.api(&token_of(&world.admin, "people/ines").await);
        let more = json!({ "to": "agent/eve", "role": "administrator", "on": "system", "reason": "revenge" });
        let label = json!({ "label": "back door" });
        let held = [
            ines.ask("PUT", "grants/revenge").json(&more).hold().await,
            ines.ask("POST", "people/noah/tokens").json(&label).hold().await,
        ];
        revoke_tokens(&world, "people/ines").await;
        let before = world.admin.position().await;
        for held in held {
            let answer = held.release().await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        }
        assert_eq!(world.admin.position().await, before, "something was written");

        let held = world.maya.ask("POST", "agents/ada/credentials");
        let held = held.json(&json!({ "label": "back door", "secret": true })).hold().await;
        kill(&world, "person", "maya").await;
        let before = world.admin.position().await;
        let answer = held.release().await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
        assert_eq!(world.admin.position().await, before, "something was written");

        // What is held back by somebody who stays is done.
        let held =
            world.noah.ask("POST", "agents/bob/credentials").json(&json!({ "label": "own", "secret": true }));
        let held = held.hold().await;
        let answer = held.release().await;
        assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_is_asked_for_by_those_who_may_and_answered_to_those_who_still_may() {
    let world = World::new(On::Sqlite).await;
    let ines = world.node.api(&token_of(&world.admin, "people/ines").await);
    let check = json!({ "agent": "ada", "server": "notes", "tool": "read_note" });
    // Nobody and those who may not are answered before they send a body, as is one that nobody takes.
    let kill = Ask::new("POST", format!("{}/api/v1/kill", world.node.url())).json(&json!({}));
    let nobody = kill.header("expect", "100-continue").announce(100).await;
    assert!(nobody.starts_with("HTTP/1.1 401"), "{nobody}");
    let denied = world.maya.ask("POST", "check").json(&check).header("expect", "100-continue");
    let denied = denied.announce(100).await;
    assert!(denied.starts_with("HTTP/1.1 403"), "{denied}");
    let unwanted = world.admin.ask("GET", "status").announce(100).await;
    assert!(unwanted.starts_with("HTTP/1.1 400") && unwanted.contains("takes no body"), "{unwanted}");
    let large = world.admin.ask("POST", "kill").json(&json!({})).announce(1024 * 1024 + 1).await;
    assert!(large.starts_with("HTTP/1.1 400") && large.contains("larger"), "{large}");
    // Reading ends with the right to it, too.
    let held = ines.ask("POST", "check").json(&check).hold().await;
    revoke_tokens(&world, "people/ines").await;
    let answer = held.release().await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "full size: make verify"]
async fn a_body_that_never_comes_is_answered() {
    let world = World::new(On::Sqlite).await;
    let token = Ask::new("POST", format!("{}/oauth2/token", world.node.url())).form(&[]);
    let (api, oauth) =
        tokio::join!(world.admin.ask("POST", "kill").json(&json!({})).announce(100), token.announce(100));
    for answer in [api, oauth] {
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("in time"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_held_back_over_the_stop_of_its_server_goes_nowhere() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&world.wide_task().await)).await;
    let before = world.upstream.messages();
    let held = mcp.call("read_note", &json!({ "text": "late" })).hold().await;
    kill(&world, "server", "notes").await;
    let answer = held.release().await;
    assert!(!answer.contains("read_note {"), "{answer}");
    assert!(!world.upstream.heard("late") && world.upstream.messages() == before, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_held_back_over_the_move_of_its_server_carries_no_secret_to_the_old_address() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&world.wide_task().await)).await;
    let call = mcp.call("read_note", &json!({ "text": "late" }));
    let (before, held) = (world.upstream.messages(), call.hold().await);
    let elsewhere = Upstream::start().await;
    let server = json!({ "url": elsewhere.url, "credential": { "secret": "notes-key" } });
    world.admin.post("apply", &json!({ "documents": [document("Server", "notes", &server)] })).await.done();
    world.admin.put("secrets/notes-key/value", &json!({ "value": "only-for-the-new" })).await.done();
    let answer = held.release().await;
    assert!(!world.upstream.heard("only-for-the-new"), "{answer}");
    assert!(!world.upstream.heard("late") && world.upstream.messages() == before, "{answer}");
    assert!(!elsewhere.heard(UPSTREAM_SECRET), "{answer}");
}
