//! More than was agreed to at first: asked for when it is needed, added or declined, never by itself.

use std::sync::Arc;

use base::EventKind;
use control::{
    catalogue::Told,
    decide::{Message, Refused},
};
use policy::{Act, ActKind, Answer, Effect};
use wire::json::Json;

use super::browser::{Browser, Seen, all_of, redeem, request};
use crate::{
    app::{App, each_database},
    client::CRM,
};

/// A server with a tool of each effect but the gravest.
async fn with_tools(app: &App) {
    app.populate().await;
    app.public_client("helper").await;
    app.entitle("ada").await;
    app.control.attach(Arc::new(|_| {
        let tool = |effect: &Effect| {
            Json::object([
                ("name", effect.as_str().into()),
                ("inputSchema", Json::object([("type", "object".into())])),
            ])
        };
        let tools = Effect::ALL.iter().map(tool).collect();
        Box::pin(async {
            Ok(Told { revision: "2025-11-25".into(), info: None, capabilities: Json::Null, tools })
        })
    }));
    app.control.discover(&app.system(), "crm").await.unwrap();
    for effect in Effect::ALL {
        app.control.label_tool(&app.system(), "crm", effect.as_str(), effect).await.unwrap();
    }
}

fn act(app: &App, effect: Effect) -> Act {
    let known = app.control.snapshot();
    let tool = known.tools.named(&format!("crm/{effect}")).unwrap();
    let kind = ActKind::Tool { name: effect.to_string(), definition_hash: tool.body.shown_digest(), effect };
    Act { server: "crm".parse().unwrap(), kind, arguments: Json::Null }
}

/// Calls the tool of an effect; nothing, or the refusal.
async fn call(app: &App, token: &str, effect: Effect) -> Option<Box<Answer>> {
    let caller = app.caller(token, "crm").unwrap();
    let server = app.control.snapshot().servers.named("crm").unwrap().id.clone();
    let message =
        Message { server: &server, url: "https://crm.example/mcp", digest: [7; 32], bytes: 9, is_call: true };
    match app.control.authorize(&caller, &act(app, effect), &message).await {
        Ok(_) => None,
        Err(Refused::Denied(answer)) => Some(answer),
        Err(other) => panic!("{other}"),
    }
}

/// The scope that the client is told to ask for when it is refused an effect.
async fn wanted(app: &App, token: &str, effect: Effect) -> Option<String> {
    let refused = call(app, token, effect).await.expect("a refusal");
    let caller = app.caller(token, "crm").unwrap();
    let challenged = app.control.consent_that_helps(&caller, &act(app, effect), &refused)?;
    assert_eq!(challenged.status, 403);
    let line = challenged.headers["www-authenticate"].to_str().unwrap();
    assert!(
        line.starts_with(
            "Bearer resource_metadata=\"https://writ.example/.well-known/oauth-protected-resource/mcp/crm\""
        ),
        "{line}"
    );
    assert!(line.contains("error=\"insufficient_scope\""), "{line}");
    Some(line.split("scope=\"").nth(1)?.split('"').next()?.to_owned())
}

async fn ask(app: &App, ada: &mut Browser, scope: &str) -> Seen {
    let seen = ada.get(app, &request("helper", &[("scope", scope), ("resource", CRM)])).await;
    ada.follow(app, seen).await
}

async fn agree(app: &App, ada: &mut Browser, page: &Seen) -> (String, serde_json::Value) {
    let form = all_of(page);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let code = ada.post(app, "/consent", &form).await.parameter("code").expect("a code");
    let answer = redeem(app, "helper", &code).await;
    (answer.token(), answer.body)
}

#[tokio::test]
async fn what_is_needed_later_is_added_to_the_same_task() {
    each_database(|app| async move {
        with_tools(&app).await;
        let mut ada = app.arrived("ada").await;
        let page = ask(&app, &mut ada, "tools:read").await;
        assert!(
            page.html.contains("Read and search") && !page.html.contains("Send to others"),
            "{}",
            page.html
        );
        let (first, body) = agree(&app, &mut ada, &page).await;
        assert_eq!(body["scope"], "tools:read");
        assert!(call(&app, &first, Effect::Read).await.is_none());
        assert_eq!(wanted(&app, &first, Effect::Send).await.as_deref(), Some("tools:read tools:send"));
        assert_eq!(
            wanted(&app, &first, Effect::Admin).await,
            None,
            "administration is never asked for like that"
        );

        // Asked for alone, as some clients do, or with what there is: it is added either way.
        for scope in ["tools:send", "tools:read tools:send"] {
            let page = ask(&app, &mut ada, scope).await;
            let (already, more) = page.html.split_once("It would also like to").expect("a page about more");
            assert!(already.contains("You let it do this already") && already.contains("Read and search"));
            assert!(
                more.contains("Send to others")
                    && !more.contains("Read and search")
                    && !more.contains("Delete")
            );
            assert!(!page.html.contains("name=\"seconds\""), "until when was agreed to before");
        }
        let page = ask(&app, &mut ada, "tools:send").await;
        let (second, body) = agree(&app, &mut ada, &page).await;
        assert_eq!(body["scope"], "tools:read tools:send");
        let (one, other) = (app.caller(&first, "crm").unwrap(), app.caller(&second, "crm").unwrap());
        assert_eq!(one.task, other.task, "the session goes on");
        for effect in [Effect::Read, Effect::Send] {
            assert!(call(&app, &second, effect).await.is_none(), "{effect}");
        }
        assert_eq!(
            wanted(&app, &second, Effect::Write).await.as_deref(),
            Some("tools:read tools:write tools:send")
        );
        assert_eq!(app.records(EventKind::TaskWidened).await, 1);
        // Agreed to by now.
        assert!(
            ada.get(&app, &request("helper", &[("scope", "tools:send"), ("resource", CRM)]))
                .await
                .parameter("code")
                .is_some()
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_declined_is_not_asked_for_again() {
    each_database(|app| async move {
        with_tools(&app).await;
        let mut ada = app.arrived("ada").await;
        let page = ask(&app, &mut ada, "tools:read").await;
        let (token, _) = agree(&app, &mut ada, &page).await;
        // Said no.
        let page = ask(&app, &mut ada, "tools:destroy").await;
        let (visit, adds) = (page.hidden("visit"), page.hidden("adds"));
        let no = [("visit", &visit[..]), ("adds", &adds), ("decision", "deny")];
        assert_eq!(
            ada.post(&app, "/consent", &no).await.parameter("error").as_deref(),
            Some("access_denied")
        );
        assert_eq!(wanted(&app, &token, Effect::Destroy).await, None);
        assert!(wanted(&app, &token, Effect::Send).await.is_some());
        // Left out.
        let page = ask(&app, &mut ada, "tools:send tools:write").await;
        let (visit, adds) = (page.hidden("visit"), page.hidden("adds"));
        let some = [("visit", &visit[..]), ("adds", &adds), ("decision", "allow"), ("effect_write", "yes")];
        let code = ada.post(&app, "/consent", &some).await.parameter("code").expect("a code");
        let token = redeem(&app, "helper", &code).await.token();
        assert!(call(&app, &token, Effect::Write).await.is_none());
        for effect in [Effect::Send, Effect::Destroy] {
            assert_eq!(wanted(&app, &token, effect).await, None, "{effect}");
        }
        // What was not on the page is not added by a form that says so.
        let page = ask(&app, &mut ada, "tools:fetch").await;
        let more = [
            ("visit", &page.hidden("visit")[..]),
            ("adds", &adds),
            ("decision", "allow"),
            ("effect_fetch", "yes"),
            ("effect_destroy", "yes"),
            ("effect_admin", "yes"),
        ];
        let code = ada.post(&app, "/consent", &more).await.parameter("code").expect("a code");
        let body = redeem(&app, "helper", &code).await.body;
        assert_eq!(body["scope"], "tools:read tools:fetch tools:write");
        let none = ask(&app, &mut ada, "tools:admin").await;
        assert!(!none.html.contains("Administer"), "{}", none.html);
    })
    .await;
}

#[tokio::test]
async fn what_was_agreed_to_beside_the_task_goes_on() {
    each_database(|app| async move {
        with_tools(&app).await;
        let mut ada = app.arrived("ada").await;
        let page = ask(&app, &mut ada, "openid profile tools:read").await;
        let (_, body) = agree(&app, &mut ada, &page).await;
        assert_eq!(body["scope"], "openid profile tools:read");
        let page = ask(&app, &mut ada, "email tools:send").await;
        let (_, body) = agree(&app, &mut ada, &page).await;
        assert_eq!(body["scope"], "openid profile email tools:read tools:send");
        let said = crate::client::claims(body["id_token"].as_str().expect("an ID token"));
        assert_eq!(
            (said["preferred_username"].as_str(), said["email"].as_str()),
            (Some("ada"), Some("ada@example.com"))
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_shown_decides_whatever_was_agreed_to_meanwhile() {
    each_database(|app| async move {
        with_tools(&app).await;
        let mut ada = app.arrived("ada").await;
        // Both pages are about a new task; then there is one.
        let (one, other) = (ask(&app, &mut ada, "tools:read").await, ask(&app, &mut ada, "tools:send").await);
        let (first, _) = agree(&app, &mut ada, &one).await;
        let (second, body) = agree(&app, &mut ada, &other).await;
        assert_eq!(body["scope"], "tools:send");
        let (one, other) = (app.caller(&first, "crm").unwrap(), app.caller(&second, "crm").unwrap());
        assert_ne!(one.task, other.task);
        assert_eq!(app.records(EventKind::TaskWidened).await, 0);
        // A page about adding to a task adds to that one or to none.
        let page = ask(&app, &mut ada, "tools:write").await;
        let visit = page.hidden("visit");
        let shown = [
            ("visit", &visit[..]),
            ("adds", one.task.as_str()),
            ("decision", "allow"),
            ("effect_write", "yes"),
        ];
        let wrong =
            if page.hidden("adds") == one.task.as_str() { other.task.as_str() } else { one.task.as_str() };
        let wrong = shown.map(|(name, value)| (name, if name == "adds" { wrong } else { value }));
        let seen = ada.post(&app, "/consent", &wrong).await;
        assert_eq!((seen.status, seen.parameter("code")), (400, None), "{}", seen.html);
        assert_eq!(app.records(EventKind::TaskWidened).await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_consent_cannot_change_is_a_plain_no() {
    each_database(|app| async move {
        with_tools(&app).await;
        app.entitle("ada").await;
        // An agent for itself, whose task somebody described.
        let rex = app.client("rex").await;
        let details = crate::world::wish("read", &serde_json::json!([crate::world::tool("crm", "read")]));
        let form =
            [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &details)];
        let token = rex.token(&app, &form).await.token();
        assert_eq!(wanted(&app, &token, Effect::Send).await, None);
        // A person who may not do it either.
        let mut bob = app.arrived("bob").await;
        let page = ask(&app, &mut bob, "tools:read").await;
        let (token, _) = agree(&app, &mut bob, &page).await;
        assert_eq!(wanted(&app, &token, Effect::Send).await, None);
        // A task that ended is not widened.
        let mut ada = app.arrived("ada").await;
        let page = ask(&app, &mut ada, "tools:read").await;
        let (token, _) = agree(&app, &mut ada, &page).await;
        let page = ask(&app, &mut ada, "tools:send").await;
        let task = app.caller(&token, "crm").unwrap().task;
        app.control.kill(&app.system(), &control::revoke::Target::Task(task), "test").await.unwrap();
        let (visit, adds) = (page.hidden("visit"), page.hidden("adds"));
        let allow = [("visit", &visit[..]), ("adds", &adds), ("decision", "allow"), ("effect_send", "yes")];
        let seen = ada.post(&app, "/consent", &allow).await;
        assert_eq!(seen.parameter("code"), None, "{seen:?}");
        assert_eq!(app.records(EventKind::TaskWidened).await, 0);
    })
    .await;
}
