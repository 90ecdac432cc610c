//! Policies that users write, in Cedar.
//!
//! A policy enters only when the whole set, with it, compiles and validates against the catalogue; a set that
//! fails leaves the present one standing.

use base::{Error, EventKind, PolicyId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::Snapshot,
};

/// The kind of policies.
#[derive(Debug)]
pub struct Rule;

/// What a document says about a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// What it is for.
    pub description: String,
    /// Cedar text; may hold several policies.
    pub text: String,
}

/// A policy as stored; nothing in it is a reference.
pub type RuleBody = RuleSpec;

impl Kind for Rule {
    const KIND: &'static str = "Policy";
    const PLURAL: &'static str = "policies";
    const SQL: Statements = statements!("policy");
    const CREATED: EventKind = EventKind::PolicyStored;
    const UPDATED: EventKind = EventKind::PolicyStored;
    const DELETED: Option<EventKind> = Some(EventKind::PolicyDeleted);

    type Id = PolicyId;
    type Spec = RuleSpec;
    type Body = RuleBody;

    fn resolve(
        mut spec: RuleSpec,
        _before: Option<&Thing<Self>>,
        _known: &Snapshot,
        _now: Timestamp,
    ) -> Result<RuleBody, Error> {
        spec.description = line("description", &spec.description)?;
        Ok(spec)
    }

    fn spec(body: &RuleBody, _known: &Snapshot) -> RuleSpec {
        body.clone()
    }

    fn facts(body: &RuleBody) -> serde_json::Value {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.text.as_bytes());
        serde_json::json!({ "sha256": hex::encode(digest) })
    }
}
