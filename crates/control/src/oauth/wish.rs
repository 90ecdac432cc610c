//! Which task a token is for: one that is open, the one that is joined, or a new one.

use base::{AgentId, Error, PersonId, TaskId};
use policy::{Effect, Scope};
use serde::de::DeserializeOwned;
use wire::{
    json::Json,
    oauth::{ErrorCode, NewTask, OAuthError, TaskDetails},
};

use super::{asking::Asking, said::said};
use crate::{
    control::Control,
    principal::BlueprintBody,
    snapshot::Dead,
    task::{Limits, Task, TaskRefusal, TaskRequest},
};

/// The purpose of a task that was made because its agent named none.
const UNNAMED_PURPOSE: &str = "no purpose given: the agent named no task";

/// Whose authority a wished task descends from.
#[derive(Clone, Copy)]
pub(super) struct Descent<'a> {
    /// The person on whose behalf.
    pub(super) person: Option<&'a PersonId>,
    /// The task that it would be a child of.
    pub(super) parent: Option<&'a Task>,
    /// The SHA-256 of the API token by which the person delegates.
    pub(super) source: Option<[u8; 32]>,
}

impl Control {
    /// The task of an agent that asks for itself (client credentials).
    pub(super) async fn own_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        wish: Option<&TaskDetails>,
    ) -> Result<Task, OAuthError> {
        match wish {
            // Whoever the task is for: its agent is the one that works on it.
            Some(TaskDetails::Existing(id)) => open_task(asking, id, |task| &task.agent == agent),
            Some(TaskDetails::New(new)) => {
                let parent = new
                    .parent
                    .as_ref()
                    .map(|id| open_task(asking, id, |task| &task.agent == agent))
                    .transpose()?;
                let person = parent.as_ref().and_then(|parent| parent.person.as_ref());
                self.new_task(asking, agent, new, Descent { person, parent: parent.as_ref(), source: None })
                    .await
            }
            None => {
                self.joined_task(asking, agent, Descent { person: None, parent: None, source: None }).await
            }
        }
    }

    /// A new task as the client describes it.
    pub(super) async fn new_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        new: &NewTask,
        descent: Descent<'_>,
    ) -> Result<Task, OAuthError> {
        let blueprint = blueprint(asking, agent)?;
        let now = asking.ctx.now;
        let deadline =
            new.until.map_or_else(|| latest(asking, blueprint, descent), |until| until.resolve(now));
        let scope = Scope {
            tools: rules("tools", &new.tools)?,
            resources: rules("resources", &new.resources)?,
            prompts: rules("prompts", &new.prompts)?,
            deadline,
        };
        let most = most(blueprint, descent.parent);
        let limits = Limits {
            calls_max: new.limits.calls.unwrap_or(most.calls_max),
            bytes_max: new.limits.bytes.unwrap_or(most.bytes_max),
        };
        let request = TaskRequest {
            agent: agent.clone(),
            person: descent.person.cloned(),
            parent: descent.parent.map(|parent| parent.id.clone()),
            purpose: new.purpose.clone(),
            instruction: new.instruction.clone(),
            scope,
            limits: Some(limits),
            joinable: false,
            source: descent.source,
        };
        self.create_task(asking, request).await.map_err(said)
    }

    /// The open task that the agent has when it names none, or one as wide as the blueprint or the parent admits.
    pub(super) async fn joined_task(
        &self,
        asking: &Asking,
        agent: &AgentId,
        descent: Descent<'_>,
    ) -> Result<Task, OAuthError> {
        let blueprint = blueprint(asking, agent)?;
        let deadline = latest(asking, blueprint, descent);
        let scope = match descent.parent {
            Some(parent) => Scope { deadline, ..parent.scope.clone() },
            None => Scope::of_effects(Effect::everyday(), deadline),
        };
        let purpose =
            descent.parent.map_or_else(|| UNNAMED_PURPOSE.to_owned(), |parent| parent.purpose.clone());
        let request = TaskRequest {
            agent: agent.clone(),
            person: descent.person.cloned(),
            parent: descent.parent.map(|parent| parent.id.clone()),
            purpose,
            instruction: None,
            scope,
            limits: Some(most(blueprint, descent.parent)),
            joinable: true,
            source: descent.source,
        };
        self.join_task(asking, request).await.map_err(said)
    }
}

/// The task with this id, if it is open and the asker's. Everything else is one answer: there is no such task.
pub(super) fn open_task(
    asking: &Asking,
    id: &TaskId,
    is_theirs: impl Fn(&Task) -> bool,
) -> Result<Task, OAuthError> {
    let chain = asking.known.living_chain(id, asking.ctx.now).ok();
    let own = chain.as_ref().and_then(|chain| chain.first());
    own.filter(|task| is_theirs(task)).map(|task| Task::clone(task)).ok_or_else(|| {
        let why = format!(
            "there is no open task `{id}` that this client works on; name another, or ask for a new one"
        );
        OAuthError::new(ErrorCode::InvalidAuthorizationDetails, why)
    })
}

fn blueprint<'a>(asking: &'a Asking, agent: &AgentId) -> Result<&'a BlueprintBody, OAuthError> {
    let agent = asking
        .known
        .agents
        .get(agent)
        .ok_or_else(|| said(TaskRefusal::NoSuchAgent(agent.to_string()).into()))?;
    let blueprint = asking.known.blueprints.get(&agent.body.blueprint);
    let blueprint =
        blueprint.ok_or_else(|| said(Error::from(Dead::Unknown((&agent.body.blueprint).into()))))?;
    Ok(&blueprint.body)
}

/// As late as blueprint and parent admit.
fn latest(asking: &Asking, blueprint: &BlueprintBody, descent: Descent<'_>) -> base::Timestamp {
    let own = asking.ctx.now.plus_seconds(blueprint.limits.task_seconds_max);
    descent.parent.map_or(own, |parent| own.min(parent.scope.deadline))
}

/// As much as blueprint and parent admit.
fn most(blueprint: &BlueprintBody, parent: Option<&Task>) -> Limits {
    let own = Limits { calls_max: blueprint.limits.calls_max, bytes_max: blueprint.limits.bytes_max };
    parent.map_or(own, |parent| Limits {
        calls_max: own.calls_max.min(parent.limits.calls_max),
        bytes_max: own.bytes_max.min(parent.limits.bytes_max),
    })
}

/// Rules as policy reads them, from the JSON that the client sent.
pub(super) fn rules<T: DeserializeOwned>(member: &str, sent: &[Json]) -> Result<Vec<T>, OAuthError> {
    let read = |(at, rule): (usize, &Json)| {
        serde_json::from_str(&rule.to_text()).map_err(|error| {
            // Without the place in the text, which is that of our serialisation and not the client's.
            let error = error.to_string();
            let what = error.split(" at line ").next().unwrap_or_default();
            let why = format!("`{member}[{at}]` is not a rule of a task: {what}");
            OAuthError::new(ErrorCode::InvalidAuthorizationDetails, why)
        })
    };
    sent.iter().enumerate().map(read).collect()
}
