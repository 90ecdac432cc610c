//! What breaks real clients, row by row: each is held here as it goes over the wire, and in `tests/e2e` by the clients themselves.
//!
//! py1, py2, ts1 and ts2 are the lines of the MCP SDKs for Python and TypeScript, oc is npm openid-client. Challenges are held
//! beside where they are made (`wire::oauth`), denials of calls in the gate's tests.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::browser::{CALLBACK, redeem, refresh, request};
use crate::{
    app::{Answer, App, each_database},
    client::{CRM, headers},
};

const ISSUER: &str = "https://writ.example";

async fn ready(app: &App) {
    app.populate().await;
    app.public_client("helper").await;
    app.entitle("ada").await;
}

async fn metadata(app: &App) -> Value {
    app.get("/.well-known/oauth-authorization-server", HeaderMap::new()).await.body
}

/// Every answer that a client reads as a document: JSON, without a `null` anywhere.
fn is_document(answer: &Answer) {
    assert_eq!(answer.headers["content-type"], "application/json", "{}", answer.text);
    assert!(answer.body.is_object() && !answer.text.contains("null"), "{}", answer.text);
    assert!(answer.headers.get("location").is_none());
}

/// A slash at the end of one of them: py2, ts1 and ts2 give up.
#[tokio::test]
async fn the_issuer_has_one_spelling_everywhere() {
    each_database(|app| async move {
        ready(&app).await;
        assert_eq!(metadata(&app).await["issuer"], ISSUER);
        assert_eq!(
            app.get("/.well-known/openid-configuration", HeaderMap::new()).await.body["issuer"],
            ISSUER
        );
        let of_server = app.get("/.well-known/oauth-protected-resource/mcp/crm", HeaderMap::new()).await;
        assert_eq!(of_server.body["authorization_servers"], json!([ISSUER]));
        assert_eq!(of_server.body["resource"], CRM, "the origin is the one that clients are given");
        let mut ada = app.arrived("ada").await;
        let seen = ada.agree(&app, &request("helper", &[("scope", "openid"), ("resource", CRM)])).await;
        assert_eq!(seen.parameter("iss").as_deref(), Some(ISSUER));
        let answer = redeem(&app, "helper", &seen.parameter("code").unwrap()).await;
        for token in [answer.token(), answer.body["id_token"].as_str().unwrap().to_owned()] {
            assert_eq!(crate::client::claims(&token)["iss"], ISSUER);
        }
    })
    .await;
}

/// `iss` promised and left out: py2, ts2 and oc give up, on errors too.
#[tokio::test]
async fn every_answer_says_who_it_is_of() {
    each_database(|app| async move {
        ready(&app).await;
        assert_eq!(metadata(&app).await["authorization_response_iss_parameter_supported"], true);
        let mut ada = app.arrived("ada").await;
        let seen = ada.get(&app, &request("helper", &[])).await;
        let page = ada.follow(&app, seen).await;
        let no = ada.post(&app, "/consent", &[("visit", &page.hidden("visit")), ("decision", "deny")]).await;
        let wrong = ada.get(&app, &request("helper", &[("response_mode", "fragment")])).await;
        let quiet = ada.get(&app, &request("helper", &[("prompt", "none")])).await;
        for (seen, error) in [(no, "access_denied"), (wrong, "invalid_request"), (quiet, "consent_required")]
        {
            assert_eq!(seen.parameter("iss").as_deref(), Some(ISSUER), "{seen:?}");
            assert_eq!(seen.parameter("state").as_deref(), Some("st-1"));
            assert_eq!(seen.parameter("error").as_deref(), Some(error));
        }
    })
    .await;
}

/// A page, a redirect or a 500 where a document is looked for: py2, ts1, ts2 and oc give up.
#[tokio::test]
async fn well_known_paths_are_documents_or_missing() {
    each_database(|app| async move {
        ready(&app).await;
        for (path, status) in [
            ("oauth-authorization-server", 200),
            ("openid-configuration", 200),
            ("oauth-protected-resource/mcp", 200),
            ("oauth-protected-resource/mcp/crm", 200),
            ("oauth-protected-resource", 404),
            ("oauth-protected-resource/mcp/none", 404),
            ("oauth-authorization-server/mcp/crm", 404),
            ("openid-configuration/mcp/crm", 404),
            ("anything", 404),
            ("anything/else?x=%3Chtml%3E", 404),
        ] {
            for accept in ["*/*", "text/html", "application/json"] {
                let asked = headers(&[("accept", accept), ("mcp-protocol-version", "2025-11-25")]);
                let answer = app.get(&format!("/.well-known/{path}"), asked).await;
                assert_eq!(answer.status, status, "{path}");
                is_document(&answer);
            }
        }
        for path in
            ["/mcp/crm/.well-known/oauth-authorization-server", "/mcp/crm/.well-known/openid-configuration"]
        {
            let answer = app.get(path, HeaderMap::new()).await;
            assert_eq!((answer.status.as_u16(), answer.text.contains("<html")), (404, false), "{path}");
        }
    })
    .await;
}

/// A token without an audience, where a client names no resource: ts1 and ts2 do where the document failed.
#[tokio::test]
async fn a_token_without_a_resource_is_not_made() {
    each_database(|app| async move {
        ready(&app).await;
        let mut ada = app.arrived("ada").await;
        let seen = ada.get(&app, &request("helper", &[("scope", "tools:read")])).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("invalid_target"));
        let rex = app.client("rex").await;
        assert_eq!(rex.token(&app, &[("grant_type", "client_credentials")]).await.error(), "invalid_target");
    })
    .await;
}

/// `DPoP` to a client that showed no proof: py1 and py2 give up. 201, or `null`: py1, ts1, ts2 and oc.
#[tokio::test]
async fn token_answers_are_plain() {
    each_database(|app| async move {
        ready(&app).await;
        let mut ada = app.arrived("ada").await;
        let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
        let first = redeem(&app, "helper", &code).await;
        let again = refresh(&app, "helper", first.body["refresh_token"].as_str().unwrap()).await;
        for answer in [&first, &again] {
            assert_eq!(answer.status, 200);
            is_document(answer);
            assert_eq!(answer.body["token_type"], "Bearer");
            assert!(answer.body["expires_in"].is_u64());
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
        let refused = refresh(&app, "helper", "writrefresh_none").await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"));
        is_document(&refused);
    })
    .await;
}

/// Another way to prove itself than the client asked for, or a secret that is missing: py1, ts1 and ts2 give up. `null` in the
/// answer: ts1 and ts2.
#[tokio::test]
async fn registration_gives_what_was_asked_for() {
    each_database(|app| async move {
        ready(&app).await;
        for method in ["none", "client_secret_basic", "client_secret_post"] {
            let body =
                json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": method }).to_string();
            let json = headers(&[("content-type", "application/json")]);
            let answer = app.send(Method::POST, "/oauth2/register", json, body.into()).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            is_document(&answer);
            assert_eq!(answer.body["token_endpoint_auth_method"], method);
            assert_eq!(answer.body["client_secret"].is_string(), method != "none");
            // Encoded or not in `Basic`, they read the same: ts1 and ts2 do not encode, py1, py2 and oc do.
            for name in ["client_id", "client_secret"] {
                let plain =
                    |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                assert!(answer.body[name].as_str().is_none_or(plain), "{}", answer.text);
            }
        }
    })
    .await;
}

/// A page where an error is looked for: none of them sees the code.
#[tokio::test]
async fn refusals_are_documents_whatever_was_sent() {
    each_database(|app| async move {
        ready(&app).await;
        for path in [
            "/oauth2/token",
            "/oauth2/par",
            "/oauth2/register",
            "/oauth2/revoke",
            "/oauth2/introspect",
            "/oauth2/device_authorization",
        ] {
            for (media, body) in [
                ("application/x-www-form-urlencoded", ""),
                ("application/x-www-form-urlencoded", "a=1&a=2"),
                ("application/json", "{}"),
                ("application/json", "{"),
                ("text/plain", "x"),
                ("multipart/form-data", "x"),
            ] {
                let answer =
                    app.send(Method::POST, path, headers(&[("content-type", media)]), body.into()).await;
                assert!(answer.status.is_client_error(), "{path} {media} {body}: {}", answer.text);
                is_document(&answer);
                assert!(answer.body["error"].is_string());
            }
            for method in [Method::PUT, Method::DELETE, Method::PATCH] {
                let answer = app.send(method, path, HeaderMap::new(), "".into()).await;
                assert_eq!(answer.status, 405, "{path}");
                is_document(&answer);
            }
        }
    })
    .await;
}

/// Listed, `offline_access` is asked for with `prompt=consent` by py2 and ts2; unlisted, it is understood all the same.
#[tokio::test]
async fn offline_access_is_not_advertised() {
    each_database(|app| async move {
        ready(&app).await;
        let listed = metadata(&app).await["scopes_supported"].clone();
        assert!(!listed.as_array().unwrap().contains(&json!("offline_access")), "{listed}");
        let mut ada = app.arrived("ada").await;
        let more = [("scope", "openid offline_access"), ("resource", CRM), ("prompt", "consent")];
        let code = ada.agree(&app, &request("helper", &more)).await.parameter("code").unwrap();
        assert!(redeem(&app, "helper", &code).await.body["refresh_token"].is_string());
    })
    .await;
}

/// All of them look for `S256` before they begin.
#[tokio::test]
async fn pkce_is_advertised_and_wanted() {
    each_database(|app| async move {
        ready(&app).await;
        assert_eq!(metadata(&app).await["code_challenge_methods_supported"], json!(["S256"]));
        let mut ada = app.arrived("ada").await;
        for more in [[("code_challenge", "")], [("code_challenge_method", "plain")]] {
            let path = request("helper", &[]);
            let (name, value) = more[0];
            let start = path.find(&format!("{name}=")).unwrap();
            let end = path[start..].find('&').map_or(path.len(), |at| start + at);
            let path = format!("{}{name}={value}{}", &path[..start], &path[end..]);
            let seen = ada.get(&app, &path).await;
            assert_eq!(seen.parameter("error").as_deref(), Some("invalid_request"), "{path}");
        }
    })
    .await;
}
