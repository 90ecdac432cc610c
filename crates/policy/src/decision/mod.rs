//! What a decision says.
//!
//! INVARIANT: an [`Allow`] is made in one place only, at the end of [`crate::Engine::decide`], and a [`Permit`]
//! only from an allow and the receipt of its durable record, or the promise of one for an act that only reads. Neither has a default, a public constructor, a
//! conversion or a copy.

mod denial;
mod permit;
mod reasons;

pub(crate) use self::{denial::Cause, reasons::RuleInfo};
pub use self::{
    denial::{Answer, Denial, DenialCode, Way},
    permit::{Mismatch, Permit},
    reasons::{Reasons, RuleRef, ScopeVerdict, Verdict},
};

/// The four answers.
///
/// ```compile_fail,E0599
/// let decision = policy::Decision::default();
/// ```
///
/// ```compile_fail,E0277
/// let decision: policy::Decision = true.into();
/// ```
#[derive(Debug)]
#[must_use = "an act may only go on with the allow that is in here"]
pub enum Decision {
    /// Go on, once the record is durable.
    Allow(Allow),
    /// The person must sign in more strongly first.
    StepUp(StepUp),
    /// Somebody must say yes first.
    Pending(Pending),
    /// No.
    Deny(Denial),
}

/// The right to do one exact act, as soon as its record is durable, or promised where it only reads.
///
/// ```compile_fail,E0451
/// // There is no way to make one but to ask the engine.
/// let allow = policy::Allow { digest: [0; 32], only_reads: true, reasons: policy::Reasons::default() };
/// ```
///
/// ```compile_fail,E0599
/// fn twice(allow: policy::Allow) -> (policy::Allow, policy::Allow) {
///     (allow.clone(), allow)
/// }
/// ```
#[derive(Debug)]
#[must_use = "an allow that no permit is made from is a decision that nobody acts on"]
pub struct Allow {
    digest: [u8; 32],
    only_reads: bool,
    reasons: Reasons,
}

impl Allow {
    /// SECURITY: only the end of `Engine::decide` calls this.
    pub(crate) const fn new(digest: [u8; 32], only_reads: bool, reasons: Reasons) -> Self {
        Self { digest, only_reads, reasons }
    }

    /// The digest of the act that is allowed.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What it rests on.
    pub const fn reasons(&self) -> &Reasons {
        &self.reasons
    }
}

/// The act would be allowed after a stronger sign-in (RFC 9470), and after what else is listed.
#[derive(Debug)]
pub struct StepUp {
    /// The authentication context class that is asked for.
    pub acr: String,
    /// Everything that stands in the way, this sign-in among it.
    pub obstacles: Vec<Obstacle>,
    /// What it rests on.
    pub reasons: Reasons,
}

/// The act would be allowed after what is listed.
#[derive(Debug)]
pub struct Pending {
    /// Everything that stands in the way; not empty.
    pub obstacles: Vec<Obstacle>,
    /// What it rests on.
    pub reasons: Reasons,
}

/// An annotated `forbid` that matches and has not been lifted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Obstacle {
    /// The rule.
    pub rule: RuleRef,
    /// What would lift it.
    pub need: Need,
}

/// What lifts an annotated `forbid`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Need {
    /// `@confirm`: the task's own person says yes to this act.
    Confirm,
    /// `@approval("chain")`: the approval chain of this name says yes to this act.
    Approval(String),
    /// `@step_up("acr")`: the person has signed in with this authentication context class.
    StepUp(String),
}

impl Decision {
    /// Whether it is an allow. For counters and tests; acting takes the [`Allow`] itself.
    pub const fn is_allow(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// The word of the decision in records: `allow`, `step_up`, `pending` or `deny`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::StepUp(_) => "step_up",
            Self::Pending(_) => "pending",
            Self::Deny(_) => "deny",
        }
    }

    /// What the decision rests on.
    pub const fn reasons(&self) -> &Reasons {
        match self {
            Self::Allow(allow) => &allow.reasons,
            Self::StepUp(step_up) => &step_up.reasons,
            Self::Pending(pending) => &pending.reasons,
            Self::Deny(denial) => &denial.reasons,
        }
    }
}
