//! What a policy says that is well-formed and probably not meant. None of it is refused: a principal that a policy
//! names may come tomorrow, and somebody may want to permit everything.

use std::collections::BTreeSet;

use cedar_policy_core::{
    ast::{self, ActionConstraint, EntityReference, ExprKind, PrincipalOrResourceConstraint},
    parser::parse_policyset,
};

use crate::{EntityKind, EntityRef};

/// What is doubtful about a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It permits every act of these principals: `every Agent`, `Agent::"ada"`, `every Agent in AgentGroup::"ops"`.
    PermitsEverything(String),
    /// It names this entity, which may not exist.
    Names(EntityRef),
}

/// Whether a text is well-formed and holds no policy at all.
pub fn is_without_policies(text: &str) -> bool {
    parse_policyset(text).is_ok_and(|set| set.policies().next().is_none() && set.templates().next().is_none())
}

/// What is doubtful about a text: each thing once, those that permit everything first. Nothing where it cannot be
/// read, since that is refused elsewhere.
pub fn doubts(text: &str) -> Vec<Doubt> {
    let Ok(set) = parse_policyset(text) else { return Vec::new() };
    let mut wide = BTreeSet::new();
    let mut named = BTreeSet::new();
    for policy in set.policies() {
        wide.extend(permits_everything_of(policy));
        named.extend(entities(&policy.condition()));
    }
    let named = named.into_iter().map(|(kind, id)| Doubt::Names(EntityRef::new(kind, &id)));
    wide.into_iter().map(Doubt::PermitsEverything).chain(named).collect()
}

/// Whose every act a policy permits, if it does.
fn permits_everything_of(policy: &ast::Policy) -> Option<String> {
    let unconditional = policy
        .non_scope_constraints()
        .is_none_or(|when| matches!(when.expr_kind(), ExprKind::Lit(ast::Literal::Bool(true))));
    let anything = *policy.action_constraint() == ActionConstraint::Any
        && *policy.resource_constraint().as_inner() == PrincipalOrResourceConstraint::Any;
    if policy.effect() != ast::Effect::Permit || !unconditional || !anything {
        return None;
    }
    Some(match policy.principal_constraint().as_inner() {
        PrincipalOrResourceConstraint::Eq(EntityReference::EUID(uid)) => uid.to_string(),
        PrincipalOrResourceConstraint::Is(ty) => format!("every {ty}"),
        PrincipalOrResourceConstraint::IsIn(ty, EntityReference::EUID(uid)) => format!("every {ty} in {uid}"),
        _ => "everybody".to_owned(),
    })
}

/// The entities that an expression names; actions are no matter of doubt, they are checked against the schema.
fn entities(condition: &ast::Expr) -> BTreeSet<(EntityKind, String)> {
    let named = condition.subexpressions().filter_map(|expr| match expr.expr_kind() {
        ExprKind::Lit(ast::Literal::EntityUID(uid)) => {
            let kind = EntityKind::parse(&uid.entity_type().to_string())?;
            let id: &str = uid.eid().as_ref();
            Some((kind, id.to_owned()))
        }
        _ => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::{Doubt, doubts, is_without_policies};

    fn wide(text: &str) -> Vec<String> {
        let found = doubts(text).into_iter().filter_map(|doubt| match doubt {
            Doubt::PermitsEverything(who) => Some(who),
            Doubt::Names(_) => None,
        });
        found.collect()
    }

    #[test]
    fn a_permit_of_everything_is_seen() {
        assert_eq!(wide("permit (principal is Agent, action, resource);"), ["every Agent"]);
        assert_eq!(wide("permit (principal is Agent, action, resource) when { true };"), ["every Agent"]);
        assert_eq!(
            wide(
                "permit (principal == Agent::\"ada\", action, resource);\nforbid (principal, action, resource);"
            ),
            ["Agent::\"ada\""]
        );
        assert_eq!(
            wide("permit (principal is Person in PersonGroup::\"ops\", action, resource);"),
            ["every Person in PersonGroup::\"ops\""]
        );
        for narrower in [
            "permit (principal is Agent, action, resource) when { principal in resource.roles };",
            "permit (principal is Agent, action == Action::\"list\", resource);",
            "permit (principal is Agent, action, resource is Tool);",
            "permit (principal is Agent, action, resource in Server::\"shop\");",
            "forbid (principal is Agent, action, resource);",
            "permit (",
        ] {
            assert!(wide(narrower).is_empty(), "{narrower}");
        }
    }

    #[test]
    fn every_name_is_seen_once() {
        let text = "forbid (principal == Agent::\"ada\", action == Action::\"shop/refund\", resource in Server::\"shop\")
            when { principal in AgentGroup::\"ops\" || principal == Agent::\"ada\" };";
        let named: Vec<String> = doubts(text)
            .into_iter()
            .map(|doubt| match doubt {
                Doubt::Names(entity) => entity.to_string(),
                Doubt::PermitsEverything(who) => who,
            })
            .collect();
        assert_eq!(named, ["Agent::\"ada\"", "AgentGroup::\"ops\"", "Server::\"shop\""]);
    }

    #[test]
    fn a_text_without_policies_is_seen() {
        for empty in ["", "  \n", "// later\n"] {
            assert!(is_without_policies(empty), "{empty:?}");
        }
        for other in ["permit (principal is Agent, action, resource);", "permit ("] {
            assert!(!is_without_policies(other), "{other:?}");
        }
    }
}
