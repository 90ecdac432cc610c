//! Signing keys: rotated without a failed request, revoked with everything they signed, sealed at rest.

use http::Method;
use serde_json::json;
use wire::jose::Algorithm;

use crate::{
    app::{App, each_database},
    client::{CRM, headers},
};

async fn kids(app: &App) -> Vec<String> {
    let set = app.get("/oauth2/jwks", headers(&[])).await.body;
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_three_algorithms_are_published() {
    each_database(|app| async move {
        let set = app.get("/oauth2/jwks", headers(&[])).await;
        assert_eq!(set.headers["content-type"], "application/json");
        let mut found: Vec<(String, String)> = Vec::new();
        for key in set.body["keys"].as_array().unwrap() {
            assert_eq!(key["use"], "sig");
            assert!(key["kid"].is_string());
            for private in ["d", "p", "q", "k"] {
                assert!(key.get(private).is_none());
            }
            found.push((key["kty"].as_str().unwrap().to_owned(), key["alg"].as_str().unwrap().to_owned()));
        }
        found.sort();
        let pair = |kty: &str, alg: &str| (kty.to_owned(), alg.to_owned());
        assert_eq!(found, [pair("EC", "ES256"), pair("OKP", "EdDSA"), pair("RSA", "RS256")]);
        // Made once, whoever asks for them.
        app.control.ensure_keys(&app.system()).await.unwrap();
        assert_eq!(kids(&app).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn rotation_fails_nobody_and_ends_in_time() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, admin) = (app.client("rex").await, app.api_token("admin").await);
        let before = rex.own_token(&app, CRM).await.token();
        let old = app.control.snapshot().ring.signer(Algorithm::Es256).unwrap().kid().to_owned();
        let answer =
            app.api(Method::POST, "/api/v1/keys/rotate", &admin, &json!({ "algorithm": "ES256" })).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let after = rex.own_token(&app, CRM).await.token();
        let new = app.control.snapshot().ring.signer(Algorithm::Es256).unwrap().kid().to_owned();
        assert_ne!(old, new);
        assert!(app.caller(&before, "crm").is_ok() && app.caller(&after, "crm").is_ok());
        assert!(kids(&app).await.contains(&old));
        // The private half is gone at once, from the disk, too.
        let mut read = app.bench.store.read().await.unwrap();
        let sql = "select sealed from signing_key where kid = $1";
        let sealed = read.row(sql, &[old.as_str().into()]).await.unwrap().unwrap().bytes(0).unwrap();
        drop(read);
        assert!(sealed.is_empty());

        let app = app.restart(|_| {}).await;
        assert!(app.caller(&before, "crm").is_ok() && app.caller(&after, "crm").is_ok());
        assert_eq!(app.control.retire_keys(&app.system()).await.unwrap(), 0);
        app.advance(control::key::VERIFY_SECONDS).await;
        assert_eq!(app.control.retire_keys(&app.system()).await.unwrap(), 1);
        let left = kids(&app).await;
        assert!(left.len() == 3 && !left.contains(&old));
        rex.own_token(&app, CRM).await.token();
    })
    .await;
}

#[tokio::test]
async fn a_revoked_key_takes_its_tokens_along() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, admin) = (app.client("rex").await, app.api_token("admin").await);
        let token = rex.own_token(&app, CRM).await.token();
        assert!(app.caller(&token, "crm").is_ok());
        let known = app.control.snapshot();
        let id = known.keys.values().find(|key| key.algorithm == "ES256").unwrap().id.clone();
        drop(known);
        let path = format!("/api/v1/keys/{id}");
        let signs = app.api(Method::DELETE, &path, &admin, &json!(null)).await;
        assert_eq!((signs.status.as_u16(), signs.body["code"].as_str()), (409, Some("key_signs")));
        app.control.rotate_key(&app.system(), Algorithm::Es256).await.unwrap();
        assert_eq!(app.api(Method::DELETE, &path, &admin, &json!(null)).await.status, 200);
        // Its signature had been checked and remembered; the key is asked for again.
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "token_unknown_key");
        assert_eq!(app.api(Method::DELETE, &path, &admin, &json!(null)).await.status, 404);
    })
    .await;
}

#[tokio::test]
async fn keys_are_an_administrators_business() {
    each_database(|app| async move {
        app.populate().await;
        let (bob, watch) = (app.api_token("bob").await, app.api_token("watch").await);
        let rotate = json!({ "algorithm": "ES256" });
        for token in [&bob, &watch] {
            assert_eq!(app.api(Method::POST, "/api/v1/keys/rotate", token, &rotate).await.status, 403);
        }
        assert_eq!(app.api(Method::GET, "/api/v1/keys", &bob, &json!(null)).await.status, 403);
        let seen = app.api(Method::GET, "/api/v1/keys", &watch, &json!(null)).await;
        assert_eq!(seen.body.as_array().unwrap().len(), 3);
        let admin = app.api_token("admin").await;
        let bad =
            app.api(Method::POST, "/api/v1/keys/rotate", &admin, &json!({ "algorithm": "HS256" })).await;
        assert_eq!((bad.status.as_u16(), bad.body["code"].as_str()), (400, Some("bad_algorithm")));
    })
    .await;
}
