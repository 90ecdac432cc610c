//! What works once works once, however many come for it together.

use std::sync::Arc;

use http::HeaderMap;
use wire::jose::{Algorithm, SigningKey};

use super::browser::{Browser, CALLBACK, CHALLENGE, PASSWORD, redeem, refresh, request};
use crate::{
    app::{App, each_database},
    client::{CRM, token_proof},
};

/// How many come together.
const TOGETHER: usize = 64;

/// How often each race is run, and in the long run.
const ROUNDS: usize = 2;
const ROUNDS_LONG: usize = 200;

/// Runs one try from many tasks at once; how many succeeded.
async fn race<F, Fut>(app: &Arc<App>, one: F) -> usize
where
    F: Fn(Arc<App>) -> Fut,
    Fut: Future<Output = bool> + Send + 'static,
{
    let tries: Vec<_> = (0..TOGETHER).map(|_| tokio::spawn(one(Arc::clone(app)))).collect();
    let mut won = 0;
    for tried in tries {
        won += usize::from(tried.await.unwrap());
    }
    won
}

async fn prepared(app: App) -> (Arc<App>, Browser) {
    app.populate().await;
    app.public_client("helper").await;
    app.entitle("ada").await;
    let ada = app.arrived("ada").await;
    (Arc::new(app), ada)
}

async fn race_for_codes(rounds: usize) {
    each_database(move |app| async move {
        let (app, mut ada) = prepared(app).await;
        for _ in 0..rounds {
            let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
            let won = race(&app, |app| {
                let code = code.clone();
                async move { redeem(&app, "helper", &code).await.status == 200 }
            })
            .await;
            assert_eq!(won, 1);
        }
    })
    .await;
}

async fn race_for_refresh_tokens(rounds: usize) {
    each_database(move |app| async move {
        let (app, mut ada) = prepared(app).await;
        for _ in 0..rounds {
            let code = ada.agree(&app, &request("helper", &[])).await.parameter("code").unwrap();
            let token =
                redeem(&app, "helper", &code).await.body["refresh_token"].as_str().unwrap().to_owned();
            let won = race(&app, |app| {
                let token = token.clone();
                async move { refresh(&app, "helper", &token).await.status == 200 }
            })
            .await;
            assert_eq!(won, 1);
        }
    })
    .await;
}

async fn race_for_device_codes(rounds: usize) {
    each_database(move |app| async move {
        let (app, mut ada) = prepared(app).await;
        for _ in 0..rounds {
            let form = [("client_id", "helper"), ("resource", CRM)];
            let begun = app.form("/oauth2/device_authorization", HeaderMap::new(), &form).await;
            let (device, user) = (
                begun.body["device_code"].as_str().unwrap().to_owned(),
                begun.body["user_code"].as_str().unwrap(),
            );
            let seen = ada.post(&app, "/device", &[("user_code", user)]).await;
            let page = ada.follow(&app, seen).await;
            let form = super::browser::all_of(&page);
            let form: Vec<(&str, &str)> =
                form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(ada.post(&app, "/consent", &form).await.status, 200);
            let won = race(&app, |app| {
                let device = device.clone();
                async move {
                    let grant = "urn:ietf:params:oauth:grant-type:device_code";
                    let form = [("grant_type", grant), ("client_id", "helper"), ("device_code", &device)];
                    app.form("/oauth2/token", HeaderMap::new(), &form).await.status == 200
                }
            })
            .await;
            assert_eq!(won, 1);
            // Beyond the pace of tries.
            app.advance(30).await;
        }
    })
    .await;
}

async fn race_for_pushed_requests(rounds: usize) {
    each_database(move |app| async move {
        let (app, ada) = prepared(app).await;
        for _ in 0..rounds {
            let form = [
                ("client_id", "helper"),
                ("response_type", "code"),
                ("redirect_uri", CALLBACK),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("resource", CRM),
            ];
            let pushed = app.form("/oauth2/par", HeaderMap::new(), &form).await;
            let uri = pushed.body["request_uri"].as_str().unwrap().to_owned();
            let won = race(&app, |app| {
                let (uri, mut ada) = (uri.clone(), ada.clone());
                async move {
                    ada.get(&app, &format!("/oauth2/authorize?client_id=helper&request_uri={uri}"))
                        .await
                        .status
                        == 303
                }
            })
            .await;
            assert_eq!(won, 1);
            app.advance(30).await;
        }
    })
    .await;
}

async fn race_for_links(rounds: usize) {
    each_database(move |app| async move {
        let (app, _) = prepared(app).await;
        for _ in 0..rounds {
            let link = app.link("bob").await;
            let won = race(&app, |app| {
                let code = link.strip_prefix("/join/").unwrap().to_owned();
                async move { Browser::default().post(&app, "/join", &[("code", &code)]).await.status == 303 }
            })
            .await;
            assert_eq!(won, 1);
            app.advance(120).await;
        }
    })
    .await;
}

async fn race_for_proofs(rounds: usize) {
    each_database(move |app| async move {
        let (app, _) = prepared(app).await;
        let rex = Arc::new(app.client("rex").await);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        for _ in 0..rounds {
            let proof = token_proof(&app, &key);
            // Each with an assertion of its own, which counts once like the proof.
            let won = race(&app, |app| {
                let (rex, proof) = (Arc::clone(&rex), proof.clone());
                async move {
                    let form = [("grant_type", "client_credentials"), ("resource", CRM)];
                    rex.ask(&app, "/oauth2/token", proof, &form).await.status == 200
                }
            })
            .await;
            assert_eq!(won, 1);
        }
    })
    .await;
}

async fn race_for_assertions(rounds: usize) {
    each_database(move |app| async move {
        let (app, _) = prepared(app).await;
        let rex = app.client("rex").await;
        for _ in 0..rounds {
            let mut form = rex.proving(&app);
            form.extend([("grant_type", "client_credentials".to_owned()), ("resource", CRM.to_owned())]);
            let won = race(&app, |app| {
                let form = form.clone();
                async move {
                    let form: Vec<(&str, &str)> =
                        form.iter().map(|(name, value)| (*name, value.as_str())).collect();
                    app.form("/oauth2/token", HeaderMap::new(), &form).await.status == 200
                }
            })
            .await;
            assert_eq!(won, 1);
        }
    })
    .await;
}

/// A generator of codes, made by the page: its seed, and the recovery codes.
pub(super) async fn with_totp(app: &App, browser: &mut Browser) -> (String, Vec<String>) {
    let page = browser.get(app, "/account/totp").await;
    let seed = page
        .html
        .split("<p class=\"seed\"><code>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap()
        .replace(' ', "");
    let code = totp(&seed, app.control.now());
    let page =
        browser.post(app, "/account/totp", &[("ticket", &page.hidden("ticket")), ("code", &code)]).await;
    let codes: Vec<String> = page
        .html
        .split("<li><code>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes.len(), 10, "{}", page.html);
    (seed, codes)
}

/// The code that the app of a seed shows.
pub(super) fn totp(seed: &str, now: base::Timestamp) -> String {
    testkit::totp(seed, now.seconds() / 30)
}

async fn race_for_generated_and_recovery_codes(rounds: usize) {
    each_database(move |app| async move {
        let (app, mut ada) = prepared(app).await;
        let (secret, recovery) = with_totp(&app, &mut ada).await;
        let half = async |app: &App| {
            let mut browser = Browser::default();
            let page = browser.post(app, "/login", &[("name", "ada"), ("password", PASSWORD)]).await;
            assert!(page.status == 200 && browser.cookie().is_none(), "a password alone is half");
            page.hidden("ticket")
        };
        // The code that made the generator is spent.
        let ticket = half(&app).await;
        let spent = totp(&secret, app.control.now());
        let seen =
            Browser::default().post(&app, "/login/code", &[("ticket", &ticket), ("code", &spent)]).await;
        assert_eq!(seen.status, 401);
        for round in 0..rounds {
            app.advance(300).await;
            let generated = totp(&secret, app.control.now());
            for code in
                [Some(generated), recovery.get(round).map(|code| code.to_uppercase())].into_iter().flatten()
            {
                app.advance(0).await;
                let ticket = half(&app).await;
                // As many as one name may try at once.
                let tries: Vec<_> = (0..8)
                    .map(|_| {
                        let (app, ticket, code) = (Arc::clone(&app), ticket.clone(), code.clone());
                        tokio::spawn(async move {
                            let form = [("ticket", &ticket[..]), ("code", &code[..])];
                            Browser::default().post(&app, "/login/code", &form).await.status == 303
                        })
                    })
                    .collect();
                let mut won = 0;
                for tried in tries {
                    won += usize::from(tried.await.unwrap());
                }
                assert_eq!(won, 1, "{code}");
                app.advance(200).await;
            }
        }
    })
    .await;
}

macro_rules! races {
    ($($race:ident = $name:ident;)*) => {
        $(
            mod $name {
                #[tokio::test(flavor = "multi_thread")]
                async fn are_used_once() {
                    super::$race(super::ROUNDS).await;
                }

                #[tokio::test(flavor = "multi_thread")]
                #[ignore = "takes minutes: part of `make verify`"]
                async fn are_used_once_in_200_rounds() {
                    super::$race(super::ROUNDS_LONG).await;
                }
            }
        )*
    };
}

races! {
    race_for_codes = codes;
    race_for_refresh_tokens = refresh_tokens;
    race_for_device_codes = device_codes;
    race_for_pushed_requests = pushed_requests;
    race_for_links = links;
    race_for_proofs = proofs;
    race_for_assertions = assertions;
    race_for_generated_and_recovery_codes = generated_and_recovery_codes;
}
