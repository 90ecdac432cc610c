//! Making a task over the API.

use axum::{Json, extract::State};
use base::{AgentId, PersonId, TaskId};
use policy::{PromptRule, ResourceRule, Scope, ToolRule};
use serde::Deserialize;

use super::{
    asker::{Asked, Asker},
    body::Input,
    error::ApiError,
    tasks::owns,
};
use crate::{
    control::Control,
    kind::{Kind as _, Thing},
    principal::Agent,
    snapshot::Snapshot,
    task::{Limits, Task, TaskRefusal, TaskRequest, TaskView, taker},
};

/// A task to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTask {
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

pub(super) async fn create_task(
    State(control): State<Control>,
    asked: Asked,
    Input(new): Input<NewTask>,
) -> Result<Json<TaskView>, ApiError> {
    let (agent, person) = parties(&asked, &control.snapshot(), &new)?;
    let by = asked.provided(|asked, known| parties(asked, known, &new).map(drop));
    let now = asked.ctx.now;
    let deadline = now.plus_seconds(new.seconds.clamp(0, base::limit::TASK_SECONDS_MAX + 1));
    let request = TaskRequest {
        agent,
        person,
        parent: new.parent.clone(),
        purpose: new.purpose.clone(),
        instruction: new.instruction.clone(),
        scope: Scope {
            tools: new.tools.clone(),
            resources: new.resources.clone(),
            prompts: new.prompts.clone(),
            deadline,
        },
        limits: new.limits,
        joinable: false,
        source: None,
    };
    let task = control.create_task(&by, request).await?;
    Ok(Json(task.view(&control.snapshot())))
}

/// The agent that shall work and the person on whose behalf, if the asker may set the one to work for the other.
///
/// SECURITY: an agent that the asker neither sees nor can set to work reads like one that does not exist. So what is
/// asked before the agent is looked up must not depend on it.
fn parties(asked: &Asked, known: &Snapshot, new: &NewTask) -> Result<(AgentId, Option<PersonId>), ApiError> {
    let person = on_behalf(asked, known, new)?;
    let missing = || TaskRefusal::NoSuchAgent(new.agent.chars().take(64).collect());
    let agent = known.agents.find(&new.agent).ok_or_else(missing)?;
    let is_child = new.parent.is_some();
    let takes = || taker(known, &agent.id, person.as_ref(), is_child, asked.ctx.now).is_ok();
    if (sees(asked, agent) || takes()) && may_set_to_work(asked, agent, person.as_ref(), is_child) {
        Ok((agent.id.clone(), person))
    } else {
        Err(missing().into())
    }
}

/// On whose behalf the asker may have a task made; none for the agent itself.
///
/// SECURITY: authority is delegated only by those who have it. A person delegates their own; an agent delegates
/// within its own task; an administrator sets an agent to work for itself, but never for somebody else.
fn on_behalf(asked: &Asked, known: &Snapshot, new: &NewTask) -> Result<Option<PersonId>, ApiError> {
    let not_themself = || ApiError::from(TaskRefusal::NotThemself);
    match &asked.asker {
        Asker::Person(me) => match (&new.parent, &new.person) {
            (Some(parent), _) => {
                let task = known.tasks.get(parent).filter(|task| hands_on(asked, known, me, task));
                let missing = || TaskRefusal::Missing(parent.to_string()).into();
                task.map(|task| task.person.clone()).ok_or_else(missing)
            }
            (None, Some(name)) => {
                let is_me = known.people.find(name).is_some_and(|person| &person.id == me);
                is_me.then(|| Some(me.clone())).ok_or_else(not_themself)
            }
            (None, None) => Ok(None),
        },
        Asker::Agent(caller) => {
            let chain = caller.alive(known, asked.ctx.now)?;
            let own = chain.first().filter(|own| new.parent.as_ref() == Some(&own.id));
            own.map(|own| own.person.clone()).ok_or_else(not_themself)
        }
        Asker::Workload(_) if asked.may_administer && new.person.is_none() => Ok(None),
        Asker::Workload(_) | Asker::Nobody => Err(not_themself()),
    }
}

/// An agent works for itself where an administrator or its owner says so.
fn may_set_to_work(asked: &Asked, agent: &Thing<Agent>, person: Option<&PersonId>, is_child: bool) -> bool {
    person.is_some() || is_child || asked.may_administer || Agent::belongs_to(agent, asked.person())
}

/// Whether the asker would be shown the agent.
fn sees(asked: &Asked, agent: &Thing<Agent>) -> bool {
    asked.may_audit || Agent::belongs_to(agent, asked.person())
}

/// Whether a person may hand on what a task may do: their own authority, or that of an agent which acts for itself
/// and answers to them. Seeing a task is not enough.
fn hands_on(asked: &Asked, known: &Snapshot, me: &PersonId, task: &Task) -> bool {
    match &task.person {
        Some(person) => person == me,
        None => asked.may_administer || owns(known, me, &task.agent),
    }
}
