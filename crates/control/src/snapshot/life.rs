//! Who is alive: the one place that says whether a principal, a task or a credential still has authority.

use base::{
    AgentId, AnyId, Class, CredentialId, DelegationId, IdKind, PersonId, Position, Refuse, TaskId, TenantId,
    Timestamp, TokenId, WorkloadId,
};

use super::Snapshot;
use crate::{
    principal::{AgentState, PersonState, WorkloadState},
    task::{Task, TaskState},
};

/// A credential's stake in life: whose it is and when it was made.
#[derive(Clone, Debug)]
pub struct Life<'a> {
    /// The generation of the log in which it was made.
    pub generation: i64,
    /// The position of the log at which it was made.
    pub position: Position,
    /// The tenant it belongs to.
    pub tenant: &'a TenantId,
    /// Its own id, where it can be revoked alone.
    pub token: Option<&'a TokenId>,
}

/// Why something has no authority any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// The log began a new generation after an older database came back.
    #[error("the credential is from before the database was restored")]
    OtherGeneration,
    /// A revocation is later than the credential.
    #[error("authority of `{0}` was revoked after the credential was issued")]
    Revoked(AnyId),
    /// The token itself was revoked.
    #[error("the token was revoked")]
    TokenRevoked,
    /// The token is one that anybody may use, and must not be.
    #[error("the token is not bound to a key, and this agent's must be")]
    Unbound,
    /// There is no such principal or task any more.
    #[error("`{0}` is unknown")]
    Unknown(AnyId),
    /// The principal is not at work.
    #[error("`{0}` is {1}")]
    Inactive(AnyId, &'static str),
    /// Nobody answers for the principal.
    #[error("the owner of `{0}` is disabled")]
    Ownerless(AnyId),
    /// The task, or one that it descends from, ended.
    #[error("task `{0}` is {1}")]
    TaskEnded(TaskId, &'static str),
}

impl Refuse for Dead {
    fn class(&self) -> Class {
        Class::Unauthenticated
    }

    fn code(&self) -> &'static str {
        match self {
            Self::OtherGeneration => "credential_superseded",
            Self::Revoked(_) | Self::TokenRevoked => "authority_revoked",
            Self::Unbound => "dpop_binding_required",
            Self::Unknown(_) => "principal_unknown",
            Self::Inactive(..) => "principal_inactive",
            Self::Ownerless(_) => "owner_inactive",
            Self::TaskEnded(..) => "task_ended",
        }
    }

    /// Read by agents, too: what a person ended must not be begun anew by whoever was stopped.
    fn help(&self) -> Option<String> {
        let renew = "get a new token from the token endpoint";
        let help = match self {
            Self::TaskEnded(_, KILLED) => "the task was ended by a person; stop",
            Self::TaskEnded(_, COMPLETED) => {
                "the task is done; stop, and ask the person if there is more to do"
            }
            Self::TaskEnded(..) => "the task is over; ask the person for a new one",
            Self::Revoked(_) => "it was ended by a person; stop",
            Self::Inactive(id, _) if id.kind() == IdKind::TokenId => renew,
            Self::Inactive(..) | Self::Ownerless(_) | Self::Unknown(_) => {
                "stop, and tell the person who runs you"
            }
            Self::OtherGeneration | Self::TokenRevoked | Self::Unbound => renew,
        };
        Some(help.into())
    }
}

const KILLED: &str = TaskState::Killed.as_str();
const COMPLETED: &str = TaskState::Completed.as_str();

impl Snapshot {
    /// A credential is alive while nothing that concerns it was revoked after it was made.
    pub fn credential_lives(&self, life: &Life<'_>, concerns: &[AnyId]) -> Result<(), Dead> {
        if life.generation != self.generation {
            return Err(Dead::OtherGeneration);
        }
        if life.token.is_some_and(|token| self.revoked_tokens.contains_key(token)) {
            return Err(Dead::TokenRevoked);
        }
        let tenant = AnyId::from(life.tenant);
        let later = |id: &&AnyId| self.revoked.get(*id).is_some_and(|&at| at > life.position);
        match std::iter::once(&tenant).chain(concerns).find(later) {
            Some(id) => Err(Dead::Revoked(id.clone())),
            None => Ok(()),
        }
    }

    /// A person is alive while active.
    pub fn person_lives(&self, id: &PersonId) -> Result<(), Dead> {
        let person = self.people.get(id).ok_or_else(|| Dead::Unknown(id.into()))?;
        match person.body.state {
            PersonState::Active => Ok(()),
            PersonState::Disabled => Err(Dead::Inactive(id.into(), "disabled")),
        }
    }

    /// An agent is alive while active, not expired, and its owner is alive.
    pub fn agent_lives(&self, id: &AgentId, now: Timestamp) -> Result<(), Dead> {
        let agent = self.agents.get(id).ok_or_else(|| Dead::Unknown(id.into()))?;
        match agent.body.state {
            AgentState::Active => {}
            AgentState::Staged | AgentState::Suspended | AgentState::Retired => {
                return Err(Dead::Inactive(id.into(), agent.body.state.as_str()));
            }
        }
        if agent.body.expires.is_some_and(|expires| expires <= now) {
            return Err(Dead::Inactive(id.into(), "expired"));
        }
        self.person_lives(&agent.body.owner).map_err(|_| Dead::Ownerless(id.into()))
    }

    /// A workload is alive while active and its owner is.
    pub fn workload_lives(&self, id: &WorkloadId) -> Result<(), Dead> {
        let workload = self.workloads.get(id).ok_or_else(|| Dead::Unknown(id.into()))?;
        match workload.body.state {
            WorkloadState::Active => {}
            WorkloadState::Suspended => return Err(Dead::Inactive(id.into(), "suspended")),
        }
        self.person_lives(&workload.body.owner).map_err(|_| Dead::Ownerless(id.into()))
    }

    /// Whether what a token came from has not ended: the credential of its client, and what a person agreed to. It rests on
    /// one of them at least.
    pub(crate) fn token_rests(
        &self,
        credential: Option<&CredentialId>,
        delegation: Option<&DelegationId>,
        now: Timestamp,
    ) -> bool {
        let is_good = |id: &CredentialId| self.credentials.get(id).is_some_and(|found| !found.revoked);
        let lives = |id: &DelegationId| self.delegation_lives(id, now).is_ok();
        (credential.is_some() || delegation.is_some())
            && credential.is_none_or(is_good)
            && delegation.is_none_or(lives)
    }

    /// The task and its ancestors, own first, all of them alive: open, before their deadlines, with a living agent
    /// and, where they act for a person, a living person.
    ///
    /// INVARIANT: this is the only way to a chain, and it has no partial answer.
    pub fn living_chain(&self, id: &TaskId, now: Timestamp) -> Result<Vec<&Task>, Dead> {
        let mut chain = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let task = self.tasks.get(id).ok_or_else(|| Dead::TaskEnded(id.clone(), "ended"))?;
            self.task_lives(task, now)?;
            chain.push(task.as_ref());
            // A chain that is longer than any chain can be made is broken: refuse it rather than walk on.
            if chain.len() > base::limit::TASK_DEPTH_MAX {
                return Err(Dead::TaskEnded(id.clone(), "too deep"));
            }
            next = task.parent.as_ref();
        }
        Ok(chain)
    }

    fn task_lives(&self, task: &Task, now: Timestamp) -> Result<(), Dead> {
        match task.state {
            TaskState::Open => {}
            TaskState::Completed | TaskState::Killed | TaskState::Expired => {
                return Err(Dead::TaskEnded(task.id.clone(), task.state.as_str()));
            }
        }
        if task.scope.deadline <= now {
            return Err(Dead::TaskEnded(task.id.clone(), "past its deadline"));
        }
        // A task that was delegated with a token ends with the token.
        if task.source.as_ref().is_some_and(|token| self.ended_api_tokens.contains(token)) {
            return Err(Dead::TaskEnded(task.id.clone(), "over: the token that delegated it was revoked"));
        }
        self.agent_lives(&task.agent, now)?;
        task.person.as_ref().map_or(Ok(()), |person| self.person_lives(person))
    }
}
