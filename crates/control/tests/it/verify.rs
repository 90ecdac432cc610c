//! The verifier against tokens that were tampered with, and the challenge that the refused read.

use http::{HeaderMap, Method};
use serde_json::json;
use wire::jose::{Algorithm, SigningKey};

use crate::{
    app::{App, each_database},
    client::{CRM, bearer, claims, forged, headers, proof_for},
};

fn verify(app: &App, headers: &HeaderMap) -> Result<control::decide::Caller, base::Error> {
    app.control.verify_mcp_token(
        headers,
        &Method::POST,
        CRM,
        &control::oauth::Audience::Mcp("crm".into()),
        app.control.now(),
    )
}

fn code(app: &App, headers: &HeaderMap) -> &'static str {
    match verify(app, headers) {
        Err(base::Error::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    }
}

/// A token whose header was replaced, with the claims and the signature of a good one.
fn with_header(token: &str, header: &str) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", wire::jose::base64url(header), parts[1], parts[2])
}

#[tokio::test]
async fn tokens_of_others_and_of_other_kinds_are_not_believed() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let token = rex.own_token(&app, CRM).await.token();
        let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
        let unsigned = token.rsplit_once('.').unwrap().0;
        let kid = app.control.snapshot().ring.signer(Algorithm::Es256).unwrap().kid().to_owned();
        let header = |alg: &str, typ: &str| json!({ "alg": alg, "typ": typ, "kid": kid }).to_string();
        let critical = json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": ["x"] }).to_string();
        let twice = format!("{{\"alg\":\"none\",\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"{kid}\"}}");
        let cases = [
            (forged(&token, &stranger, |_| {}), "token_unknown_key"),
            (forged(&token, &rex.key, |_| {}), "token_unknown_key"),
            (format!("{unsigned}.{}", wire::jose::base64url([0; 64])), "token_bad_signature"),
            (format!("{unsigned}."), "token_bad_signature"),
            (unsigned.to_owned(), "token_not_three_parts"),
            (with_header(&token, &header("none", "at+jwt")), "token_unsupported_algorithm"),
            (with_header(&token, &header("HS256", "at+jwt")), "token_unsupported_algorithm"),
            (with_header(&token, &header("EdDSA", "at+jwt")), "token_algorithm_not_of_key"),
            (with_header(&token, &header("ES256", "JWT")), "token_wrong_type"),
            (with_header(&token, &critical), "token_critical_header"),
            (with_header(&token, &twice), "token_header_json"),
            ("a".repeat(base::limit::TOKEN_BYTES_MAX + 1), "token_too_large"),
        ];
        for (forged, expected) in cases {
            assert_eq!(code(&app, &bearer(&forged)), expected);
            // Twice, so that nothing of it was remembered.
            assert_eq!(code(&app, &bearer(&forged)), expected);
        }
        assert!(verify(&app, &bearer(&token)).is_ok());
    })
    .await;
}

/// Even with our own key: what a token says must be what is on record.
#[tokio::test]
async fn a_token_that_says_other_than_the_record_is_not_believed() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ivy, ada) = (app.client("rex").await, app.client("ivy").await, app.api_token("ada").await);
        let token = rex.exchange(&app, &ada, CRM, None).await.token();
        let task_of_ivy = claims(&ivy.own_token(&app, CRM).await.token())["task"].clone();
        let signer = app.control.snapshot().ring.signer(Algorithm::Es256).unwrap().clone();
        assert!(verify(&app, &bearer(&forged(&token, &signer, |_| {}))).is_ok());
        let now = app.control.now().seconds();
        let cases = [
            ("sub", json!(app.id("bob")), "token_chain_differs"),
            ("act", json!({ "sub": app.id("ivy") }), "token_chain_differs"),
            ("act", json!({ "sub": app.id("rex"), "act": { "sub": app.id("ivy") } }), "token_chain_differs"),
            ("act", json!({ "sub": app.id("rex"), "more": 1 }), "token_malformed_claim"),
            ("client_id", json!(app.id("ivy")), "token_chain_differs"),
            ("task", task_of_ivy, "token_chain_differs"),
            ("task", json!("tsk_00000000000000000000000000"), "task_ended"),
            ("iss", json!("https://writ.example/"), "token_wrong_issuer"),
            ("aud", json!("https://writ.example/mcp/mail"), "token_wrong_audience"),
            ("aud", json!("https://writ.example/mcp/crm/"), "token_wrong_audience"),
            ("exp", json!(now), "token_malformed_claim"),
            ("exp", json!(now - 60), "token_expired"),
            ("exp", json!(now + 100_000), "token_lives_too_long"),
            ("iat", json!(now + 60), "token_issued_in_future"),
            ("gen", json!(0), "credential_superseded"),
            ("pos", json!(-1), "token_malformed_claim"),
            ("cnf", json!({ "x5t#S256": "abc" }), "token_malformed_claim"),
        ];
        for (name, value, expected) in cases {
            let changed = forged(&token, &signer, |said| said[name] = value.clone());
            let refused = code(&app, &bearer(&changed));
            assert_eq!(refused, expected, "{name}: {value}");
        }
        // Expiry knows no leeway, though the clocks of nodes may differ.
        let just_over = forged(&token, &signer, |said| {
            said["iat"] = json!(now - 300);
            said["exp"] = json!(now - 1);
        });
        assert_eq!(code(&app, &bearer(&just_over)), "token_expired");
        for name in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "gen", "pos"] {
            let changed = forged(&token, &signer, |said| drop(said.as_object_mut().unwrap().remove(name)));
            assert_eq!(code(&app, &bearer(&changed)), "token_missing_claim", "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn possession_is_proven_for_this_request() {
    each_database(|app| async move {
        app.populate().await;
        let (vault, rex) = (app.client("vault").await, app.client("rex").await);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let token = vault.bound_token(&app, &key, CRM).await.token();
        let plain = rex.own_token(&app, CRM).await.token();
        let dpop = |token: &str| headers(&[("authorization", &format!("DPoP {token}"))]);
        let with = |proof: String| {
            let mut headers = dpop(&token);
            headers.insert("dpop", proof.parse().unwrap());
            headers
        };
        let proof = |key: &SigningKey, method: Method, url: &str, token: &str| {
            proof_for(&app, key, &method, url, token)
        };
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let good = proof(&key, Method::POST, CRM, &token);
        assert!(verify(&app, &with(good.clone())).is_ok());
        let cases = [
            (bearer(&token), "dpop_token_is_bound"),
            (dpop(&plain), "dpop_token_is_not_bound"),
            (dpop(&token), "dpop_proof_missing"),
            (with(proof(&other, Method::POST, CRM, &token)), "dpop_wrong_key"),
            (with(proof(&key, Method::GET, CRM, &token)), "dpop_wrong_method"),
            (with(proof(&key, Method::POST, "https://writ.example/mcp/mail", &token)), "dpop_wrong_target"),
            (with(proof(&key, Method::POST, "http://writ.example/mcp/crm", &token)), "dpop_wrong_target"),
            (with(proof(&key, Method::POST, CRM, &plain)), "dpop_wrong_access_token"),
            (with("garbage".into()), "token_not_three_parts"),
        ];
        for (headers, expected) in cases {
            assert_eq!(code(&app, &headers), expected);
        }
        let mut twice = with(good.clone());
        twice.append("dpop", good.parse().unwrap());
        assert_eq!(code(&app, &twice), "token_presentation");
        app.advance(62).await;
        assert_eq!(code(&app, &with(good)), "dpop_too_old");
        // The blueprint wants a key from now on: tokens without one stop at once.
        let mut company = app.control.snapshot().blueprints.named("company").unwrap().body.clone();
        company.dpop_required = true;
        let put = |draft: &mut control::draft::Draft| {
            draft.put::<control::principal::Blueprint>("company", company.clone())
        };
        app.control.change(&app.system(), put).await.unwrap();
        assert_eq!(code(&app, &bearer(&plain)), "dpop_binding_required");
    })
    .await;
}

#[tokio::test]
async fn the_challenge_is_what_clients_can_read() {
    each_database(|app| async move {
        app.populate().await;
        let challenge = |headers: &HeaderMap| {
            let error = verify(&app, headers).unwrap_err();
            let challenged = app.control.mcp_challenge(&control::oauth::Audience::Mcp("crm".into()), &error);
            let lines: Vec<String> =
                challenged.headers.get_all("www-authenticate").iter().map(|line| line.to_str().unwrap().to_owned()).collect();
            let body: serde_json::Value = serde_json::from_slice(&challenged.body).unwrap();
            (challenged.status.as_u16(), lines, body)
        };
        let (status, lines, body) = challenge(&HeaderMap::new());
        assert_eq!(status, 401);
        assert_eq!(
            lines,
            [
                "Bearer resource_metadata=\"https://writ.example/.well-known/oauth-protected-resource/mcp/crm\"",
                "DPoP algs=\"ES256 RS256 EdDSA\"",
            ]
        );
        assert!(body["error"].is_string());
        let (status, lines, body) = challenge(&bearer("garbage"));
        assert_eq!((status, body["error"].as_str()), (401, Some("invalid_token")));
        assert!(lines[0].starts_with("Bearer resource_metadata=") && lines[0].contains("error=\"invalid_token\""));
        let both = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        let mut twice = bearer("a");
        twice.append("authorization", both["authorization"].clone());
        let (status, lines, body) = challenge(&twice);
        assert_eq!((status, body["error"].as_str()), (400, Some("invalid_request")));
        assert!(lines[0].contains("error=\"invalid_request\""));
        // Another scheme is no credential at all.
        let (status, lines, _) = challenge(&headers(&[("authorization", "Basic cmV4Ong=")]));
        assert_eq!((status, lines[0].contains("error=")), (401, false));
        let replayed = app.control.mcp_challenge(&control::oauth::Audience::Mcp("crm".into()), &control::oauth::ProofReplayed.into());
        assert!(replayed.headers.get_all("www-authenticate").iter().nth(1).unwrap().to_str().unwrap().contains("error=\"invalid_dpop_proof\""));
    })
    .await;
}

/// What a token rests on is asked again whenever it is: by streams under way, which keep what they found, and by requests
/// that come after them.
#[tokio::test]
async fn a_token_ends_with_its_credential_and_its_key_also_where_a_stream_asked_first() {
    each_database(|app| async move {
        app.populate().await;
        for ends in ["credential", "key", "binding"] {
            let token = app.client("rex").await.own_token(&app, CRM).await.token();
            // A stream under way holds the caller on.
            let stream = verify(&app, &bearer(&token)).unwrap();
            assert!(stream.alive(&app.control.snapshot(), app.control.now()).is_ok(), "{ends}");
            let (system, known) = (app.system(), app.control.snapshot());
            match ends {
                "credential" => {
                    let alive = known.credentials.values().filter(|one| !one.revoked);
                    let ids: Vec<_> = alive.map(|one| one.id.clone()).collect();
                    drop(known);
                    for id in ids {
                        app.control.revoke_credential(&system, &id).await.unwrap();
                    }
                }
                "key" => {
                    let ids: Vec<_> = known.keys.keys().cloned().collect();
                    drop(known);
                    // The new one signs; then the old ones can go.
                    app.control.rotate_key(&system, Algorithm::Es256).await.unwrap();
                    for id in ids {
                        app.control.revoke_key(&system, &id).await.ok();
                    }
                }
                _ => {
                    drop(known);
                    let strict = json!({ "origin": "company", "description": "x", "dpop_required": true });
                    let strict = crate::left::document("Blueprint", "company", &strict);
                    app.control.apply(&system, vec![strict], false).await.unwrap();
                }
            }
            let alive = stream.alive(&app.control.snapshot(), app.control.now());
            assert!(alive.is_err(), "{ends}: a stream goes on");
            assert!(verify(&app, &bearer(&token)).is_err(), "{ends}: a request after it is believed");
        }
    })
    .await;
}
