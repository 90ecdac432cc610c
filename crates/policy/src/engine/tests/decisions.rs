//! The order of refusals, one after the other, and how principals and lifts combine.

use super::{World, call, code, engine, everything, server, subject};
use crate::{
    ActKind, Circumstances, Decision, DenialCode, Effect, EntityKind, EntityRef, Lift, Need, Scope, Subject,
};

const FORBID_SENDING: &str = r#"forbid (principal is Agent, action in Action::"send", resource);"#;
const CONFIRM_REFUNDS: &str =
    r#"@confirm forbid (principal is Agent, action == Action::"crm/refund", resource);"#;

#[test]
fn with_grants_and_a_task_it_is_allowed() {
    let decision = World::new().ask(&engine(&[]));
    let Decision::Allow(allow) = decision else { panic!("{decision:?}") };
    assert_eq!(allow.digest(), &super::DIGEST);
    let verdicts = &allow.reasons().verdicts;
    assert_eq!(
        verdicts.iter().map(|v| v.principal.as_str()).collect::<Vec<_>>(),
        ["Person::\"ada\"", "Agent::\"bot\""]
    );
    assert_eq!(verdicts[0].permits[0].id(), "builtin-person-roles");
    assert_eq!(verdicts[1].roles, ["clerk@crm"]);
}

#[test]
fn without_any_policy_of_ones_own_and_without_a_grant_it_is_denied() {
    let engine = engine(&[]);
    for break_it in [
        |world: &mut World| world.agent = subject(EntityKind::Agent, "bot", &[]),
        |world: &mut World| world.person = Some(subject(EntityKind::Person, "ada", &[])),
        |world: &mut World| world.roles.clear(),
        |world: &mut World| world.roles = vec![EntityRef::role_on("clerk", "other")],
    ] {
        let mut world = World::new();
        break_it(&mut world);
        assert_eq!(world.word(&engine), "not_granted");
    }
}

#[test]
fn the_denial_for_the_agent_does_not_name_the_person() {
    let mut world = World::new();
    world.person = Some(subject(EntityKind::Person, "ada", &[]));
    let Decision::Deny(denial) = world.ask(&engine(&[])) else { panic!() };
    let said = format!("{} {} {:?}", denial.reason, denial.what_would_help, denial.policies);
    assert!(said.contains("the person behind this task") && !said.contains("ada"), "{said}");
}

#[test]
fn each_refusal_precedes_the_next() {
    let engine = engine(&[FORBID_SENDING]);
    let mut world = World::new();
    // Everything is wrong at once; one after the other is put right.
    world.act = call("mail", "gone", Effect::Send, "{}");
    world.agent = Subject::new(EntityRef::new(EntityKind::Agent, "bot"), [].into(), [], false).unwrap();
    world.scopes = vec![];
    world.circumstances.calls_left = Some(0);
    assert_eq!(world.word(&engine), "principal_inactive");
    world.agent = subject(EntityKind::Agent, "bot", &[]);
    assert_eq!(world.word(&engine), "no_task");
    world.scopes = vec![Scope { deadline: super::NOW, ..everything() }];
    assert_eq!(world.word(&engine), "task_expired");
    world.scopes = vec![Scope::nothing(super::NOW.plus_seconds(1))];
    assert_eq!(world.word(&engine), "task_scope");
    world.scopes = vec![everything()];
    assert_eq!(world.word(&engine), "limit_reached");
    world.circumstances.calls_left = None;
    assert_eq!(world.word(&engine), "unknown_target");
    world.act = call("mail", "send", Effect::Read, "{}");
    assert_eq!(world.word(&engine), "definition_changed");
    world.act = call("mail", "send", Effect::Send, "{}");
    assert_eq!(world.word(&engine), "forbidden");
    world.act = call("crm", "find", Effect::Read, "{}");
    assert_eq!(world.word(&engine), "not_granted");
    world.agent = World::new().agent;
    assert_eq!(world.word(&engine), "allow");
}

#[test]
fn an_inactive_person_stops_the_agent() {
    let mut world = World::new();
    let role = world.roles[0].clone();
    world.person =
        Some(Subject::new(EntityRef::new(EntityKind::Person, "ada"), [].into(), [role], false).unwrap());
    assert_eq!(world.word(&engine(&[])), "principal_inactive");
}

#[test]
fn every_ancestor_must_cover() {
    let engine = engine(&[]);
    let mut world = World::new();
    let narrow = Scope { tools: vec![], ..everything() };
    world.scopes = vec![everything(), everything(), narrow];
    let decision = world.ask(&engine);
    assert_eq!(code(&decision), Some(DenialCode::TaskScope));
    let chain = &decision.reasons().chain;
    assert_eq!(chain.iter().map(|link| link.uncovered.is_some()).collect::<Vec<_>>(), [false, false, true]);
}

#[test]
fn an_agent_for_itself_is_evaluated_alone() {
    let mut world = World::new();
    world.person = None;
    let decision = world.ask(&engine(&[]));
    assert!(decision.is_allow());
    assert_eq!(decision.reasons().verdicts.len(), 1);
}

#[test]
fn a_workload_can_act_with_its_own_grants() {
    let mut world = World::new();
    world.agent = subject(EntityKind::Workload, "nightly", &world.roles);
    assert_eq!(world.word(&engine(&[])), "allow");
    world.agent = subject(EntityKind::Workload, "nightly", &[]);
    assert_eq!(world.word(&engine(&[])), "not_granted");
}

#[test]
fn other_kinds_of_acts_are_decided_by_the_same_rules() {
    let engine = engine(&[
        r#"@id("no-secrets") forbid (principal is Agent, action == Action::"read_resource", resource)
        when { resource.uri like "file:///secret/*" };"#,
    ]);
    let mut world = World::new();
    for (kind, expected) in [
        (ActKind::Open, "allow"),
        (ActKind::List, "allow"),
        (ActKind::Prompt { name: "greeting".into() }, "allow"),
        (ActKind::Resource { uri: "file:///a".into() }, "allow"),
        (ActKind::Resource { uri: "file:///secret/a".into() }, "forbidden"),
    ] {
        world.act.kind = kind;
        assert_eq!(world.word(&engine), expected, "{:?}", world.act);
    }
    world.act.server = server("nowhere");
    assert_eq!(world.word(&engine), "unknown_target");
}

#[test]
fn a_confirmation_of_exactly_this_act_and_rule_lifts() {
    let engine = engine(&[CONFIRM_REFUNDS]);
    let mut world = World::new();
    let Decision::Pending(pending) = world.ask(&engine) else { panic!() };
    assert_eq!(pending.obstacles.len(), 1);
    assert_eq!(pending.obstacles[0].need, Need::Confirm);
    let rule = &pending.obstacles[0].rule;
    let right = Lift { rule: rule.id().to_owned(), rule_hash: *rule.hash(), digest: super::DIGEST };
    for wrong in [
        Lift { digest: [8; 32], ..right.clone() },
        Lift { rule_hash: [8; 32], ..right.clone() },
        Lift { rule: "other".to_owned(), ..right.clone() },
    ] {
        world.lifted = vec![wrong];
        assert_eq!(world.word(&engine), "pending");
    }
    world.lifted = vec![right];
    let decision = world.ask(&engine);
    assert!(decision.is_allow());
    assert_eq!(decision.reasons().verdicts[1].lifted[0].id(), "p0");
}

#[test]
fn a_changed_rule_is_not_lifted_by_the_old_confirmation() {
    let old = engine(&[CONFIRM_REFUNDS]);
    let Decision::Pending(pending) = World::new().ask(&old) else { panic!() };
    let rule = &pending.obstacles[0].rule;
    let mut world = World::new();
    world.lifted = vec![Lift { rule: rule.id().to_owned(), rule_hash: *rule.hash(), digest: super::DIGEST }];
    assert_eq!(world.word(&old), "allow");
    let new = engine(&[&CONFIRM_REFUNDS.replace("resource)", "resource is Tool)")]);
    assert_eq!(world.word(&new), "pending");
}

#[test]
fn the_strictest_wins() {
    let confirm = CONFIRM_REFUNDS;
    let approve =
        r#"@approval("finance") forbid (principal is Person, action in Action::"write", resource);"#;
    let sign_in =
        r#"@step_up("urn:writ:passkey") forbid (principal is Person, action, resource in Server::"crm");"#;
    let deny = r#"forbid (principal is Person, action, resource in Server::"crm");"#;
    let world = World::new();
    assert_eq!(world.word(&engine(&[])), "allow");
    assert_eq!(world.word(&engine(&[confirm, approve])), "pending");
    let decision = world.ask(&engine(&[confirm, approve, sign_in]));
    let Decision::StepUp(step_up) = decision else { panic!() };
    assert_eq!((step_up.acr.as_str(), step_up.obstacles.len()), ("urn:writ:passkey", 3));
    assert_eq!(world.word(&engine(&[confirm, approve, sign_in, deny])), "forbidden");
}

#[test]
fn nobody_is_asked_for_what_would_be_denied() {
    let engine = engine(&[CONFIRM_REFUNDS]);
    let mut world = World::new();
    world.person = Some(subject(EntityKind::Person, "ada", &[]));
    let decision = world.ask(&engine);
    assert_eq!(code(&decision), Some(DenialCode::NotGranted));
    assert!(decision.reasons().verdicts.iter().all(|verdict| verdict.obstacles.is_empty()));
}

#[test]
fn the_answer_follows_the_contract() {
    let engine = engine(&[
        r#"@id("no-refunds") @help("ask finance") forbid (principal is Person, action, resource);"#,
    ]);
    let id: base::DecisionId = "dec_01k9m3abcdefghjkmnpqrstvwx".parse().unwrap();
    let answer = World::new().ask(&engine).answer(id.clone(), None).unwrap();
    insta::assert_json_snapshot!(answer, @r#"
    {
      "code": "forbidden",
      "reason": "a policy forbids tool `crm/refund`",
      "policy": [
        "no-refunds"
      ],
      "what_would_help": "ask finance",
      "decision_id": "dec_01k9m3abcdefghjkmnpqrstvwx"
    }
    "#);
    let pending = World::new().ask(&super::engine(&[CONFIRM_REFUNDS]));
    let way = crate::Way::Url("https://writ.example/approve/1".to_owned());
    insta::assert_json_snapshot!(pending.answer(id, Some(way)).unwrap(), @r#"
    {
      "code": "confirmation_required",
      "reason": "the person behind this task must agree to this call first",
      "policy": [
        "p0"
      ],
      "what_would_help": "wait for the answer, then make the same call again, unchanged",
      "approval_url": "https://writ.example/approve/1",
      "decision_id": "dec_01k9m3abcdefghjkmnpqrstvwx"
    }
    "#);
}

#[test]
fn policies_can_tell_the_time_and_the_circumstances() {
    let at_night = r#"forbid (principal is Agent, action, resource)
        when { context.now.toTime() > duration("15h") || context has now && context.now < datetime("2026-11-22") };"#;
    let mut world = World::new();
    // 2026-11-22T15:04:05Z
    assert_eq!(world.word(&engine(&[at_night])), "forbidden");
    world.circumstances.now = super::NOW.plus_seconds(-300);
    assert_eq!(world.word(&engine(&[at_night])), "allow");
    world.circumstances.now = super::NOW.plus_seconds(-86_400 - 300);
    assert_eq!(world.word(&engine(&[at_night])), "forbidden");

    let deep = r"forbid (principal is Agent, action, resource)
        when { context.task.depth > 2 || !context.for_person || (context.task has calls_left && context.task.calls_left < 3) };";
    let engine = engine(&[deep]);
    let mut world = World::new();
    assert_eq!(world.word(&engine), "allow");
    world.circumstances.calls_left = Some(2);
    assert_eq!(world.word(&engine), "forbidden");
    world.circumstances = Circumstances { depth: 3, calls_left: None, ..world.circumstances };
    assert_eq!(world.word(&engine), "forbidden");
    world.circumstances.depth = 2;
    assert_eq!(world.word(&engine), "allow");
    world.person = None;
    assert_eq!(world.word(&engine), "forbidden");
}

#[test]
fn an_explanation_names_what_was_read() {
    let text = r#"@id("limit") forbid (principal is Agent, action == Action::"crm/refund", resource)
        when { context.arguments.amount.greaterThan(decimal("10.0")) && context.task.depth > 0 && resource.name != "" };"#;
    let decision = World::new().ask(&engine(&[text]));
    let forbids = &decision.reasons().verdicts[1].forbids;
    assert_eq!(forbids[0].reads(), ["context.arguments.amount", "context.task.depth", "resource.name"]);
    assert_eq!((forbids[0].source(), forbids[0].line()), ("p0", 1));
}

#[test]
fn an_engine_is_shared_and_a_decision_travels() {
    fn travels<T: Send + Sync>() {}
    travels::<crate::Engine>();
    travels::<Subject>();
    travels::<Decision>();
    travels::<crate::Permit>();
}
