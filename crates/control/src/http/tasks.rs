//! Tasks over the API.

use axum::{Json, extract::State};
use base::{AgentId, PersonId, TaskId, Timestamp};
use policy::{PromptRule, ResourceRule, Scope, ToolRule};
use serde::{Deserialize, Serialize};

use super::{
    api::{Api, Need, Operation},
    asker::{Asked, Asker},
    body::{At, Input, Params},
    error::ApiError,
};
use crate::{
    control::Control,
    snapshot::Snapshot,
    task::{Limits, Task, TaskRefusal, TaskRequest, TaskState, TaskView},
};

/// A task to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewTask {
    /// The agent that shall work on it, by name or id.
    agent: String,
    /// On behalf of whom: the asker's own name or id; absent for the agent itself.
    #[serde(default)]
    person: Option<String>,
    /// The task that it descends from.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    parent: Option<TaskId>,
    /// What it is for, in one line.
    purpose: String,
    /// What the person asked for, in their words.
    #[serde(default)]
    instruction: Option<String>,
    /// Tools that may be called.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    tools: Vec<ToolRule>,
    /// Resources that may be read.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    resources: Vec<ResourceRule>,
    /// Prompts that may be got.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    prompts: Vec<PromptRule>,
    /// What it may use up; absent is what the blueprint or the parent admits.
    #[serde(default)]
    limits: Option<Limits>,
    /// How long it lives, in seconds.
    seconds: i64,
}

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

async fn create_task(
    State(control): State<Control>,
    asked: Asked,
    Input(new): Input<NewTask>,
) -> Result<Json<TaskView>, ApiError> {
    let known = control.snapshot();
    let agent =
        known.agents.find(&new.agent).ok_or_else(|| TaskRefusal::NoSuchAgent(new.agent.clone()))?.id.clone();
    let person = new
        .person
        .as_deref()
        .map(|person| {
            known.people.find(person).map(|person| person.id.clone()).ok_or(TaskRefusal::NotThemself)
        })
        .transpose()?;
    drop(known);
    let rule = |asked: &Asked, known: &Snapshot| {
        on_behalf(asked, known, &agent, person.as_ref(), new.parent.as_ref())
    };
    let on_behalf = rule(&asked, &control.snapshot())?;
    let by = asked.provided(|asked, known| rule(asked, known).map(drop));
    let deadline = asked.ctx.now.plus_seconds(new.seconds.clamp(0, base::limit::TASK_SECONDS_MAX + 1));
    let request = TaskRequest {
        agent: agent.clone(),
        person: on_behalf,
        parent: new.parent.clone(),
        purpose: new.purpose,
        instruction: new.instruction,
        scope: Scope {
            tools: new.tools,
            resources: new.resources,
            prompts: new.prompts,
            deadline: at_least(asked.ctx.now, deadline),
        },
        limits: new.limits,
        joinable: false,
        source: None,
    };
    let task = control.create_task(&by, request).await?;
    Ok(Json(task.view(&control.snapshot())))
}

/// A deadline is never before now, so that a negative `seconds` reads as "already over" and not as an overflow.
fn at_least(now: Timestamp, deadline: Timestamp) -> Timestamp {
    deadline.max(now)
}

/// On whose behalf the asker may have a task made.
///
/// SECURITY: authority is delegated only by those who have it. A person delegates their own; an agent delegates
/// within its own task; an administrator sets an agent to work for itself, but never for somebody else.
fn on_behalf(
    asked: &Asked,
    known: &Snapshot,
    agent: &AgentId,
    person: Option<&PersonId>,
    parent: Option<&TaskId>,
) -> Result<Option<PersonId>, ApiError> {
    match &asked.asker {
        Asker::Person(me) => {
            if let Some(parent) = parent {
                let task = known.tasks.get(parent).filter(|task| hands_on(asked, known, me, task));
                return task
                    .map(|task| task.person.clone())
                    .ok_or_else(|| TaskRefusal::Missing(parent.to_string()).into());
            }
            match person {
                Some(person) if person == me => Ok(Some(person.clone())),
                Some(_) => Err(TaskRefusal::NotThemself.into()),
                None if asked.may_administer || owns(known, me, agent) => Ok(None),
                None => Err(TaskRefusal::NoSuchAgent(agent.to_string()).into()),
            }
        }
        Asker::Agent(caller) => {
            let chain = caller.alive(known, asked.ctx.now)?;
            let own = chain.first().filter(|own| parent == Some(&own.id));
            own.map(|own| own.person.clone()).ok_or_else(|| ApiError::from(TaskRefusal::NotThemself))
        }
        Asker::Workload(_) if asked.may_administer && person.is_none() => Ok(None),
        Asker::Workload(_) | Asker::Nobody => Err(TaskRefusal::NotThemself.into()),
    }
}

/// Whether a person may hand on what a task may do: their own authority, or that of an agent which acts for itself
/// and answers to them. Seeing a task is not enough.
fn hands_on(asked: &Asked, known: &Snapshot, me: &PersonId, task: &Task) -> bool {
    match &task.person {
        Some(person) => person == me,
        None => asked.may_administer || owns(known, me, &task.agent),
    }
}

fn owns(known: &Snapshot, person: &PersonId, agent: &AgentId) -> bool {
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
