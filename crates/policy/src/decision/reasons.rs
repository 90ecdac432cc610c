//! What a decision rests on, for the record and for `writ check --explain`.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// Why a decision is what it is. Made for operators and auditors; agents get a [`crate::Answer`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reasons {
    /// One per principal that was evaluated: the person, then the agent.
    pub verdicts: Vec<Verdict>,
    /// One per scope that was looked at: the task, then its ancestors.
    pub chain: Vec<ScopeVerdict>,
}

/// What the policies say about one principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The principal, in Cedar's form.
    pub principal: String,
    /// Permits that match.
    pub permits: Vec<RuleRef>,
    /// Plain forbids that match.
    pub forbids: Vec<RuleRef>,
    /// Forbids that need an argument whose value they cannot see exactly; they stop the act.
    pub blind: Vec<RuleRef>,
    /// Annotated forbids that match and are not lifted.
    pub obstacles: Vec<RuleRef>,
    /// Annotated forbids that match and are lifted for this act.
    pub lifted: Vec<RuleRef>,
    /// Policies that failed, with Cedar's message.
    pub errors: Vec<(RuleRef, String)>,
    /// The roles on the target that the principal holds.
    pub roles: Vec<String>,
    /// How many policies were candidates.
    pub candidates: usize,
}

/// What one scope of the chain says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeVerdict {
    /// How far up the chain: 0 is the task's own scope.
    pub ancestor: usize,
    /// Why it does not cover the act; `None` when it does.
    pub uncovered: Option<String>,
}

/// A policy that took part in a decision.
#[derive(Clone, PartialEq, Eq)]
pub struct RuleRef(pub(crate) Arc<RuleInfo>);

/// What is known of a policy beside its condition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RuleInfo {
    pub(crate) id: String,
    pub(crate) hash: [u8; 32],
    pub(crate) line: usize,
    pub(crate) source: String,
    pub(crate) reads: Vec<String>,
}

impl RuleRef {
    /// The policy's `@id`.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The SHA-256 of the policy's text.
    pub fn hash(&self) -> &[u8; 32] {
        &self.0.hash
    }

    /// The source that holds it.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The line of the source at which it begins, counted from 1.
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The attributes that it reads, for example `context.arguments.amount`, sorted.
    pub fn reads(&self) -> &[String] {
        &self.0.reads
    }
}

impl fmt::Debug for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.id)
    }
}

impl Serialize for RuleRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.id)
    }
}
