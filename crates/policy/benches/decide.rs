//! The time of one decision, by the number of grants and of policies.
//!
//! "slice" builds the person and the agent from an index of grants for each decision, as on the first call of a
//! principal; "warm" reuses them and what was prepared for them, as on the next calls. Both evaluate person and agent.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up may stop")]

use std::{collections::BTreeMap, hint::black_box};

use base::Timestamp;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use policy::{
    Act, ActKind, Catalogue, Circumstances, Effect, Engine, EntityKind, EntityRef, Pattern, PolicySource,
    Prepared, Question, Scope, Subject, ToolDefinition, ToolRule,
};
use wire::json::Json;

const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);
const TOOLS: usize = 100;
const GRANTS_EACH: usize = 20;

/// Grants by principal: the number of the principal gives its roles.
struct Grants(Vec<Vec<EntityRef>>);

impl Grants {
    fn new(count: usize) -> Self {
        let principals = (count / GRANTS_EACH).max(1);
        let role = |principal: usize, nth: usize| {
            EntityRef::role_on("clerk", &format!("r{}", (principal + nth) % 5000))
        };
        Self(
            (0..principals)
                .map(|principal| (0..GRANTS_EACH).map(|nth| role(principal, nth)).collect())
                .collect(),
        )
    }

    fn subject(&self, kind: EntityKind, principal: usize) -> Subject {
        let group = match kind {
            EntityKind::Person => EntityKind::PersonGroup,
            _ => EntityKind::AgentGroup,
        };
        let parents = self.0[principal]
            .iter()
            .cloned()
            .chain([EntityRef::new(group, &format!("g{}", principal % 100))]);
        Subject::new(EntityRef::new(kind, &format!("p{principal}")), BTreeMap::new(), parents, true).unwrap()
    }
}

fn engine(policies: usize) -> Engine {
    let schema = r#"{"type": "object", "required": ["amount", "order"],
        "properties": {"amount": {"type": "number"}, "order": {"type": "integer"}, "note": {"type": "string"}}}"#;
    let tool = |at: usize| ToolDefinition {
        server: "crm".parse().unwrap(),
        name: format!("t{at}"),
        effect: Effect::Write,
        definition_hash: [1; 32],
        input_schema: Json::parse(schema.as_bytes()).unwrap(),
        labels: vec![],
    };
    let policy = |at: usize| {
        let (person, group) =
            if at.is_multiple_of(2) { ("Person", "PersonGroup") } else { ("Agent", "AgentGroup") };
        format!(
            r#"@id("p{at}") forbid (principal is {person} in {group}::"g{}", action == Action::"crm/t{}", resource)
               when {{ context.arguments.order > 1000000 || context.task.depth > 7 }};"#,
            at % 997,
            at % TOOLS
        )
    };
    let text = (0..policies).map(policy).collect::<Vec<_>>().concat();
    let catalogue = Catalogue { tools: (0..TOOLS).map(tool).collect(), ..Catalogue::default() };
    let sources = [PolicySource { id: "bench".to_owned(), text }];
    Engine::compile(&catalogue, &sources).map_err(|problems| problems[0].to_string()).unwrap()
}

struct Setting {
    act: Act,
    scope: Scope,
    circumstances: Circumstances,
}

impl Setting {
    fn new() -> Self {
        let kind = ActKind::Tool { name: "t7".to_owned(), definition_hash: [1; 32], effect: Effect::Write };
        let arguments = Json::parse(br#"{"amount": 12.5, "order": 77, "note": "late"}"#).unwrap();
        let all = ToolRule { server: Pattern::Any, tool: Pattern::Any, effects: None, constraints: vec![] };
        let circumstances = Circumstances {
            now: NOW,
            purpose: "answer tickets".to_owned(),
            depth: 1,
            calls_left: Some(100),
            bytes_left: Some(1_000_000),
            acr: None,
        };
        Self {
            act: Act { server: "crm".parse().unwrap(), kind, arguments },
            scope: Scope { tools: vec![all], ..Scope::nothing(NOW.plus_seconds(60)) },
            circumstances,
        }
    }

    fn decide(
        &self,
        engine: &Engine,
        (person, agent, roles): (&Subject, &Subject, &[EntityRef]),
        prepared: Option<&Prepared>,
    ) -> bool {
        let question = Question {
            act: &self.act,
            digest: [7; 32],
            person: Some(person),
            agent,
            roles,
            scopes: &[&self.scope],
            circumstances: &self.circumstances,
            lifted: &[],
            prepared,
        };
        engine.decide(black_box(&question)).is_allow()
    }
}

fn by_grants(criterion: &mut Criterion) {
    let engine = engine(100);
    let setting = Setting::new();
    let mut group = criterion.benchmark_group("decide by grants, 100 policies");
    for count in [1_000, 100_000] {
        let grants = Grants::new(count);
        let mut principal = 0;
        group.bench_function(BenchmarkId::new("slice", count), |bencher| {
            bencher.iter(|| {
                principal = (principal + 7919) % grants.0.len();
                let person = grants.subject(EntityKind::Person, principal);
                let agent = grants.subject(EntityKind::Agent, principal);
                assert!(setting.decide(&engine, (&person, &agent, &grants.0[principal][3..4]), None));
            });
        });
        let person = grants.subject(EntityKind::Person, 7);
        let agent = grants.subject(EntityKind::Agent, 7);
        group.bench_function(BenchmarkId::new("warm", count), |bencher| {
            let roles = &grants.0[7][3..4];
            let prepared = engine.prepare(&setting.act, Some(&person), &agent, roles);
            bencher.iter(|| assert!(setting.decide(&engine, (&person, &agent, roles), prepared.as_ref())));
        });
    }
}

fn by_policies(criterion: &mut Criterion) {
    let setting = Setting::new();
    let grants = Grants::new(1_000);
    let person = grants.subject(EntityKind::Person, 7);
    let agent = grants.subject(EntityKind::Agent, 7);
    let mut group = criterion.benchmark_group("decide by policies, 1000 grants, warm");
    for count in [0, 100, 10_000] {
        let engine = engine(count);
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            let roles = &grants.0[7][3..4];
            let prepared = engine.prepare(&setting.act, Some(&person), &agent, roles);
            bencher.iter(|| assert!(setting.decide(&engine, (&person, &agent, roles), prepared.as_ref())));
        });
    }
}

criterion_group!(benches, by_grants, by_policies);
criterion_main!(benches);
