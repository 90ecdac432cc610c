//! The stop button: ends the authority of an agent, a person, a task, a tool, a server, or of everything.
//!
//! One transaction: the state that stops new calls, the end of all open tasks, and the record whose position kills
//! every credential from before. It is durable, with the high-water mark, before it is acknowledged; from then on
//! no call whose decision is older is forwarded, on any node.

mod dead;

use std::ops::ControlFlow;

use base::{AgentId, AnyId, Class, Error, Event, EventKind, PersonId, Position, Refuse, TaskId, TenantId};
use serde_json::json;

use self::dead::dead_since;
use crate::{
    authority::Authority,
    catalogue::{Server, ServerBody, ServerState, Tool, ToolBody, ToolState},
    control::Control,
    draft::Draft,
    kind::Kind,
    principal::{
        Agent, AgentBody, AgentState, Person, PersonBody, PersonState, PrincipalRefusal, Workload,
        WorkloadBody, WorkloadState, line,
    },
    snapshot::Snapshot,
    task::{self, TaskState},
};

/// What can be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An agent: suspended, its tasks ended, its credentials dead.
    Agent(String),
    /// A person: disabled, tasks on their behalf and those of their agents ended, everything they own dead.
    Person(String),
    /// A workload: suspended, its credentials dead.
    Workload(String),
    /// A task with its descendants.
    Task(TaskId),
    /// A tool: quarantined.
    Tool(String),
    /// A server: stopped.
    Server(String),
    /// Every task of the tenant, and every credential issued so far.
    All,
}

/// What a kill is refused for.
#[derive(Debug, thiserror::Error)]
pub enum KillRefusal {
    /// There is no such thing.
    #[error("there is no {0} `{1}`")]
    Missing(&'static str, String),
    /// Nobody could undo it.
    #[error("person `{0}` is the one who asks; let another administrator do it")]
    Self_(String),
}

impl Refuse for KillRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Missing(..) => Class::Missing,
            Self::Self_(_) => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing(..) => "not_found",
            Self::Self_(_) => "not_yourself",
        }
    }
}

/// What a kill did.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct Killed {
    /// The position from which on no older authority counts.
    pub position: i64,
    /// How many open tasks ended.
    pub tasks_ended: usize,
}

impl Control {
    /// Stops a target.
    pub async fn kill(&self, by: &impl Authority, target: &Target, reason: &str) -> Result<Killed, Error> {
        let reason = line("reason", reason)?;
        let by = self.inner().turns.hurry(by)?;
        // SECURITY: what is dead already is answered without a turn, but only from a state in which nobody on any node
        // can have brought it back to life before this was asked.
        let seems_dead = dead_since(&self.snapshot(), by.ctx(), target).is_some();
        let is_known_dead = seems_dead && self.has_caught_up().await?;
        let plan = |known: &Snapshot| {
            if let Some(at) = dead_since(known, by.ctx(), target).filter(|_| is_known_dead) {
                return Ok(ControlFlow::Break(Killed { position: at.0, tasks_ended: 0 }));
            }
            let mut draft = Draft::new(by.ctx(), known);
            let subject = stop(&mut draft, target)?;
            draft.check()?;
            let owned = owned_agents(known, &subject);
            Ok(ControlFlow::Continue((draft, subject, owned)))
        };
        let (mut tx, (draft, subject, owned)) = match self.begin_unless(&by, plan).await? {
            ControlFlow::Continue(begun) => begun,
            ControlFlow::Break(killed) => return Ok(killed),
        };
        let mut events =
            vec![Event::new(EventKind::AuthorityRevoked, subject.clone(), json!({ "reason": reason }))];
        // The change of state says by itself that authority ends; here it is said once, with the reason.
        let changes = draft.write_to(&mut tx).await?;
        events.extend(changes.into_iter().filter(|event| event.kind != EventKind::AuthorityRevoked));
        let tasks = match target {
            Target::Task(id) => vec![id.clone()],
            Target::Agent(_) => task::open_of(&mut tx, subject.as_str()).await?,
            Target::Person(_) => {
                // Their agents are dead with them, whoever the agents work for: an open task would only look alive.
                let mut tasks = task::open_of(&mut tx, subject.as_str()).await?;
                for agent in &owned {
                    tasks.extend(task::open_of(&mut tx, agent.as_str()).await?);
                }
                tasks
            }
            Target::All => task::all_open(&mut tx).await?,
            Target::Workload(_) | Target::Tool(_) | Target::Server(_) => Vec::new(),
        };
        let before = events.len();
        for id in tasks {
            events.extend(task::end(&mut tx, &id, TaskState::Killed, &reason).await?);
        }
        let tasks_ended = events.len() - before;
        let position = self.keep(tx, events).await?;
        Ok(Killed { position: position.0, tasks_ended })
    }
}

/// Puts the state that stops a target into a draft; answers with whose authority ends.
fn stop(draft: &mut Draft, target: &Target) -> Result<AnyId, Error> {
    match target {
        Target::Agent(name) => {
            let agent = known::<Agent>(draft.known(), "agent", name)?;
            let mut body = agent.body.clone();
            if body.state != AgentState::Retired {
                body.state = AgentState::Suspended;
            }
            draft.set_as::<Agent>(&agent.name, Some(&agent), body, EventKind::AgentStateChanged)?;
            Ok(AgentId::into(agent.id.clone()))
        }
        Target::Person(name) => {
            let person = known::<Person>(draft.known(), "person", name)?;
            let body = PersonBody { state: PersonState::Disabled, ..person.body.clone() };
            draft.set_as::<Person>(&person.name, Some(&person), body, EventKind::PersonDisabled)?;
            Ok(PersonId::into(person.id.clone()))
        }
        Target::Workload(name) => {
            let workload = known::<Workload>(draft.known(), "workload", name)?;
            let body = WorkloadBody { state: WorkloadState::Suspended, ..workload.body.clone() };
            draft.set_as::<Workload>(
                &workload.name,
                Some(&workload),
                body,
                EventKind::WorkloadStateChanged,
            )?;
            Ok(AnyId::from(&workload.id))
        }
        Target::Task(id) => {
            if !draft.known().tasks.contains_key(id) {
                return Err(KillRefusal::Missing("task", id.to_string()).into());
            }
            Ok(AnyId::from(id))
        }
        Target::Tool(name) => {
            let tool = known::<Tool>(draft.known(), "tool", name)?;
            let body = ToolBody { state: ToolState::Quarantined, ..tool.body.clone() };
            draft.set_as::<Tool>(&tool.name, Some(&tool), body, EventKind::ToolQuarantined)?;
            Ok(AnyId::from(&tool.id))
        }
        Target::Server(name) => {
            let server = known::<Server>(draft.known(), "server", name)?;
            let body = ServerBody { state: ServerState::Stopped, ..server.body.clone() };
            draft.set_as::<Server>(&server.name, Some(&server), body, EventKind::ServerStateChanged)?;
            Ok(AnyId::from(&server.id))
        }
        Target::All => Ok(AnyId::from(TenantId::first())),
    }
}

/// The agents that a person answers for.
fn owned_agents(known: &Snapshot, person: &AnyId) -> Vec<AgentId> {
    let owned = known.agents.iter().filter(|agent| AnyId::from(&agent.body.owner) == *person);
    owned.map(|agent| agent.id.clone()).collect()
}

fn known<K: Kind>(
    snapshot: &Snapshot,
    word: &'static str,
    name: &str,
) -> Result<std::sync::Arc<crate::kind::Thing<K>>, KillRefusal> {
    K::shelf(snapshot).find(name).cloned().ok_or_else(|| KillRefusal::Missing(word, name.to_owned()))
}

impl Control {
    /// Lets a suspended agent work again. Its old tasks and credentials stay dead.
    pub async fn resume_agent(&self, by: &impl Authority, name: &str) -> Result<Option<Position>, Error> {
        let back = |body: &mut AgentBody| {
            if body.state == AgentState::Retired {
                return Err(PrincipalRefusal::Retired(name.to_owned()).into());
            }
            body.state = AgentState::Active;
            Ok(())
        };
        self.bring_back::<Agent>(by, "agent", name, EventKind::AgentStateChanged, back).await
    }

    /// Lets a disabled person act again. Their old credentials stay dead.
    pub async fn enable_person(&self, by: &impl Authority, name: &str) -> Result<Option<Position>, Error> {
        let back = |body: &mut PersonBody| {
            body.state = PersonState::Active;
            Ok(())
        };
        self.bring_back::<Person>(by, "person", name, EventKind::PersonEnabled, back).await
    }

    /// Lets a suspended workload act again.
    pub async fn resume_workload(&self, by: &impl Authority, name: &str) -> Result<Option<Position>, Error> {
        let back = |body: &mut WorkloadBody| {
            body.state = WorkloadState::Active;
            Ok(())
        };
        self.bring_back::<Workload>(by, "workload", name, EventKind::WorkloadStateChanged, back).await
    }

    /// Lets calls go to a stopped server again.
    pub async fn start_server(&self, by: &impl Authority, name: &str) -> Result<Option<Position>, Error> {
        let back = |body: &mut ServerBody| {
            body.state = ServerState::Active;
            Ok(())
        };
        self.bring_back::<Server>(by, "server", name, EventKind::ServerStateChanged, back).await
    }

    async fn bring_back<K: Kind>(
        &self,
        by: &impl Authority,
        word: &'static str,
        name: &str,
        event: EventKind,
        back: impl Fn(&mut K::Body) -> Result<(), Error> + Send + Sync,
    ) -> Result<Option<Position>, Error> {
        let make = |draft: &mut Draft| {
            let thing = known::<K>(draft.known(), word, name)?;
            let mut body = thing.body.clone();
            back(&mut body)?;
            draft.set_as::<K>(&thing.name, Some(&thing), body, event)
        };
        self.change(by, make).await.map(|(_, position)| position)
    }
}
