//! OpenID Connect: who signed in, how and when.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use serde_json::json;

use super::browser::{Browser, CALLBACK, PASSWORD, redeem, refresh, request};
use crate::{
    app::{App, each_database},
    client::{bearer, claims},
};

async fn site(app: &App) {
    let spec = json!({
        "display_name": "Site", "use": "sign_in", "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": ["https://client.example/bye"],
    });
    app.client_document("site", spec).await;
}

#[tokio::test]
async fn a_site_learns_who_signed_in_and_what_they_agreed_to() {
    each_database(|app| async move {
        app.populate().await;
        site(&app).await;
        let mut ada = app.arrived("ada").await;
        let path = request("site", &[("scope", "openid profile email unknown"), ("nonce", "n-1")]);
        let code = ada.agree(&app, &path).await.parameter("code").unwrap();
        let answer = redeem(&app, "site", &code).await;
        assert_eq!(answer.body["scope"], "openid profile email", "what means nothing is left out");
        assert!(answer.body.get("refresh_token").is_none(), "it did not ask to come back");
        let said = claims(answer.body["id_token"].as_str().unwrap());
        let token = answer.token();
        let half =
            &aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref()[..16].to_vec();
        for (name, value) in [
            ("iss", json!("https://writ.example")),
            ("aud", json!("site")),
            ("sub", json!(app.person("ada"))),
            ("nonce", json!("n-1")),
            ("acr", json!("urn:writ:acr:1fa")),
            ("amr", json!(["pwd"])),
            ("at_hash", json!(wire::jose::base64url(half))),
            ("preferred_username", json!("ada")),
            ("auth_time", json!(app.control.now().seconds())),
        ] {
            assert_eq!(said[name], value, "{name} in {said}");
        }
        let info = app.get("/oauth2/userinfo", bearer(&token)).await;
        assert_eq!((info.status.as_u16(), &info.body["sub"]), (200, &said["sub"]));
        assert_eq!(info.body["preferred_username"], "ada");
        // The token is for that and for nothing else.
        assert!(app.caller(&token, "crm").is_err());
        assert_eq!(app.get("/api/v1/people/ada", bearer(&token)).await.status, 401);
        let none = app.get("/oauth2/userinfo", HeaderMap::new()).await;
        assert_eq!(
            (none.status.as_u16(), none.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer")),
            (401, true)
        );
        // What the site knows ends with the session.
        ada.post(&app, "/logout", &[]).await;
        assert_eq!(app.get("/oauth2/userinfo", bearer(&token)).await.status, 401);
    })
    .await;
}

#[tokio::test]
async fn whoever_signed_in_long_ago_or_too_weakly_does_it_again() {
    each_database(|app| async move {
        app.populate().await;
        site(&app).await;
        let mut ada = app.arrived("ada").await;
        let path = request("site", &[("scope", "openid")]);
        assert!(ada.agree(&app, &path).await.parameter("code").is_some());
        app.advance(600).await;
        let with = |more: &[(&str, &str)]| request("site", &[&[("scope", "openid")][..], more].concat());
        assert!(ada.get(&app, &with(&[("max_age", "3600")])).await.parameter("code").is_some());
        for more in
            [&[("prompt", "login")][..], &[("max_age", "60")], &[("max_age", "0")], &[("acr_values", "phr")]]
        {
            let seen = ada.get(&app, &with(more)).await;
            assert!(seen.location.unwrap().starts_with("/login"), "{more:?}");
        }
        let seen = ada.get(&app, &with(&[("max_age", "60"), ("prompt", "none")])).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("login_required"));
        // And once they did, they are not asked in a circle.
        let seen = ada.get(&app, &with(&[("prompt", "login")])).await;
        let page = ada.follow(&app, seen).await;
        let form = [("name", "ada"), ("password", PASSWORD), ("visit", &page.hidden("visit")[..])];
        let seen = ada.post(&app, "/login", &form).await;
        let seen = ada.follow(&app, seen).await;
        let answer = redeem(&app, "site", &seen.parameter("code").expect("a code")).await;
        let said = claims(answer.body["id_token"].as_str().unwrap());
        assert_eq!(said["auth_time"], app.control.now().seconds());
    })
    .await;
}

#[tokio::test]
async fn a_site_that_may_come_back_does_until_the_person_says_otherwise() {
    each_database(|app| async move {
        app.populate().await;
        site(&app).await;
        let mut ada = app.arrived("ada").await;
        let path = request("site", &[("scope", "openid offline_access")]);
        let code = ada.agree(&app, &path).await.parameter("code").unwrap();
        let first = redeem(&app, "site", &code).await;
        ada.post(&app, "/logout", &[]).await;
        let second = refresh(&app, "site", first.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!(second.status, 200, "it outlives the session: {}", second.text);
        let said = claims(second.body["id_token"].as_str().unwrap());
        assert!(said.get("nonce").is_none(), "{said}");
        // Given up by the site itself.
        let form = [("client_id", "site"), ("token", second.body["refresh_token"].as_str().unwrap())];
        assert_eq!(app.form("/oauth2/revoke", HeaderMap::new(), &form).await.status, 200);
        assert_eq!(
            refresh(&app, "site", second.body["refresh_token"].as_str().unwrap()).await.error(),
            "invalid_grant"
        );
    })
    .await;
}

#[tokio::test]
async fn sites_hear_once_that_somebody_signed_out_whether_they_go_on_or_not() {
    each_database(|app| async move {
        app.populate().await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        app.control.attach_tell(Arc::new(move |uri, form| {
            ear.lock().unwrap().push((uri, form));
            Box::pin(async { Ok(true) })
        }));
        for name in ["stays", "goes"] {
            let out = format!("https://{name}.example/out");
            let spec = json!({ "display_name": name, "use": "sign_in", "redirect_uris": [CALLBACK], "backchannel_logout_uri": out });
            app.client_document(name, spec).await;
        }
        let mut ada = app.arrived("ada").await;
        let mut agree = async |client: &str, scope: &str| {
            let code = ada.agree(&app, &request(client, &[("scope", scope)])).await.parameter("code").unwrap();
            redeem(&app, client, &code).await
        };
        let stays = agree("stays", "openid offline_access").await;
        let goes = agree("goes", "openid").await;
        app.control.tell_sites_now().await;
        assert!(heard.lock().unwrap().is_empty(), "nobody signed out");
        ada.post(&app, "/logout", &[]).await;
        app.control.tell_sites_now().await;
        app.control.tell_sites_now().await;
        let mut told = std::mem::take(&mut *heard.lock().unwrap());
        told.sort();
        assert_eq!(told.len(), 2, "{told:?}");
        for ((uri, form), (client, answer)) in told.iter().zip([("goes", &goes), ("stays", &stays)]) {
            assert_eq!(*uri, format!("https://{client}.example/out"));
            let word = claims(form.strip_prefix("logout_token=").unwrap());
            let said = claims(answer.body["id_token"].as_str().unwrap());
            assert_eq!((&word["aud"], &word["sub"], &word["sid"]), (&json!(client), &said["sub"], &said["sid"]));
            assert!(said["sid"].is_string());
        }
        assert!(app.control.snapshot().delegations.size() == 1);
        assert_eq!(app.records(base::EventKind::DelegationOutlived).await, 1);
        let later = refresh(&app, "stays", stays.body["refresh_token"].as_str().unwrap()).await;
        let said = claims(later.body["id_token"].as_str().unwrap());
        assert!(said.get("sid").is_none(), "there is no session that it could end with: {said}");
        assert_eq!(app.get("/oauth2/userinfo", bearer(&goes.token())).await.status, 401);
        assert_eq!(app.get("/oauth2/userinfo", bearer(&later.token())).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn a_site_may_ask_for_single_claims() {
    each_database(|app| async move {
        app.populate().await;
        site(&app).await;
        let mut ada = app.arrived("ada").await;
        let wanted = r#"{"id_token":{"email":null,"auth_time":{"essential":true}},"userinfo":{"name":null,"email_verified":null,"phone_number":null}}"#;
        let with = |claims: &str| request("site", &[("scope", "openid"), ("claims", claims)]);
        let seen = ada.get(&app, &with(wanted)).await;
        let page = ada.follow(&app, seen).await;
        assert!(page.html.contains("e-mail address") && page.html.contains("name"), "{}", page.html);
        let allow = [("visit", &page.hidden("visit")[..]), ("decision", "allow")];
        let code = ada.post(&app, "/consent", &allow).await.parameter("code").unwrap();
        let answer = redeem(&app, "site", &code).await;
        let said = claims(answer.body["id_token"].as_str().unwrap());
        assert_eq!(said["email"], "ada@example.com");
        assert!(said.get("name").is_none() && said.get("email_verified").is_none(), "{said}");
        let info = app.get("/oauth2/userinfo", bearer(&answer.token())).await.body;
        assert_eq!(info["email_verified"], false);
        assert!(info["name"].is_string() && info.get("email").is_none(), "{info}");

        // Agreed to once, for this and for less; more is asked about.
        assert!(ada.get(&app, &with(wanted)).await.parameter("code").is_some());
        assert!(ada.get(&app, &with(r#"{"userinfo":{"name":null}}"#)).await.parameter("code").is_some());
        let more = ada.get(&app, &with(r#"{"userinfo":{"email":null}}"#)).await;
        assert!(more.location.unwrap().starts_with("/consent"));

        // Somebody else, or somebody who cannot sign in like that.
        let other = format!(r#"{{"id_token":{{"sub":{{"value":"{}"}}}}}}"#, app.person("bob"));
        let seen = ada.get(&app, &with(&other)).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("login_required"));
        let seen = ada.get(&app, &with(r#"{"id_token":{"acr":{"value":"retina","essential":true}}}"#)).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("unmet_authentication_requirements"));
        let seen = ada.get(&app, &with(r#"{"id_token":{"acr":{"value":"phr","essential":true}}}"#)).await;
        assert!(seen.location.unwrap().starts_with("/login"));
        let seen = ada.get(&app, &with("[]")).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("invalid_request"));
    })
    .await;
}

#[tokio::test]
async fn signing_out_for_a_site_asks_and_leads_back_to_registered_addresses_only() {
    each_database(|app| async move {
        app.populate().await;
        site(&app).await;
        let mut ada = app.arrived("ada").await;
        for (uri, back) in [
            ("https://client.example/bye", Some("https://client.example/bye?state=x")),
            ("https://client.example/bye/", None),
            ("https://evil.example/", None),
        ] {
            ada.sign_in(&app, "ada").await;
            let path = format!("/oauth2/logout?client_id=site&state=x&post_logout_redirect_uri={uri}");
            let seen = ada.get(&app, &path).await;
            let page = ada.follow(&app, seen).await;
            assert!(ada.cookie().is_some(), "nobody is signed out by a link");
            let seen = ada.post(&app, "/logout", &[("visit", &page.hidden("visit"))]).await;
            assert_eq!((seen.location.as_deref(), ada.cookie()), (back, None), "{uri}");
        }
        drop(Browser::default());
    })
    .await;
}

#[tokio::test]
async fn the_command_line_acts_as_the_person() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let more = [("resource", crate::client::API), ("redirect_uri", "http://127.0.0.1:49152/callback")];
        let seen = ada.get(&app, &request("writ-cli", &more)).await;
        let page = ada.follow(&app, seen).await;
        assert!(
            page.html.contains("act as you?") && page.html.contains("everything in Writ that you may do"),
            "{}",
            page.html
        );
        let seen =
            ada.post(&app, "/consent", &[("visit", &page.hidden("visit")), ("decision", "allow")]).await;
        let code = seen.parameter("code").unwrap();
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "writ-cli"),
            ("code", &code),
            ("code_verifier", super::browser::VERIFIER),
        ];
        let answer = app.form("/oauth2/token", HeaderMap::new(), &form).await;
        let token = answer.token();
        assert_eq!(app.get("/api/v1/people/ada", bearer(&token)).await.status, 200);
        assert_eq!(
            app.get("/api/v1/people/bob", bearer(&token)).await.status,
            404,
            "what she may not see is not there"
        );
        let kill = control::revoke::Target::Person("ada".into());
        app.control.kill(&app.system(), &kill, "test").await.unwrap();
        assert_eq!(app.get("/api/v1/people/ada", bearer(&token)).await.status, 401);
    })
    .await;
}
