//! What the server says about itself, under every URL that clients try.

use axum::body::Body;
use http::{HeaderMap, Method};
use serde_json::json;

use crate::{app::each_database, client::headers};

#[tokio::test]
async fn metadata_is_the_same_in_all_forms() {
    each_database(|app| async move {
        let algorithms = json!(["ES256", "RS256", "EdDSA"]);
        let methods = json!(["private_key_jwt", "client_secret_basic", "client_secret_post"]);
        let claims = [
            "iss", "sub", "aud", "iat", "exp", "auth_time", "acr", "amr", "nonce", "sid", "name", "preferred_username", "email",
            "email_verified",
        ];
        let grants = [
            "authorization_code",
            "refresh_token",
            "client_credentials",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:device_code",
        ];
        let expected = json!({
            "issuer": "https://writ.example",
            "authorization_endpoint": "https://writ.example/oauth2/authorize",
            "token_endpoint": "https://writ.example/oauth2/token",
            "jwks_uri": "https://writ.example/oauth2/jwks",
            "introspection_endpoint": "https://writ.example/oauth2/introspect",
            "revocation_endpoint": "https://writ.example/oauth2/revoke",
            "registration_endpoint": "https://writ.example/oauth2/register",
            "device_authorization_endpoint": "https://writ.example/oauth2/device_authorization",
            "pushed_authorization_request_endpoint": "https://writ.example/oauth2/par",
            "userinfo_endpoint": "https://writ.example/oauth2/userinfo",
            "end_session_endpoint": "https://writ.example/oauth2/logout",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "scopes_supported": ["openid", "profile", "email"],
            "prompt_values_supported": ["none", "login", "consent", "select_account"],
            "acr_values_supported": ["urn:writ:acr:1fa", "urn:writ:acr:2fa", "phr"],
            "claims_supported": claims,
            "claims_parameter_supported": true,
            "authorization_response_iss_parameter_supported": true,
            "grant_types_supported": grants,
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt", "client_secret_basic", "client_secret_post"],
            "token_endpoint_auth_signing_alg_values_supported": algorithms,
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "dpop_signing_alg_values_supported": algorithms,
            "authorization_details_types_supported": ["writ_task"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        });
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let answer = app.get(path, HeaderMap::new()).await;
            assert_eq!((answer.status.as_u16(), &answer.body), (200, &expected), "{path}");
            assert_eq!(answer.headers["content-type"], "application/json");
        }
        // Whatever is promised answers, and in JSON but for where people go.
        let is_page = |name: &str| ["authorization_endpoint", "end_session_endpoint"].contains(&name);
        let endpoints = expected.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint"));
        for (name, address) in endpoints.filter(|(name, _)| !is_page(name)) {
            let path = address.as_str().unwrap().strip_prefix("https://writ.example").unwrap();
            let answer = app.form(path, HeaderMap::new(), &[]).await;
            assert!(answer.status != 404 && answer.body["error"].is_string(), "{name}: {answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn resources_have_documents_at_their_paths() {
    each_database(|app| async move {
        app.populate().await;
        for (path, resource) in [
            ("/.well-known/oauth-protected-resource/mcp", "https://writ.example/mcp"),
            ("/.well-known/oauth-protected-resource/mcp/crm", "https://writ.example/mcp/crm"),
            ("/.well-known/oauth-protected-resource/api/v1", "https://writ.example/api/v1"),
        ] {
            let answer = app.get(path, HeaderMap::new()).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.body["resource"], resource);
            assert_eq!(answer.body["authorization_servers"], json!(["https://writ.example"]));
            assert_eq!(answer.body["bearer_methods_supported"], json!(["header"]));
            assert!(answer.body.get("scopes_supported").is_none());
            assert!(answer.body.as_object().unwrap().values().all(|member| !member.is_null()));
        }
    })
    .await;
}

#[tokio::test]
async fn everything_else_is_missing_in_json() {
    each_database(|app| async move {
        app.populate().await;
        for path in [
            "/.well-known",
            "/.well-known/",
            "/.well-known/oauth-protected-resource",
            "/.well-known/oauth-protected-resource/mcp/nope",
            "/.well-known/oauth-protected-resource/mcp/crm/more",
            "/.well-known/oauth-authorization-server/mcp/crm",
            "/.well-known/security.txt",
            "/oauth2/nothing",
        ] {
            let answer = app.get(path, HeaderMap::new()).await;
            assert_eq!((answer.status.as_u16(), answer.error()), (404, "not_found"), "{path}");
            assert_eq!(answer.headers["content-type"], "application/json", "{path}");
            assert!(answer.headers.get("location").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn browsers_may_discover_and_ask_for_tokens() {
    each_database(|app| async move {
        for path in ["/.well-known/oauth-authorization-server", "/oauth2/token", "/oauth2/jwks"] {
            let asked = headers(&[
                ("origin", "https://app.example"),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", "dpop, mcp-protocol-version"),
            ]);
            let preflight = app.send(Method::OPTIONS, path, asked, Body::empty()).await;
            assert_eq!(preflight.status, 204, "{path}");
            assert_eq!(preflight.headers["access-control-allow-origin"], "*");
            let allowed = preflight.headers["access-control-allow-headers"].to_str().unwrap().to_lowercase();
            for name in ["authorization", "dpop", "mcp-protocol-version", "content-type"] {
                assert!(allowed.contains(name), "{path}: {name}");
            }
            assert!(preflight.headers.get("access-control-allow-credentials").is_none());
            let answer = app.get(path, headers(&[("origin", "https://app.example")])).await;
            assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
            let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
            for name in ["WWW-Authenticate", "DPoP-Nonce", "Mcp-Session-Id"] {
                assert!(exposed.contains(name), "{path}: {name}");
            }
        }
        let introspect =
            app.form("/oauth2/introspect", headers(&[("origin", "https://app.example")]), &[]).await;
        assert!(introspect.headers.get("access-control-allow-origin").is_none());
    })
    .await;
}
