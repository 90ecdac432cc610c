//! A server with an upstream behind it, some people, their agents and a task: all of it through the public API.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    mcp::{Mcp, Pass},
    node::{Api, Node, On, Setup},
    upstream::Upstream,
    web::Ask,
};

/// The value of the upstream's secret, which nobody but the upstream may ever see.
pub(crate) const UPSTREAM_SECRET: &str = "upstream-secret-7f3a";

/// A server, configured.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) admin: Api,
    /// Owns the agents `ada` and `eve`, and the workload `ci`.
    pub(crate) maya: Api,
    /// Owns the agent `bob` and the workload `cron`.
    pub(crate) noah: Api,
    /// The secret by which `ada` proves herself.
    pub(crate) ada_secret: String,
}

/// One document.
pub(crate) fn document(kind: &str, name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "writ/v1", "kind": kind, "metadata": { "name": name }, "spec": spec })
}

/// Documents of every kind that can be applied before tools are known.
pub(crate) fn documents(upstream: &str) -> Vec<Value> {
    let agent = |name: &str, owner: &str| {
        document("Agent", name, &json!({ "owner": owner, "blueprint": "notes", "purpose": "keeps notes" }))
    };
    let grant = |name: &str, to: &str, role: &str, on: &str| {
        document("Grant", name, &json!({ "to": to, "role": role, "on": on, "reason": "works with notes" }))
    };
    let person = |name: &str| document("Person", name, &json!({ "display_name": name }));
    let workload =
        |name: &str, owner: &str| document("Workload", name, &json!({ "owner": owner, "purpose": "builds" }));
    vec![
        grant("maya-notes", "person/maya", "notes", "server/notes"),
        grant("noah-notes", "person/noah", "notes", "server/notes"),
        grant("agents-notes", "blueprint/notes", "notes", "server/notes"),
        grant("ines-audits", "person/ines", "auditor", "system"),
        person("maya"),
        person("noah"),
        person("ines"),
        agent("ada", "maya"),
        agent("eve", "maya"),
        agent("bob", "noah"),
        workload("ci", "maya"),
        workload("cron", "noah"),
        document(
            "Blueprint",
            "notes",
            &json!({ "description": "keeps notes", "limits": { "token_seconds": 3600 } }),
        ),
        document(
            "Group",
            "writers",
            &json!({ "of": "person", "description": "write", "members": ["noah", "maya"] }),
        ),
        document("Role", "notes", &json!({ "description": "reads and sends", "effects": ["read", "send"] })),
        document("Secret", "notes-key", &json!({ "description": "the key by which the notes know Writ" })),
        document("Server", "notes", &json!({ "url": upstream, "credential": { "secret": "notes-key" } })),
    ]
}

impl World {
    pub(crate) async fn new(on: On) -> Self {
        Self::with(on, Setup::default()).await
    }

    /// The same on a server that is not started with the defaults.
    pub(crate) async fn with(on: On, setup: Setup) -> Self {
        let upstream = Upstream::start().await;
        let node = Node::start_with(on, setup).await;
        let admin = node.admin();
        admin.post("apply", &json!({ "documents": documents(&upstream.url) })).await.done();
        admin.put("secrets/notes-key/value", &json!({ "value": UPSTREAM_SECRET })).await.done();
        admin.act("servers/notes/discover").await.done();
        for (tool, effect) in
            [("read_note", "read"), ("watch_notes", "read"), ("send_note", "send"), ("drop_note", "destroy")]
        {
            admin.put(&format!("tools/notes/{tool}/label"), &json!({ "effect": effect })).await.done();
        }
        let maya = node.api(&token_of(&admin, "people/maya").await);
        let noah = node.api(&token_of(&admin, "people/noah").await);
        let made =
            admin.post("agents/ada/credentials", &json!({ "label": "test", "secret": true })).await.done();
        let ada_secret = made["secret"].as_str().unwrap().to_owned();
        Self { node, upstream, admin, maya, noah, ada_secret }
    }

    /// A task of Maya's for Ada that covers these tools with these constraints; its id.
    pub(crate) async fn task(&self, tools: &[Value]) -> String {
        self.task_with(tools, json!({})).await
    }

    /// The same with further members.
    pub(crate) async fn task_with(&self, tools: &[Value], more: Value) -> String {
        let mut body = json!({
            "agent": "ada", "person": "maya", "purpose": "keep the notes", "tools": tools, "seconds": 3600,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.maya.post("tasks", &body).await.done()["id"].as_str().unwrap().to_owned()
    }

    /// A task that covers what Ada may do anyway.
    pub(crate) async fn wide_task(&self) -> String {
        self.task(&[rule("read_note"), rule("send_note"), rule("watch_notes")]).await
    }

    /// A request for an access token of Ada's for a task, for the notes.
    pub(crate) fn token_request(&self, task: &str, resource: &str) -> Ask {
        let resource = format!("{}/{resource}", self.node.url());
        let details = json!([{ "type": "writ_task", "task": task }]).to_string();
        Ask::new("POST", format!("{}/oauth2/token", self.node.url())).form(&[
            ("grant_type", "client_credentials"),
            ("client_id", "ada"),
            ("client_secret", &self.ada_secret),
            ("resource", &resource),
            ("authorization_details", &details),
        ])
    }

    /// An access token of Ada's for a task, for the notes.
    pub(crate) async fn token(&self, task: &str) -> String {
        access_token(&self.token_request(task, "mcp/notes").send().await.done())
    }

    /// A session of Ada's within a task.
    pub(crate) async fn session(&self, task: &str) -> Mcp {
        let token = self.token(task).await;
        Mcp::open(&self.node.url(), Pass::Bearer(token)).await
    }
}

/// The token in the token endpoint's answer.
pub(crate) fn access_token(answer: &Value) -> String {
    answer["access_token"].as_str().unwrap().to_owned()
}

/// A rule that covers a tool of the notes.
pub(crate) fn rule(tool: &str) -> Value {
    json!({ "server": "notes", "tool": tool })
}

/// A new API token of a person or workload.
pub(crate) async fn token_of(admin: &Api, principal: &str) -> String {
    let made = admin.post(&format!("{principal}/tokens"), &json!({ "label": "test" })).await.done();
    made["token"].as_str().unwrap().to_owned()
}
