//! What a task covers.
//!
//! A scope is the task's own, plain statement of authority: which tools with which arguments, which resources,
//! which prompts, until when. It is evaluated beside policy at every call, for the task and for each of its
//! ancestors, and a child's scope must lie within its parent's when the child is made.
//!
//! INVARIANT: [`Scope::is_within`] never says yes when the child could cover an act that the parent does not. It
//! may say no to a child that is in fact narrower when that can only be seen by combining several parent rules.

mod constraint;
mod pattern;
mod within;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use base::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::{
    constraint::{Constraint, Exact, Rule},
    pattern::Pattern,
    within::Wider,
};
use crate::{Act, ActKind, Effect, act::shorten};

/// What a task covers. Covers nothing that no rule names, and nothing at all from its deadline on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Tools that may be called.
    #[serde(default)]
    pub tools: Vec<ToolRule>,
    /// Resources that may be read.
    #[serde(default)]
    pub resources: Vec<ResourceRule>,
    /// Prompts that may be got.
    #[serde(default)]
    pub prompts: Vec<PromptRule>,
    /// The instant from which nothing is covered any more, in milliseconds since 1970.
    pub deadline: Timestamp,
}

/// Some tools, with what their arguments must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRule {
    /// The server, or `*`.
    pub server: Pattern,
    /// The tool, or `*`.
    pub tool: Pattern,
    /// Only tools with one of these effects; absent is any effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effects: Option<BTreeSet<Effect>>,
    /// All of these must be satisfied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
}

/// Some resources of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceRule {
    /// The server, or `*`.
    pub server: Pattern,
    /// Which resources.
    pub uri: UriRule,
}

/// Resources by URI, compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UriRule {
    /// This resource.
    Exact(String),
    /// Every resource whose URI begins like this and has no `..` path segment. End it with `/`: `file:///a` also
    /// covers `file:///abc`.
    Prefix(String),
}

/// A prompt of a server, or all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptRule {
    /// The server, or `*`.
    pub server: Pattern,
    /// The prompt, or `*`.
    pub prompt: Pattern,
}

/// Why a scope does not cover an act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotCovered {
    /// Whether it would have been covered before the deadline.
    pub expired: bool,
    /// What is missing, for the caller.
    pub why: String,
    /// What would help.
    pub help: String,
}

/// Why a scope is not well-formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct ScopeError {
    /// Which field, for example `tools[2].constraints[0].argument`.
    pub field: String,
    /// What is wrong and what is right.
    pub why: String,
}

impl Scope {
    /// The most rules of each kind.
    pub const RULES_MAX: usize = 256;
    /// The most constraints of a rule, and the most choices of a constraint.
    pub const CONSTRAINTS_MAX: usize = 256;
    /// The deepest nesting of [`Rule::Each`].
    pub const NESTING_MAX: usize = 8;

    /// A scope that covers nothing.
    pub const fn nothing(deadline: Timestamp) -> Self {
        Self { tools: Vec::new(), resources: Vec::new(), prompts: Vec::new(), deadline }
    }

    /// A scope of all tools with some effects; with `read` also of all resources and prompts, which are read.
    pub fn of_effects(effects: BTreeSet<Effect>, deadline: Timestamp) -> Self {
        let mut scope = Self::nothing(deadline);
        if effects.contains(&Effect::Read) {
            let uri = UriRule::Prefix(String::new());
            scope.resources.push(ResourceRule { server: Pattern::Any, uri });
            scope.prompts.push(PromptRule { server: Pattern::Any, prompt: Pattern::Any });
        }
        if !effects.is_empty() {
            let (server, tool) = (Pattern::Any, Pattern::Any);
            scope.tools.push(ToolRule { server, tool, effects: Some(effects), constraints: Vec::new() });
        }
        scope
    }

    /// The effects of a scope that [`of_effects`](Self::of_effects) could have made.
    pub fn by_effects(&self) -> Option<BTreeSet<Effect>> {
        let effects = self.tools.first()?.effects.clone()?;
        (Self::of_effects(effects.clone(), self.deadline) == *self).then_some(effects)
    }

    /// Whether the scope is within its bounds and each constraint can be checked.
    pub fn check(&self) -> Result<(), ScopeError> {
        let error = |field: String, why: &str| Err(ScopeError { field, why: why.to_owned() });
        for (field, count) in [
            ("tools", self.tools.len()),
            ("resources", self.resources.len()),
            ("prompts", self.prompts.len()),
        ] {
            if count > Self::RULES_MAX {
                return error(field.to_owned(), "has more than 256 rules: use fewer, or `*`");
            }
        }
        for (at, rule) in self.tools.iter().enumerate() {
            if rule.constraints.len() > Self::CONSTRAINTS_MAX {
                return error(format!("tools[{at}].constraints"), "has more than 256 entries");
            }
            for (nth, constraint) in rule.constraints.iter().enumerate() {
                let field = format!("tools[{at}].constraints[{nth}]");
                if !constraint::is_pointer(&constraint.argument) {
                    return error(
                        format!("{field}.argument"),
                        "is not a JSON Pointer: begin it with `/`, for example `/amount`",
                    );
                }
                if let Some(why) = constraint.rule.flaw(0) {
                    return error(format!("{field}.rule"), why);
                }
            }
        }
        Ok(())
    }

    /// Whether the scope covers `act` at `now`.
    pub fn covers(&self, act: &Act, now: Timestamp) -> Result<(), NotCovered> {
        // The deadline first: an ended task says nothing about what it used to cover.
        if now >= self.deadline {
            return Err(NotCovered {
                expired: true,
                why: format!("the task ended at {}", self.deadline),
                help: "start a new task".to_owned(),
            });
        }
        let server = act.server.as_str();
        let covered = match &act.kind {
            ActKind::Tool { name, effect, .. } => return self.covers_tool(act, name, *effect),
            ActKind::Resource { uri } => self.resources.iter().any(|rule| rule.covers(server, uri)),
            ActKind::Prompt { name } => {
                self.prompts.iter().any(|rule| rule.server.matches(server) && rule.prompt.matches(name))
            }
            ActKind::Open | ActKind::List => self.names_server(server),
        };
        if covered { Ok(()) } else { Err(outside(act)) }
    }

    /// Whether the scope covers `act` with some arguments: what a list may show.
    pub fn mentions(&self, act: &Act, now: Timestamp) -> bool {
        match &act.kind {
            ActKind::Tool { name, effect, .. } => {
                now < self.deadline
                    && self.tools.iter().any(|rule| rule.names(act.server.as_str(), name, *effect))
            }
            ActKind::Resource { .. } | ActKind::Prompt { .. } | ActKind::Open | ActKind::List => {
                self.covers(act, now).is_ok()
            }
        }
    }

    fn covers_tool(&self, act: &Act, name: &str, effect: Effect) -> Result<(), NotCovered> {
        let mut unsatisfied = None;
        for rule in self.tools.iter().filter(|rule| rule.names(act.server.as_str(), name, effect)) {
            match rule.constraints.iter().find(|constraint| !constraint.is_satisfied_by(&act.arguments)) {
                None => return Ok(()),
                Some(constraint) => unsatisfied = unsatisfied.or(Some(constraint)),
            }
        }
        Err(unsatisfied.map_or_else(
            || outside(act),
            |constraint| NotCovered {
                expired: false,
                why: format!(
                    "the task covers {} only when `{}` is {}",
                    act.describe(),
                    shorten(&constraint.argument),
                    constraint.rule
                ),
                help: format!(
                    "call it with such a `{}`, or ask for a task with wider arguments",
                    shorten(&constraint.argument)
                ),
            },
        ))
    }

    /// Whether some rule can cover something at this server: enough to open a session and to list.
    fn names_server(&self, server: &str) -> bool {
        let tool = |rule: &ToolRule| rule.server.matches(server) && !rule.covers_no_effect();
        self.tools.iter().any(tool)
            || self.resources.iter().any(|rule| rule.server.matches(server))
            || self.prompts.iter().any(|rule| rule.server.matches(server))
    }
}

impl ToolRule {
    /// Whether the rule is about this tool, whatever the arguments.
    fn names(&self, server: &str, tool: &str, effect: Effect) -> bool {
        self.server.matches(server) && self.tool.matches(tool) && self.has_effect(effect)
    }

    fn has_effect(&self, effect: Effect) -> bool {
        self.effects.as_ref().is_none_or(|effects| effects.contains(&effect))
    }

    fn covers_no_effect(&self) -> bool {
        self.effects.as_ref().is_some_and(BTreeSet::is_empty)
    }
}

impl ResourceRule {
    fn covers(&self, server: &str, uri: &str) -> bool {
        self.server.matches(server)
            && match &self.uri {
                UriRule::Exact(exact) => exact == uri,
                UriRule::Prefix(prefix) => uri.starts_with(prefix.as_str()) && constraint::stays_inside(uri),
            }
    }
}

impl Rule {
    /// What is wrong with the rule itself.
    fn flaw(&self, depth: usize) -> Option<&'static str> {
        match self {
            Self::OneOf(choices) if choices.len() > Scope::CONSTRAINTS_MAX => {
                Some("has more than 256 choices")
            }
            Self::Range { min: Some(min), max: Some(max) } if min > max => {
                Some("has a `min` above its `max`")
            }
            Self::Each(_) if depth >= Scope::NESTING_MAX => Some("nests `each` more than 8 deep"),
            Self::Each(rule) => rule.flaw(depth + 1),
            _ => None,
        }
    }
}

fn outside(act: &Act) -> NotCovered {
    NotCovered {
        expired: false,
        why: format!("the task does not cover {}", act.describe()),
        help: "use what the task covers, or ask for a task that covers this".to_owned(),
    }
}
