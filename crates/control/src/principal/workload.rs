//! Workloads: services, bots and scripts that call Writ itself.

use base::{Error, EventKind, PersonId, Timestamp, WorkloadId};
use serde::{Deserialize, Serialize};

use super::{PrincipalRefusal, line, owner};
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The kind of workloads. They are never removed: records lead to them.
#[derive(Debug)]
pub struct Workload;

/// Whether a workload can act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadState {
    /// It can.
    #[default]
    Active,
    /// It cannot.
    Suspended,
}

/// What a document says about a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// The person who answers for it.
    pub owner: String,
    /// What it is for.
    pub purpose: String,
    /// Whether it can act.
    #[serde(default)]
    pub state: WorkloadState,
}

/// A workload as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkloadBody {
    /// The person who answers for it.
    pub owner: PersonId,
    /// What it is for.
    pub purpose: String,
    /// Whether it can act.
    pub state: WorkloadState,
}

impl Kind for Workload {
    const KIND: &'static str = "Workload";
    const PLURAL: &'static str = "workloads";
    const SQL: Statements = statements!("workload");
    const CREATED: EventKind = EventKind::WorkloadCreated;
    const UPDATED: EventKind = EventKind::WorkloadUpdated;
    const DELETED: Option<EventKind> = None;

    type Id = WorkloadId;
    type Spec = WorkloadSpec;
    type Body = WorkloadBody;

    fn resolve(
        spec: WorkloadSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<WorkloadBody, Error> {
        if let Some(before) = before
            && (before.body.state, spec.state) == (WorkloadState::Suspended, WorkloadState::Active)
        {
            return Err(PrincipalRefusal::NotByDocument {
                kind: "workload",
                name: before.name.to_string(),
                from: "suspended",
                to: "active",
                how: "writ workload resume NAME",
            }
            .into());
        }
        Ok(WorkloadBody {
            owner: owner(&spec.owner, before.map(|before| &before.body.owner), known)?,
            purpose: line("purpose", &spec.purpose)?,
            state: spec.state,
        })
    }

    fn spec(body: &WorkloadBody, known: &Snapshot) -> WorkloadSpec {
        WorkloadSpec {
            owner: known.people.name_of(&body.owner),
            purpose: body.purpose.clone(),
            state: body.state,
        }
    }

    fn ends_authority(before: &WorkloadBody, after: &WorkloadBody) -> bool {
        let stops = before.state == WorkloadState::Active && after.state != WorkloadState::Active;
        stops || before.owner != after.owner
    }

    fn belongs_to(thing: &Thing<Self>, person: Option<&PersonId>) -> bool {
        person == Some(&thing.body.owner)
    }

    fn facts(body: &WorkloadBody) -> serde_json::Value {
        serde_json::json!({ "owner": body.owner, "state": body.state })
    }
}
