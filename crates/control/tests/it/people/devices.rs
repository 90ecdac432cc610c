//! Devices without a browser, and requests that are pushed.

use http::{HeaderMap, Method};
use serde_json::json;

use super::browser::{Browser, CALLBACK, CHALLENGE, all_of, redeem};
use crate::{
    app::{Answer, App, each_database},
    client::{CRM, claims},
};

async fn begin(app: &App, client: &str) -> Answer {
    app.form("/oauth2/device_authorization", HeaderMap::new(), &[("client_id", client), ("resource", CRM)])
        .await
}

async fn poll(app: &App, client: &str, code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [("grant_type", grant), ("client_id", client), ("device_code", code)];
    app.form("/oauth2/token", HeaderMap::new(), &form).await
}

#[tokio::test]
async fn a_device_gets_what_a_person_agrees_to_elsewhere() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.public_client("other").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let begun = begin(&app, "helper").await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let (device, user) =
            (begun.body["device_code"].as_str().unwrap(), begun.body["user_code"].as_str().unwrap());
        assert_eq!((begun.body["interval"].as_i64(), user.len()), (Some(5), 9));
        assert_eq!(poll(&app, "helper", device).await.error(), "authorization_pending");
        assert_eq!(poll(&app, "helper", device).await.error(), "slow_down");
        assert_eq!(poll(&app, "other", device).await.error(), "invalid_grant");
        assert_eq!(poll(&app, "helper", "writdevice_00").await.error(), "invalid_grant");
        // However it is typed.
        let typed = user.to_lowercase().replace('-', " ");
        let seen = ada.post(&app, "/device", &[("user_code", &typed)]).await;
        let page = ada.follow(&app, seen).await;
        assert!(page.html.contains("May Helper act for you?"), "{}", page.html);
        let form = all_of(&page);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = ada.post(&app, "/consent", &form).await;
        assert!(seen.status == 200 && seen.html.contains("Go back to your device"), "{}", seen.html);
        let answer = poll(&app, "helper", device).await;
        assert_eq!(claims(&answer.token())["act"]["sub"], app.id("helper-ada").as_str());
        assert_eq!(poll(&app, "helper", device).await.error(), "invalid_grant", "once");
        assert!(app.caller(&answer.token(), "crm").is_ok());
        // No is an answer, too.
        let begun = begin(&app, "helper").await;
        let user = begun.body["user_code"].as_str().unwrap();
        let seen = ada.post(&app, "/device", &[("user_code", user)]).await;
        let page = ada.follow(&app, seen).await;
        ada.post(&app, "/consent", &[("visit", &page.hidden("visit")), ("decision", "deny")]).await;
        assert_eq!(
            poll(&app, "helper", begun.body["device_code"].as_str().unwrap()).await.error(),
            "access_denied"
        );
        // And so is silence.
        let begun = begin(&app, "helper").await;
        app.advance(601).await;
        assert_eq!(
            poll(&app, "helper", begun.body["device_code"].as_str().unwrap()).await.error(),
            "expired_token"
        );
    })
    .await;
}

#[tokio::test]
async fn codes_of_devices_are_not_guessed() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        let mut statuses = Vec::new();
        for _ in 0..12 {
            statuses.push(ada.post(&app, "/device", &[("user_code", "BBBB-BBBB")]).await.status);
        }
        assert_eq!((statuses[0], statuses[11]), (404, 429));
    })
    .await;
}

#[tokio::test]
async fn a_pushed_request_is_used_once_by_its_client() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.public_client("other").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let form = [
            ("client_id", "helper"),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", CRM),
            ("state", "s"),
        ];
        let push = async || app.form("/oauth2/par", HeaderMap::new(), &form).await;
        let pushed = push().await;
        assert_eq!(
            (pushed.status.as_u16(), pushed.body["expires_in"].as_i64()),
            (201, Some(60)),
            "{}",
            pushed.text
        );
        let uri = pushed.body["request_uri"].as_str().unwrap().to_owned();
        let path =
            |client: &str, uri: &str| format!("/oauth2/authorize?client_id={client}&request_uri={uri}");
        assert_eq!(ada.get(&app, &path("other", &uri)).await.status, 400, "another client's");
        let seen = ada.get(&app, &path("helper", &uri)).await;
        let page = ada.follow(&app, seen).await;
        assert_eq!(ada.get(&app, &path("helper", &uri)).await.status, 400, "once");
        let form_of = all_of(&page);
        let form_of: Vec<(&str, &str)> =
            form_of.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = ada.post(&app, "/consent", &form_of).await;
        assert_eq!(seen.parameter("state").as_deref(), Some("s"));
        assert_eq!(redeem(&app, "helper", &seen.parameter("code").unwrap()).await.status, 200);
        let late = push().await.body["request_uri"].as_str().unwrap().to_owned();
        app.advance(61).await;
        assert_eq!(ada.get(&app, &path("helper", &late)).await.status, 400, "a minute is enough");
        // A URI that is not ours is not fetched, and what would be refused is refused at once.
        for foreign in ["https://evil.example/request", "urn:ietf:params:oauth:request_uri:00", "urn:x"] {
            assert_eq!(ada.get(&app, &path("helper", foreign)).await.status, 400, "{foreign}");
        }
        for (name, value, error) in [
            ("redirect_uri", "https://evil.example/", "invalid_request"),
            ("response_type", "token", "unsupported_response_type"),
            ("resource", "https://evil.example/", "invalid_target"),
            ("client_id", "nobody", "invalid_client"),
        ] {
            let form: Vec<(&str, &str)> = form
                .iter()
                .map(|(known, kept)| (*known, if *known == name { value } else { *kept }))
                .collect();
            assert_eq!(app.form("/oauth2/par", HeaderMap::new(), &form).await.error(), error, "{name}");
        }
        // A client that must push does not come without.
        let spec = json!({ "display_name": "Helper", "redirect_uris": [CALLBACK], "par_required": true });
        app.client_document("pushy", spec).await;
        let seen = ada.get(&app, &super::browser::request("pushy", &[])).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("invalid_request"));
    })
    .await;
}

#[tokio::test]
async fn endpoints_of_the_server_answer_in_json_to_any_method() {
    each_database(|app| async move {
        for path in [
            "/oauth2/par",
            "/oauth2/device_authorization",
            "/oauth2/register",
            "/oauth2/userinfo",
            "/oauth2/token",
        ] {
            for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH] {
                let answer =
                    app.send(method.clone(), path, HeaderMap::new(), axum::body::Body::empty()).await;
                assert!(answer.body["error"].is_string(), "{method} {path}: {answer:?}");
                assert_eq!(answer.headers["content-type"], "application/json", "{method} {path}");
            }
        }
        drop(Browser::default());
    })
    .await;
}
