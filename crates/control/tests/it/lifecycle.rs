//! Tokens over time: expiry, revocation, restarts, a restored database, a clock that was turned back.

use base::EventKind;
use http::HeaderMap;
use serde_json::json;
use testkit::Bench;
use wire::jose::{Algorithm, SigningKey};

use crate::{
    app::{App, each_database},
    client::{CRM, claims, headers, token_proof},
    world::existing,
};

const HOUR: i64 = 3600;

#[tokio::test]
async fn tokens_end_by_themselves() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let token = rex.own_token(&app, CRM).await.token();
        app.advance(299).await;
        assert!(app.caller(&token, "crm").is_ok());
        app.advance(1).await;
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "token_expired");
        // The task goes on, and so does another token of it; at the deadline both end.
        let again = rex.own_token(&app, CRM).await.token();
        assert_eq!(claims(&again)["task"], claims(&token)["task"]);
        app.advance(8 * HOUR - 300 - 60).await;
        let last = rex.own_token(&app, CRM).await;
        assert_eq!(last.body["expires_in"], 60);
        app.advance(60).await;
        assert!(app.caller(&last.token(), "crm").is_err());
        assert_ne!(claims(&rex.own_token(&app, CRM).await.token())["task"], claims(&token)["task"]);
    })
    .await;
}

#[tokio::test]
async fn a_client_gives_its_own_token_up() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ivy) = (app.client("rex").await, app.client("ivy").await);
        let (token, other) = (rex.own_token(&app, CRM).await.token(), rex.own_token(&app, CRM).await.token());
        let revoke = async |client: &crate::client::Client, token: &str| {
            let answer = client.ask(&app, "/oauth2/revoke", HeaderMap::new(), &[("token", token)]).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        };
        // Not one's own, not a token at all: the same answer, and nothing happens.
        revoke(&ivy, &token).await;
        revoke(&ivy, "garbage").await;
        assert!(app.caller(&token, "crm").is_ok());
        revoke(&rex, &token).await;
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "authority_revoked");
        assert!(app.caller(&other, "crm").is_ok());
        revoke(&rex, &token).await;
        assert_eq!(app.records(EventKind::TokenRevoked).await, 1);
        // A stranger is told to prove who it is.
        let stranger = app.form("/oauth2/revoke", HeaderMap::new(), &[("token", &token)]).await;
        assert_eq!(stranger.error(), "invalid_client");
        // It stays so after a restart, and is forgotten when nobody could tell the difference.
        let app = app.restart(|_| {}).await;
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "authority_revoked");
        assert_eq!(app.control.forget_revoked_tokens(&app.system()).await.unwrap(), 0);
        app.advance(301).await;
        assert_eq!(app.control.forget_revoked_tokens(&app.system()).await.unwrap(), 1);
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "token_expired");
    })
    .await;
}

#[tokio::test]
async fn what_was_used_once_stays_used_after_a_restart() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, key) = (app.client("rex").await, SigningKey::generate(Algorithm::Es256).unwrap());
        let proof = token_proof(&app, &key);
        let form = [("grant_type", "client_credentials"), ("resource", CRM)];
        rex.ask(&app, "/oauth2/token", proof.clone(), &form).await.token();
        let proving = rex.proving(&app);
        let assertion: Vec<(&str, &str)> =
            proving.iter().map(|(name, value)| (*name, value.as_str())).chain(form).collect();
        app.form("/oauth2/token", HeaderMap::new(), &assertion).await.token();
        let api = rex.own_token(&app, crate::client::API).await.token();
        let app = app.restart(|bench| bench.clock.advance_seconds(-20)).await;
        assert_eq!(rex.ask(&app, "/oauth2/token", proof, &form).await.error(), "invalid_dpop_proof");
        assert_eq!(app.form("/oauth2/token", HeaderMap::new(), &assertion).await.error(), "invalid_client");
        // Twenty seconds back is more than the clocks of two nodes may differ.
        let shown = app.api(http::Method::GET, "/api/v1/self", &api, &json!(null)).await;
        assert_eq!(shown.body["code"], "token_issued_in_future");
    })
    .await;
}

/// Two nodes on one database share what was used and what was ended.
#[tokio::test]
async fn two_nodes_are_one_issuer() {
    each_database(|one| async move {
        one.populate().await;
        let (rex, key) = (one.client("rex").await, SigningKey::generate(Algorithm::Es256).unwrap());
        let other = one.second_node().await;
        let form = [("grant_type", "client_credentials"), ("resource", CRM)];
        let proof = token_proof(&one, &key);
        rex.ask(&one, "/oauth2/token", proof.clone(), &form).await.token();
        assert_eq!(rex.ask(&other, "/oauth2/token", proof, &form).await.error(), "invalid_dpop_proof");
        let proving = rex.proving(&one);
        let assertion: Vec<(&str, &str)> =
            proving.iter().map(|(name, value)| (*name, value.as_str())).chain(form).collect();
        let token = one.form("/oauth2/token", HeaderMap::new(), &assertion).await.token();
        let replayed = other.form("/oauth2/token", HeaderMap::new(), &assertion).await;
        assert_eq!(replayed.error(), "invalid_client");
        // A token of the one is good at the other, and joins the same task there.
        other.catch_up(&one).await;
        assert!(other.caller(&token, "crm").is_ok());
        let joined = rex.own_token(&other, CRM).await.token();
        assert_eq!(claims(&joined)["task"], claims(&token)["task"]);
        // A key that the one made, the other signs with.
        one.control.rotate_key(&one.system(), Algorithm::Es256).await.unwrap();
        other.catch_up(&one).await;
        let rotated = rex.own_token(&other, CRM).await.token();
        one.catch_up(&other).await;
        assert!(one.caller(&rotated, "crm").is_ok());
        let target = control::revoke::Target::Agent("rex".into());
        other.control.kill(&other.system(), &target, "test").await.unwrap();
        one.catch_up(&other).await;
        for token in [&token, &joined, &rotated] {
            assert!(one.caller(token, "crm").is_err() && other.caller(token, "crm").is_err());
        }
    })
    .await;
}

/// Killing wins: on the next call, after a restart, with the clock an hour back and an hour on.
#[tokio::test]
async fn a_kill_is_never_undone() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, kid, ada) = (app.client("rex").await, app.client("kid").await, app.api_token("ada").await);
        let delegated = rex.exchange(&app, &ada, CRM, None).await.token();
        let child = kid.exchange(&app, &delegated, CRM, None).await.token();
        let own = rex.own_token(&app, CRM).await.token();
        let task = app.caller(&delegated, "crm").unwrap().task;
        let target = control::revoke::Target::Agent("rex".into());
        app.control.kill(&app.system(), &target, "test").await.unwrap();
        let tokens = [delegated, child, own];
        let all_dead = |app: &App| {
            for token in &tokens {
                assert!(app.caller(token, "crm").is_err());
            }
        };
        all_dead(&app);
        assert_eq!(rex.own_token(&app, CRM).await.error(), "invalid_client");
        let mut app = app;
        for step in [-HOUR, HOUR, 0] {
            app = app.restart(|bench| bench.clock.advance_seconds(step)).await;
            all_dead(&app);
        }
        // Back at work, the agent begins anew: neither its tokens nor its key nor its tasks come back.
        app.control.resume_agent(&app.system(), "rex").await.unwrap();
        all_dead(&app);
        assert_eq!(rex.own_token(&app, CRM).await.error(), "invalid_client");
        let rex = app.client("rex").await;
        let details = existing(&task);
        let form =
            [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &*details)];
        assert_eq!(rex.token(&app, &form).await.error(), "invalid_authorization_details");
        assert!(app.caller(&rex.own_token(&app, CRM).await.token(), "crm").is_ok());
        all_dead(&app);
    })
    .await;
}

#[tokio::test]
async fn an_owner_who_leaves_takes_everything_along() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, max, bob) = (app.client("rex").await, app.client("max").await, app.api_token("bob").await);
        let of_bobs_agent = max.own_token(&app, CRM).await.token();
        let for_bob = rex.exchange(&app, &bob, CRM, None).await.token();
        let own = rex.own_token(&app, CRM).await.token();
        let target = control::revoke::Target::Person("bob".into());
        app.control.kill(&app.system(), &target, "test").await.unwrap();
        assert_eq!(app.caller(&of_bobs_agent, "crm").unwrap_err(), "task_ended");
        assert_eq!(app.open_tasks("max"), 0, "what cannot work does not look as if it did");
        assert!(app.caller(&for_bob, "crm").is_err());
        assert!(app.caller(&own, "crm").is_ok());
        assert_eq!(max.own_token(&app, CRM).await.error(), "invalid_client");
        assert_eq!(rex.exchange(&app, &bob, CRM, None).await.error(), "invalid_grant");
    })
    .await;
}

/// An older database comes back: every credential from before is dead, though the database knows nothing against it.
#[tokio::test]
async fn a_restored_database_kills_every_token() {
    let app = App::start(Bench::sqlite().await).await;
    app.populate().await;
    let (rex, ada) = (app.client("rex").await, app.api_token("ada").await);
    let before = rex.own_token(&app, CRM).await.token();
    let file = app.bench.folder().join("writ.db");
    let copy = app.bench.folder().join("copy.db");
    let app = app.restart(|_| assert!(std::fs::copy(&file, &copy).unwrap() > 0)).await;
    assert!(app.caller(&before, "crm").is_ok(), "a restart alone kills nothing");
    // A revocation that the copy knows nothing of.
    let target = control::revoke::Target::Agent("rex".into());
    app.control.kill(&app.system(), &target, "test").await.unwrap();
    let app = app
        .restart(|bench| {
            for end in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(bench.folder().join(format!("writ.db{end}")));
            }
            assert!(std::fs::copy(&copy, &file).unwrap() > 0);
        })
        .await;
    assert_eq!(app.caller(&before, "crm").unwrap_err(), "credential_superseded");
    assert_eq!(rex.own_token(&app, CRM).await.error(), "invalid_client");
    let rex = app.client("rex").await;
    assert_eq!(rex.exchange(&app, &ada, CRM, None).await.error(), "invalid_grant");
    assert!(app.caller(&rex.own_token(&app, CRM).await.token(), "crm").is_ok());
}

#[tokio::test]
async fn introspection_shows_tokens_to_those_they_concern() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ivy, ada) = (app.client("rex").await, app.client("ivy").await, app.api_token("ada").await);
        let token = rex.exchange(&app, &ada, CRM, None).await.token();
        let ask = async |client: &crate::client::Client, token: &str| {
            client.ask(&app, "/oauth2/introspect", HeaderMap::new(), &[("token", token)]).await.body
        };
        let seen = ask(&rex, &token).await;
        assert_eq!(seen["active"], true);
        assert_eq!((&seen["aud"], &seen["iss"]), (&json!(CRM), &json!("https://writ.example")));
        assert_eq!(seen["act"]["sub"], app.id("rex").as_str());
        assert_eq!(seen["task"], claims(&token)["task"]);
        assert_eq!(seen["authorization_details"][0]["task"], claims(&token)["task"]);
        let inactive = json!({ "active": false });
        assert_eq!(ask(&ivy, &token).await, inactive);
        assert_eq!(ask(&rex, "garbage").await, inactive);
        assert_eq!(ask(&app.client("cron").await, &token).await, inactive);
        // Auditors see all: a workload that may, an administrator with an API token.
        assert_eq!(ask(&app.client("watch").await, &token).await["active"], true);
        let with = async |token_of: &str| {
            let shown = headers(&[("authorization", &format!("Bearer {}", app.api_token(token_of).await))]);
            app.form("/oauth2/introspect", shown, &[("token", &token)]).await.body
        };
        assert_eq!(with("admin").await["active"], true);
        assert_eq!(with("bob").await, inactive);
        let stranger = app.form("/oauth2/introspect", HeaderMap::new(), &[("token", &token)]).await;
        assert_eq!((stranger.status.as_u16(), stranger.error()), (401, "invalid_client"));
        app.advance(300).await;
        assert_eq!(ask(&rex, &token).await, inactive);
    })
    .await;
}
