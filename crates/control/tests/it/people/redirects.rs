//! Where answers go: to a registered address, byte for byte, or nowhere (threat class 1).

use http::HeaderMap;

use super::browser::{Browser, CALLBACK, request};
use crate::{app::each_database, client::CRM};

/// Addresses near the registered one, none of which is it.
fn mutated() -> Vec<String> {
    let mut all: Vec<String> = [
        "https://client.example/callback/",
        "https://client.example/callback?x=1",
        "https://client.example/callback#x",
        "https://client.example/Callback",
        "https://client.example/callback%2f",
        "https://client.example/%63allback",
        "https://client.example/callback/../callback",
        "https://client.example/./callback",
        "https://client.example//callback",
        "https://client.example:443/callback",
        "https://client.example:8443/callback",
        "https://client.example./callback",
        "https://CLIENT.example/callback",
        "HTTPS://client.example/callback",
        "http://client.example/callback",
        "https://user@client.example/callback",
        "https://user:pw@client.example/callback",
        "https://@client.example/callback",
        "https://client.example@evil.example/callback",
        "https://client.example\\@evil.example/callback",
        "https://evil.example/https://client.example/callback",
        "https://client.example.evil.example/callback",
        "https://evilclient.example/callback",
        "https://client.example%2eevil.example/callback",
        "https://client.example%00.evil.example/callback",
        "//client.example/callback",
        "/callback",
        "callback",
        "",
        " ",
        "https://client.example/callback ",
        " https://client.example/callback",
        "https://client.example/callback\t",
        "https://client.example/callback\r\nSet-Cookie: a=b",
        "https://client.example/callback%0d%0a",
        "https://cl\u{456}ent.example/callback",
        "https://client\u{3002}example/callback",
        "https://xn--clent-n7a.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://client.example/callback",
        "app:/callback",
        "https:client.example/callback",
        "https:/client.example/callback",
        "https:///client.example/callback",
        "https://client.example",
        "https://client.example/",
        "https://client.example/callback;x",
        "https://client.example/callback;jsessionid=1",
        "https://[::1]/callback",
        "https://127.0.0.1/callback",
        "https://0x7f000001/callback",
        "http://127.0.0.1:1/callback",
        "http://localhost/callback",
        "https://client.example/callback&redirect_uri=https://evil.example/",
        "*",
        "https://*.example/callback",
    ]
    .map(str::to_owned)
    .to_vec();
    // One character inserted, left out or replaced, at every place.
    for at in 0..CALLBACK.len() {
        let (before, after) = CALLBACK.split_at(at);
        all.push(format!("{before}.{after}"));
        all.push(format!("{before}@{after}"));
        all.push(format!("{before}%2f{after}"));
        all.push(format!("{before}{}", &after[1..]));
        all.push(format!("{before}x{}", &after[1..]));
        all.push(format!("{before}{}", after.to_uppercase()));
    }
    // An empty parameter counts as absent: the one registered address is meant then.
    all.retain(|one| one != CALLBACK && !one.is_empty());
    all.dedup();
    all
}

#[tokio::test]
async fn only_the_registered_address_gets_an_answer() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        let mutated = mutated();
        assert!(mutated.len() >= 200, "{}", mutated.len());
        for address in &mutated {
            // An error that would be redirected, so that one step shows where it goes.
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("client_id", "helper"), ("redirect_uri", address), ("response_type", "token"), ("state", "s")])
                .finish();
            let seen = ada.get(&app, &format!("/oauth2/authorize?{query}")).await;
            assert_eq!((seen.status, seen.location.as_deref()), (400, None), "`{address}`: {seen:?}");
            assert!(!seen.html.contains("<a class=\"button\" href=\"http"), "no link out: {address}");
        }
        let query = "client_id=helper&redirect_uri=https%3A%2F%2Fclient.example%2Fcallback&response_type=token&state=s";
        let seen = ada.get(&app, &format!("/oauth2/authorize?{query}")).await;
        assert!(seen.location.unwrap().starts_with(CALLBACK), "the registered one does");
    })
    .await;
}

#[tokio::test]
async fn a_parameter_that_stands_twice_is_refused_without_a_redirect() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        let good = request("helper", &[]);
        for (name, value) in [
            ("client_id", "helper"),
            ("redirect_uri", "https%3A%2F%2Fevil.example%2F"),
            ("redirect_uri", "https%3A%2F%2Fclient.example%2Fcallback"),
            ("state", "x"),
            ("response_type", "code"),
            ("scope", "openid"),
            ("code_challenge", "x"),
            ("resource", "x"),
            ("prompt", "none"),
        ] {
            let twice = if good.contains(&format!("{name}=")) {
                format!("{good}&{name}={value}")
            } else {
                format!("{good}&{name}={value}&{name}={value}")
            };
            let seen = ada.get(&app, &twice).await;
            assert_eq!((seen.status, seen.location.as_deref()), (400, None), "{name}");
        }
        for (name, value) in [
            ("code", "a"),
            ("client_id", "helper"),
            ("grant_type", "authorization_code"),
            ("code_verifier", "x"),
        ] {
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", "helper"),
                ("code", "a"),
                ("code_verifier", "x"),
                (name, value),
            ];
            let answer = app.form("/oauth2/token", HeaderMap::new(), &form).await;
            assert_eq!((answer.status.as_u16(), answer.error()), (400, "invalid_request"), "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn each_mistake_of_a_known_client_goes_back_to_it_with_its_code() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        for (more, error) in [
            (&[("resource", "https://elsewhere.example/mcp")][..], "invalid_target"),
            (&[("resource", "https://writ.example/mcp/nothing")], "invalid_target"),
            (&[("resource", "https://writ.example/api/v1")], "invalid_target"),
            (&[("scope", "profile")], "invalid_target"),
            (&[("resource", CRM), ("prompt", "login none")], "invalid_request"),
            (&[("resource", CRM), ("request", "e30.e30.")], "request_not_supported"),
            (&[("resource", CRM), ("authorization_details", "[]")], "invalid_authorization_details"),
            (&[("resource", CRM), ("max_age", "soon")], "invalid_request"),
        ] {
            let seen = ada.get(&app, &request("helper", more)).await;
            assert_eq!(seen.parameter("error").as_deref(), Some(error), "{more:?}: {seen:?}");
            assert_eq!(seen.parameter("state").as_deref(), Some("st-1"));
            assert_eq!(seen.parameter("iss").as_deref(), Some("https://writ.example"));
        }
        let mut stranger = Browser::default();
        let seen = stranger.get(&app, &request("helper", &[("prompt", "none")])).await;
        assert_eq!(seen.parameter("error").as_deref(), Some("login_required"));
    })
    .await;
}

#[tokio::test]
async fn what_is_sealed_is_believed_only_as_it_was_sealed() {
    each_database(|app| async move {
        app.populate().await;
        app.public_client("helper").await;
        let mut ada = app.arrived("ada").await;
        let seen = ada.get(&app, &request("helper", &[])).await;
        let visit = seen.parameter("visit").unwrap();
        for at in [0, visit.len() / 2, visit.len() - 1] {
            let mut broken = visit.clone().into_bytes();
            broken[at] = if broken[at] == b'A' { b'B' } else { b'A' };
            let broken = String::from_utf8(broken).unwrap();
            assert_eq!(ada.get(&app, &format!("/consent?visit={broken}")).await.status, 400);
            let posted = ada.post(&app, "/consent", &[("visit", &broken), ("decision", "allow")]).await;
            assert_eq!((posted.status, posted.location), (400, None));
        }
        app.advance(3600).await;
        assert_eq!(ada.get(&app, &format!("/consent?visit={visit}")).await.status, 400, "an hour is enough");
    })
    .await;
}
