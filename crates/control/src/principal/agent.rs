//! Agents.

use base::{AgentId, BlueprintId, Error, EventKind, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PrincipalRefusal, line, owner};
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The kind of agents. They are never removed: records lead to them.
#[derive(Debug)]
pub struct Agent;

/// The life of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// Known, not yet at work.
    Staged,
    /// At work.
    #[default]
    Active,
    /// Stopped, can be resumed by a person.
    Suspended,
    /// Ended for good.
    Retired,
}

impl AgentState {
    /// The state as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }
}

/// What a document says about an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentSpec {
    /// The person who answers for it.
    pub owner: String,
    /// The blueprint it is made from.
    pub blueprint: String,
    /// What it is for.
    pub purpose: String,
    /// Its state.
    #[serde(default)]
    pub state: AgentState,
    /// When it ends by itself, RFC 3339.
    #[serde(default, with = "base::rfc3339", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// The id of the client that drives it for people who agreed to that client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// An agent as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentBody {
    /// The person who answers for it.
    pub owner: PersonId,
    /// The blueprint it is made from.
    pub blueprint: BlueprintId,
    /// What it is for.
    pub purpose: String,
    /// Its state.
    pub state: AgentState,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// The id of the client that drives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl Kind for Agent {
    const KIND: &'static str = "Agent";
    const PLURAL: &'static str = "agents";
    const SQL: Statements = statements!("agent");
    const CREATED: EventKind = EventKind::AgentCreated;
    const UPDATED: EventKind = EventKind::AgentUpdated;
    const DELETED: Option<EventKind> = None;

    type Id = AgentId;
    type Spec = AgentSpec;
    type Body = AgentBody;

    fn resolve(
        spec: AgentSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<AgentBody, Error> {
        if let Some(before) = before {
            may_become(&before.name, before.body.state, spec.state)?;
        }
        let blueprint = known.blueprints.named(&spec.blueprint).ok_or_else(|| PrincipalRefusal::NoSuch {
            field: "blueprint",
            kind: "blueprint",
            name: spec.blueprint.clone(),
            meant: known.blueprints.nearest(&spec.blueprint),
        })?;
        Ok(AgentBody {
            owner: owner(&spec.owner, before.map(|before| &before.body.owner), known)?,
            blueprint: blueprint.id.clone(),
            purpose: line("purpose", &spec.purpose)?,
            state: spec.state,
            expires: spec.expires,
            client: spec.client.map(|client| line("client", &client)).transpose()?,
        })
    }

    fn spec(body: &AgentBody, known: &Snapshot) -> AgentSpec {
        AgentSpec {
            owner: known.people.name_of(&body.owner),
            blueprint: known.blueprints.name_of(&body.blueprint),
            purpose: body.purpose.clone(),
            state: body.state,
            expires: body.expires,
            client: body.client.clone(),
        }
    }

    fn ends_authority(before: &AgentBody, after: &AgentBody) -> bool {
        let stops = before.state == AgentState::Active && after.state != AgentState::Active;
        stops || before.owner != after.owner
    }

    fn belongs_to(thing: &Thing<Self>, person: Option<&PersonId>) -> bool {
        person == Some(&thing.body.owner)
    }

    fn facts(body: &AgentBody) -> serde_json::Value {
        serde_json::json!({ "owner": body.owner, "blueprint": body.blueprint, "state": body.state })
    }
}

/// Documents may stop an agent and start a staged one. They cannot resume a suspended one.
fn may_become(name: &str, from: AgentState, to: AgentState) -> Result<(), PrincipalRefusal> {
    use AgentState::{Active, Retired, Staged, Suspended};
    match (from, to) {
        (Retired, Staged | Active | Suspended) => Err(PrincipalRefusal::Retired(name.to_owned())),
        // SECURITY: re-applying an old folder of documents must not resume what a kill suspended.
        (Suspended, Active | Staged) => Err(PrincipalRefusal::NotByDocument {
            kind: "agent",
            name: name.to_owned(),
            from: from.as_str(),
            to: to.as_str(),
            how: "writ agent resume NAME",
        }),
        (Staged | Active, _) | (Suspended, Suspended | Retired) | (Retired, Retired) => Ok(()),
    }
}
