//! The token endpoint, client credentials: what is issued, and that it works where it should and nowhere else.

use base::EventKind;
use serde_json::json;
use wire::jose::{Algorithm, SigningKey};

use crate::{
    app::{App, each_database},
    client::{API, CRM, Client, MAIL, basic, claims, headers, proof_for},
    world::{existing, tool, wish},
};

#[tokio::test]
async fn an_agent_gets_a_token_for_itself() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let answer = rex.own_token(&app, CRM).await;
        let token = answer.token();
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["expires_in"], 300);
        assert!(answer.body.get("scope").is_none() && answer.body.get("issued_token_type").is_none());

        let said = claims(&token);
        assert_eq!(said["iss"], "https://writ.example");
        assert_eq!(said["sub"], app.id("rex").as_str());
        assert_eq!(said["client_id"], app.id("rex").as_str());
        assert_eq!(said["aud"], CRM);
        assert!(said.get("act").is_none(), "nobody acts but the subject itself");
        assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 300);

        let caller = app.caller(&token, "crm").expect("a living token");
        assert_eq!(caller.task.as_str(), said["task"].as_str().unwrap());
        assert_eq!(app.caller(&token, "mail").unwrap_err(), "token_wrong_audience");
        assert_eq!(app.records(EventKind::TokenIssued).await, 1);
    })
    .await;
}

#[tokio::test]
async fn another_token_is_not_another_task() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        // At once, so that they race for making the task.
        let tokens = futures_util::future::join_all((0..8).map(|_| rex.own_token(&app, CRM))).await;
        let mut tasks: Vec<_> =
            tokens.iter().map(|answer| claims(&answer.token())["task"].to_string()).collect();
        tasks.push(claims(&rex.own_token(&app, MAIL).await.token())["task"].to_string());
        tasks.dedup();
        assert_eq!(tasks.len(), 1);
        assert_eq!(app.open_tasks("rex"), 1);
        // A task that says what it is for is one of its own, and is not joined.
        let wished = wish("mail ada", &json!([tool("mail", "send")]));
        let form =
            [("grant_type", "client_credentials"), ("resource", MAIL), ("authorization_details", &*wished)];
        let named = claims(&rex.token(&app, &form).await.token())["task"].to_string();
        assert_ne!(named, tasks[0]);
        assert_eq!(claims(&rex.own_token(&app, CRM).await.token())["task"].to_string(), tasks[0]);
    })
    .await;
}

#[tokio::test]
async fn a_named_task_is_granted_as_asked() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let details = json!([{
            "type": "writ_task", "purpose": "close ticket 7", "instruction": "close it",
            "tools": [{ "server": "crm", "tool": "close", "constraints": [{ "argument": "/id", "rule": { "one_of": [7] } }] }],
            "limits": { "calls": 3 }, "expires_in": 60,
        }])
        .to_string();
        let form = [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &*details)];
        let answer = rex.token(&app, &form).await;
        let token = answer.token();
        // The task ends before the token's usual life.
        assert_eq!(answer.body["expires_in"], 60);
        let granted = &answer.body["authorization_details"][0];
        assert_eq!(granted["purpose"], "close ticket 7");
        assert_eq!(granted["limits"]["calls"], 3);
        assert_eq!(granted["tools"][0]["tool"], "close");
        let task = app.caller(&token, "crm").unwrap().task;
        assert_eq!(granted["task"], task.as_str());
        assert_eq!(app.control.find_task(&task).await.unwrap().instruction.as_deref(), Some("close it"));

        // The same task for another resource, by its id.
        let again = existing(&task);
        let form = [("grant_type", "client_credentials"), ("resource", MAIL), ("authorization_details", &*again)];
        assert_eq!(app.caller(&rex.token(&app, &form).await.token(), "mail").unwrap().task, task);
        // But only for its own agent.
        let ivy = app.client("ivy").await;
        let refused = ivy.token(&app, &form).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_authorization_details"));
    })
    .await;
}

#[tokio::test]
async fn secrets_work_in_header_and_body_by_id_and_by_name() {
    each_database(|app| async move {
        app.populate().await;
        let (_, secret) = app.control.add_secret(&app.system(), &app.id("rex"), "test", None).await.unwrap();
        let grant = [("grant_type", "client_credentials"), ("resource", CRM)];
        for id in ["rex", app.id("rex").as_str()] {
            app.form("/oauth2/token", basic(id, &secret), &grant).await.token();
            let post = [&grant[..], &[("client_id", id), ("client_secret", secret.expose())]].concat();
            app.form("/oauth2/token", headers(&[]), &post).await.token();
        }
        // By its name a client may also sign.
        let named = Client { id: "rex".into(), ..app.client("rex").await };
        named.own_token(&app, CRM).await.token();
    })
    .await;
}

#[tokio::test]
async fn a_proof_binds_the_token_to_its_key() {
    each_database(|app| async move {
        app.populate().await;
        let (vault, key) = (app.client("vault").await, SigningKey::generate(Algorithm::EdDsa).unwrap());
        let answer = vault.bound_token(&app, &key, CRM).await;
        let token = answer.token();
        assert_eq!(answer.body["token_type"], "DPoP");
        assert_eq!(claims(&token)["cnf"]["jkt"], key.public().thumbprint());
        let post = http::Method::POST;
        let shown = |proof: &str| headers(&[("authorization", &format!("DPoP {token}")), ("dpop", proof)]);
        let verify = |headers| {
            app.control.verify_mcp_token(
                &headers,
                &post,
                CRM,
                &control::oauth::Audience::Mcp("crm".into()),
                app.control.now(),
            )
        };
        let caller = verify(shown(&proof_for(&app, &key, &post, CRM, &token))).expect("bound and proven");
        assert!(caller.proof.is_some(), "the proof is to be used up by the call");
        // What a thief has: the token, and no key.
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "dpop_token_is_bound");
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        assert!(verify(shown(&proof_for(&app, &other, &post, CRM, &token))).is_err());
    })
    .await;
}

#[tokio::test]
async fn a_workload_gets_tokens_for_the_api_only() {
    each_database(|app| async move {
        app.populate().await;
        let cron = app.client("cron").await;
        let token = cron.own_token(&app, API).await.token();
        assert_eq!(claims(&token)["sub"], app.id("cron").as_str());
        assert!(claims(&token).get("task").is_none());
        let myself = app.api(http::Method::GET, "/api/v1/self", &token, &json!(null)).await;
        assert_eq!(
            (myself.body["kind"].as_str(), myself.body["name"].as_str()),
            (Some("workload"), Some("cron"))
        );
        assert_eq!(cron.own_token(&app, CRM).await.error(), "invalid_target");
        let exchange = cron.exchange(&app, &token, API, None).await;
        assert_eq!(exchange.error(), "unauthorized_client");
    })
    .await;
}

#[tokio::test]
async fn a_bound_token_opens_the_api_once_per_proof() {
    each_database(|app: App| async move {
        app.populate().await;
        let (vault, key) = (app.client("vault").await, SigningKey::generate(Algorithm::Es256).unwrap());
        let token = vault.bound_token(&app, &key, API).await.token();
        let url = "https://writ.example/api/v1/self";
        let proof = proof_for(&app, &key, &http::Method::GET, url, &token);
        let shown = headers(&[("authorization", &format!("DPoP {token}")), ("dpop", &proof)]);
        assert_eq!(app.get("/api/v1/self", shown.clone()).await.body["name"], "vault");
        let replayed = app.get("/api/v1/self", shown).await;
        assert_eq!(
            (replayed.status.as_u16(), replayed.body["code"].as_str()),
            (401, Some("dpop_proof_replayed"))
        );
        let plain = app.api(http::Method::GET, "/api/v1/self", &token, &json!(null)).await;
        assert_eq!(plain.body["code"], "dpop_token_is_bound");
    })
    .await;
}
