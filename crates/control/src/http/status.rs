//! How the server is, and who the asker is.

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    api::{Api, Need, Operation},
    asker::{Asked, Asker},
    error::ApiError,
};
use crate::{control::Control, readers::Reader};

/// How the server is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Status {
    /// Its version.
    version: &'static str,
    /// The issuer and public address.
    issuer: String,
    /// The last record's position.
    position: i64,
    /// The position up to which this node's snapshot is complete.
    applied: i64,
    /// The generation of the log.
    generation: i64,
    /// Whether this node can prove that it knows the latest revocations.
    fresh: bool,
    /// The server's present, RFC 3339.
    now: String,
    /// How many agents there are.
    agents: usize,
    /// How many servers.
    servers: usize,
    /// How many tools.
    tools: usize,
    /// How many grants.
    grants: usize,
    /// How many tasks are open.
    tasks_open: usize,
    /// The key that verifies the log's checkpoints (C2SP signed-note): keep it apart from the exports it verifies.
    log_key: String,
    /// The size of the log under the latest signed checkpoint.
    checkpoint_size: Option<u64>,
}

/// Who the asker is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Myself {
    /// `person`, `workload` or `agent`.
    kind: &'static str,
    /// The id.
    id: String,
    /// The name.
    name: String,
    /// Within which task, for an agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The administrative permissions.
    permissions: Vec<&'static str>,
}

pub(super) fn operations(api: Api) -> Api {
    api.answers::<Status, _, _>(
        Operation::new("get", "/api/v1/status", "status", Need::Audit, "How the server is."),
        status,
    )
    .answers::<Myself, _, _>(
        Operation::new("get", "/api/v1/self", "self", Need::Anyone, "Who the asker is."),
        myself,
    )
}

async fn status(State(control): State<Control>, asked: Asked) -> Result<Json<Status>, ApiError> {
    let place = control.inner().readers.admit(Reader::Auditor).await?;
    let head = control.store().head().await?;
    drop(place);
    let known = control.snapshot();
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        issuer: control.settings().issuer(),
        position: head.position.0,
        applied: control.store().own_until(known.position).0,
        generation: known.generation,
        fresh: control.is_fresh(asked.ctx.now),
        now: asked.ctx.now.to_string(),
        agents: known.agents.len(),
        servers: known.servers.len(),
        tools: known.tools.len(),
        grants: known.grants.len(),
        tasks_open: known.tasks.values().filter(|task| task.state == crate::task::TaskState::Open).count(),
        log_key: control.store().log_key().to_string(),
        checkpoint_size: control.store().checkpoint_size(),
    }))
}

async fn myself(State(control): State<Control>, asked: Asked) -> Result<Json<Myself>, ApiError> {
    let known = control.snapshot();
    let (kind, id, name, task) = match &asked.asker {
        Asker::Person(id) => ("person", id.to_string(), known.people.name_of(id), None),
        Asker::Workload(id) => ("workload", id.to_string(), known.workloads.name_of(id), None),
        Asker::Agent(caller) => (
            "agent",
            caller.agent.to_string(),
            known.agents.name_of(&caller.agent),
            Some(caller.task.to_string()),
        ),
        Asker::Nobody => return Err(ApiError::missing()),
    };
    let mut permissions = Vec::new();
    if asked.may_administer {
        permissions.push("administer");
    }
    if asked.may_audit {
        permissions.push("audit");
    }
    Ok(Json(Myself { kind, id, name, task, permissions }))
}
