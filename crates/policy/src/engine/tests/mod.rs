//! A small world for tests of the engine, and the tests by subject.

mod arguments;
mod decisions;
mod documented;
mod loading;
mod random;
mod traps;

use std::collections::BTreeMap;

use base::{Name, Timestamp};
use wire::json::Json;

use super::{Catalogue, Engine, PolicyProblem, PolicySource, ToolDefinition};
use crate::{
    Act, ActKind, AttributeValue, Circumstances, Decision, DenialCode, Effect, EntityKind, EntityRef, Lift,
    Pattern, PromptRule, Question, ResourceRule, Scope, Subject, ToolRule, UriRule,
};

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);
pub(super) const DIGEST: [u8; 32] = [7; 32];

pub(super) fn server(name: &str) -> Name {
    name.parse().unwrap()
}

pub(super) fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

pub(super) fn tool(server_name: &str, name: &str, effect: Effect, schema: &str) -> ToolDefinition {
    ToolDefinition {
        server: server(server_name),
        name: name.to_owned(),
        effect,
        definition_hash: [1; 32],
        input_schema: json(schema),
        labels: vec!["pii".to_owned()],
    }
}

/// A customer database with some tools.
pub(super) fn catalogue() -> Catalogue {
    let refund = r#"{"type": "object", "required": ["amount", "order"], "properties": {
        "amount": {"type": "number"}, "order": {"type": "integer"}, "note": {"type": "string"},
        "to": {"type": "array", "items": {"type": "string"}}}}"#;
    Catalogue {
        servers: vec![server("crm"), server("empty")],
        tools: vec![
            tool("crm", "refund", Effect::Write, refund),
            tool(
                "crm",
                "find",
                Effect::Read,
                r#"{"type": "object", "properties": {"q": {"type": "string"}}}"#,
            ),
            tool(
                "mail",
                "send",
                Effect::Send,
                r#"{"type": "object", "properties": {"to": {"type": "string"}}}"#,
            ),
        ],
        ..Catalogue::default()
    }
}

pub(super) fn sources(texts: &[&str]) -> Vec<PolicySource> {
    let source = |(at, text): (usize, &&str)| PolicySource { id: format!("p{at}"), text: (*text).to_owned() };
    texts.iter().enumerate().map(source).collect()
}

pub(super) fn engine(texts: &[&str]) -> Engine {
    Engine::compile(&catalogue(), &sources(texts)).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

pub(super) fn problems(texts: &[&str]) -> Vec<PolicyProblem> {
    Engine::compile(&catalogue(), &sources(texts)).map(|_| ()).unwrap_err()
}

/// A question that can be changed before it is asked. At first everything allows it.
pub(super) struct World {
    pub(super) act: Act,
    pub(super) person: Option<Subject>,
    pub(super) agent: Subject,
    pub(super) roles: Vec<EntityRef>,
    pub(super) scopes: Vec<Scope>,
    pub(super) circumstances: Circumstances,
    pub(super) lifted: Vec<Lift>,
}

pub(super) fn call(server_name: &str, name: &str, effect: Effect, arguments: &str) -> Act {
    let kind = ActKind::Tool { name: name.to_owned(), definition_hash: [1; 32], effect };
    Act { server: server(server_name), kind, arguments: json(arguments) }
}

pub(super) fn everything() -> Scope {
    let any = || Pattern::Any;
    Scope {
        tools: vec![ToolRule { server: any(), tool: any(), effects: None, constraints: vec![] }],
        resources: vec![ResourceRule { server: any(), uri: UriRule::Prefix(String::new()) }],
        prompts: vec![PromptRule { server: any(), prompt: any() }],
        deadline: NOW.plus_seconds(3600),
    }
}

pub(super) fn subject(kind: EntityKind, id: &str, parents: &[EntityRef]) -> Subject {
    let attributes = BTreeMap::from([("name".to_owned(), AttributeValue::Text(id.to_owned()))]);
    Subject::new(EntityRef::new(kind, id), attributes, parents.iter().cloned(), true).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        let role = EntityRef::role_on("clerk", "crm");
        let group = EntityRef::new(EntityKind::PersonGroup, "support");
        Self {
            act: call("crm", "refund", Effect::Write, r#"{"amount": 20, "order": 7}"#),
            person: Some(subject(EntityKind::Person, "ada", &[role.clone(), group])),
            agent: subject(EntityKind::Agent, "bot", std::slice::from_ref(&role)),
            roles: vec![role],
            scopes: vec![everything()],
            circumstances: Circumstances {
                now: NOW,
                purpose: "answer tickets".to_owned(),
                depth: 1,
                calls_left: Some(10),
                bytes_left: None,
                acr: None,
            },
            lifted: vec![],
        }
    }

    pub(super) fn with_arguments(mut self, arguments: &str) -> Self {
        self.act.arguments = json(arguments);
        self
    }

    pub(super) fn ask(&self, engine: &Engine) -> Decision {
        let scopes: Vec<&Scope> = self.scopes.iter().collect();
        let question = Question {
            act: &self.act,
            digest: DIGEST,
            person: self.person.as_ref(),
            agent: &self.agent,
            roles: &self.roles,
            scopes: &scopes,
            circumstances: &self.circumstances,
            lifted: &self.lifted,
            prepared: None,
        };
        let decision = engine.decide(&question);
        // What was prepared, for whatever arguments, says the same in everything.
        let act = Act { arguments: Json::Null, ..self.act.clone() };
        let prepared = engine.prepare(&act, self.person.as_ref(), &self.agent, &self.roles);
        let again = engine.decide(&Question { prepared: prepared.as_ref(), ..question });
        assert_eq!((again.as_str(), again.reasons()), (decision.as_str(), decision.reasons()));
        decision
    }

    /// The decision in one word: `allow`, `pending`, `step_up` or the code of the denial.
    pub(super) fn word(&self, engine: &Engine) -> &'static str {
        match self.ask(engine) {
            Decision::Deny(denial) => denial.code.as_str(),
            other => other.as_str(),
        }
    }
}

pub(super) fn code(decision: &Decision) -> Option<DenialCode> {
    if let Decision::Deny(denial) = decision { Some(denial.code) } else { None }
}
