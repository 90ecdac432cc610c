//! Delegations as values.

use std::{collections::BTreeSet, sync::Arc};

use base::{
    AgentId, Class, ClientId, DelegationId, PersonId, Position, Refuse, SessionId, TaskId, Timestamp,
};
use policy::{Effect, Scope};
use serde::{Deserialize, Serialize};
use wire::oauth::{CodeChallenge, RedirectUri, SignedIn};

use crate::client::KnownClient;

/// What a person lets a client do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delegation {
    /// Its id.
    pub id: DelegationId,
    /// Who lets.
    pub person: PersonId,
    /// Whom: the client's id.
    pub client: String,
    /// Under which id an administrator registered it, where one did: it ends with that.
    pub registered: Option<ClientId>,
    /// What the client called itself.
    pub client_name: String,
    /// What the client said about itself, as a digest: a client that says something else is asked about again.
    pub client_digest: String,
    /// Where the answer went.
    pub redirect: String,
    /// What tokens are for: the URL of one resource.
    pub audience: String,
    /// What was agreed to beside that.
    pub scope: Vec<String>,
    /// What the client learns about the person beside what the scopes stand for.
    pub claims: NamedClaims,
    /// The digest of the task that was asked for, where one was described.
    pub wish: Option<String>,
    /// What the client may do.
    pub powers: Powers,
    /// What the person did not want added to the task, and is not asked about again.
    pub declined: BTreeSet<Effect>,
    /// How the person had signed in.
    pub signed_in: SignedIn,
    /// What the session in which it was agreed means to it.
    pub session: SessionTie,
    /// When it was agreed.
    pub created: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// The generation of the log in which it was made.
    pub generation: i64,
    /// The position of the log at which it was made.
    pub position: Position,
}

/// Claims about a person that a client asked for one by one (OpenID Connect Core 1.0, section 5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedClaims {
    /// In ID tokens.
    pub id_token: Vec<String>,
    /// In user info.
    pub userinfo: Vec<String>,
}

impl NamedClaims {
    /// Whether all of another's are among these.
    pub(crate) fn hold(&self, other: &Self) -> bool {
        let all = |some: &[String], of: &[String]| some.iter().all(|name| of.contains(name));
        all(&other.id_token, &self.id_token) && all(&other.userinfo, &self.userinfo)
    }
}

/// What a session means to a delegation that was agreed to in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionTie {
    /// The delegation ends with it, and the client is told.
    EndsWith(SessionId),
    /// The client is told that it ended, and goes on.
    HearsOf(SessionId),
    /// Nothing, or nothing any more.
    Free,
}

impl SessionTie {
    /// The session.
    pub const fn session(&self) -> Option<&SessionId> {
        match self {
            Self::EndsWith(session) | Self::HearsOf(session) => Some(session),
            Self::Free => None,
        }
    }
}

/// What a client may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Powers {
    /// Its agent works on a task for the person.
    Agent {
        /// The agent.
        agent: AgentId,
        /// The task.
        task: TaskId,
    },
    /// It acts as the person at the API.
    Person,
    /// It learns who the person is.
    SignIn,
}

/// A delegation that a person agreed to and that is not made yet.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) client: Arc<KnownClient>,
    pub(crate) redirect: String,
    pub(crate) audience: String,
    pub(crate) scope: Vec<String>,
    pub(crate) claims: NamedClaims,
    pub(crate) wish: Option<String>,
    pub(crate) powers: WantedPowers,
    pub(crate) seconds: i64,
    pub(crate) declined: BTreeSet<Effect>,
    pub(crate) signed_in: SignedIn,
    pub(crate) session: SessionTie,
}

#[derive(Clone, Debug)]
pub(crate) enum WantedPowers {
    /// A new task of the client's agent.
    NewTask(Box<WantedTask>),
    /// The task of an earlier delegation that the person remembers.
    SameTask {
        agent: AgentId,
        task: TaskId,
    },
    /// The same with these effects added to the task.
    WiderTask {
        agent: AgentId,
        task: TaskId,
        added: BTreeSet<Effect>,
    },
    Person,
    SignIn,
}

/// The task that a person agreed to.
#[derive(Clone, Debug)]
pub(crate) struct WantedTask {
    pub(crate) purpose: String,
    pub(crate) instruction: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) calls_max: i64,
    pub(crate) bytes_max: i64,
}

/// What has to be true of whoever redeems a code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CodeTerms {
    pub(crate) client: String,
    /// Where it was sent, as the client named it; none where it named nothing.
    pub(crate) redirect: Option<RedirectUri>,
    pub(crate) challenge: CodeChallenge,
    pub(crate) nonce: Option<String>,
    /// The key to which the client bound it (RFC 9449, section 10).
    pub(crate) jkt: Option<String>,
}

/// What delegations are refused for.
#[derive(Debug, thiserror::Error)]
pub enum DelegationRefusal {
    /// It ended, or what it rests on did.
    #[error("what the person agreed to has ended")]
    Over,
    /// There is none with this id, or it is another's.
    #[error("there is no such delegation")]
    Missing,
    /// The client's agent was stopped.
    #[error("agent `{0}`, which acts for this client, is stopped")]
    Stopped(String),
    /// The agent of this client is another person's.
    #[error("agent `{0}`, which acts for this client, does not act for this person")]
    NotTheirs(String),
}

impl Refuse for DelegationRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Over => Class::Unauthenticated,
            Self::Missing => Class::Missing,
            Self::Stopped(_) | Self::NotTheirs(_) => Class::Denied,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Over => "delegation_over",
            Self::Missing => "not_found",
            Self::Stopped(_) => "agent_stopped",
            Self::NotTheirs(_) => "agent_not_for_person",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Over => Some("ask the person again".into()),
            Self::Stopped(name) => Some(format!("an administrator resumes it: `writ agent resume {name}`")),
            Self::Missing | Self::NotTheirs(_) => None,
        }
    }
}
