//! Making and ending tasks.

use base::{AgentId, Ctx, Error, Event, EventKind, PersonId, Position, TaskId, limit};
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    agent::taker,
    join,
    model::{Limits, Task, TaskRefusal, TaskState, child_depth, narrows, text},
    store,
};
use crate::{
    authority::Authority, control::Control, credential::ApiToken, principal::BlueprintBody, readers::Reader,
    snapshot::Snapshot,
};

/// The most open tasks of one agent, and of one tree.
const OPEN_TASKS_MAX: usize = 256;
/// The largest scope, in bytes of JSON.
const SCOPE_BYTES_MAX: usize = 64 * 1024;

/// What is asked for when a task is made. Everything that is left out is as wide as the blueprint or the parent
/// admits.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The agent that shall work on it.
    pub agent: AgentId,
    /// On behalf of whom; none for the agent itself.
    pub person: Option<PersonId>,
    /// The task that it descends from.
    pub parent: Option<TaskId>,
    /// What it is for.
    pub purpose: String,
    /// What the person asked for, in their words.
    pub instruction: Option<String>,
    /// What it covers. Its deadline is the wanted one.
    pub scope: Scope,
    /// What it may use up.
    pub limits: Option<Limits>,
    /// Whether it joins the open task of the same agent, person and parent, if there is one, and is joined later.
    pub joinable: bool,
    /// The SHA-256 of the API token by which a person delegated: the task ends with the token.
    pub source: Option<[u8; 32]>,
}

/// A task as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// The agent's name.
    pub agent: String,
    /// The person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The task that it descends from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The first task of its tree.
    pub root: String,
    /// How deep in its tree, counted from the root's 1.
    pub depth: i64,
    /// What it is for.
    pub purpose: String,
    /// What the person asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// What it covers.
    #[schema(value_type = Object)]
    pub scope: Scope,
    /// What it may use up.
    pub limits: Limits,
    /// Its state.
    pub state: TaskState,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends at the latest, RFC 3339.
    pub deadline: String,
}

impl Task {
    /// The task as the API shows it.
    pub fn view(&self, known: &Snapshot) -> TaskView {
        TaskView {
            id: self.id.to_string(),
            agent: known.agents.name_of(&self.agent),
            person: self.person.as_ref().map(|person| known.people.name_of(person)),
            parent: self.parent.as_ref().map(ToString::to_string),
            root: self.root.to_string(),
            depth: self.depth,
            purpose: self.purpose.clone(),
            instruction: self.instruction.clone(),
            scope: self.scope.clone(),
            limits: self.limits,
            state: self.state,
            created: self.created.to_string(),
            deadline: self.scope.deadline.to_string(),
        }
    }
}

impl Control {
    /// Makes a task, or joins the open one where the request says so. Who may ask is the caller's business:
    /// [`crate::oauth`] for credentials, the API for tokens.
    ///
    /// INVARIANT: what the plan rests on still holds at the commit ([`Control::begin`]).
    pub async fn create_task(&self, by: &impl Authority, request: TaskRequest) -> Result<Task, Error> {
        let ctx = by.ctx();
        let (mut tx, task) = self.begin(by, |known| plan(known, ctx, request.clone())).await?;
        if request.joinable
            && let Some(found) = join::open_task(&mut tx, ctx, &request, task.source.as_ref()).await?
        {
            let position = tx.head().await?.position;
            tx.rollback().await?;
            self.settle(position).await;
            return Ok(found);
        }
        let event = keep_new(&mut tx, &task).await?;
        self.keep(tx, vec![event]).await?;
        Ok(task)
    }

    /// Ends a task and all its descendants.
    pub async fn end_task(
        &self,
        by: &impl Authority,
        id: &TaskId,
        state: TaskState,
        reason: &str,
    ) -> Result<Position, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let events = store::end(&mut tx, id, state, reason).await?;
        if events.is_empty() {
            tx.rollback().await?;
            return Err(TaskRefusal::Over(id.clone(), "over").into());
        }
        self.keep(tx, events).await
    }

    /// Ends tasks whose deadline has passed; run from time to time. Decisions do not wait for this: a task is dead
    /// from its deadline on.
    pub async fn expire_tasks(&self) -> Result<usize, Error> {
        const AT_ONCE: i64 = 256;
        let by = self.system("expire tasks");
        let (mut tx, ()) = self.begin(&by, |_| Ok(())).await?;
        let mut events = Vec::new();
        for id in store::overdue(&mut tx, by.ctx().now, AT_ONCE).await? {
            events.extend(store::end(&mut tx, &id, TaskState::Expired, "deadline").await?);
        }
        if events.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        let count = events.len();
        self.keep(tx, events).await?;
        Ok(count)
    }

    /// What a task has used: calls and bytes.
    pub async fn task_usage(&self, id: &TaskId) -> Result<(i64, i64), Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        Ok(store::usage(&mut self.store().read().await?, id).await?)
    }

    /// A task, whatever its state.
    pub async fn find_task(&self, id: &TaskId) -> Result<Task, Error> {
        let open = self.snapshot().tasks.get(id).cloned();
        if let Some(task) = open {
            return Ok((*task).clone());
        }
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let task = store::load_task(&mut self.store().read().await?, id).await?;
        Ok(task.ok_or_else(|| TaskRefusal::Missing(id.to_string()))?)
    }
}

/// Keeps a new task, as part of a transaction; the record of it is the caller's to commit.
pub(crate) async fn keep_new(tx: &mut ::store::Tx, task: &Task) -> Result<Event, Error> {
    store::insert(tx, task).await?;
    Ok(Event::new(EventKind::TaskCreated, &task.id, facts(task)?).within(task.id.clone()))
}

/// Keeps that a task covers more, because its person said so; the record of it, or nothing when it is over.
pub(crate) async fn widen(tx: &mut ::store::Tx, task: &Task) -> Result<Option<Event>, Error> {
    if !store::rescope(tx, task).await? {
        return Ok(None);
    }
    Ok(Some(Event::new(EventKind::TaskWidened, &task.id, facts(task)?).within(task.id.clone())))
}

/// What the record of a new task says. The instruction is a person's words: only its digest.
pub(super) fn facts(task: &Task) -> Result<serde_json::Value, Error> {
    let scope =
        serde_json::to_vec(&task.scope).map_err(|error| base::Fault::new("writing a scope", error))?;
    let sha256 = |bytes: &[u8]| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes));
    Ok(json!({
        "agent": task.agent, "person": task.person, "parent": task.parent, "root": task.root, "depth": task.depth,
        "scope": sha256(&scope), "instruction": task.instruction.as_ref().map(|text| sha256(text.as_bytes())),
        "calls_max": task.limits.calls_max, "bytes_max": task.limits.bytes_max, "deadline": task.scope.deadline,
    }))
}

/// The task that a request asks for, if it may be made. Pure.
pub(crate) fn plan(known: &Snapshot, ctx: &Ctx, request: TaskRequest) -> Result<Task, Error> {
    let blueprint = taker(known, &request.agent, request.person.as_ref(), request.parent.is_some(), ctx.now)?;
    if let Some(person) = &request.person {
        known.person_lives(person)?;
    }
    let parent = request.parent.as_ref().map(|parent| living_parent(known, parent, ctx)).transpose()?;
    let limits = request.limits.unwrap_or_else(|| default_limits(blueprint, parent));
    check_limits(limits, blueprint)?;
    check_scope(&request.scope, ctx, blueprint.limits.task_seconds_max)?;
    let (depth, root) = match parent {
        Some(parent) => {
            if parent.person != request.person {
                return Err(TaskRefusal::NotThemself.into());
            }
            narrows(&request.scope, limits, parent)?;
            let depth_max = depth_max(known, parent, blueprint.limits.depth_max);
            (child_depth(parent, depth_max)?, Some(parent.root.clone()))
        }
        None => (1, None),
    };
    let source = request.source.map(|digest| living_source(known, ctx, &digest)).transpose()?;
    // SECURITY: a task that was delegated with a token ends with the token, by its expiry as by its revocation.
    let until = source.and_then(|token| token.expires).unwrap_or(request.scope.deadline);
    let scope = Scope { deadline: request.scope.deadline.min(until), ..request.scope };
    check_crowd(known, &request.agent, root.as_ref())?;
    let id = TaskId::new(ctx.now, ctx.dice.as_ref());
    Ok(Task {
        root: root.unwrap_or_else(|| id.clone()),
        id,
        agent: request.agent,
        person: request.person,
        parent: request.parent,
        depth,
        purpose: text("purpose", &request.purpose, limit::LINE_BYTES_MAX)?,
        instruction: request
            .instruction
            .map(|instruction| text("instruction", &instruction, limit::INSTRUCTION_BYTES_MAX))
            .transpose()?,
        scope,
        limits,
        state: TaskState::Open,
        created: ctx.now,
        created_by: ctx.actor.clone(),
        joinable: request.joinable,
        source: source.map(|token| token.id.clone()),
    })
}

/// The token by which a person delegates, if it is still good.
fn living_source<'a>(known: &'a Snapshot, ctx: &Ctx, digest: &[u8; 32]) -> Result<&'a ApiToken, TaskRefusal> {
    let token = known.api_tokens.get(digest).filter(|token| known.api_token_is_good(token, ctx));
    token.map(AsRef::as_ref).ok_or(TaskRefusal::NotThemself)
}

fn living_parent<'a>(known: &'a Snapshot, id: &TaskId, ctx: &Ctx) -> Result<&'a Task, Error> {
    let chain = known.living_chain(id, ctx.now).map_err(TaskRefusal::DeadParent)?;
    Ok(chain.first().copied().ok_or_else(|| TaskRefusal::Missing(id.to_string()))?)
}

/// The least depth that the blueprint of any agent in the chain admits: who may not delegate far cannot do so
/// through somebody who may.
fn depth_max(known: &Snapshot, parent: &Task, own: i64) -> i64 {
    let mut least = own;
    let mut next = Some(parent);
    for _ in 0..limit::TASK_DEPTH_MAX {
        let Some(task) = next else { break };
        let blueprint =
            known.agents.get(&task.agent).and_then(|agent| known.blueprints.get(&agent.body.blueprint));
        least = least.min(blueprint.map_or(0, |blueprint| blueprint.body.limits.depth_max));
        next = task.parent.as_ref().and_then(|id| known.tasks.get(id)).map(AsRef::as_ref);
    }
    least
}

/// Bounds how many tasks can be open at once, for one agent and in one tree.
fn check_crowd(known: &Snapshot, agent: &AgentId, root: Option<&TaskId>) -> Result<(), TaskRefusal> {
    let open = |task: &&std::sync::Arc<Task>| task.state == TaskState::Open;
    if known.tasks_of(agent).filter(open).count() >= OPEN_TASKS_MAX {
        return Err(TaskRefusal::TooMany("agent"));
    }
    let in_tree = |root: &TaskId| known.tasks.values().filter(open).filter(|task| &task.root == root).count();
    if root.is_some_and(|root| in_tree(root) >= OPEN_TASKS_MAX) {
        return Err(TaskRefusal::TooMany("tree"));
    }
    Ok(())
}

fn default_limits(blueprint: &BlueprintBody, parent: Option<&Task>) -> Limits {
    let own = Limits { calls_max: blueprint.limits.calls_max, bytes_max: blueprint.limits.bytes_max };
    parent.map_or(own, |parent| Limits {
        calls_max: own.calls_max.min(parent.limits.calls_max),
        bytes_max: own.bytes_max.min(parent.limits.bytes_max),
    })
}

fn check_limits(limits: Limits, blueprint: &BlueprintBody) -> Result<(), TaskRefusal> {
    let most = blueprint.limits;
    for (field, value, max) in
        [("calls", limits.calls_max, most.calls_max), ("bytes", limits.bytes_max, most.bytes_max)]
    {
        if !(1..=max).contains(&value) {
            return Err(TaskRefusal::Limit { field, value, max });
        }
    }
    Ok(())
}

fn check_scope(scope: &Scope, ctx: &Ctx, seconds_max: i64) -> Result<(), Error> {
    let seconds_max = seconds_max.min(limit::TASK_SECONDS_MAX);
    if scope.deadline <= ctx.now || scope.deadline > ctx.now.plus_seconds(seconds_max) {
        return Err(TaskRefusal::Deadline { max_seconds: seconds_max }.into());
    }
    if scope.tools.is_empty() && scope.resources.is_empty() && scope.prompts.is_empty() {
        return Err(TaskRefusal::Empty.into());
    }
    scope.check().map_err(TaskRefusal::from)?;
    let size = serde_json::to_vec(scope).map_err(|error| base::Fault::new("writing a scope", error))?.len();
    if size > SCOPE_BYTES_MAX {
        return Err(TaskRefusal::Text { field: "tools", max: SCOPE_BYTES_MAX }.into());
    }
    Ok(())
}
