//! Getting in and out: links, passwords, codes, sessions.

use base::EventKind;

use super::browser::{Browser, PASSWORD, request};
use crate::{
    app::{ISSUER, each_database},
    client::headers,
};

/// A page without what differs each time it is made: challenges and what is sealed.
fn plain(html: &str) -> String {
    let mut text = html.to_owned();
    for mark in
        ["data-options=\"", "name=\"ceremony\" value=\"", "name=\"visit\" value=\"", "name=\"name\" value=\""]
    {
        while let Some(at) = text.find(mark) {
            let end = text[at + mark.len()..].find('"').unwrap() + at + mark.len() + 1;
            text.replace_range(at..end, "");
        }
    }
    text
}

#[tokio::test]
async fn a_link_leads_in_once_and_opening_it_spends_nothing() {
    each_database(|app| async move {
        app.populate().await;
        let (link, mut browser) = (app.link("ada").await, Browser::default());
        for _ in 0..3 {
            assert_eq!(browser.get(&app, &link).await.status, 200);
        }
        let code = link.strip_prefix("/join/").unwrap();
        let first = browser.post(&app, "/join", &[("code", code)]).await;
        assert_eq!(first.location.as_deref(), Some("/account/setup"));
        let mut other = Browser::default();
        let second = other.post(&app, "/join", &[("code", code)]).await;
        assert_eq!((second.status, other.cookie()), (404, None));
        assert_eq!(other.post(&app, "/join", &[("code", "unknown")]).await.status, 404);
        // Whoever came by a link can make a way in and nothing else.
        let seen = browser.get(&app, &request("nobody", &[])).await;
        assert_eq!(seen.status, 400);
        let seen = browser.get(&app, "/login").await;
        assert_eq!(seen.status, 200, "a link is no sign-in");
        app.advance(16 * 60).await;
        let seen = browser.get(&app, "/account/setup").await;
        assert!(seen.location.unwrap().starts_with("/login?visit="), "a link's session is short");
    })
    .await;
}

#[tokio::test]
async fn known_and_unknown_names_read_alike() {
    each_database(|app| async move {
        app.populate().await;
        drop(app.arrived("ada").await);
        let before = app.records(EventKind::SignInRefused).await;
        let mut answers = Vec::new();
        // Known with a wrong password, known without any, unknown, and an address that nobody has.
        for name in ["ada", "bob", "nobody", "nobody@example.com"] {
            let mut browser = Browser::default();
            let seen =
                browser.post(&app, "/login", &[("name", name), ("password", "wrong wrong wrong")]).await;
            assert_eq!((seen.status, browser.cookie()), (401, None), "{name}");
            let mut headers = seen.headers.clone();
            headers.remove("content-length");
            answers.push((plain(&seen.html), headers));
        }
        for answer in &answers {
            assert_eq!(answer, &answers[0]);
        }
        assert_eq!(
            app.records(EventKind::SignInRefused).await - before,
            4,
            "each is on record, whoever was meant"
        );
    })
    .await;
}

#[tokio::test]
async fn too_many_tries_are_stopped_before_hashing_and_a_pause_helps() {
    each_database(|app| async move {
        app.populate().await;
        drop(app.arrived("ada").await);
        let mut browser = Browser::default();
        let mut last = 0;
        for _ in 0..12 {
            last = browser.post(&app, "/login", &[("name", "ada"), ("password", "wrong wrong")]).await.status;
        }
        assert_eq!(last, 429);
        assert_eq!(browser.sign_in(&app, "ada").await.status, 429, "the right one, too");
        assert_eq!(browser.post(&app, "/login", &[("name", "bob"), ("password", "x")]).await.status, 401);
        app.advance(30).await;
        assert_eq!(browser.sign_in(&app, "ada").await.location.as_deref(), Some("/account"));
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_by_sign_out_by_idleness_by_age_and_with_its_person() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        assert_eq!(ada.get(&app, "/account").await.status, 200);
        // Signed out: the old secret is worthless, the cookie gone.
        let old = ada.cookie().unwrap().to_owned();
        assert_eq!(ada.post(&app, "/logout", &[]).await.status, 200);
        assert_eq!(ada.cookie(), None);
        let is_out =
            async |cookie: &str| Browser::with_cookie(cookie).get(&app, "/account").await.status == 303;
        assert!(is_out(&old).await);
        // Idle for too long.
        ada.sign_in(&app, "ada").await;
        app.advance(7 * 3600).await;
        assert_eq!(ada.get(&app, "/account").await.status, 200);
        app.advance(7 * 3600).await;
        assert_eq!(ada.get(&app, "/account").await.status, 200, "used meanwhile");
        app.advance(9 * 3600).await;
        assert!(is_out(ada.cookie().unwrap()).await, "idle");
        // However much it is used, it ends after a week.
        ada.sign_in(&app, "ada").await;
        for _ in 0..7 * 4 {
            app.advance(6 * 3600).await;
            drop(ada.get(&app, "/account").await);
        }
        assert!(is_out(ada.cookie().unwrap()).await, "a week");
        // A stop of the person ends it at once, and letting them act again does not bring it back.
        ada.sign_in(&app, "ada").await;
        let kept = ada.cookie().unwrap().to_owned();
        let kill = control::revoke::Target::Person("ada".into());
        app.control.kill(&app.system(), &kill, "test").await.unwrap();
        assert!(is_out(&kept).await, "stopped");
        assert_eq!(ada.sign_in(&app, "ada").await.status, 401, "a stopped person does not sign in");
        app.control.enable_person(&app.system(), "ada").await.unwrap();
        assert!(is_out(&kept).await, "dead stays dead");
        assert_eq!(ada.sign_in(&app, "ada").await.status, 303);
    })
    .await;
}

#[tokio::test]
async fn the_secret_of_a_session_is_another_after_every_proof() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let before = ada.cookie().unwrap().to_owned();
        // Asked again, in the same session.
        let seen = ada.get(&app, &request("nobody", &[])).await;
        assert_eq!(seen.status, 400);
        ada.sign_in(&app, "ada").await;
        assert_ne!(ada.cookie().unwrap(), before);
        let stale = Browser::with_cookie(&before).get(&app, "/account").await;
        assert_eq!(stale.status, 303, "the old secret is worthless");
        assert_eq!(app.records(EventKind::SessionStarted).await, 1, "it is one session");
    })
    .await;
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let cookie = format!("__Host-writ-session={}", ada.cookie().unwrap());
        for path in [
            "/login",
            "/login/code",
            "/login/passkey",
            "/join",
            "/logout",
            "/consent",
            "/device",
            "/oauth2/logout",
            "/account/passkeys",
            "/account/password",
            "/account/totp",
            "/account/codes",
            "/account/later",
            "/account/sessions/end",
            "/account/sessions/ses_00000000000000000000000000/end",
            "/account/agents/dlg_00000000000000000000000000/revoke",
            "/account/authenticators/atr_00000000000000000000000000/remove",
            "/account/authenticators/atr_00000000000000000000000000/name",
        ] {
            for origin in
                [None, Some("null"), Some("https://evil.example"), Some("https://writ.example.evil.example")]
            {
                let mut sent = headers(&[("cookie", &cookie), ("referer", &format!("{ISSUER}/account"))]);
                if let Some(origin) = origin {
                    sent.insert("origin", origin.parse().unwrap());
                }
                let answer = app
                    .form(path, sent, &[("password", "another long password"), ("decision", "allow")])
                    .await;
                assert_eq!(answer.status, 403, "{path} from {origin:?}");
                assert!(answer.headers.get("set-cookie").is_none());
            }
        }
        assert_eq!(ada.get(&app, "/account").await.status, 200, "nothing happened");
        assert_eq!(ada.sign_in(&app, "ada").await.status, 303, "the password is the old one");
    })
    .await;
}

#[tokio::test]
async fn pages_carry_their_guards() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        for path in [
            "/login",
            "/account",
            "/account/password",
            "/account/totp",
            "/device",
            "/join/x",
            "/consent?visit=x",
            "/logout",
        ] {
            let seen = ada.get(&app, path).await;
            if seen.status == 303 {
                continue;
            }
            let policy = seen.headers["content-security-policy"].to_str().unwrap();
            for part in
                ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"]
            {
                assert!(policy.contains(part), "{path}: {policy}");
            }
            assert!(!policy.contains("unsafe"), "{path}");
            for (name, value) in [
                ("x-frame-options", "DENY"),
                ("cache-control", "no-store"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(seen.headers[name], value, "{path}");
            }
            for inline in ["<script>", "style=", "onclick", "onsubmit", "javascript:"] {
                assert!(!seen.html.contains(inline), "{path} has `{inline}`");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_weak_password_is_refused_with_the_reason() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        for (password, said) in [("short", "too short"), ("password123456", "guess this password early")] {
            let seen = ada.post(&app, "/account/password", &[("password", password)]).await;
            assert!(seen.status == 400 && seen.html.contains(said), "{}", seen.html);
        }
        assert_eq!(ada.sign_in(&app, "ada").await.status, 303, "the old one still is the one");
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    each_database(|app| async move {
        app.populate().await;
        let (mut ada, mut elsewhere) = (app.arrived("ada").await, Browser::default());
        elsewhere.sign_in(&app, "ada").await;
        assert_eq!(elsewhere.get(&app, "/account").await.status, 200);
        let seen = ada.post(&app, "/account/password", &[("password", "another quite long one")]).await;
        assert_eq!(seen.status, 303);
        assert_eq!(elsewhere.get(&app, "/account").await.status, 303);
        assert_eq!(ada.get(&app, "/account").await.status, 200);
    })
    .await;
}

/// What a self-service form does not offer cannot be set by it (threat class 34).
#[tokio::test]
async fn forms_set_what_they_offer_and_nothing_else() {
    each_database(|app| async move {
        app.populate().await;
        let mut ada = app.arrived("ada").await;
        let before = app.control.snapshot().people.named("ada").unwrap().clone();
        let more = [
            ("password", PASSWORD),
            ("email", "evil@example.com"),
            ("email_verified", "true"),
            ("name", "admin"),
            ("person", "admin"),
            ("state", "active"),
            ("role", "administrator"),
            ("acr", "phr"),
            ("level", "phishing_resistant"),
            ("tenant", "other"),
        ];
        ada.post(&app, "/account/password", &more).await;
        let after = app.control.snapshot().people.named("ada").unwrap().clone();
        assert_eq!((before.version, &before.body), (after.version, &after.body));
        assert!(!ada.get(&app, "/account").await.html.contains("evil@example.com"));
    })
    .await;
}

/// What is another's is not there (threat class 33).
#[tokio::test]
async fn ids_of_others_lead_nowhere() {
    each_database(|app| async move {
        app.populate().await;
        let (mut ada, mut bob) = (app.arrived("ada").await, app.arrived("bob").await);
        let page = bob.get(&app, "/account").await.html;
        let id_of = |prefix: &str| {
            let at = page.find(prefix).unwrap_or_else(|| panic!("no {prefix}"));
            page[at..at + prefix.len() + 26].to_owned()
        };
        let (session, authenticator) = (id_of("ses_"), id_of("atr_"));
        for path in [
            format!("/account/sessions/{session}/end"),
            format!("/account/authenticators/{authenticator}/remove"),
            format!("/account/authenticators/{authenticator}/name"),
            "/account/agents/dlg_00000000000000000000000000/revoke".to_owned(),
            "/account/sessions/nonsense/end".to_owned(),
        ] {
            let seen = ada.post(&app, &path, &[("label", "mine")]).await;
            assert_eq!(seen.status, 404, "{path}: {}", seen.html);
        }
        assert_eq!(bob.get(&app, "/account").await.status, 200);
    })
    .await;
}
