//! Each trap of Cedar that answers Allow, as a regression test: first that Cedar itself falls into it, then that the
//! engine does not.

use std::{collections::HashSet, str::FromStr};

use cedar_policy::{Authorizer, Context, Decision as Cedar, Entities, Entity, EntityUid, PolicySet, Request};

use super::{World, code, engine, problems, subject};
use crate::{AttributeValue, Decision, DenialCode, EntityKind, EntityRef, Subject};

/// What Cedar itself says, with only these entities in the store.
fn cedar(policies: &str, entities: Vec<Entity>) -> Cedar {
    let uid = |text: &str| EntityUid::from_str(text).unwrap();
    let request = Request::new(
        uid(r#"Agent::"bot""#),
        uid(r#"Action::"refund""#),
        uid(r#"Tool::"crm/refund""#),
        Context::empty(),
        None,
    )
    .unwrap();
    let entities = Entities::from_entities(entities, None).unwrap();
    Authorizer::new().is_authorized(&request, &PolicySet::from_str(policies).unwrap(), &entities).decision()
}

#[test]
fn a_forbid_that_errors_is_not_skipped() {
    let cedar_says = cedar(
        r"permit (principal, action, resource);
          forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };",
        vec![],
    );
    assert_eq!(cedar_says, Cedar::Allow, "the trap is gone: this test can go, too");

    let overflow = r#"@id("sum") forbid (principal is Agent, action == Action::"crm/refund", resource)
        when { context.arguments.order + 9223372036854775807 > 0 };"#;
    let decision = World::new().ask(&engine(&[overflow]));
    let Decision::Deny(denial) = &decision else { panic!("{decision:?}") };
    assert_eq!((denial.code, denial.alarm), (DenialCode::PolicyError, true));
    assert_eq!(denial.policies, ["sum"]);
    assert!(decision.reasons().verdicts[1].errors[0].1.contains("overflow"), "{:?}", decision.reasons());
}

#[test]
fn any_error_denies_also_that_of_a_permit_and_of_an_annotated_forbid() {
    for effect in ["permit", "@confirm forbid", "forbid"] {
        for principal in ["Agent", "Person"] {
            let text = format!(
                r#"{effect} (principal is {principal}, action == Action::"crm/refund", resource)
                   when {{ context.arguments.order * 9223372036854775807 == 3 }};"#
            );
            let decision = World::new().ask(&engine(&[&text]));
            assert_eq!(code(&decision), Some(DenialCode::PolicyError), "{text}");
        }
    }
}

#[test]
fn an_annotated_forbid_that_errors_denies_even_when_it_was_lifted() {
    let text = r#"@confirm forbid (principal is Agent, action == Action::"crm/refund", resource)
        when { context.arguments.order * 2 > 0 };"#;
    let engine = engine(&[text]);
    let mut world = World::new();
    let Decision::Pending(pending) = world.ask(&engine) else { panic!() };
    let rule = &pending.obstacles[0].rule;
    world.lifted =
        vec![crate::Lift { rule: rule.id().into(), rule_hash: *rule.hash(), digest: super::DIGEST }];
    assert_eq!(world.word(&engine), "allow");
    let world = world.with_arguments(r#"{"amount": 1, "order": 9223372036854775807}"#);
    assert_eq!(world.word(&engine), "policy_error");
}

#[test]
fn a_forbid_on_a_group_of_actions_matches() {
    let text =
        r#"permit (principal, action, resource); forbid (principal, action in Action::"write", resource);"#;
    assert_eq!(cedar(text, vec![]), Cedar::Allow, "without the action's entity");

    let forbid = r#"forbid (principal is Agent, action in [Action::"write", Action::"destroy"], resource);"#;
    assert_eq!(World::new().word(&engine(&[forbid])), "forbidden");
    let in_condition = r#"forbid (principal is Agent, action, resource) when { action in Action::"write" };"#;
    assert_eq!(World::new().word(&engine(&[in_condition])), "forbidden");
}

#[test]
fn an_action_that_equals_a_group_is_refused() {
    for text in [
        r#"forbid (principal is Agent, action == Action::"write", resource);"#,
        r#"forbid (principal is Agent, action, resource) when { action == Action::"write" };"#,
        r#"forbid (principal is Agent, action, resource) when { [Action::"write"].contains(action) };"#,
        r#"forbid (principal is Agent, action, resource) when { !(action in Action::"read") && Action::"send" != action };"#,
    ] {
        let found = problems(&[text]);
        assert!(found[0].help.contains("action in"), "{text}: {found:#?}");
    }
    let good = r#"forbid (principal is Agent, action, resource) when { !(action in [Action::"read", Action::"send"]) };"#;
    assert_eq!(World::new().word(&engine(&[good])), "forbidden");
}

#[test]
fn what_is_not_part_of_the_request_cannot_be_looked_into() {
    let text = r#"permit (principal, action, resource);
        forbid (principal, action, resource) when { Person::"ada" in PersonGroup::"support" };"#;
    let group = EntityUid::from_str(r#"PersonGroup::"support""#).unwrap();
    let ada = Entity::new_no_attrs(EntityUid::from_str(r#"Person::"ada""#).unwrap(), HashSet::from([group]));
    assert_eq!(cedar(text, vec![ada]), Cedar::Deny, "with her entity it matches");
    assert_eq!(cedar(text, vec![]), Cedar::Allow, "without it, it silently does not");

    let found = problems(&[r#"forbid (principal is Agent, action, resource)
        when { Person::"ada" in PersonGroup::"support" };"#]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].line, 2);
    let found = problems(&[r#"forbid (principal is Agent, action, resource)
        when { Person::"ada" has name && Person::"ada".name == "x" };"#]);
    assert!(!found.is_empty());
}

#[test]
fn a_permit_that_does_not_say_for_whom_is_refused() {
    for scope in ["principal", r#"principal in PersonGroup::"x""#, r#"principal in RoleOn::"x@y""#] {
        for effect in ["permit", "forbid"] {
            let found = problems(&[&format!("{effect} ({scope}, action, resource);")]);
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].help.contains("principal is Person"), "{found:#?}");
        }
    }
    assert_eq!(problems(&["permit (principal is PersonGroup, action, resource);"]).len(), 1);
}

#[test]
fn rules_for_persons_and_for_agents_are_apart() {
    let permit = "permit (principal is Person, action, resource);";
    let mut world = World::new();
    world.roles.clear();
    assert_eq!(world.word(&engine(&[permit])), "not_granted", "the agent is not permitted by it");
    let both = "permit (principal is Agent, action, resource);";
    assert_eq!(world.word(&engine(&[permit, both])), "allow");
}

#[test]
fn an_attribute_of_another_type_than_declared_denies() {
    let text = r#"forbid (principal is Agent, action, resource) when { principal has kind && principal.kind == "test" };"#;
    let engine = engine(&[text]);
    let mut world = World::new();
    let attributes = [("kind".to_owned(), AttributeValue::Texts(vec!["test".to_owned()]))].into();
    world.agent =
        Subject::new(EntityRef::new(EntityKind::Agent, "bot"), attributes, world.roles.clone(), true)
            .unwrap();
    assert_eq!(world.word(&engine), "policy_error");
}

#[test]
fn the_or_pattern_that_validation_refuses_has_an_if_that_works() {
    let condition = |text: &str| {
        format!(r#"forbid (principal is Agent, action == Action::"crm/refund", resource) when {{ {text} }};"#)
    };
    let found = problems(&[&condition(r#"!(context.arguments has note) || context.arguments.note == "x""#)]);
    assert_eq!(found.len(), 1);
    let good = condition(r#"if context.arguments has note then context.arguments.note == "x" else true"#);
    assert_eq!(World::new().word(&engine(&[&good])), "forbidden");
}

#[test]
fn an_entity_escape_in_an_argument_stays_a_text() {
    let text = r#"permit (principal is Agent, action == Action::"crm/find", resource)
        when { context.arguments has q && context.arguments.q == "x" };"#;
    let engine = engine(&[text]);
    let mut world = World::new();
    world.act = super::call(
        "crm",
        "find",
        crate::Effect::Read,
        r#"{"q": {"__entity": {"type": "Person", "id": "ada"}}}"#,
    );
    world.agent = subject(EntityKind::Agent, "bot", &[]);
    assert_eq!(world.word(&engine), "not_granted");
}
