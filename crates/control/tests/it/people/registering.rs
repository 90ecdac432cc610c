//! Clients that register themselves, and how clients prove who they are.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::browser::{CALLBACK, VERIFIER, redeem, request};
use crate::{
    app::{Answer, App, each_database},
    client::{Client, basic, headers, token_proof},
};
use wire::jose::{Algorithm, SigningKey};

async fn register(app: &App, body: &Value) -> Answer {
    app.api(Method::POST, "/oauth2/register", "", body).await
}

#[tokio::test]
async fn what_is_registered_is_echoed_without_nulls_and_never_switched() {
    each_database(|app| async move {
        let public = json!({ "client_name": "Public", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": "x" });
        let answer = register(&app, &public).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(answer.body["token_endpoint_auth_method"], "none");
        assert!(answer.body.get("client_secret").is_none() && !answer.text.contains("null"));
        let secret = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" });
        let answer = register(&app, &secret).await;
        assert_eq!(answer.body["token_endpoint_auth_method"], "client_secret_post");
        assert!(answer.body["client_secret"].as_str().unwrap().bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_eq!(answer.body["client_secret_expires_at"], 0);
        for (body, error) in [
            (json!({}), "invalid_redirect_uri"),
            (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
            (json!({ "redirect_uris": [CALLBACK], "grant_types": ["password"] }), "invalid_client_metadata"),
            (json!([1]), "invalid_client_metadata"),
        ] {
            let answer = register(&app, &body).await;
            assert_eq!((answer.status.as_u16(), answer.error()), (400, error), "{body}");
        }
        let text = "{\"redirect_uris\":[\"https://a.example/\"],\"redirect_uris\":[\"https://b.example/\"]}";
        let answer = app.send(Method::POST, "/oauth2/register", HeaderMap::new(), text.into()).await;
        assert_eq!(answer.error(), "invalid_client_metadata", "a member that stands twice");
    })
    .await;
}

#[tokio::test]
async fn a_registration_that_nobody_agrees_to_ends_and_one_that_somebody_did_stays() {
    each_database(|app| async move {
        app.populate().await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let body = json!({ "client_name": "Some", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
        let (used, unused) = (register(&app, &body).await, register(&app, &body).await);
        let id = |answer: &Answer| answer.body["client_id"].as_str().unwrap().to_owned();
        let code = ada.agree(&app, &request(&id(&used), &[])).await.parameter("code").unwrap();
        assert_eq!(redeem(&app, &id(&used), &code).await.status, 200);
        app.advance(24 * 3600).await;
        ada.sign_in(&app, "ada").await;
        assert_eq!(ada.get(&app, &request(&id(&unused), &[])).await.status, 400);
        assert_eq!(ada.get(&app, &request(&id(&used), &[])).await.status, 303);
        app.control.forget_registrations(&app.system()).await.unwrap();
        assert_eq!(ada.get(&app, &request(&id(&used), &[])).await.status, 303);
    })
    .await;
}

#[tokio::test]
async fn registering_has_a_pace() {
    each_database(|app| async move {
        let body = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" });
        let mut last = 0;
        for _ in 0..61 {
            last = register(&app, &body).await.status.as_u16();
        }
        assert_eq!(last, 429);
    })
    .await;
}

#[tokio::test]
async fn a_confidential_client_proves_itself_each_time_and_in_its_way() {
    each_database(|app| async move {
        app.populate().await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        // One with a secret of its own registration.
        let body = json!({ "client_name": "Some", "redirect_uris": [CALLBACK] });
        let registered = register(&app, &body).await;
        let id = registered.body["client_id"].as_str().unwrap().to_owned();
        let secret = base::Secret::new(registered.body["client_secret"].as_str().unwrap().to_owned());
        let code = ada.agree(&app, &request(&id, &[])).await.parameter("code").unwrap();
        assert_eq!(redeem(&app, &id, &code).await.error(), "invalid_client", "without its secret");
        let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER), ("redirect_uri", CALLBACK)];
        let wrong = app.form("/oauth2/token", basic(&id, &base::Secret::new("writsecret00".into())), &form).await;
        assert_eq!(wrong.error(), "invalid_client");
        let right = app.form("/oauth2/token", basic(&id, &secret), &form).await;
        assert_eq!(right.status, 200, "{}", right.text);
        // One with a key that an administrator registered.
        let spec = json!({ "display_name": "Server", "redirect_uris": [CALLBACK], "confidential": true });
        app.client_document("server-side", spec).await;
        let known = app.control.snapshot().clients.named("server-side").unwrap().id.clone();
        let client = Client::register(&app, &(&known).into()).await;
        let client = Client { id: "server-side".into(), ..client };
        let code = ada.agree(&app, &request("server-side", &[])).await.parameter("code").unwrap();
        assert_eq!(redeem(&app, "server-side", &code).await.error(), "invalid_client");
        let answer = client.token(&app, &[&form[..1], &[("code", &code)], &form[2..]].concat()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        // One that brings its keys along.
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwk: Value = serde_json::from_str(&key.public().to_json().to_text()).unwrap();
        let body = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [jwk] } });
        let registered = register(&app, &body).await;
        let id = registered.body["client_id"].as_str().unwrap().to_owned();
        let client = Client { id: id.clone(), key };
        let code = ada.agree(&app, &request(&id, &[])).await.parameter("code").unwrap();
        assert_eq!(redeem(&app, &id, &code).await.error(), "invalid_client");
        let answer = client.token(&app, &[&form[..1], &[("code", &code)], &form[2..]].concat()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_a_public_client_stay_with_its_key() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let (key, other) = (
            SigningKey::generate(Algorithm::Es256).unwrap(),
            SigningKey::generate(Algorithm::Es256).unwrap(),
        );
        let jkt = key.public().thumbprint().to_owned();
        let code = ada
            .agree(&app, &request("helper", &[("dpop_jkt", &jkt), ("resource", crate::client::CRM)]))
            .await;
        let code = code.parameter("code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "helper"),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        assert_eq!(
            app.form("/oauth2/token", HeaderMap::new(), &form).await.error(),
            "invalid_grant",
            "without its key"
        );
        assert_eq!(
            app.form("/oauth2/token", token_proof(&app, &other), &form).await.error(),
            "invalid_grant"
        );
        let answer = app.form("/oauth2/token", token_proof(&app, &key), &form).await;
        assert_eq!(answer.body["token_type"], "DPoP", "{}", answer.text);
        assert!(app.caller(&answer.token(), "crm").is_err(), "as a bearer token it is none");
        let token = answer.body["refresh_token"].as_str().unwrap();
        let form = [("grant_type", "refresh_token"), ("client_id", "helper"), ("refresh_token", token)];
        assert_eq!(app.form("/oauth2/token", HeaderMap::new(), &form).await.error(), "invalid_grant");
        assert_eq!(
            app.form("/oauth2/token", token_proof(&app, &other), &form).await.error(),
            "invalid_grant"
        );
        let answer = app.form("/oauth2/token", token_proof(&app, &key), &form).await;
        assert_eq!(answer.status, 200, "none of that spent it: {}", answer.text);
        drop(headers(&[]));
    })
    .await;
}
