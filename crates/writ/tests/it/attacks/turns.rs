//! Many writes at once: what one of them counted or looked up holds when it is kept, and a stop goes before them all.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{credential, wish};
use crate::{
    node::On,
    web::Ask,
    world::{World, access_token},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_writes_does_not_outrun_its_bounds() {
    for on in [On::Sqlite, On::Postgres] {
        let world = World::new(on).await;
        let key = wire::jose::SigningKey::generate(wire::jose::Algorithm::Es256).unwrap();
        let jwk: serde_json::Value = serde_json::from_str(&key.public().to_json().to_text()).unwrap();
        let agents: Vec<String> = (0..12).map(|number| format!("twin-{number}")).collect();
        for agent in &agents {
            let spec = json!({ "owner": "maya", "blueprint": "notes", "purpose": "test" });
            world.admin.put(&format!("agents/{agent}"), &spec).await.done();
        }
        let body = json!({ "label": "test", "jwk": jwk });
        let tries = agents.iter().map(|agent| {
            let (admin, path, body) = (&world.admin, format!("agents/{agent}/credentials"), &body);
            async move { admin.post(&path, body).await.status.is_success() }
        });
        let given = join_all(tries).await.into_iter().filter(|given| *given).count();
        assert_eq!(given, 1, "{on:?}: one key, one principal");

        let body = json!({ "label": "test", "secret": true });
        let tries = (0..40).map(|_| world.admin.post("agents/bob/credentials", &body));
        let secrets = join_all(tries).await.iter().filter(|answer| answer.status.is_success()).count();
        assert_eq!(secrets, 16, "{on:?}: no more than an agent may have");

        for round in 0..6 {
            let name = format!("gone-{round}");
            world.admin.put(&format!("blueprints/{name}"), &json!({ "description": "test" })).await.done();
            let spec = json!({ "owner": "maya", "blueprint": name, "purpose": "test" });
            let agent = format!("left-{round}");
            let path = format!("agents/{agent}");
            let (made, removed) = tokio::join!(
                world.admin.put(&path, &spec),
                world.admin.ask("DELETE", &format!("blueprints/{name}")).send()
            );
            assert!(
                !(made.status.is_success() && removed.status.is_success()),
                "{on:?}: a reference dangles"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_not_kept_waiting_by_the_one_that_it_stops() {
    let world = World::new(On::Sqlite).await;
    let (_, secret) = credential(&world, "eve").await;
    // Each revocation narrows, so each of them changes what the others were planned on.
    let flood = (0..200).map(|_| {
        let (world, secret) = (&world, &secret);
        async move {
            for _ in 0..3 {
                let Ok(answer) = wish(world, "eve", secret, None, "mcp/notes").attempt().await else {
                    return;
                };
                if !answer.status.is_success() {
                    continue;
                }
                let form = [
                    ("client_id", "eve"),
                    ("client_secret", secret),
                    ("token", &access_token(&answer.json())),
                ];
                let revoke = Ask::new("POST", format!("{}/oauth2/revoke", world.node.url())).form(&form);
                drop(revoke.attempt().await);
            }
        }
    });
    let stop = async {
        // Once the flood is there.
        while world.admin.records("kind=token.revoked&limit=5").await.len() < 5 {}
        let kill = json!({ "kind": "agent", "name": "eve", "reason": "floods" });
        let began = now();
        let answer = world.admin.post("kill", &kill).await;
        (began.elapsed(), answer)
    };
    let (_, (took, answer)) = tokio::join!(join_all(flood), stop);
    answer.done();
    assert!(took < Duration::from_secs(2), "the stop took {took:?}");
    let refused = wish(&world, "eve", &secret, None, "mcp/notes").send().await;
    assert!(!refused.status.is_success(), "{}", refused.text());
}

#[expect(clippy::disallowed_methods, reason = "how long a stop takes is what is tested")]
fn now() -> Instant {
    Instant::now()
}
