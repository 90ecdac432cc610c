//! What a decision is made from.

use base::Timestamp;

use crate::{Act, EntityRef, Prepared, Scope, Subject};

/// Everything that one decision needs. Nothing else is looked up.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The exact act.
    pub act: &'a Act,
    /// The digest of the exact act: tool, definition, canonical arguments, chain of principals, task. An allow, the
    /// record's receipt and a lift must all carry this digest.
    pub digest: [u8; 32],
    /// The person behind the task; `None` when the agent acts for itself.
    pub person: Option<&'a Subject>,
    /// The agent (or workload) that acts.
    pub agent: &'a Subject,
    /// The roles that cover this act on its target, as entities of kind [`crate::EntityKind::RoleOn`]: the roles on
    /// the target and on what contains it whose rules include the act. Whoever belongs to one of them is granted it.
    pub roles: &'a [EntityRef],
    /// What the task covers: its own scope first, then each ancestor's up to the root.
    pub scopes: &'a [&'a Scope],
    /// The circumstances.
    pub circumstances: &'a Circumstances,
    /// Confirmations, approvals and sign-ins that exist for this act.
    pub lifted: &'a [Lift],
    /// What was prepared for earlier questions of these principals and this target; the answer is the same without it.
    pub prepared: Option<&'a Prepared>,
}

impl Circumstances {
    /// Circumstances with every member.
    pub(crate) fn sample() -> Self {
        let (now, purpose) = (Timestamp::default(), String::new());
        Self { now, purpose, depth: 1, calls_left: Some(1), bytes_left: Some(1), acr: Some(String::new()) }
    }
}

/// The circumstances of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// The instant of the decision.
    pub now: Timestamp,
    /// The stated purpose of the task.
    pub purpose: String,
    /// The depth of the task in its tree, counted from the root's 1.
    pub depth: u32,
    /// How many calls the task may still make, this one included, by the tightest limit of its chain; `None` is
    /// without a limit. As the deciding node knows it, which may lag behind other nodes; the limit itself is held where
    /// the intent is recorded. Nothing left is a denial.
    pub calls_left: Option<u64>,
    /// How many bytes may still flow in either direction, known in the same way; `None` is without a limit.
    pub bytes_left: Option<u64>,
    /// The authentication context class (OpenID Connect Core, section 2, `acr`) of the person's sign-in, if there
    /// was one.
    pub acr: Option<String>,
}

/// A confirmation, an approval or a stronger sign-in that takes one annotated `forbid` out of the way of one exact
/// act.
///
/// SECURITY: it lifts only the rule with this id and this very text, for the act with this digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lift {
    /// The rule's id.
    pub rule: String,
    /// The SHA-256 of the rule's text.
    pub rule_hash: [u8; 32],
    /// The digest of the act.
    pub digest: [u8; 32],
}
