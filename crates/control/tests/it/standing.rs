//! An asker who loses their right between being asked for it and the commit: refused, and nothing is changed.
//!
//! The test holds the turn that every write waits for. The request is let in and planned, and waits; then its asker's
//! right ends within the held transaction; then the request gets its turn.

use std::{collections::BTreeSet, sync::Arc};

use axum::body::Body;
use base::{AnyId, Event, EventKind, Position};
use control::{catalogue::Told, documents::Document, http::Need, revoke::Target};
use futures_util::FutureExt as _;
use http::Method;
use serde_json::{Value, json};
use wire::{
    jose::{Algorithm, SigningKey},
    json::Json,
};

use crate::{
    app::{Answer, App, each_database},
    client::{API, bearer},
    world::tool,
};

/// How a right ends: a statement about an id, and the record of it.
struct Ending {
    sql: &'static str,
    id: AnyId,
    kind: EventKind,
}

impl Ending {
    fn of_token(id: AnyId) -> Self {
        let sql = "update api_token set revoked = true where id = $1";
        Self { sql, id, kind: EventKind::ApiTokenRevoked }
    }

    fn of_grant(id: AnyId) -> Self {
        let sql = "delete from access_grant where id = $1";
        Self { sql, id, kind: EventKind::GrantRevoked }
    }

    fn of_person(id: AnyId) -> Self {
        let sql = r#"update person set version = version + 1, doc = replace(doc, '"active"', '"disabled"') where id = $1"#;
        Self { sql, id, kind: EventKind::PersonDisabled }
    }
}

/// What is asked of the API.
struct Wanted {
    id: &'static str,
    method: Method,
    path: String,
    body: Value,
}

impl App {
    /// Asks with a token whose asker's right ends while the request waits for its turn. Answers with where the log
    /// stood when it got its turn, and where it stands now.
    async fn overtaken(
        &self,
        wanted: &Wanted,
        token: &str,
        ending: Option<&Ending>,
    ) -> (Answer, Position, Position) {
        let mut held = self.bench.store.begin(&self.bench.ctx()).await.unwrap();
        let mut headers = bearer(token);
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = if wanted.body.is_null() { Body::empty() } else { Body::from(wanted.body.to_string()) };
        let mut request = Box::pin(self.send(wanted.method.clone(), &wanted.path, headers, body));
        if let Some(answer) = request.as_mut().now_or_never() {
            panic!("{} is answered without a turn: {answer:?}", wanted.id);
        }
        let elsewhere = Event::new(EventKind::ToolDeleted, self.id("rex"), json!({}));
        let event = ending.map_or(elsewhere, |ending| Event::new(ending.kind, ending.id.clone(), json!({})));
        if let Some(ending) = ending {
            assert_eq!(held.exec(ending.sql, &[(&ending.id).into()]).await.unwrap(), 1, "{}", wanted.id);
        }
        let before = held.commit([event]).await.unwrap();
        let answer = request.await;
        (answer, before, self.bench.store.head().await.unwrap().position)
    }

    /// An administrator of this name, with a token: its text, and how their right can end.
    async fn administrator(&self, name: &str) -> (String, [Ending; 3]) {
        let documents = json!([
            { "apiVersion": "writ/v1", "kind": "Person", "metadata": { "name": name }, "spec": { "display_name": name } },
            { "apiVersion": "writ/v1", "kind": "Grant", "metadata": { "name": name }, "spec": {
                "to": format!("person/{name}"), "role": "administrator", "on": "system", "reason": "test" } },
        ]);
        let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
        self.control.apply(&self.system(), documents, false).await.unwrap();
        let person = self.id(name);
        let (id, text) = self.control.issue_api_token(&self.system(), &person, "test", None).await.unwrap();
        let grant = AnyId::from(&self.control.snapshot().grants.named(name).unwrap().id);
        let endings = [Ending::of_token(id.into()), Ending::of_grant(grant), Ending::of_person(person)];
        (text.expose().to_owned(), endings)
    }
}

/// What the requests are about, beyond the company.
const THINGS: &str = r#"[
    { "apiVersion": "writ/v1", "kind": "Blueprint", "metadata": { "name": "unused" }, "spec": { "description": "x" } },
    { "apiVersion": "writ/v1", "kind": "Group", "metadata": { "name": "g" }, "spec": { "of": "person", "description": "x" } },
    { "apiVersion": "writ/v1", "kind": "Role", "metadata": { "name": "r" }, "spec": { "description": "x", "effects": ["read"] } },
    { "apiVersion": "writ/v1", "kind": "Secret", "metadata": { "name": "s" }, "spec": { "description": "x" } },
    { "apiVersion": "writ/v1", "kind": "Server", "metadata": { "name": "spare" }, "spec": { "url": "https://spare.example/mcp" } },
    { "apiVersion": "writ/v1", "kind": "Server", "metadata": { "name": "fresh" }, "spec": { "url": "https://fresh.example/mcp" } },
    { "apiVersion": "writ/v1", "kind": "Policy", "metadata": { "name": "p" }, "spec": { "description": "x", "text": "forbid (principal is Agent, action == Action::\"crm/read\", resource) when { context.arguments has to && context.arguments.to == \"x\" };" } },
    { "apiVersion": "writ/v1", "kind": "Client", "metadata": { "name": "c" }, "spec": { "display_name": "x", "redirect_uris": ["https://x.example/"] } },
    { "apiVersion": "writ/v1", "kind": "Grant", "metadata": { "name": "x" }, "spec": { "to": "person/bob", "role": "auditor", "on": "system", "reason": "x" } }
]"#;

/// Makes everything that the requests are about, and stops what they bring back.
async fn furnish(app: &App) {
    app.populate().await;
    let read = Json::parse(
        br#"{"name":"read","inputSchema":{"type":"object","properties":{"to":{"type":"string"}}}}"#,
    );
    let read = read.unwrap();
    app.control.attach(Arc::new(move |_| {
        let tools =
            vec![read.clone(), Json::parse(br#"{"name":"new","inputSchema":{"type":"object"}}"#).unwrap()];
        let told = Told {
            revision: "2025-11-25".into(),
            info: None,
            capabilities: Json::object::<&str, 0>([]),
            tools,
        };
        Box::pin(async move { Ok(told) })
    }));
    app.control.discover(&app.system(), "crm").await.unwrap();
    let things: Vec<Document> = serde_json::from_str(THINGS).unwrap();
    app.control.apply(&app.system(), things, false).await.unwrap();
    let killed = [
        Target::Agent("max".into()),
        Target::Person("bob".into()),
        Target::Workload("watch".into()),
        Target::Server("mail".into()),
        Target::Tool("crm/new".into()),
    ];
    for target in &killed {
        app.control.kill(&app.system(), target, "test").await.unwrap();
    }
    app.control.rotate_key(&app.system(), Algorithm::EdDsa).await.unwrap();
}

/// A request of every operation that writes.
async fn writes(app: &App) -> Vec<Wanted> {
    let system = app.system();
    let (credential, _) = app.control.add_secret(&system, &app.id("rex"), "x", None).await.unwrap();
    let (token, _) = app.control.issue_api_token(&system, &app.id("cron"), "x", None).await.unwrap();
    let admin = app.api_token("admin").await;
    let task = json!({ "agent": "rex", "purpose": "x", "tools": [tool("crm", "*")], "seconds": 60 });
    let open = app.api(Method::POST, "/api/v1/tasks", &admin, &task).await.body["id"].clone();
    let shown = app.api(Method::GET, "/api/v1/tools/crm/new", &admin, &json!(null)).await.body;
    let keys = app.api(Method::GET, "/api/v1/keys", &admin, &json!(null)).await.body;
    let old = keys.as_array().unwrap().iter().find(|key| key["state"] == "verifying").unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let key = SigningKey::generate(Algorithm::Es256).unwrap().public().to_json().to_text();
    let key: Value = serde_json::from_str(&key).unwrap();
    let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
    let none = || Value::Null;
    let owned = |blueprint: Value| json!({ "owner": "ada", "purpose": "other", "blueprint": blueprint });
    let workload = json!({ "owner": "ada", "purpose": "other" });
    let new_agent = json!({ "apiVersion": "writ/v1", "kind": "Agent", "metadata": { "name": "new" }, "spec": owned(json!("company")) });
    let grant = json!({ "to": "person/ada", "role": "auditor", "on": "system", "reason": "x" });
    let policy = json!({ "description": "y", "text": "forbid (principal is Agent, action == Action::\"crm/read\", resource) when { context.arguments has to && context.arguments.to == \"y\" };" });
    let described = || json!({ "description": "y" });
    let credential_body = json!({ "label": "x", "jwk": key });
    [
        ("put_people", &put, "people/ada".to_owned(), json!({ "display_name": "Other" })),
        ("put_groups", &put, "groups/new".into(), json!({ "of": "person", "description": "x" })),
        ("delete_groups", &delete, "groups/g".into(), none()),
        ("put_workloads", &put, "workloads/cron".into(), workload),
        ("put_blueprints", &put, "blueprints/new".into(), described()),
        ("delete_blueprints", &delete, "blueprints/unused".into(), none()),
        (
            "put_clients",
            &put,
            "clients/new".into(),
            json!({ "display_name": "x", "redirect_uris": ["https://x.example/"] }),
        ),
        ("delete_clients", &delete, "clients/writ-cli".into(), none()),
        (
            "add_client_credential",
            &post,
            "clients/c/credentials".into(),
            json!({ "label": "x", "secret": true }),
        ),
        ("invite_person", &post, "people/ada/invitations".into(), json!({})),
        ("put_agents", &put, "agents/ivy".into(), owned(json!("company"))),
        ("put_servers", &put, "servers/new".into(), json!({ "url": "https://new.example/mcp" })),
        ("delete_servers", &delete, "servers/spare".into(), none()),
        ("put_roles", &put, "roles/r".into(), json!({ "description": "y", "effects": ["read"] })),
        ("delete_roles", &delete, "roles/r".into(), none()),
        ("put_grants", &put, "grants/new".into(), grant),
        ("delete_grants", &delete, "grants/x".into(), none()),
        ("put_policies", &put, "policies/p".into(), policy),
        ("delete_policies", &delete, "policies/p".into(), none()),
        ("put_secrets", &put, "secrets/s".into(), described()),
        ("delete_secrets", &delete, "secrets/s".into(), none()),
        ("resume_agent", &post, "agents/max/resume".into(), none()),
        ("enable_person", &post, "people/bob/enable".into(), none()),
        ("resume_workload", &post, "workloads/watch/resume".into(), none()),
        ("start_server", &post, "servers/mail/start".into(), none()),
        ("delete_tool", &delete, "tools/crm/new".into(), none()),
        ("label_tool", &put, "tools/crm/read/label".into(), json!({ "effect": "destroy" })),
        ("approve_tool", &post, "tools/crm/new/approve".into(), json!({ "digest": shown["spec"]["digest"] })),
        ("discover_tools", &post, "servers/fresh/discover".into(), none()),
        ("put_secret_value", &put, "secrets/s/value".into(), json!({ "value": "x" })),
        ("add_agent_credential", &post, "agents/ivy/credentials".into(), credential_body),
        (
            "add_workload_credential",
            &post,
            "workloads/cron/credentials".into(),
            json!({ "label": "x", "secret": true }),
        ),
        ("issue_person_token", &post, "people/ada/tokens".into(), json!({ "label": "x" })),
        ("issue_workload_token", &post, "workloads/cron/tokens".into(), json!({ "label": "x" })),
        ("revoke_credential", &delete, format!("credentials/{credential}"), none()),
        ("revoke_token", &delete, format!("tokens/{token}"), none()),
        ("create_task", &post, "tasks".into(), task),
        ("complete_task", &post, format!("tasks/{}/complete", text(&open)), none()),
        ("rotate_key", &post, "keys/rotate".into(), json!({ "algorithm": "EdDSA" })),
        ("revoke_key", &delete, format!("keys/{}", text(&old["id"])), none()),
        ("kill", &post, "kill".into(), json!({ "kind": "agent", "name": "vault", "reason": "x" })),
        ("apply", &post, "apply".into(), json!({ "documents": [new_agent] })),
    ]
    .map(|(id, method, path, body)| Wanted {
        id,
        method: method.clone(),
        path: format!("/api/v1/{path}"),
        body,
    })
    .into()
}

#[tokio::test]
async fn no_write_outlives_the_right_to_it() {
    each_database(|app| async move {
        furnish(&app).await;
        let writes = writes(&app).await;
        // An operation that is added and writes has to be added here, too. These two only ask.
        let api = control::http::api(&app.control);
        let changing = api.operations().iter().filter(|operation| operation.method != "get");
        let listed: BTreeSet<&str> = writes.iter().map(|wanted| wanted.id).collect();
        let all: BTreeSet<&str> = changing
            .map(|operation| &*operation.id)
            .filter(|id| !matches!(*id, "check" | "test_server"))
            .collect();
        assert_eq!(listed, all);
        assert!(api.operations().iter().all(|operation| operation.need != Need::Nobody));
        for (number, wanted) in writes.iter().enumerate() {
            for which in 0..3 {
                let (token, endings) = app.administrator(&format!("a{number}-{which}")).await;
                let (answer, before, after) = app.overtaken(wanted, &token, Some(&endings[which])).await;
                let status = answer.status.as_u16();
                let refused = if which == 1 { [400, 403, 404].contains(&status) } else { status == 401 };
                assert!(refused, "{} after ending {which}: {answer:?}", wanted.id);
                assert_eq!(before, after, "{} after ending {which} left records", wanted.id);
            }
        }
        // The requests themselves are good ones: where somebody else's authority ends, they get through.
        let (last, first): (Vec<_>, Vec<_>) =
            writes.iter().partition(|wanted| wanted.method == Method::DELETE);
        for wanted in first.into_iter().chain(last) {
            let (token, _) = app.administrator(&format!("b-{}", wanted.id.replace('_', "-"))).await;
            let (answer, before, after) = app.overtaken(wanted, &token, None).await;
            assert!(answer.status == 200 && before < after, "{}: {answer:?}", wanted.id);
        }
    })
    .await;
}

/// What people may do with what is theirs ends with their owning it.
#[tokio::test]
async fn an_owner_who_was_replaced_writes_nothing() {
    each_database(|app| async move {
        app.populate().await;
        let (ada, admin) = (app.api_token("ada").await, app.api_token("admin").await);
        let replace = Ending {
            sql: "update agent set version = version + 1, doc = replace(doc, (select id from person where name = 'ada'), (select id from person where name = 'bob')) where id = $1",
            id: app.id("rex"),
            kind: EventKind::AgentUpdated,
        };
        let wanted = Wanted {
            id: "add_agent_credential",
            method: Method::POST,
            path: "/api/v1/agents/rex/credentials".into(),
            body: json!({ "label": "x", "secret": true }),
        };
        let (answer, before, after) = app.overtaken(&wanted, &ada, Some(&replace)).await;
        assert_eq!((answer.status.as_u16(), before), (404, after), "{}", answer.body);
        let (answer, ..) = app.overtaken(&wanted, &admin, None).await;
        assert_eq!(answer.status, 200);
    })
    .await;
}

/// An agent's access token is asked again like a person's token.
#[tokio::test]
async fn an_agent_whose_task_was_killed_hands_nothing_on() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ada) = (app.client("rex").await, app.api_token("ada").await);
        let token = rex.exchange(&app, &ada, API, None).await.token();
        let own = crate::client::claims(&token)["task"].as_str().unwrap().to_owned();
        let reads = json!({ "server": "crm", "tool": "*", "effects": ["read"] });
        let wanted = Wanted {
            id: "create_task",
            method: Method::POST,
            path: "/api/v1/tasks".into(),
            body: json!({ "agent": "kid", "parent": own, "purpose": "x", "tools": [reads], "seconds": 60 }),
        };
        let (answer, ..) = app.overtaken(&wanted, &token, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let kill = Ending {
            sql: "update task set state = 'killed' where id = $1",
            id: own.parse::<base::TaskId>().unwrap().into(),
            kind: EventKind::TaskKilled,
        };
        let (answer, before, after) = app.overtaken(&wanted, &token, Some(&kill)).await;
        assert_eq!((answer.status.as_u16(), before), (401, after), "{}", answer.body);
    })
    .await;
}

/// Where authority ends again and again, the asker is told to come back; the write does not hang on.
#[tokio::test]
async fn a_write_that_is_always_overtaken_is_given_up() {
    let app = App::start(testkit::Bench::sqlite().await).await;
    app.populate().await;
    let admin = app.api_token("admin").await;
    let mut held = app.bench.store.begin(&app.bench.ctx()).await.unwrap();
    let body = json!({ "display_name": "Other" });
    let mut request = Box::pin(app.api(Method::PUT, "/api/v1/people/ada", &admin, &body));
    assert!(request.as_mut().now_or_never().is_none());
    let overtaking = async {
        loop {
            // Somebody always waits for the turn before it is given up, so it never goes to a request that is up to date.
            let ctx = app.bench.ctx();
            let mut next = Box::pin(app.bench.store.begin(&ctx));
            assert!(next.as_mut().now_or_never().is_none());
            held.commit([Event::new(EventKind::TaskExpired, app.id("rex"), json!({}))]).await.unwrap();
            held = next.await.unwrap();
        }
    };
    let answer = tokio::select! {
        answer = &mut request => answer,
        () = overtaking => unreachable!("it goes on for ever"),
    };
    assert_eq!((answer.status.as_u16(), answer.body["code"].as_str()), (503, Some("authority_moved")));
    assert_eq!(answer.headers["retry-after"], "1");
    let shown = app.get("/api/v1/people/ada", bearer(&admin)).await;
    assert_eq!(shown.body["spec"]["display_name"], "Ada");
}

/// Many at once do not push each other out, although each of them may take authority away.
#[tokio::test]
async fn a_crowd_of_writes_gets_through() {
    each_database(|app| async move {
        app.populate().await;
        let admin = app.api_token("admin").await;
        let put = |number: usize| {
            let (app, admin) = (&app, &admin);
            async move {
                let path = format!("/api/v1/roles/crowd{}", number % 24);
                let body = json!({ "description": format!("{number}"), "effects": ["read"] });
                app.api(Method::PUT, &path, admin, &body).await
            }
        };
        for answer in futures_util::future::join_all((0..24).map(put)).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        for answer in futures_util::future::join_all((24..48).map(put)).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    })
    .await;
}
