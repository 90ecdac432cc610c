//! Everything that the token endpoint refuses, and with which words.

use axum::body::Body;
use base::EventKind;
use http::{HeaderMap, Method};
use serde_json::json;
use wire::{
    jose::{Algorithm, SigningKey},
    json::Json,
    oauth::make_client_assertion,
};

use crate::{
    app::{App, ISSUER, each_database},
    client::{API, CRM, Client, EXCHANGE, JWT_BEARER, basic, headers, token_proof, unique},
    world::{tool, wish},
};

const GRANT: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("resource", CRM)];

/// One answer for whoever did not prove who they are: nothing tells a name that exists from one that does not.
#[tokio::test]
async fn strangers_learn_nothing() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, stranger) = (app.client("rex").await, SigningKey::generate(Algorithm::Es256).unwrap());
        let (_, secret) = app.control.add_secret(&app.system(), &app.id("rex"), "test", None).await.unwrap();
        let (_, staged) = app.control.add_secret(&app.system(), &app.id("max"), "test", None).await.unwrap();
        let kill = control::revoke::Target::Agent("max".into());
        app.control.kill(&app.system(), &kill, "test").await.unwrap();
        let now = app.control.now();
        let assertion = |key: &SigningKey, id: &str, issuer: &str| {
            make_client_assertion(key, id, issuer, &unique("assertion"), now).unwrap()
        };
        let long = Json::object([
            ("iss", rex.id.as_str().into()),
            ("sub", rex.id.as_str().into()),
            ("aud", ISSUER.into()),
            ("jti", "long".into()),
            ("exp", now.plus_seconds(3600).seconds().into()),
        ]);
        let signed = [
            assertion(&stranger, &rex.id, ISSUER),
            assertion(&stranger, "nobody", ISSUER),
            assertion(&rex.key, &app.id("ivy").to_string(), ISSUER),
            assertion(&rex.key, &rex.id, "https://writ.example/"),
            assertion(&rex.key, &rex.id, "https://writ.example/oauth2/token"),
            assertion(&rex.key, &rex.id, "https://evil.example"),
            rex.key.sign("JWT", &long).unwrap(),
        ];
        let mut answers = Vec::new();
        for assertion in &signed {
            let proving = [("client_assertion_type", JWT_BEARER), ("client_assertion", assertion)];
            answers.push(app.form("/oauth2/token", HeaderMap::new(), &[&GRANT[..], &proving].concat()).await);
        }
        for (id, secret) in [
            ("rex", "writsecret00"),
            ("nobody", secret.expose()),
            ("ivy", secret.expose()),
            ("max", staged.expose()),
        ] {
            let post = [&GRANT[..], &[("client_id", id), ("client_secret", secret)]].concat();
            answers.push(app.form("/oauth2/token", HeaderMap::new(), &post).await);
        }
        answers.push(
            app.form("/oauth2/token", HeaderMap::new(), &[&GRANT[..], &[("client_id", "rex")]].concat())
                .await,
        );
        for answer in &answers {
            assert_eq!((answer.status.as_u16(), answer.error()), (401, "invalid_client"), "{}", answer.body);
            assert_eq!(answer.body, answers[0].body);
            assert!(answer.headers.get("www-authenticate").is_none());
        }
        // With the header, the scheme is named (RFC 6749, section 5.2).
        let wrong = app.form("/oauth2/token", basic("rex", &base::Secret::new("wrong".into())), &GRANT).await;
        assert_eq!((wrong.status.as_u16(), wrong.body), (401, answers[0].body.clone()));
        assert_eq!(wrong.headers["www-authenticate"], "Basic realm=\"writ\"");
        assert_eq!(app.records(EventKind::TokenRefused).await, 0, "strangers cannot fill the log");
    })
    .await;
}

#[tokio::test]
async fn malformed_requests_are_named() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let (_, secret) = app.control.add_secret(&app.system(), &app.id("rex"), "test", None).await.unwrap();
        // Two ways at once.
        let two = rex.ask(&app, "/oauth2/token", basic("rex", &secret), &GRANT).await;
        assert_eq!((two.status.as_u16(), two.error()), (400, "invalid_request"));
        for (form, error) in [
            (&[("resource", CRM)][..], "invalid_request"),
            (&[("grant_type", "password"), ("resource", CRM)], "unsupported_grant_type"),
            (&[("grant_type", "client_credentials")], "invalid_target"),
            (
                &[("grant_type", "client_credentials"), ("resource", "https://writ.example/mcp/nope")],
                "invalid_target",
            ),
            (
                &[("grant_type", "client_credentials"), ("resource", "https://writ.example/mcp/crm/")],
                "invalid_target",
            ),
            (&[("grant_type", "client_credentials"), ("resource", "https://writ.example")], "invalid_target"),
            (
                &[("grant_type", "client_credentials"), ("resource", "https://evil.example/mcp/crm")],
                "invalid_target",
            ),
            (&[("grant_type", "client_credentials"), ("resource", CRM), ("scope", "all")], "invalid_scope"),
            (
                &[("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", "[]")],
                "invalid_authorization_details",
            ),
            (
                &[
                    ("grant_type", "client_credentials"),
                    ("resource", CRM),
                    (
                        "authorization_details",
                        "[{\"type\":\"writ_task\",\"task\":\"tsk_00000000000000000000000000\"}]",
                    ),
                ],
                "invalid_authorization_details",
            ),
            (
                &[
                    ("grant_type", "client_credentials"),
                    ("resource", CRM),
                    (
                        "authorization_details",
                        "[{\"type\":\"writ_task\",\"purpose\":\"x\",\"tools\":[{\"tool\":\"a\"}]}]",
                    ),
                ],
                "invalid_authorization_details",
            ),
            (
                &[
                    ("grant_type", "client_credentials"),
                    ("resource", CRM),
                    ("authorization_details", "[{\"type\":\"writ_task\",\"purpose\":\"x\"}]"),
                ],
                "invalid_authorization_details",
            ),
            (&[("grant_type", EXCHANGE), ("resource", CRM)], "invalid_request"),
        ] {
            let answer = rex.token(&app, form).await;
            assert_eq!((answer.status.as_u16(), answer.error()), (400, error), "{form:?}: {}", answer.body);
            assert!(!answer.body["error_description"].as_str().unwrap().is_empty());
            assert!(answer.body.as_object().unwrap().values().all(|member| !member.is_null()));
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
        assert_eq!(app.records(EventKind::TokenRefused).await, 13);
        assert_eq!(app.records(EventKind::TokenIssued).await, 0);
        assert_eq!(app.open_tasks("rex"), 0, "a refusal leaves no task behind");
        // SDKs ask for all scopes that the metadata lists (PyPI `mcp` 2.x does); a machine's token has none of them.
        let listed =
            [("grant_type", "client_credentials"), ("resource", CRM), ("scope", "openid profile email")];
        let answer = rex.token(&app, &listed).await;
        assert!(answer.status == 200 && answer.body.get("scope").is_none(), "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn bodies_and_methods_are_strict() {
    each_database(|app| async move {
        let body = "grant_type=client_credentials&grant_type=client_credentials";
        let form = headers(&[("content-type", "application/x-www-form-urlencoded")]);
        let repeated = app.send(Method::POST, "/oauth2/token", form, Body::from(body)).await;
        assert_eq!((repeated.status.as_u16(), repeated.error()), (400, "invalid_request"));
        let json = app.send(Method::POST, "/oauth2/token", HeaderMap::new(), Body::from("{}")).await;
        assert_eq!((json.status.as_u16(), json.error()), (400, "invalid_request"));
        let get = app.get("/oauth2/token", HeaderMap::new()).await;
        assert_eq!((get.status.as_u16(), get.error()), (405, "invalid_request"));
    })
    .await;
}

#[tokio::test]
async fn what_an_agent_is_bounds_what_it_gets() {
    each_database(|app| async move {
        app.populate().await;
        // A child has no work of its own.
        let kid = app.client("kid").await;
        assert_eq!(kid.own_token(&app, CRM).await.error(), "unauthorized_client");
        // An assistant is its owner's alone.
        let (pal, bob) = (app.client("pal").await, app.api_token("bob").await);
        assert_eq!(pal.exchange(&app, &bob, CRM, None).await.error(), "unauthorized_client");
        // A blueprint that wants keys gets keys.
        let vault = app.client("vault").await;
        assert_eq!(vault.own_token(&app, CRM).await.error(), "invalid_dpop_proof");
        // Workloads have no tasks.
        let cron = app.client("cron").await;
        let details = wish("x", &json!([tool("crm", "*")]));
        let form =
            [("grant_type", "client_credentials"), ("resource", API), ("authorization_details", &*details)];
        assert_eq!(cron.token(&app, &form).await.error(), "invalid_authorization_details");
    })
    .await;
}

#[tokio::test]
async fn proofs_at_the_token_endpoint_are_strict_and_good_once() {
    each_database(|app: App| async move {
        app.populate().await;
        let (rex, key) = (app.client("rex").await, SigningKey::generate(Algorithm::Es256).unwrap());
        let proof = token_proof(&app, &key);
        rex.ask(&app, "/oauth2/token", proof.clone(), &GRANT).await.token();
        let replayed = rex.ask(&app, "/oauth2/token", proof.clone(), &GRANT).await;
        assert_eq!((replayed.status.as_u16(), replayed.error()), (400, "invalid_dpop_proof"));
        let mut twice = token_proof(&app, &key);
        twice.append("dpop", proof["dpop"].clone());
        let old = token_proof(&app, &key);
        let elsewhere =
            crate::client::proof_for(&app, &key, &Method::POST, "https://writ.example/oauth2/tokens", "x");
        for header in [twice, headers(&[("dpop", "garbage")]), headers(&[("dpop", &elsewhere)])] {
            assert_eq!(rex.ask(&app, "/oauth2/token", header, &GRANT).await.error(), "invalid_dpop_proof");
        }
        app.advance(62).await;
        assert_eq!(rex.ask(&app, "/oauth2/token", old, &GRANT).await.error(), "invalid_dpop_proof");
        // An assertion is good once, too, whoever else asks at the same moment.
        let proving = rex.proving(&app);
        let form: Vec<(&str, &str)> =
            proving.iter().map(|(name, value)| (*name, value.as_str())).chain(GRANT).collect();
        let all = futures_util::future::join_all(
            (0..8).map(|_| app.form("/oauth2/token", HeaderMap::new(), &form)),
        )
        .await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1);
        assert!(
            all.iter().filter(|answer| answer.status != 200).all(|answer| answer.error() == "invalid_client")
        );
    })
    .await;
}

/// A node that cannot say whether somebody was revoked issues nothing and believes nothing.
#[tokio::test]
async fn a_stale_node_refuses() {
    each_database(|app: App| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let token = rex.own_token(&app, CRM).await.token();
        let proving = Client {
            id: rex.id.clone(),
            key: SigningKey::from_pkcs8(Algorithm::Es256, &rex.key.to_pkcs8().unwrap()).unwrap(),
        };
        let mut narrowed = app.control.narrowed();
        narrowed.mark_unchanged();
        // The follower sleeps until the next record or a quarter of a second passes; meanwhile the clock jumps.
        app.bench.clock.advance_seconds(4);
        tokio::select! {
            biased;
            () = app.control.tell_while_stale() => unreachable!("it goes on for as long as the node runs"),
            woken = narrowed.changed() => woken.unwrap(),
        }
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "node_stale");
        let form = proving.proving(&app);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (*name, value.as_str())).chain(GRANT).collect();
        let answer = app.form("/oauth2/token", HeaderMap::new(), &form).await;
        assert_eq!((answer.status.as_u16(), answer.error()), (503, "temporarily_unavailable"));
        assert_eq!(answer.headers["retry-after"], "1");
    })
    .await;
}
