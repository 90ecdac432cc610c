//! The decision: a pure function from a snapshot and a question to a verdict with reasons.
//!
//! A [`Question`] holds everything that counts: the exact act, the person and the agent with what they belong to,
//! the scopes of the task and of its ancestors, the circumstances. [`Engine`] answers with a [`Decision`]; only an
//! [`Allow`] together with the receipt of its durable record makes a [`Permit`], and only a permit is forwarded.
//!
//! What is absent on purpose: async, input and output, SQL, HTTP and the reading of a clock. The same question
//! put to the same engine always has the same answer.

#![warn(missing_docs)]

mod act;
mod decide;
mod decision;
mod engine;
mod prepared;
mod question;
mod scope;
mod subject;

pub use act::{Act, ActKind, Effect};
pub use decision::{
    Allow, Answer, Decision, Denial, DenialCode, Mismatch, Need, Obstacle, Pending, Permit, Reasons, RuleRef,
    ScopeVerdict, StepUp, Verdict, Way,
};
pub use engine::{
    AttributeType, Catalogue, Doubt, Engine, PolicyProblem, PolicySource, ToolDefinition, Vocabulary, doubts,
    is_without_policies, schema_text,
};
pub use prepared::Prepared;
pub use question::{Circumstances, Lift, Question};
pub use scope::{
    Constraint, Exact, NotCovered, Pattern, PromptRule, ResourceRule, Rule, Scope, ScopeError, ToolRule,
    UriRule, Wider,
};
pub use subject::{AttributeValue, EntityKind, EntityRef, Subject, SubjectError};
