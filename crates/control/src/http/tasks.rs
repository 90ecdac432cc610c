//! Tasks over the API.

use axum::{Json, extract::State};
use base::{AgentId, PersonId, TaskId};
use serde::{Deserialize, Serialize};

use super::{
    api::{Api, Need, Operation},
    asker::{Asked, Asker},
    body::{At, Params},
    error::ApiError,
    new_task::{NewTask, create_task},
};
use crate::{
    control::Control,
    snapshot::Snapshot,
    task::{Task, TaskRefusal, TaskState, TaskView},
};

/// A task with what it has used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TaskShown {
    /// The task.
    #[serde(flatten)]
    task: TaskView,
    /// Calls made, its descendants' included.
    calls_used: i64,
    /// Bytes in both directions, its descendants' included.
    bytes_used: i64,
}

/// Which tasks to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    agent: Option<String>,
    person: Option<String>,
}

pub(super) fn operations(api: Api) -> Api {
    let anyone =
        |method, path: &str, id: &str, what: &str| Operation::new(method, path, id, Need::Anyone, what);
    api.takes::<NewTask, TaskView, _, _>(
        anyone("post", "/api/v1/tasks", "create_task", "Makes a task: a person for an agent, an administrator for an agent itself, an agent below its own task."),
        create_task,
    )
    .lists::<TaskView, _, _>(
        anyone("get", "/api/v1/tasks", "list_tasks", "Lists open tasks that the asker may see.")
            .query("agent", "only tasks of this agent")
            .query("person", "only tasks on behalf of this person"),
        list_tasks,
    )
    .answers::<TaskShown, _, _>(anyone("get", "/api/v1/tasks/{id}", "show_task", "Shows a task with what it has used."), show_task)
    .answers::<TaskView, _, _>(
        anyone("post", "/api/v1/tasks/{id}/complete", "complete_task", "Ends a task and its descendants as done."),
        complete_task,
    )
}

/// Whether an agent answers to this person.
pub(super) fn owns(known: &Snapshot, person: &PersonId, agent: &AgentId) -> bool {
    known.agents.get(agent).is_some_and(|agent| &agent.body.owner == person)
}

/// A task is seen by auditors, by its person, by its maker, and by its agent.
fn sees(asked: &Asked, task: &Task) -> bool {
    asked.may_audit
        || match &asked.asker {
            Asker::Person(me) => task.person.as_ref() == Some(me) || task.created_by == asked.ctx.actor,
            Asker::Agent(caller) => caller.task == task.id,
            Asker::Workload(_) => task.created_by == asked.ctx.actor,
            Asker::Nobody => false,
        }
}

async fn list_tasks(
    State(control): State<Control>,
    asked: Asked,
    Params(which): Params<Which>,
) -> Json<Vec<TaskView>> {
    let known = control.snapshot();
    let mut tasks: Vec<_> = known
        .tasks
        .values()
        .filter(|task| {
            task.state == TaskState::Open && task.scope.deadline > asked.ctx.now && sees(&asked, task)
        })
        .map(|task| task.view(&known))
        .filter(|task| which.agent.as_ref().is_none_or(|agent| agent == &task.agent))
        .filter(|task| which.person.is_none() || which.person == task.person)
        .collect();
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    Json(tasks)
}

async fn show_task(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<TaskShown>, ApiError> {
    let task = seen(&control, &asked, &id).await?;
    let (calls_used, bytes_used) = control.task_usage(&task.id).await?;
    Ok(Json(TaskShown { task: task.view(&control.snapshot()), calls_used, bytes_used }))
}

async fn complete_task(
    State(control): State<Control>,
    asked: Asked,
    At(id): At<String>,
) -> Result<Json<TaskView>, ApiError> {
    let task = seen(&control, &asked, &id).await?;
    let by = asked.provided(|asked, known| {
        may_end(asked, known, &task).then_some(()).ok_or_else(|| ApiError::denied(Need::Administer))
    });
    control.end_task(&by, &task.id, TaskState::Completed, "completed").await?;
    let task = control.find_task(&task.id).await?;
    Ok(Json(task.view(&control.snapshot())))
}

/// Who may end a task: its person, who made it, its agent's owner, an administrator, and its own agent, unless the
/// task was made for joining. Ending that one and joining anew would give the agent fresh limits.
fn may_end(asked: &Asked, known: &Snapshot, task: &Task) -> bool {
    asked.may_administer
        || match &asked.asker {
            Asker::Person(me) => {
                task.person.as_ref() == Some(me)
                    || task.created_by == asked.ctx.actor
                    || (task.person.is_none() && owns(known, me, &task.agent))
            }
            Asker::Agent(caller) => caller.task == task.id && !task.joinable,
            Asker::Workload(_) => task.created_by == asked.ctx.actor,
            Asker::Nobody => false,
        }
}

async fn seen(control: &Control, asked: &Asked, id: &str) -> Result<Task, ApiError> {
    let missing = || TaskRefusal::Missing(id.chars().take(64).collect());
    let id: TaskId = id.parse().map_err(|_| missing())?;
    let task = control.find_task(&id).await?;
    if sees(asked, &task) { Ok(task) } else { Err(missing().into()) }
}
