//! Which policies can match a request, without looking at the others.

use std::collections::HashMap;

use cedar_policy_core::ast::{Entity, EntityUID};

use super::rule::{ActionScope, Near, Rule};

/// Policies by the most telling part of their scope.
///
/// Each policy stands under one dimension only: the one whose keys it shares with the fewest other policies. A look-up
/// visits the keys that a request has (the principal and what it belongs to, the action and its groups, the resource
/// and its server), so its cost does not grow with policies about other things.
///
/// INVARIANT: every policy whose scope admits a request is among its candidates.
#[derive(Debug, Default)]
pub(crate) struct Index {
    by_principal: HashMap<EntityUID, Vec<usize>>,
    by_action: HashMap<EntityUID, Vec<usize>>,
    by_resource: HashMap<EntityUID, Vec<usize>>,
    anywhere: Vec<usize>,
}

impl Index {
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut crowd = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            crowd.add_principal(rule, at);
            crowd.add_resource(rule, at);
            crowd.add_action(rule, at);
        }
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            let principal = crowd.principal_crowd(rule);
            let resource = crowd.resource_crowd(rule);
            let action = crowd.action_crowd(rule);
            match [principal, resource, action].into_iter().flatten().min() {
                None => index.anywhere.push(at),
                least if least == principal => index.add_principal(rule, at),
                least if least == resource => index.add_resource(rule, at),
                _ => index.add_action(rule, at),
            }
        }
        index
    }

    /// The positions of the policies that can match, ascending.
    pub(crate) fn candidates(
        &self,
        rules: &[Rule],
        principal: &Entity,
        action: &Entity,
        resource: &Entity,
    ) -> Vec<usize> {
        let mut found = self.anywhere.clone();
        collect(&self.by_principal, principal, &mut found);
        collect(&self.by_action, action, &mut found);
        collect(&self.by_resource, resource, &mut found);
        found.retain(|&at| rules[at].scope.admits(principal, action, resource));
        // A policy on several actions may have been found under two of them.
        found.sort_unstable();
        found.dedup();
        found
    }

    fn add_principal(&mut self, rule: &Rule, at: usize) {
        if let Some(uid) = rule.scope.principal.uid() {
            self.by_principal.entry(uid.clone()).or_default().push(at);
        }
    }

    fn add_resource(&mut self, rule: &Rule, at: usize) {
        if let Some(uid) = rule.scope.resource.uid() {
            self.by_resource.entry(uid.clone()).or_default().push(at);
        }
    }

    fn add_action(&mut self, rule: &Rule, at: usize) {
        for uid in rule.scope.action.uids() {
            self.by_action.entry(uid.clone()).or_default().push(at);
        }
    }

    fn principal_crowd(&self, rule: &Rule) -> Option<usize> {
        rule.scope.principal.uid().map(|uid| self.by_principal.get(uid).map_or(0, Vec::len))
    }

    fn resource_crowd(&self, rule: &Rule) -> Option<usize> {
        rule.scope.resource.uid().map(|uid| self.by_resource.get(uid).map_or(0, Vec::len))
    }

    fn action_crowd(&self, rule: &Rule) -> Option<usize> {
        let uids = rule.scope.action.uids();
        if uids.is_empty() && matches!(rule.scope.action, ActionScope::Any) {
            return None;
        }
        Some(uids.iter().map(|uid| self.by_action.get(uid).map_or(0, Vec::len)).sum())
    }
}

impl Near {
    const fn uid(&self) -> Option<&EntityUID> {
        match self {
            Self::Anywhere => None,
            Self::Is(uid) | Self::In(uid) => Some(uid),
        }
    }
}

impl ActionScope {
    fn uids(&self) -> &[EntityUID] {
        match self {
            Self::Any => &[],
            Self::Is(uid) => std::slice::from_ref(uid),
            Self::In(uids) => uids,
        }
    }
}

/// Adds what stands under the entity and under everything above it.
fn collect(by: &HashMap<EntityUID, Vec<usize>>, entity: &Entity, found: &mut Vec<usize>) {
    if by.is_empty() {
        return;
    }
    found.extend(by.get(entity.uid()).into_iter().flatten());
    // A principal may hold thousands of roles while few policies name any: walk the shorter of the two.
    if entity.ancestors().nth(by.len()).is_some() {
        for (uid, rules) in by {
            if entity.is_descendant_of(uid) {
                found.extend(rules);
            }
        }
    } else {
        for uid in entity.ancestors() {
            found.extend(by.get(uid).into_iter().flatten());
        }
    }
}
