//! Letting a client act, narrowed, remembered, and taken back.

use base::EventKind;
use http::HeaderMap;
use serde_json::json;

use super::browser::{Browser, CALLBACK, VERIFIER, all_of, redeem, refresh, request};
use crate::{
    app::each_database,
    client::{CRM, MAIL, claims},
};

#[tokio::test]
async fn a_person_lets_a_client_act_and_takes_it_back() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        drop(app.arrived("ada").await);
        let mut ada = Browser::default();
        // Not signed in: sign in, and come back to the question.
        let seen = ada.get(&app, &request("helper", &[])).await;
        let login = ada.follow(&app, seen).await;
        assert!(login.html.contains("Helper"), "the page says for whom: {}", login.html);
        let visit = login.hidden("visit");
        let seen = ada
            .post(
                &app,
                "/login",
                &[("name", "ada"), ("password", super::browser::PASSWORD), ("visit", &visit)],
            )
            .await;
        let page = ada.follow(&app, seen).await;
        for said in ["May Helper act for you?", "helper-ada", "client.example", "crm"] {
            assert!(page.html.contains(said), "`{said}` in {}", page.html);
        }
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("form-action 'self' https://client.example"), "{policy}");
        let form = all_of(&page);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let seen = ada.post(&app, "/consent", &form).await;
        assert!(seen.location.as_ref().unwrap().starts_with(CALLBACK), "{seen:?}");
        assert_eq!(seen.parameter("state").as_deref(), Some("st-1"));
        assert_eq!(seen.parameter("iss").as_deref(), Some("https://writ.example"));
        let answer = redeem(&app, "helper", &seen.parameter("code").unwrap()).await;
        let token = answer.token();
        let said = claims(&token);
        assert_eq!(said["sub"], app.person("ada").as_str());
        assert_eq!(said["act"]["sub"], app.id("helper-ada").as_str());
        assert_eq!(
            (said["client_id"].as_str(), said["acr"].as_str()),
            (Some("helper"), Some("urn:writ:acr:1fa"))
        );
        assert_eq!(
            (answer.body["token_type"].as_str(), answer.body["expires_in"].as_i64()),
            (Some("Bearer"), Some(300))
        );
        assert!(!answer.text.contains("null"), "{}", answer.text);
        assert_eq!(answer.body["authorization_details"][0]["type"], "writ_task");
        let caller = app.caller(&token, "crm").unwrap();
        assert_eq!(caller.agent.as_str(), app.id("helper-ada").as_str());
        assert!(app.caller(&token, "mail").is_err(), "for one server");
        // It is under "my access", and ends there: tokens at once, the refresh token, the task.
        let page = ada.get(&app, "/account").await.html;
        let at = page.find("dlg_").unwrap();
        let path = format!("/account/agents/{}/revoke", &page[at..at + 30]);
        assert_eq!(ada.post(&app, &path, &[]).await.location.as_deref(), Some("/account?done=revoked"));
        assert!(app.caller(&token, "crm").is_err());
        let again = refresh(&app, "helper", answer.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!((again.status.as_u16(), again.error()), (400, "invalid_grant"));
        assert_eq!(app.open_tasks("helper-ada"), 0);
        assert_eq!(ada.post(&app, &path, &[]).await.status, 404);
        let record = app.last_record(EventKind::DelegationRevoked).await;
        assert_eq!(record["actor"], json!(app.person("ada")));
    })
    .await;
}

#[tokio::test]
async fn a_person_narrows_what_they_agree_to() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let seen = ada.get(&app, &request("helper", &[])).await;
        let page = ada.follow(&app, seen).await;
        let form = all_of(&page);
        let without = |left_out: &[&str]| -> Vec<(String, String)> {
            form.iter().filter(|(name, _)| !left_out.contains(&name.as_str())).cloned().collect()
        };
        let send = async |browser: &mut Browser, form: &[(String, String)]| {
            let form: Vec<(&str, &str)> =
                form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            browser.post(&app, "/consent", &form).await
        };
        // Nothing left: asked again, with the reason.
        let all = ["effect_read", "effect_fetch", "effect_write", "effect_send", "effect_destroy"];
        let seen = send(&mut ada, &without(&all)).await;
        assert!(seen.status == 400 && seen.html.contains("at least one thing"), "{}", seen.html);
        // Only reading.
        let seen = send(&mut ada, &without(&all[1..])).await;
        let answer = redeem(&app, "helper", &seen.parameter("code").unwrap()).await;
        let details = &answer.body["authorization_details"][0];
        assert_eq!(
            details["tools"],
            json!([{ "server": "*", "tool": "*", "effects": ["read"] }]),
            "{details}"
        );
        assert_eq!(details["limits"]["calls"], 100);
        let until = details["deadline"].as_i64().unwrap() - app.control.now().seconds();
        assert!((3590..=3600).contains(&until), "{until}");
        // A form that asks for more than the page offered is none.
        for (field, value) in [
            ("calls", "999999999"),
            ("calls", "0"),
            ("seconds", "99999999"),
            ("seconds", "-1"),
            ("seconds", "x"),
        ] {
            let wider: Vec<(String, String)> = form
                .iter()
                .map(|(name, kept)| {
                    (name.clone(), if name == field { value.to_owned() } else { kept.clone() })
                })
                .collect();
            assert_eq!(send(&mut ada, &wider).await.status, 400, "{field}={value}");
        }
        let mut more = without(&[]);
        more.push(("effect_admin".into(), "yes".into()));
        let seen = send(&mut ada, &more).await;
        let answer = redeem(&app, "helper", &seen.parameter("code").unwrap()).await;
        assert!(!answer.body["authorization_details"].to_string().contains("admin"));
    })
    .await;
}

#[tokio::test]
async fn rules_that_a_client_describes_are_shown_and_each_can_be_left_out() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let wish = json!([{
            "type": "writ_task", "purpose": "answer ticket 4711", "instruction": "Please answer ticket 4711.", "expires_in": 900,
            "limits": { "calls": 7 },
            "tools": [
                { "server": "crm", "tool": "ticket_read", "constraints": [{ "argument": "/id", "rule": { "one_of": ["4711"] } }] },
                { "server": "crm", "tool": "ticket_close" },
            ],
        }])
        .to_string();
        let seen = ada.get(&app, &request("helper", &[("authorization_details", &wish)])).await;
        let page = ada.follow(&app, seen).await;
        for said in ["answer ticket 4711", "Please answer ticket 4711.", "crm/ticket_read", "4711", "crm/ticket_close", "max=\"7\"", "15 min"] {
            assert!(page.html.contains(said), "`{said}` in {}", page.html);
        }
        let form = [("visit", &page.hidden("visit")[..]), ("tool_0", "yes"), ("seconds", "900"), ("calls", "5"), ("decision", "allow")];
        let seen = ada.post(&app, "/consent", &form).await;
        let answer = redeem(&app, "helper", &seen.parameter("code").unwrap()).await;
        let details = &answer.body["authorization_details"][0];
        assert_eq!(details["purpose"], "answer ticket 4711");
        assert_eq!(details["tools"].as_array().unwrap().len(), 1);
        assert_eq!((details["tools"][0]["tool"].as_str(), details["limits"]["calls"].as_i64()), (Some("ticket_read"), Some(5)));
    })
    .await;
}

#[tokio::test]
async fn no_is_an_answer() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        let seen = ada.get(&app, &request("helper", &[])).await;
        let page = ada.follow(&app, seen).await;
        let seen =
            ada.post(&app, "/consent", &[("visit", &page.hidden("visit")), ("decision", "deny")]).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("access_denied"));
        assert_eq!(seen.parameter("iss").as_deref(), Some("https://writ.example"));
        assert_eq!(seen.parameter("code"), None);
        assert_eq!(app.records(EventKind::DelegationRefused).await, 1);
        assert_eq!(app.records(EventKind::DelegationGranted).await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_was_agreed_is_remembered_for_as_much_and_no_more() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let first = ada.agree(&app, &request("helper", &[])).await;
        assert!(first.parameter("code").is_some(), "{first:?}");
        // The same again: no question, the same task.
        let again = ada.get(&app, &request("helper", &[])).await;
        let answer = redeem(&app, "helper", &again.parameter("code").expect("no question")).await;
        assert_eq!(app.open_tasks("helper-ada"), 1, "asking for another token makes no other limits");
        assert_eq!(answer.status, 200);
        let silent = ada.get(&app, &request("helper", &[("prompt", "none")])).await;
        assert!(silent.parameter("code").is_some());
        // Another resource, another wish, the wish to be asked: asked.
        let is_asked = async |browser: &mut Browser, more: &[(&str, &str)]| {
            let seen = browser.get(&app, &request("helper", more)).await;
            seen.location.unwrap().starts_with("/consent")
        };
        assert!(is_asked(&mut ada, &[("resource", MAIL)]).await);
        assert!(is_asked(&mut ada, &[("resource", CRM), ("prompt", "consent")]).await);
        let wish = crate::world::wish("something else", &json!([crate::world::tool("crm", "ticket_read")]));
        assert!(is_asked(&mut ada, &[("authorization_details", &wish)]).await);
        let none = ada.get(&app, &request("helper", &[("resource", MAIL), ("prompt", "none")])).await;
        assert_eq!(none.parameter("error").as_deref(), Some("consent_required"));
        // A client that says something else about itself is another client: asked, and what it has is dead.
        let spec = json!({ "display_name": "Helper 2", "redirect_uris": [CALLBACK] });
        app.client_document("helper", spec).await;
        assert!(is_asked(&mut ada, &[]).await);
        let refreshed = refresh(&app, "helper", answer.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!(refreshed.error(), "invalid_grant");
    })
    .await;
}

/// Anybody on the person's machine can pose as a client that nobody vouches for (RFC 8252, section 8.6).
#[tokio::test]
async fn a_client_on_the_persons_machine_is_asked_about_each_time() {
    each_database(|app| async move {
        app.populate().await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let body = json!({ "client_name": "Local", "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "none" });
        let registered = app.api(http::Method::POST, "/oauth2/register", "", &body).await;
        let client = registered.body["client_id"].as_str().unwrap().to_owned();
        let path = request(&client, &[("redirect_uri", "http://localhost:3118/cb")]);
        assert!(ada.agree(&app, &path).await.parameter("code").is_some());
        let seen = ada.get(&app, &path).await;
        assert!(seen.location.unwrap().starts_with("/consent"));
    })
    .await;
}

#[tokio::test]
async fn a_stopped_agent_is_not_made_anew_by_agreeing() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let token = redeem(&app, "helper", &code).await.token();
        let kill = control::revoke::Target::Agent("helper-ada".into());
        app.control.kill(&app.system(), &kill, "test").await.unwrap();
        assert!(app.caller(&token, "crm").is_err());
        let seen = ada.get(&app, &request("helper", &[])).await;
        let seen = ada.follow(&app, seen).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("access_denied"), "{seen:?}");
        assert!(app.control.snapshot().agents.named("helper-ada-2").is_none());
    })
    .await;
}

#[tokio::test]
async fn codes_are_bound_to_client_address_and_verifier() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.public_client("other").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", "helper"),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
            ("resource", CRM),
        ];
        let other_verifier = "x".repeat(43);
        for (field, value, error) in [
            ("client_id", "other", "invalid_grant"),
            ("client_id", "nobody", "invalid_client"),
            ("code", "writcode_00", "invalid_grant"),
            ("code_verifier", &other_verifier[..], "invalid_grant"),
            ("code_verifier", "", "invalid_request"),
            ("redirect_uri", "https://client.example/callback/", "invalid_grant"),
            ("resource", MAIL, "invalid_target"),
        ] {
            let form: Vec<(&str, &str)> =
                good.iter().map(|(name, kept)| (*name, if *name == field { value } else { *kept })).collect();
            let answer = app.form("/oauth2/token", HeaderMap::new(), &form).await;
            assert_eq!(answer.error(), error, "{field}={value}: {}", answer.text);
        }
        // None of that spent it.
        assert_eq!(app.form("/oauth2/token", HeaderMap::new(), &good).await.status, 200);
        app.advance(120).await;
        let late =
            ada.agree(&app, &request("helper", &[("prompt", "consent")])).await.parameter("code").unwrap();
        app.advance(61).await;
        assert_eq!(redeem(&app, "helper", &late).await.error(), "invalid_grant", "a minute is enough");
    })
    .await;
}

#[tokio::test]
async fn whoever_comes_twice_ends_it_for_both() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        // A code.
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let token = redeem(&app, "helper", &code).await.token();
        assert_eq!(redeem(&app, "helper", &code).await.error(), "invalid_grant");
        assert!(app.caller(&token, "crm").is_err(), "the first one's token died");
        // A refresh token, after a chain of them.
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let first = redeem(&app, "helper", &code).await.body["refresh_token"].as_str().unwrap().to_owned();
        let second = refresh(&app, "helper", &first).await;
        assert_ne!(second.body["refresh_token"].as_str().unwrap(), first);
        assert!(app.caller(&second.token(), "crm").is_ok());
        assert_eq!(refresh(&app, "helper", &first).await.error(), "invalid_grant");
        assert!(app.caller(&second.token(), "crm").is_err(), "the family died");
        let last = second.body["refresh_token"].as_str().unwrap();
        assert_eq!(refresh(&app, "helper", last).await.error(), "invalid_grant");
    })
    .await;
}

#[tokio::test]
async fn what_an_administrator_registered_ends_for_everybody_when_they_delete_it() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let answer = redeem(&app, "helper", &code).await;
        let token = answer.token();
        assert!(app.caller(&token, "crm").is_ok());
        let delete = |draft: &mut control::draft::Draft| draft.remove::<control::client::Client>("helper");
        app.control.change(&app.system(), delete).await.unwrap();
        assert!(app.caller(&token, "crm").is_err(), "not once it expires, but at the next call");
        // Another one of the same name is another client.
        app.public_client("helper").await;
        assert!(app.caller(&token, "crm").is_err());
        let again = refresh(&app, "helper", answer.body["refresh_token"].as_str().unwrap()).await;
        assert_eq!(again.error(), "invalid_grant");
        assert!(!ada.get(&app, "/account").await.html.contains("dlg_"), "nothing is left to take back");
    })
    .await;
}

#[tokio::test]
async fn one_client_gets_so_much_of_one_person_and_the_oldest_makes_room() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        app.entitle("ada").await;
        let mut ada = app.arrived("ada").await;
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let oldest = redeem(&app, "helper", &code).await.token();
        let mut newest = oldest.clone();
        for _ in 0..63 {
            app.advance(1).await;
            let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
            newest = redeem(&app, "helper", &code).await.token();
        }
        assert!(app.caller(&oldest, "crm").is_ok(), "64 have room");
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        assert!(app.caller(&oldest, "crm").is_err());
        assert!(app.caller(&newest, "crm").is_ok(), "they share a task, which goes on");
        assert!(redeem(&app, "helper", &code).await.status == 200);
        let record = app.last_record(EventKind::DelegationRevoked).await;
        assert_eq!(record["data"]["reason"], "too_many");
    })
    .await;
}
