//! Random worlds: the engine against a plain evaluator, against Cedar's own authoriser, and against itself.

mod dice;
mod model;

use std::str::FromStr;

use base::Name;
use cedar_policy_core::{
    ast,
    entities::{Entities, NoEntitiesSchema, TCComputation},
    extensions::Extensions,
};

use self::{
    dice::Dice,
    model::{
        Case, Cover, Doing, GROUPS, If, KINDS, Order, Policy, Principal, ROLES, TOOLS, Verdict, What, Where,
        Who,
    },
};
use super::{Catalogue, DIGEST, Engine, NOW, PolicySource, World, everything, json, tool};
use crate::{
    Act, ActKind, AttributeValue, Circumstances, Constraint, Decision, EntityKind, EntityRef, Exact, Lift,
    Rule, Scope, Subject, engine::context::Arguments,
};

/// How names are written: as they are, or consistently otherwise.
#[derive(Clone, Copy)]
struct Naming(&'static str);

impl Naming {
    fn of(self, name: &str) -> String {
        format!("{}{name}", self.0)
    }

    fn server(self, name: &str) -> Name {
        self.of(name).parse().unwrap()
    }
}

const PLAIN: Naming = Naming("");

fn catalogue(naming: Naming) -> Catalogue {
    let schema = r#"{"type": "object", "required": ["order"], "properties": {"order": {"type": "integer"}}}"#;
    let tools = TOOLS.iter().map(|(server, name, effect)| {
        let server = naming.of(server);
        tool(&server, &naming.of(name), *effect, schema)
    });
    Catalogue { tools: tools.collect(), ..Catalogue::default() }
}

fn text(policy: &Policy, naming: Naming) -> String {
    let (word, group, attribute) =
        if policy.person { ("Person", "PersonGroup", "title") } else { ("Agent", "AgentGroup", "kind") };
    let what = match policy.what {
        What::Permit => "permit",
        What::Forbid => "forbid",
        What::Confirm => "@confirm forbid",
        What::Approval => "@approval(\"chain\") forbid",
        What::StepUp => "@step_up(\"acr\") forbid",
    };
    let principal = match policy.who {
        Who::Any => format!("principal is {word}"),
        Who::Is => format!("principal == {word}::\"{}\"", naming.of("named")),
        Who::In(at) => format!("principal is {word} in {group}::\"{}\"", naming.of(GROUPS[at])),
    };
    let action = match policy.doing {
        Doing::Any => "action".to_owned(),
        Doing::Tool(at) => {
            format!("action == Action::\"{}/{}\"", naming.of(TOOLS[at].0), naming.of(TOOLS[at].1))
        }
        Doing::Effects([a, b]) => format!("action in [Action::\"{a}\", Action::\"{b}\"]"),
    };
    let resource = match policy.at {
        Where::Any => "resource is Tool".to_owned(),
        Where::Server(name) => format!("resource in Server::\"{}\"", naming.of(name)),
    };
    let has = "context.arguments has order && context.arguments.order";
    let condition = match policy.condition {
        If::Always => "true".to_owned(),
        If::OrderAbove(least) => format!("{has} > {least}"),
        If::Overflow => format!("{has} + 9223372036854775807 > 0"),
        If::KindIs(at) => {
            format!("principal has {attribute} && principal.{attribute} == \"{}\"", naming.of(KINDS[at]))
        }
        If::HoldsRole => "principal in resource.roles".to_owned(),
    };
    format!("@id(\"{}\") {what} ({principal}, {action}, {resource}) when {{ {condition} }};", policy.id)
}

fn compile(policies: &[Policy], naming: Naming) -> Engine {
    let sources: Vec<PolicySource> = policies
        .iter()
        .map(|policy| PolicySource { id: format!("source-{}", policy.id), text: text(policy, naming) })
        .collect();
    Engine::compile(&catalogue(naming), &sources).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn subject(principal: &Principal, naming: Naming) -> Subject {
    let (kind, group, attribute) = if principal.person {
        (EntityKind::Person, EntityKind::PersonGroup, "title")
    } else {
        (EntityKind::Agent, EntityKind::AgentGroup, "kind")
    };
    let attributes = principal
        .kind
        .map(|at| (attribute.to_owned(), AttributeValue::Text(naming.of(KINDS[at]))))
        .into_iter();
    let groups = principal.groups.iter().map(|&at| EntityRef::new(group, &naming.of(GROUPS[at])));
    let parents = groups.chain(roles(&principal.roles, naming));
    let id = naming.of(if principal.named { "named" } else { "other" });
    Subject::new(EntityRef::new(kind, &id), attributes.collect(), parents, principal.active).unwrap()
}

fn roles(which: &[usize], naming: Naming) -> impl Iterator<Item = EntityRef> {
    which.iter().map(move |&at| EntityRef::new(EntityKind::RoleOn, &naming.of(ROLES[at])))
}

fn world(case: &Case, engine: &Engine, naming: Naming) -> World {
    let (server, name, effect) = TOOLS[case.tool];
    let arguments = match case.order {
        Order::Is(order) => format!(r#"{{"order": {order}}}"#),
        Order::Huge => r#"{"order": 9223372036854775808}"#.to_owned(),
        Order::Missing => "{}".to_owned(),
    };
    let scope = |cover: &Cover| {
        let mut scope = everything();
        match cover {
            Cover::Everything => {}
            Cover::Nothing => scope = Scope::nothing(scope.deadline),
            Cover::Server(name) => scope.tools[0].server = naming.of(name).as_str().into(),
            Cover::OrderAtMost(most) => scope.tools[0].constraints.push(Constraint {
                argument: "/order".to_owned(),
                rule: Rule::Range { min: None, max: Some(Exact((*most).into())) },
            }),
            Cover::Expired => scope.deadline = NOW,
        }
        scope
    };
    let lifted =
        engine.rules.iter().filter(|rule| case.lifted.iter().any(|id| id.to_string() == rule.info.id));
    World {
        act: Act {
            server: naming.server(server),
            kind: ActKind::Tool { name: naming.of(name), definition_hash: [1; 32], effect },
            arguments: json(&arguments),
        },
        person: case.person.as_ref().map(|person| subject(person, naming)),
        agent: subject(&case.agent, naming),
        roles: roles(&case.covering, naming).collect(),
        scopes: case.chain.iter().map(scope).collect(),
        circumstances: Circumstances {
            now: NOW,
            purpose: "test".to_owned(),
            depth: 1,
            calls_left: case.spent.then_some(0),
            bytes_left: None,
            acr: None,
        },
        lifted: lifted
            .map(|rule| Lift { rule: rule.info.id.clone(), rule_hash: rule.info.hash, digest: DIGEST })
            .collect(),
    }
}

/// The engine's answer in the model's words.
fn answer(case: &Case, engine: &Engine, naming: Naming) -> Verdict {
    let decision = world(case, engine, naming).ask(engine);
    let (word, obstacles) = match &decision {
        Decision::Allow(_) => ("allow", &[][..]),
        Decision::StepUp(step_up) => ("step_up", &step_up.obstacles[..]),
        Decision::Pending(pending) => ("pending", &pending.obstacles[..]),
        Decision::Deny(denial) => (denial.code.as_str(), &[][..]),
    };
    Verdict {
        word,
        obstacles: obstacles.iter().map(|obstacle| obstacle.rule.id().parse().unwrap()).collect(),
    }
}

fn policies(dice: &mut Dice) -> Vec<Policy> {
    (0..dice.below(10)).map(|id| model::policy(dice, id)).collect()
}

/// How much a decision lets through; only `allow` lets anything through, and less is needed for `pending` than for
/// a denial.
fn openness(word: &str) -> u8 {
    match word {
        "allow" => 3,
        "pending" => 2,
        "step_up" => 1,
        _ => 0,
    }
}

#[test]
fn the_engine_answers_as_the_plain_evaluator_does() {
    let mut seen = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0..250 {
        let mut dice = Dice::new(seed);
        let policies = policies(&mut dice);
        let engine = compile(&policies, PLAIN);
        for nth in 0..40 {
            let case = model::case(&mut dice, policies.len());
            let expected = model::decide(&policies, &case);
            let given = answer(&case, &engine, PLAIN);
            assert_eq!(given, expected, "seed {seed}, question {nth}: {case:#?} {policies:#?}");
            *seen.entry(expected.word).or_default() += 1;
        }
    }
    // The comparison is worth something only if every answer occurs.
    let words = [
        "allow",
        "pending",
        "step_up",
        "policy_error",
        "forbidden",
        "not_granted",
        "argument_unreadable",
        "arguments_invalid",
        "task_scope",
        "task_expired",
        "no_task",
        "limit_reached",
        "principal_inactive",
    ];
    for word in words {
        assert!(seen.get(word).is_some_and(|&count| count >= 20), "`{word}` is too rare: {seen:?}");
    }
}

#[test]
fn changes_of_policies_have_the_effect_that_one_expects() {
    for seed in 1000..1100 {
        let mut dice = Dice::new(seed);
        let before = policies(&mut dice);
        let engine = compile(&before, PLAIN);
        let mut fewer = before.clone();
        fewer.retain(|policy| policy.what != What::Permit || dice.flip());
        let fewer = compile(&fewer, PLAIN);
        let mut more = before.clone();
        let id = more.len();
        more.extend((id..id + 3).map(|id| Policy {
            what: dice.pick(&[What::Forbid, What::Confirm, What::Approval, What::StepUp]),
            ..model::policy(&mut dice, id)
        }));
        let more = compile(&more, PLAIN);
        let mut shuffled = before.clone();
        dice.shuffle(&mut shuffled);
        let shuffled = compile(&shuffled, PLAIN);
        let renamed = compile(&before, Naming("z-"));
        for _ in 0..40 {
            let case = model::case(&mut dice, before.len());
            let now = answer(&case, &engine, PLAIN);
            // A permit that fails denies, and takes that denial with it when it goes.
            if now.word != "policy_error" {
                let then = answer(&case, &fewer, PLAIN);
                assert!(
                    openness(then.word) <= openness(now.word),
                    "removing a permit, seed {seed}: {case:?}"
                );
            }
            let then = answer(&case, &more, PLAIN);
            assert!(openness(then.word) <= openness(now.word), "adding a forbid, seed {seed}: {case:?}");
            let mut then = answer(&case, &shuffled, PLAIN);
            then.obstacles.sort_unstable();
            let mut sorted = now.clone();
            sorted.obstacles.sort_unstable();
            assert_eq!(then, sorted, "order, seed {seed}: {case:?}");
            assert_eq!(answer(&case, &renamed, Naming("z-")), now, "names, seed {seed}: {case:?}");
        }
    }
}

/// The index leaves out only what cannot match: Cedar's own authoriser over all policies finds the same ones.
#[test]
fn the_candidates_are_those_that_cedar_finds_among_all() {
    for seed in 2000..2150 {
        let mut dice = Dice::new(seed);
        let policies = policies(&mut dice);
        let engine = compile(&policies, PLAIN);
        for _ in 0..20 {
            let case = model::case(&mut dice, policies.len());
            let world = world(&case, &engine, PLAIN);
            for subject in world.person.iter().chain([&world.agent]) {
                compare_with_cedar(&engine, &policies, &world, subject);
            }
        }
    }
}

fn compare_with_cedar(engine: &Engine, policies: &[Policy], world: &World, subject: &Subject) {
    let target = engine.targets().find(&world.act, &world.roles).unwrap();
    let action = engine.action(&target.action).unwrap();
    let all: Vec<_> = engine.rules.iter().collect();
    let arguments = Arguments::new(&target, &world.act.arguments, &all);
    let context = Engine::context(&world.circumstances, &arguments, world.person.is_some()).unwrap();
    let uid = |entity: &ast::Entity| (entity.uid().clone(), None);
    let request = ast::Request::new(
        uid(subject.entity()),
        uid(&action),
        uid(&target.resource),
        context,
        Some(&engine.schema()),
        Extensions::all_available(),
    )
    .unwrap();
    let entities = Entities::new()
        .add_entities(
            [subject.entity(), &action, &target.resource].map(std::sync::Arc::clone),
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .unwrap();
    let candidates = engine.candidates(subject.entity(), &action, &target.resource);
    for policy in policies {
        // As permits, each alone: then Cedar's answer says whether this one matches, and its errors whether it fails.
        let text = text(policy, PLAIN).replacen("forbid (", "permit (", 1);
        let set = cedar_policy::PolicySet::from_str(&text).unwrap();
        let response = cedar_policy::Authorizer::new().is_authorized(
            &request.clone().into(),
            &set,
            &cedar_policy::Entities::from(entities.clone()),
        );
        let matters = response.decision() == cedar_policy::Decision::Allow
            || response.diagnostics().errors().next().is_some();
        let is_candidate = candidates.iter().any(|&at| engine.rule(at).info.id == policy.id.to_string());
        assert!(is_candidate || !matters, "{text}\n{:?}", world.act);
    }
}
