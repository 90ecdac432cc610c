//! Servers that say of themselves what is not so.

use std::sync::{Arc, Mutex};

use axum::{Router, extract::Request, response::IntoResponse as _};
use base::Secret;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::jose::{Algorithm, SigningKey};

use super::well_known;
use crate::{
    api_client::ApiClient,
    cli::{
        exit::Exit,
        token::{Wish, request},
    },
};

/// A server with two documents and a token endpoint, which remembers what it was asked.
struct Liar {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// Starts a server whose documents are made from its own address.
async fn liar(resource: impl Fn(&str) -> Value, metadata: impl Fn(&str) -> Value) -> Liar {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (resource, metadata) = (resource(&url), metadata(&url));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let answer = move |request: Request| {
        let path = request.uri().path().to_owned();
        let token = request.headers().contains_key("authorization");
        heard.lock().unwrap().push(format!("{path}{}", if token { " with a token" } else { "" }));
        let body = match path.as_str() {
            "/.well-known/oauth-protected-resource/mcp/shop" => Some(resource.clone()),
            "/.well-known/oauth-authorization-server" => Some(metadata.clone()),
            "/oauth2/token" => Some(json!({ "access_token": "x", "token_type": "Bearer", "expires_in": 1 })),
            _ => None,
        };
        std::future::ready(
            body.map_or_else(
                || StatusCode::NOT_FOUND.into_response(),
                |body| axum::Json(body).into_response(),
            ),
        )
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Liar { url, asked }
}

impl Liar {
    /// Asks for a token for `resource`; answers with the exit code and the words of the refusal.
    async fn ask(&self, resource: &str) -> Result<Value, (Exit, String)> {
        let client = ApiClient::new(&self.url, Some(Secret::new("t0ken".into())), None).unwrap();
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let wish = Wish { client_id: "ada", key: &key, dpop: None, resource, details: None, exchange: &[] };
        request(&client, &wish).await.map_err(|trouble| (trouble.exit, trouble.what))
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn resource(url: &str) -> Value {
    json!({ "resource": format!("{url}/mcp/shop"), "authorization_servers": [url] })
}

fn metadata(url: &str) -> Value {
    json!({ "issuer": url, "token_endpoint": format!("{url}/oauth2/token") })
}

#[tokio::test]
async fn an_honest_server_is_asked_and_sees_no_api_token() {
    let server = liar(resource, metadata).await;
    assert_eq!(server.ask("shop").await.unwrap()["access_token"], "x");
    server.ask(&format!("{}/mcp/shop", server.url)).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 6);
    assert!(asked.iter().all(|path| !path.ends_with("with a token")), "{asked:?}");
}

#[tokio::test]
async fn an_issuer_of_another_name_is_refused() {
    // RFC 8414, section 3.3: identical, not alike.
    for lie in ["https://writ.example", "URL/", "HTTP", "URL/x"] {
        let named = move |url: &str| lie.replace("URL", url).replace("HTTP", &url.replace("http", "HTTP"));
        let server = liar(
            resource,
            move |url| json!({ "issuer": named(url), "token_endpoint": format!("{url}/oauth2/token") }),
        )
        .await;
        let (exit, what) = server.ask("shop").await.unwrap_err();
        assert_eq!(exit, Exit::Unverified, "{lie}: {what}");
        assert!(what.contains("calls itself"), "{what}");
        assert!(!server.asked().iter().any(|path| path.contains("token")), "{lie}: an assertion was sent");
    }
}

/// The other server is asked itself, so that one that names it gains nothing.
#[tokio::test]
async fn a_resource_that_names_another_issuer_has_that_one_asked() {
    let honest = liar(resource, metadata).await;
    let other = honest.url.clone();
    let lying = liar(
        move |url| json!({ "resource": format!("{url}/mcp/shop"), "authorization_servers": [other] }),
        {
            let other = honest.url.clone();
            move |url: &str| json!({ "issuer": other, "token_endpoint": format!("{url}/oauth2/token") })
        },
    )
    .await;
    let (exit, what) = lying.ask("shop").await.unwrap_err();
    assert_eq!(exit, Exit::Unverified, "{what}");
    assert_eq!(lying.asked(), ["/.well-known/oauth-protected-resource/mcp/shop"]);
    assert_eq!(honest.asked(), ["/.well-known/oauth-authorization-server"]);
}

#[tokio::test]
async fn a_resource_says_who_it_is_and_who_gives_its_tokens() {
    type Document = fn(&str) -> Value;
    let cases: [(Document, &str); 5] = [
        (
            |url| json!({ "resource": format!("{url}/mcp/bank"), "authorization_servers": [url] }),
            "calls itself",
        ),
        (|url| json!({ "resource": format!("{url}/mcp/shop") }), "authorization_servers"),
        (|url| json!({ "resource": format!("{url}/mcp/shop"), "authorization_servers": [] }), "exactly one"),
        (
            |url| json!({ "resource": format!("{url}/mcp/shop"), "authorization_servers": [url, url] }),
            "exactly one",
        ),
        (|_| json!({ "resource": "x", "authorization_servers": ["file:///etc/passwd"] }), "no plain http"),
    ];
    for (document, words) in cases {
        let server = liar(document, metadata).await;
        let (_, what) = server.ask("shop").await.unwrap_err();
        assert!(what.contains(words), "{what}");
        assert!(!server.asked().iter().any(|path| path.contains("token")));
    }
    let (_, what) = liar(resource, metadata).await.ask("nowhere").await.unwrap_err();
    assert!(what.contains("nothing is known of `nowhere`"), "{what}");
}

#[test]
fn documents_lie_between_host_and_path() {
    let place = |url| well_known(url, "x").map(|url| url.to_string()).map_err(|trouble| trouble.what);
    assert_eq!(place("https://w.example").unwrap(), "https://w.example/.well-known/x");
    assert_eq!(place("https://w.example/a/b/").unwrap(), "https://w.example/.well-known/x/a/b");
    for bad in
        ["w.example", "ftp://w.example", "https://u@w.example", "https://w.example?q", "https://w.example#f"]
    {
        assert!(place(bad).is_err(), "{bad}");
    }
}
