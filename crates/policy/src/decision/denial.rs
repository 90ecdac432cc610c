//! Denials, and the answer that a model reads.

use base::{Class, DecisionId};
use serde::Serialize;

use super::{Decision, Need, Obstacle, Reasons, RuleRef};

macro_rules! denial_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $class:ident;)*) => {
        /// Why an act is denied. The texts are stable: they stand in records, answers and documentation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DenialCode { $($(#[$doc])* $variant,)* }

        impl DenialCode {
            /// All codes, in the order in which they are looked for.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Which kind of "no".
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

denial_codes! {
    /// The agent, the person behind it or the agent's owner is not active.
    PrincipalInactive = "principal_inactive", Denied;
    /// The act belongs to no task.
    NoTask = "no_task", Denied;
    /// The task, or one above it, has reached its deadline.
    TaskExpired = "task_expired", Denied;
    /// The task, or one above it, does not cover the act.
    TaskScope = "task_scope", Denied;
    /// The task has used up its calls or bytes.
    LimitReached = "limit_reached", Limited;
    /// There is no such server, tool, resource or prompt in the catalogue.
    UnknownTarget = "unknown_target", Missing;
    /// The definition of the tool is not the pinned one.
    DefinitionChanged = "definition_changed", Denied;
    /// The arguments do not fit the tool's pinned schema.
    ArgumentsInvalid = "arguments_invalid", Invalid;
    /// A policy needs an argument whose value policies cannot read exactly.
    ArgumentUnreadable = "argument_unreadable", Denied;
    /// A policy failed, or the request could not be evaluated. Raises an alarm.
    PolicyError = "policy_error", Fault;
    /// A policy forbids it.
    Forbidden = "forbidden", Denied;
    /// Nothing permits it: the principal has no grant.
    NotGranted = "not_granted", Denied;
}

impl Serialize for DenialCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A "no".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why, as a stable code.
    pub code: DenialCode,
    /// Why, in words for the caller: no secrets, no names of other people.
    pub reason: String,
    /// The ids of the policies that decided, if any did.
    pub policies: Vec<String>,
    /// What the caller can do next.
    pub what_would_help: String,
    /// Whether an operator should look at it now.
    pub alarm: bool,
    /// What it rests on, for operators.
    pub reasons: Reasons,
}

/// Why an act is denied, before it is clear what else is to be reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    code: DenialCode,
    reason: String,
    what_would_help: String,
    policies: Vec<String>,
}

impl Cause {
    pub(crate) fn new(
        code: DenialCode,
        reason: impl Into<String>,
        what_would_help: impl Into<String>,
    ) -> Self {
        Self { code, reason: reason.into(), what_would_help: what_would_help.into(), policies: Vec::new() }
    }

    /// Our own failure, or a policy's: denied, and somebody must look.
    pub(crate) fn broken(why: &str) -> Self {
        Self::new(
            DenialCode::PolicyError,
            format!("no decision was possible: {why}"),
            "try again later; the operators have been told",
        )
    }

    /// The same, because of these policies.
    pub(crate) fn by<'a>(mut self, policies: impl IntoIterator<Item = &'a RuleRef>) -> Self {
        self.policies = policies.into_iter().map(|rule| rule.id().to_owned()).collect();
        self
    }

    pub(crate) fn into_denial(self, reasons: Reasons) -> Denial {
        let Self { code, reason, what_would_help, policies } = self;
        let alarm = matches!(code, DenialCode::PolicyError);
        Denial { code, reason, policies, what_would_help, alarm, reasons }
    }
}

/// What the caller may do to get further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Send the person here, then try the same act again.
    Url(String),
    /// Try again after so many seconds.
    RetryAfter(u32),
}

/// The denial contract: what a model, or a program, gets to read instead of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The stable code: a [`DenialCode`], or `step_up_required`, `confirmation_required`, `approval_required`.
    pub code: &'static str,
    /// Why.
    pub reason: String,
    /// The policies that decided, by id.
    #[serde(rename = "policy")]
    pub policies: Vec<String>,
    /// What to do next.
    pub what_would_help: String,
    /// Where somebody can say yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_url: Option<String>,
    /// After how many seconds it is worth trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// The decision, for asking about it.
    pub decision_id: DecisionId,
}

impl Decision {
    /// The answer for the caller; `None` for an allow.
    pub fn answer(&self, decision_id: DecisionId, way: Option<Way>) -> Option<Answer> {
        let (code, reason, policies, what_would_help) = match self {
            Self::Allow(_) => return None,
            Self::Deny(denial) => (
                denial.code.as_str(),
                denial.reason.clone(),
                denial.policies.clone(),
                denial.what_would_help.clone(),
            ),
            Self::StepUp(step_up) => (
                "step_up_required",
                format!("the person behind this task must sign in again with `{}`", step_up.acr),
                ids(&step_up.obstacles),
                "ask the person to sign in, then make the same call again, unchanged".to_owned(),
            ),
            Self::Pending(pending) => {
                let (code, who) = who_must_agree(&pending.obstacles);
                let help = "wait for the answer, then make the same call again, unchanged".to_owned();
                (code, format!("{who} must agree to this call first"), ids(&pending.obstacles), help)
            }
        };
        let (approval_url, retry_after) = match way {
            Some(Way::Url(url)) => (Some(url), None),
            Some(Way::RetryAfter(seconds)) => (None, Some(seconds)),
            None => (None, None),
        };
        Some(Answer { code, reason, policies, what_would_help, approval_url, retry_after, decision_id })
    }
}

fn ids(obstacles: &[Obstacle]) -> Vec<String> {
    obstacles.iter().map(|obstacle| obstacle.rule.id().to_owned()).collect()
}

fn who_must_agree(obstacles: &[Obstacle]) -> (&'static str, String) {
    let chains: Vec<&str> = obstacles
        .iter()
        .filter_map(
            |obstacle| if let Need::Approval(chain) = &obstacle.need { Some(chain.as_str()) } else { None },
        )
        .collect();
    if chains.is_empty() {
        ("confirmation_required", "the person behind this task".to_owned())
    } else {
        ("approval_required", format!("approval chain `{}`", chains.join("`, `")))
    }
}

#[cfg(test)]
mod tests {
    use super::DenialCode;

    #[test]
    fn codes_are_snake_case_and_distinct() {
        let mut texts: Vec<_> = DenialCode::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), DenialCode::ALL.len());
    }
}
