//! Policies that users write, in Cedar.
//!
//! A policy enters only when the whole set, with it, compiles and validates against the catalogue; a set that
//! fails leaves the present one standing. What is well-formed and probably not meant is said to whoever stores it.

use base::{Class, Error, EventKind, PolicyId, Refuse, Timestamp};
use policy::{Doubt, EntityKind, EntityRef};
use serde::{Deserialize, Serialize};

use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::{MemberKind, line},
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

/// What a policy is refused for before the set is compiled.
#[derive(Debug, thiserror::Error)]
pub enum RuleRefusal {
    /// Nothing but white space and comments.
    #[error("`text` holds no policy")]
    Empty,
}

impl Refuse for RuleRefusal {
    fn class(&self) -> Class {
        Class::Invalid
    }

    fn code(&self) -> &'static str {
        "policy_empty"
    }

    fn help(&self) -> Option<String> {
        Some("write a `permit` or a `forbid`; to take a policy away, delete it".into())
    }
}

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
        if policy::is_without_policies(&spec.text) {
            return Err(RuleRefusal::Empty.into());
        }
        Ok(spec)
    }

    fn spec(body: &RuleBody, _known: &Snapshot) -> RuleSpec {
        body.clone()
    }

    fn warnings(body: &RuleBody, known: &Snapshot) -> Vec<String> {
        let said = policy::doubts(&body.text).into_iter().filter_map(|doubt| match doubt {
            Doubt::PermitsEverything(who) => {
                Some(format!("this permits every act of {who}, whatever is granted"))
            }
            Doubt::Names(entity) => (!exists(&entity, known))
                .then(|| format!("`{entity}` does not exist today: what is said about it concerns nobody")),
        });
        said.collect()
    }

    fn facts(body: &RuleBody) -> serde_json::Value {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.text.as_bytes());
        serde_json::json!({ "sha256": hex::encode(digest) })
    }
}

/// Whether policies that name this entity can meet it. Roles are not looked up: `reader@crm` is no name of its own.
fn exists(entity: &EntityRef, known: &Snapshot) -> bool {
    let id = entity.id();
    let group = |of: MemberKind| known.groups.named(id).is_some_and(|group| group.body.of == of);
    match entity.kind() {
        EntityKind::Person => known.people.named(id).is_some(),
        EntityKind::Agent => known.agents.named(id).is_some(),
        EntityKind::Workload => known.workloads.named(id).is_some(),
        EntityKind::Blueprint => known.blueprints.named(id).is_some(),
        EntityKind::PersonGroup => group(MemberKind::Person),
        EntityKind::AgentGroup => group(MemberKind::Agent),
        EntityKind::WorkloadGroup => group(MemberKind::Workload),
        EntityKind::Server => known.servers.named(id).is_some(),
        EntityKind::Tool => known.tools.named(id).is_some(),
        EntityKind::PersonRole
        | EntityKind::AgentRole
        | EntityKind::WorkloadRole
        | EntityKind::RoleOn
        | EntityKind::Resource
        | EntityKind::Prompt => true,
    }
}
