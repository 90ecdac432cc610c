//! DPoP nonces (RFC 9449, sections 8 and 9): where they are wanted, no proof counts that was made beforehand.

use http::{HeaderMap, Method, header::WWW_AUTHENTICATE};
use wire::{
    dpop::{TargetUri, make_proof},
    jose::{Algorithm, SigningKey},
};

use crate::{
    app::{Answer, App, each_database_with},
    client::{API, CRM, Client, headers, unique},
};

const TOKEN: &str = "https://writ.example/oauth2/token";
const OWN: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", CRM)];

fn proof(app: &App, key: &SigningKey, url: &str, token: Option<&str>, nonce: Option<&str>) -> String {
    let target = TargetUri::parse(url).unwrap();
    make_proof(key, "POST", &target, token, &unique("nonce"), nonce, app.control.now()).unwrap()
}

async fn ask(app: &App, agent: &Client, key: &SigningKey, nonce: Option<&str>) -> Answer {
    let shown = headers(&[("dpop", &proof(app, key, TOKEN, None, nonce))]);
    agent.ask(app, "/oauth2/token", shown, &OWN).await
}

/// A token for a resource that is bound to the key, and the nonce that it was had with.
async fn bound(app: &App, agent: &Client, key: &SigningKey, resource: &str) -> (String, String) {
    let nonce = given(&ask(app, agent, key, None).await.headers);
    let shown = headers(&[("dpop", &proof(app, key, TOKEN, None, Some(&nonce)))]);
    let form = [("grant_type", "client_credentials"), ("resource", resource)];
    (agent.ask(app, "/oauth2/token", shown, &form).await.token(), nonce)
}

fn given(answer: &HeaderMap) -> String {
    answer["dpop-nonce"].to_str().unwrap().to_owned()
}

fn key() -> SigningKey {
    SigningKey::generate(Algorithm::Es256).unwrap()
}

#[tokio::test]
async fn the_token_endpoint_takes_recent_nonces_of_its_own() {
    each_database_with(
        |settings| settings.dpop_nonces = true,
        async |app| {
            app.populate().await;
            let (rex, key) = (app.client("rex").await, key());
            let without = ask(&app, &rex, &key, None).await;
            assert_eq!(
                (without.status.as_u16(), without.body["error"].as_str()),
                (400, Some("use_dpop_nonce"))
            );
            let nonce = given(&without.headers);
            let made = ask(&app, &rex, &key, Some(&nonce)).await;
            assert_eq!(made.status, 200, "{}", made.text);
            assert_eq!(made.body["token_type"], "DPoP");
            let next = given(&made.headers);
            // One nonce serves many proofs, and those of the next minute.
            app.advance(60).await;
            assert_eq!(ask(&app, &rex, &key, Some(&next)).await.status, 200);
            app.advance(120).await;
            let late = ask(&app, &rex, &key, Some(&next)).await;
            assert_eq!(late.body["error"], "use_dpop_nonce", "{}", late.text);
            let other_use = app.control.store().seal_keepsake(&0_i64.to_be_bytes(), b"other").unwrap();
            let changed = given(&late.headers).replace(|at: char| at.is_ascii_lowercase(), "x");
            for wrong in ["x", &other_use, &changed, &"n".repeat(256)] {
                let answer = ask(&app, &rex, &key, Some(wrong)).await;
                assert_eq!(answer.body["error"], "use_dpop_nonce", "{wrong}");
            }
            let long = ask(&app, &rex, &key, Some(&"n".repeat(257))).await;
            assert_eq!(long.body["error"], "invalid_dpop_proof");
            // A proof is wrong before its nonce is asked about: what it is for stands in it.
            let elsewhere = headers(&[("dpop", &proof(&app, &key, CRM, None, None))]);
            let answer = rex.ask(&app, "/oauth2/token", elsewhere, &OWN).await;
            assert_eq!(answer.body["error"], "invalid_dpop_proof");
        },
    )
    .await;
}

#[tokio::test]
async fn a_client_may_come_again_with_the_same_assertion() {
    each_database_with(
        |settings| settings.dpop_nonces = true,
        async |app| {
            app.populate().await;
            let (rex, key) = (app.client("rex").await, key());
            let proving = rex.proving(&app);
            let mut form: Vec<(&str, &str)> =
                proving.iter().map(|(name, value)| (*name, value.as_str())).collect();
            form.extend(OWN);
            let ask = async |nonce: Option<&str>| {
                let shown = headers(&[("dpop", &proof(&app, &key, TOKEN, None, nonce))]);
                app.form("/oauth2/token", shown, &form).await
            };
            let nonce = given(&ask(None).await.headers);
            assert_eq!(ask(Some(&nonce)).await.status, 200);
            assert_eq!(
                ask(Some(&nonce)).await.body["error"],
                "invalid_client",
                "the assertion counted twice"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn endpoints_want_them_too_and_say_so_alone() {
    each_database_with(
        |settings| settings.dpop_nonces = true,
        async |app| {
            app.populate().await;
            let (rex, key) = (app.client("rex").await, key());
            let (token, nonce) = bound(&app, &rex, &key, CRM).await;
            let crm = control::oauth::Audience::Mcp("crm".into());
            let verify = |nonce: Option<&str>| {
                let proof = proof(&app, &key, CRM, Some(&token), nonce);
                let shown = headers(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof)]);
                app.control.verify_mcp_token(&shown, &Method::POST, CRM, &crm, app.control.now())
            };
            let refused = app.control.mcp_challenge(&crm, &verify(None).unwrap_err());
            let lines: Vec<_> = refused.headers.get_all(WWW_AUTHENTICATE).iter().collect();
            assert_eq!(refused.status, 401);
            assert_eq!(lines, ["DPoP algs=\"ES256 RS256 EdDSA\", error=\"use_dpop_nonce\""]);
            assert!(verify(Some(&given(&refused.headers))).is_ok());

            // Another node knows the nonces of this one.
            let other = app.second_node_with(|settings| settings.dpop_nonces = true).await;
            other.catch_up(&app).await;
            let proof_there = proof(&app, &key, CRM, Some(&token), Some(&nonce));
            let shown = headers(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof_there)]);
            assert!(
                other.control.verify_mcp_token(&shown, &Method::POST, CRM, &crm, app.control.now()).is_ok()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn the_api_wants_them_too() {
    each_database_with(
        |settings| settings.dpop_nonces = true,
        async |app| {
            app.populate().await;
            let (rex, key) = (app.client("rex").await, key());
            let (token, _) = bound(&app, &rex, &key, API).await;
            let ask = async |nonce: Option<&str>| {
                let target = TargetUri::parse("https://writ.example/api/v1/self").unwrap();
                let now = app.control.now();
                let proof =
                    make_proof(&key, "GET", &target, Some(&token), &unique("nonce"), nonce, now).unwrap();
                let shown = headers(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof)]);
                app.send(Method::GET, "/api/v1/self", shown, axum::body::Body::empty()).await
            };
            let without = ask(None).await;
            assert_eq!(
                (without.status.as_u16(), without.body["code"].as_str()),
                (401, Some("use_dpop_nonce"))
            );
            let challenge = without.headers[WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.starts_with("DPoP ") && challenge.contains("use_dpop_nonce"), "{challenge}");
            assert_eq!(ask(Some(&given(&without.headers))).await.status, 200);
        },
    )
    .await;
}

#[tokio::test]
async fn nobody_needs_one_where_they_are_not_wanted() {
    each_database_with(
        |_| {},
        async |app| {
            app.populate().await;
            let (rex, key) = (app.client("rex").await, key());
            let made = ask(&app, &rex, &key, None).await;
            assert_eq!(made.status, 200);
            assert!(!made.headers.contains_key("dpop-nonce"));
            assert_eq!(ask(&app, &rex, &key, Some("anything")).await.status, 200);
        },
    )
    .await;
}
