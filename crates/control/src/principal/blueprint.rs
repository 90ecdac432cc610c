//! Blueprints: templates of agents.

use base::{AnyId, BlueprintId, Error, EventKind, Timestamp, limit};
use serde::{Deserialize, Serialize};

use super::{line, within};
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The kind of blueprints.
#[derive(Debug)]
pub struct Blueprint;

/// Whose agents a blueprint makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentOrigin {
    /// The company's: acts for itself or for whoever delegates to it.
    #[default]
    Company,
    /// One person's: acts for its owner only.
    Assistant,
    /// Made by another agent: acts in child tasks only.
    Child,
}

/// What tasks of a blueprint's agents may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// Calls per task.
    #[serde(default = "default_calls")]
    pub calls_max: i64,
    /// Bytes in both directions per task.
    #[serde(default = "default_bytes")]
    pub bytes_max: i64,
    /// The longest life of a task, in seconds.
    #[serde(default = "default_task_seconds")]
    pub task_seconds_max: i64,
    /// The life of an access token, in seconds.
    #[serde(default = "default_token_seconds")]
    pub token_seconds: i64,
    /// The deepest chain of tasks, counted from the root's 1.
    #[serde(default = "default_depth")]
    pub depth_max: i64,
}

const fn default_calls() -> i64 {
    10_000
}
const fn default_bytes() -> i64 {
    1024 * 1024 * 1024
}
const fn default_task_seconds() -> i64 {
    8 * 3600
}
const fn default_token_seconds() -> i64 {
    300
}
const fn default_depth() -> i64 {
    4
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            calls_max: default_calls(),
            bytes_max: default_bytes(),
            task_seconds_max: default_task_seconds(),
            token_seconds: default_token_seconds(),
            depth_max: default_depth(),
        }
    }
}

/// What a document says about a blueprint. What its agents may do is granted to the blueprint (kind Grant).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlueprintSpec {
    /// Whose agents it makes.
    #[serde(default)]
    pub origin: AgentOrigin,
    /// What such agents are for.
    pub description: String,
    /// What their tasks may use up.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// Whether their tokens must be bound to a key (DPoP, RFC 9449).
    #[serde(default)]
    pub dpop_required: bool,
}

/// A blueprint as stored; nothing in it is a reference.
pub type BlueprintBody = BlueprintSpec;

impl Kind for Blueprint {
    const KIND: &'static str = "Blueprint";
    const PLURAL: &'static str = "blueprints";
    const SQL: Statements = statements!("blueprint");
    const CREATED: EventKind = EventKind::BlueprintCreated;
    const UPDATED: EventKind = EventKind::BlueprintUpdated;
    const DELETED: Option<EventKind> = Some(EventKind::BlueprintDeleted);

    type Id = BlueprintId;
    type Spec = BlueprintSpec;
    type Body = BlueprintBody;

    fn resolve(
        mut spec: BlueprintSpec,
        _before: Option<&Thing<Self>>,
        _known: &Snapshot,
        _now: Timestamp,
    ) -> Result<BlueprintBody, Error> {
        spec.description = line("description", &spec.description)?;
        let limits = &spec.limits;
        within("limits.calls_max", limits.calls_max, 1, 1_000_000_000)?;
        within("limits.bytes_max", limits.bytes_max, 1, 1 << 50)?;
        within("limits.task_seconds_max", limits.task_seconds_max, 1, limit::TASK_SECONDS_MAX)?;
        within("limits.token_seconds", limits.token_seconds, 10, limit::ACCESS_TOKEN_SECONDS_MAX)?;
        within("limits.depth_max", limits.depth_max, 1, i64::try_from(limit::TASK_DEPTH_MAX).unwrap_or(1))?;
        Ok(spec)
    }

    fn spec(body: &BlueprintBody, _known: &Snapshot) -> BlueprintSpec {
        body.clone()
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        let agent = known.agents.iter().find(|agent| agent.body.blueprint == thing.id);
        agent.map(|agent| format!("agent `{}` is made from blueprint `{}`", agent.name, thing.name)).or_else(
            || {
                (!known.grants_of(&AnyId::from(&thing.id)).is_empty())
                    .then(|| format!("blueprint `{}` has grants", thing.name))
            },
        )
    }

    fn facts(body: &BlueprintBody) -> serde_json::Value {
        serde_json::json!({ "origin": body.origin, "dpop_required": body.dpop_required })
    }
}
