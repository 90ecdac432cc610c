//! The stop button over the API.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    api::{Api, Need, Operation},
    asker::{Asked, Asker},
    body::Input,
    error::ApiError,
};
use crate::{
    control::Control,
    revoke::{KillRefusal, Killed, Target},
    snapshot::Snapshot,
};

/// What shall be stopped.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Kill {
    /// What it is.
    kind: TargetKind,
    /// Its name or id; a tool is `SERVER/TOOL`; nothing for `all`.
    #[serde(default)]
    name: String,
    /// Why, for the record.
    reason: String,
}

#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
enum TargetKind {
    Agent,
    Person,
    Workload,
    Task,
    Tool,
    Server,
    All,
}

pub(super) fn operations(api: Api) -> Api {
    let what =
        "Ends authority at once. Administrators stop anything; a person stops their own agents and tasks.";
    api.takes::<Kill, Killed, _, _>(Operation::new("post", "/api/v1/kill", "kill", Need::Anyone, what), kill)
}

async fn kill(
    State(control): State<Control>,
    asked: Asked,
    Input(kill): Input<Kill>,
) -> Result<Json<Killed>, ApiError> {
    let target = match kill.kind {
        TargetKind::Agent => Target::Agent(kill.name),
        TargetKind::Person => Target::Person(kill.name),
        TargetKind::Workload => Target::Workload(kill.name),
        TargetKind::Task => Target::Task(
            kill.name
                .parse()
                .map_err(|_| KillRefusal::Missing("task", kill.name.chars().take(64).collect()))?,
        ),
        TargetKind::Tool => Target::Tool(kill.name),
        TargetKind::Server => Target::Server(kill.name),
        TargetKind::All => Target::All,
    };
    let by = asked.provided(|asked, known| may_stop(asked, known, &target));
    Ok(Json(control.kill(&by, &target, &kill.reason).await?))
}

fn may_stop(asked: &Asked, known: &Snapshot, target: &Target) -> Result<(), ApiError> {
    if !asked.may_administer && !is_theirs(asked, known, target) {
        return Err(ApiError::missing());
    }
    Ok(refuse_oneself(asked, known, target)?)
}

/// What a person without permissions may stop: the agents they own, and the tasks on their behalf or of those agents.
fn is_theirs(asked: &Asked, known: &Snapshot, target: &Target) -> bool {
    let Asker::Person(me) = &asked.asker else { return false };
    let owns = |agent| known.agents.get(agent).is_some_and(|agent| &agent.body.owner == me);
    match target {
        Target::Agent(name) => known.agents.find(name).is_some_and(|agent| &agent.body.owner == me),
        Target::Task(id) => {
            known.tasks.get(id).is_some_and(|task| task.person.as_ref() == Some(me) || owns(&task.agent))
        }
        Target::Person(_) | Target::Workload(_) | Target::Tool(_) | Target::Server(_) | Target::All => false,
    }
}

/// The last administrator must not lock everyone out by a slip.
fn refuse_oneself(asked: &Asked, known: &Snapshot, target: &Target) -> Result<(), KillRefusal> {
    let (Target::Person(name), Some(me)) = (target, asked.person()) else { return Ok(()) };
    let is_me = known.people.find(name).is_some_and(|person| &person.id == me);
    if is_me { Err(KillRefusal::Self_(name.clone())) } else { Ok(()) }
}
