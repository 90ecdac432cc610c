//! Narrowing: whether one scope lies within another.

use super::{Constraint, Exact, ResourceRule, Rule, Scope, ToolRule, UriRule};
use crate::{Effect, act::shorten};

/// Where a child would be wider than its parent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is wider than the parent: {why}")]
pub struct Wider {
    /// Which field of the child, for example `tools[2]`.
    pub field: String,
    /// What the parent does not cover.
    pub why: String,
}

impl Scope {
    /// Whether every act that `self` covers at any time is also covered by `parent`.
    ///
    /// Sound, and complete as long as each rule of the child lies, effect by effect, within one rule of the parent.
    pub fn is_within(&self, parent: &Self) -> Result<(), Wider> {
        if self.deadline > parent.deadline {
            return Err(Wider {
                field: "deadline".to_owned(),
                why: format!("the parent ends at {}, the child at {}", parent.deadline, self.deadline),
            });
        }
        for (at, rule) in self.tools.iter().enumerate() {
            rule.is_within(&parent.tools).map_err(|why| Wider { field: format!("tools[{at}]"), why })?;
        }
        for (at, rule) in self.resources.iter().enumerate() {
            if !parent.resources.iter().any(|wide| rule.is_within(wide)) {
                let (UriRule::Exact(uri) | UriRule::Prefix(uri)) = &rule.uri;
                let why = format!("no rule of the parent covers `{}`", shorten(uri));
                return Err(Wider { field: format!("resources[{at}]"), why });
            }
        }
        for (at, rule) in self.prompts.iter().enumerate() {
            let within = parent
                .prompts
                .iter()
                .any(|wide| rule.server.is_within(&wide.server) && rule.prompt.is_within(&wide.prompt));
            if !within {
                let why = format!("no rule of the parent covers prompt `{}`", shorten(rule.prompt.as_str()));
                return Err(Wider { field: format!("prompts[{at}]"), why });
            }
        }
        Ok(())
    }
}

impl ToolRule {
    /// Effect by effect, because a child may name several effects that the parent grants in several rules.
    fn is_within(&self, parent: &[Self]) -> Result<(), String> {
        let name = || format!("`{}/{}`", shorten(self.server.as_str()), shorten(self.tool.as_str()));
        for effect in Effect::ALL.into_iter().filter(|&effect| self.has_effect(effect)) {
            let named: Vec<&Self> = parent.iter().filter(|wide| self.names_within(wide, effect)).collect();
            if named.is_empty() {
                return Err(format!("no rule of the parent covers {} with effect `{effect}`", name()));
            }
            if !named.iter().any(|wide| wide.constraints.iter().all(|outer| self.implies(outer))) {
                let outer =
                    named.iter().flat_map(|wide| &wide.constraints).find(|outer| !self.implies(outer));
                return Err(outer.map_or_else(
                    || format!("no rule of the parent covers {}", name()),
                    |outer| format!("the parent wants `{}` to be {}", shorten(&outer.argument), outer.rule),
                ));
            }
        }
        Ok(())
    }

    fn names_within(&self, wide: &Self, effect: Effect) -> bool {
        self.server.is_within(&wide.server) && self.tool.is_within(&wide.tool) && wide.has_effect(effect)
    }

    /// Whether what satisfies all our constraints satisfies `outer`.
    fn implies(&self, outer: &Constraint) -> bool {
        self.constraints
            .iter()
            .any(|inner| inner.argument == outer.argument && inner.rule.implies(&outer.rule))
    }
}

impl ResourceRule {
    fn is_within(&self, wide: &Self) -> bool {
        self.server.is_within(&wide.server)
            && match (&self.uri, &wide.uri) {
                (UriRule::Exact(uri), _) => wide.covers(wide.server.as_str(), uri),
                (UriRule::Prefix(inner), UriRule::Prefix(outer)) => inner.starts_with(outer.as_str()),
                (UriRule::Prefix(_), UriRule::Exact(_)) => false,
            }
    }
}

impl Rule {
    /// Whether every value that `self` admits is admitted by `outer`.
    pub(super) fn implies(&self, outer: &Self) -> bool {
        match (self, outer) {
            (Self::Absent, Self::Absent) => true,
            // A value that is there and one that is not have nothing in common.
            (Self::Absent, _) | (_, Self::Absent) => false,
            // The inner rule is a plain list: try each.
            (Self::OneOf(choices), _) => choices.iter().all(|choice| outer.admits(choice)),
            (Self::Range { min, max }, Self::Range { min: least, max: most }) => {
                bounded(least.as_ref(), |least| min.as_ref().is_some_and(|min| min >= least))
                    && bounded(most.as_ref(), |most| max.as_ref().is_some_and(|max| max <= most))
            }
            (Self::Prefix(inner), Self::Prefix(outer)) => inner.starts_with(outer.as_str()),
            (Self::MaxLength(inner), Self::MaxLength(outer)) => inner <= outer,
            (Self::Each(inner), Self::Each(outer)) => inner.implies(outer),
            _ => false,
        }
    }
}

fn bounded(bound: Option<&Exact>, holds: impl Fn(&Exact) -> bool) -> bool {
    bound.is_none_or(holds)
}
