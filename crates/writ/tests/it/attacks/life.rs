//! Tokens and what they came from; the operator, who is never locked out.

use serde_json::json;

use super::{credential, is_dead, kill, refused, revoke_tokens, session, text, wish};
use crate::{
    mcp::{Mcp, Pass, is_done},
    node::On,
    web::Ask,
    world::{World, access_token, rule, token_of},
};

/// The document of the agent `ada`, with other members.
fn ada(more: &[(&str, &str)]) -> serde_json::Value {
    let mut spec = json!({ "owner": "maya", "blueprint": "notes", "purpose": "keeps notes" });
    for (member, value) in more {
        spec[*member] = json!(value);
    }
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_ends_with_the_credential_that_it_was_got_with() {
    let world = World::new(On::Sqlite).await;
    let task = world.wide_task().await;
    let (id, secret) = credential(&world, "ada").await;
    let (by_this, by_other) = (
        session(&world, "ada", &secret, Some(&task)).await,
        session(&world, "ada", &world.ada_secret, Some(&task)).await,
    );
    assert!(is_done(&by_this.called("read_note", &json!({})).await));
    world.admin.ask("DELETE", &format!("credentials/{id}")).send().await.done();
    assert!(is_dead(&world, &by_this).await);
    assert!(is_done(&by_other.called("read_note", &json!({})).await), "another credential's token lives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_document_suspends_comes_back_without_its_old_credentials() {
    let world = World::new(On::Sqlite).await;
    let task = world.wide_task().await;
    let mcp = session(&world, "ada", &world.ada_secret, Some(&task)).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    world.admin.put("agents/ada", &ada(&[("state", "suspended")])).await.done();
    assert!(is_dead(&world, &mcp).await);
    world.admin.act("agents/ada/resume").await.done();
    assert!(is_dead(&world, &mcp).await, "the token is back with its agent");
    assert_eq!(wish(&world, "ada", &world.ada_secret, None, "mcp/notes").send().await.status, 401);
    let (_, secret) = credential(&world, "ada").await;
    assert!(is_done(&session(&world, "ada", &secret, None).await.called("read_note", &json!({})).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_is_killed_and_enabled_brings_no_token_of_their_agents_back() {
    let world = World::new(On::Sqlite).await;
    // For itself and for somebody who lives: only the owner ties these tokens to Maya.
    let body = json!({ "agent": "ada", "person": "noah", "purpose": "test", "tools": [rule("read_note")], "seconds": 600 });
    let task = text(&world.noah.post("tasks", &body).await.done()["id"]);
    let sessions = [
        session(&world, "ada", &world.ada_secret, None).await,
        session(&world, "ada", &world.ada_secret, Some(&task)).await,
    ];
    for mcp in &sessions {
        assert!(is_done(&mcp.called("read_note", &json!({})).await));
    }
    kill(&world, "person", "maya").await;
    world.admin.act("people/maya/enable").await.done();
    for mcp in &sessions {
        assert!(is_dead(&world, mcp).await);
    }
    assert_eq!(wish(&world, "ada", &world.ada_secret, None, "mcp/notes").send().await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_delegated_by_a_token_ends_with_the_token() {
    let world = World::new(On::Sqlite).await;
    let subject = token_of(&world.admin, "people/maya").await;
    let exchange = |subject: &str| {
        Ask::new("POST", format!("{}/oauth2/token", world.node.url())).form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", "ada"),
            ("client_secret", &world.ada_secret),
            ("resource", &format!("{}/mcp/notes", world.node.url())),
            ("subject_token", subject),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ])
    };
    let answer = exchange(&subject).send().await.done();
    let task = text(&answer["authorization_details"][0]["task"]);
    let mcp = Mcp::open(&world.node.url(), Pass::Bearer(access_token(&answer))).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    revoke_tokens(&world, "people/maya").await;
    assert!(is_dead(&world, &mcp).await);
    let anew = wish(&world, "ada", &world.ada_secret, Some(&task), "mcp/notes").send().await;
    assert_eq!(anew.status.as_u16(), 400, "a token for a task that ended: {}", anew.text());

    // A new token of the same person delegates anew, and does not join what has ended.
    let subject = token_of(&world.admin, "people/maya").await;
    let answer = exchange(&subject).send().await.done();
    assert_ne!(text(&answer["authorization_details"][0]["task"]), task);
    let mcp = Mcp::open(&world.node.url(), Pass::Bearer(access_token(&answer))).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_a_new_owner_has_none_of_its_old_credentials() {
    let world = World::new(On::Sqlite).await;
    let mcp = session(&world, "ada", &world.ada_secret, None).await;
    assert!(is_done(&mcp.called("read_note", &json!({})).await));
    world.admin.put("agents/ada", &ada(&[("owner", "noah")])).await.done();
    assert!(is_dead(&world, &mcp).await);
    refused(&wish(&world, "ada", &world.ada_secret, None, "mcp/notes").send().await, "401 invalid_client");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_never_locked_out() {
    for on in [On::Sqlite, On::Postgres] {
        let mut world = World::new(on).await;
        kill(&world, "all", "").await;
        assert_eq!(world.admin.get("people").await.status, 401);
        world.node.kill_and_start().await;
        let admin = world.node.admin();
        assert_ne!(admin.token, world.admin.token);
        assert_eq!(world.admin.get("people").await.status, 401, "the old token lives");

        let mut spec = admin.get("people/admin").await.done()["spec"].clone();
        spec["state"] = json!("disabled");
        admin.put("people/admin", &spec).await;
        world.node.kill_and_start().await;
        let admin = world.node.admin();
        assert_eq!(admin.get("people").await.status, 200, "nobody can administer");
        // Nothing is made anew where somebody can.
        world.node.kill_and_start().await;
        assert_eq!(world.node.admin_token(), admin.token);
    }
}
