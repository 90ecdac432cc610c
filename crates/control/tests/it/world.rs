//! A small company: two persons, some agents, two servers, two workloads.

use base::{AnyId, TaskId};
use control::{decide::Caller, documents::Document};
use http::Method;
use serde_json::{Value, json};

use crate::{
    app::App,
    client::{Client, bearer},
};

/// Everything in it by name.
const THINGS: &str = include_str!("world.json");

impl App {
    /// Makes the company.
    pub(crate) async fn populate(&self) {
        let documents: Vec<Document> = serde_json::from_str(THINGS).expect("documents");
        self.control.apply(&self.system(), documents, false).await.expect("a company");
    }

    /// The id of an agent, a workload or a person.
    pub(crate) fn id(&self, name: &str) -> AnyId {
        let known = self.control.snapshot();
        let agent = known.agents.named(name).map(|agent| AnyId::from(&agent.id));
        let workload = known.workloads.named(name).map(|workload| AnyId::from(&workload.id));
        let person = known.people.named(name).map(|person| AnyId::from(&person.id));
        agent.or(workload).or(person).unwrap_or_else(|| panic!("there is no `{name}`"))
    }

    /// A client of this name, with a fresh key.
    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::register(self, &self.id(name)).await
    }

    /// An API token of a person or a workload.
    pub(crate) async fn api_token(&self, name: &str) -> String {
        let (_, token) =
            self.control.issue_api_token(&self.system(), &self.id(name), "test", None).await.unwrap();
        token.expose().to_owned()
    }

    /// Who calls a server with a bearer token.
    pub(crate) fn caller(&self, token: &str, server: &str) -> Result<Caller, String> {
        let url = format!("https://writ.example/mcp/{server}");
        let called = self.control.verify_mcp_token(
            &bearer(token),
            &Method::POST,
            &url,
            &control::oauth::Audience::Mcp(server.to_owned()),
            self.control.now(),
        );
        called.map_err(|error| match error {
            base::Error::Refused(refusal) => refusal.code.to_owned(),
            base::Error::Fault(fault) => panic!("{fault}"),
        })
    }

    /// How many tasks of an agent are open.
    pub(crate) fn open_tasks(&self, agent: &str) -> usize {
        let known = self.control.snapshot();
        let agent = &known.agents.named(agent).unwrap().id;
        known.tasks_of(agent).filter(|task| task.state == control::task::TaskState::Open).count()
    }
}

/// `authorization_details` of a new task.
pub(crate) fn wish(purpose: &str, tools: &Value) -> String {
    json!([{ "type": "writ_task", "purpose": purpose, "tools": tools, "expires_in": 600 }]).to_string()
}

/// `authorization_details` of a task that exists.
pub(crate) fn existing(task: &TaskId) -> String {
    json!([{ "type": "writ_task", "task": task }]).to_string()
}

/// A rule for some tools.
pub(crate) fn tool(server: &str, tool: &str) -> Value {
    json!({ "server": server, "tool": tool })
}
