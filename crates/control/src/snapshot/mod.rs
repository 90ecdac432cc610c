//! What is true now, in memory: every decision and every read is answered from here, never from the database.
//!
//! A snapshot is immutable and cheap to clone; a new one is made for each batch of records that the
//! [follower](crate::follow) sees. It says up to which position of the log it is complete.

mod index;
mod life;
mod load;
mod prune;
mod shelf;

pub use index::Index;
pub use life::{Dead, Life};
pub(crate) use load::{load, reload};
pub(crate) use prune::prune;
use shelf::shelves;
pub use shelf::{Shelf, Shelved};

use std::sync::Arc;

use base::{
    AnyId, ClientId, CredentialId, DelegationId, GrantId, GroupId, IdKind, KeyId, Position, SessionId,
    TaskId, Timestamp, TokenId,
};
use rpds::HashTrieMapSync;
use wire::jose::SigningKey;

use crate::{
    catalogue::{Server, Tool},
    client::{Client, Registration},
    credential::{ApiToken, Credential},
    decide::Slices,
    delegation::Delegation,
    grant::{Grant, GrantOn, Permission, Role},
    key::{Ring, VerifyingKey},
    kind::{Kind, Thing},
    principal::{Agent, Blueprint, Group, Person, Workload},
    rule::Rule,
    secret::KeptSecret,
    session::Session,
    task::{Task, TaskState},
};

/// Ended tasks that are remembered, so that their tokens are refused with the better reason.
const ENDED_TASKS_MAX: usize = 4096;

/// What is found out about one snapshot, and which one that is. A snapshot that is not published knows nothing of the kind:
/// it may still be changed.
#[derive(Default)]
pub(crate) struct Found(pub(crate) Option<Arc<Slices>>);

impl Clone for Found {
    fn clone(&self) -> Self {
        Self(None)
    }
}

/// Everything that decisions rest on, as of one position of the log.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// The last record that this snapshot knows.
    pub position: Position,
    /// The generation of the log: credentials of earlier ones are dead.
    pub generation: i64,

    /// Persons.
    pub people: Shelf<Person>,
    /// Groups.
    pub groups: Shelf<Group>,
    /// Workloads.
    pub workloads: Shelf<Workload>,
    /// Blueprints.
    pub blueprints: Shelf<Blueprint>,
    /// Agents.
    pub agents: Shelf<Agent>,
    /// Clients that an administrator registered.
    pub clients: Shelf<Client>,
    /// Servers.
    pub servers: Shelf<Server>,
    /// Tools.
    pub tools: Shelf<Tool>,
    /// Roles.
    pub roles: Shelf<Role>,
    /// Grants.
    pub grants: Shelf<Grant>,
    /// Policies that users wrote.
    pub rules: Shelf<Rule>,
    /// Secrets, without their values.
    pub secrets: Shelf<KeptSecret>,
    /// The values of secrets, unsealed.
    pub vault: HashTrieMapSync<base::SecretId, Arc<base::Secret>>,

    /// Tasks that are open, or were when the snapshot was last loaded whole.
    pub tasks: HashTrieMapSync<TaskId, Arc<Task>>,
    /// What the open ones have used. Shared by all snapshots: it moves on without a new one.
    pub(crate) used: HashTrieMapSync<TaskId, Arc<store::Used>>,
    /// Keys and secrets of principals.
    pub credentials: HashTrieMapSync<CredentialId, Arc<Credential>>,
    /// API tokens, by the SHA-256 of their text.
    pub api_tokens: HashTrieMapSync<[u8; 32], Arc<ApiToken>>,
    /// API tokens that were revoked, by id.
    pub ended_api_tokens: rpds::HashTrieSetSync<TokenId>,
    /// Clients that registered themselves.
    pub(crate) registrations: HashTrieMapSync<ClientId, Arc<Registration>>,
    /// What persons let clients do, as long as it is alive.
    pub delegations: HashTrieMapSync<DelegationId, Arc<Delegation>>,
    /// Persons' sessions, by the SHA-256 of their secret.
    pub sessions: HashTrieMapSync<[u8; 32], Arc<Session>>,
    /// The same by id.
    pub(crate) session_digests: HashTrieMapSync<SessionId, [u8; 32]>,
    /// Writ's own signing keys, public halves.
    pub keys: HashTrieMapSync<KeyId, Arc<VerifyingKey>>,
    /// The private halves of those that sign.
    pub(crate) private_keys: HashTrieMapSync<KeyId, Arc<SigningKey>>,
    /// The same keys, ready to sign and to verify.
    pub ring: Arc<Ring>,
    /// Positions at which authority ended, by whose it was.
    pub revoked: HashTrieMapSync<AnyId, Position>,
    /// Access tokens that were revoked one by one, until they expire.
    pub revoked_tokens: HashTrieMapSync<TokenId, Timestamp>,

    /// What is found out about this very snapshot while it is the present one.
    pub(crate) found: Found,

    pub(crate) groups_by_member: Index<AnyId, GroupId>,
    pub(crate) grants_by_subject: Index<AnyId, GrantId>,
    /// By holder and what the grant is on, so that a decision looks at what concerns it and nothing else.
    pub(crate) grants_on: Index<(AnyId, GrantOn), GrantId>,
    pub(crate) tasks_by_agent: Index<AnyId, TaskId>,
    pub(crate) tasks_by_parent: Index<AnyId, TaskId>,
    pub(crate) credentials_by_principal: Index<AnyId, CredentialId>,
}

shelves! {
    Person => people,
    Group => groups,
    Workload => workloads,
    Blueprint => blueprints,
    Agent => agents,
    Client => clients,
    Server => servers,
    Tool => tools,
    Role => roles,
    Grant => grants,
    Rule => rules,
    KeptSecret => secrets,
}

impl Snapshot {
    /// Makes it the one that is asked from here on. It does not change any more.
    pub(crate) fn published(mut self) -> Arc<Self> {
        self.found.0.get_or_insert_default();
        Arc::new(self)
    }

    /// Where nothing but the position differs from the one before.
    pub(crate) fn keeps_what_was_found_on(&mut self, before: &Self) {
        self.found.0.clone_from(&before.found.0);
    }

    /// Keeps a thing, and the indexes true.
    pub(crate) fn keep<K: Kind>(&mut self, thing: Arc<Thing<K>>) {
        let before = K::shelf(self).get(&thing.id).cloned();
        K::index(self, before.as_deref(), Some(&thing));
        K::shelf_mut(self).insert(thing);
    }

    /// Forgets a thing, and keeps the indexes true.
    pub(crate) fn forget<K: Kind>(&mut self, id: &K::Id) {
        if let Some(before) = K::shelf(self).get(id).cloned() {
            K::index(self, Some(&before), None);
            K::shelf_mut(self).remove(id);
        }
    }

    /// Keeps a task, and the indexes true.
    pub(crate) fn keep_task(&mut self, task: Arc<Task>) {
        self.tasks_by_agent.add(&AnyId::from(&task.agent), &task.id);
        if let Some(parent) = &task.parent {
            self.tasks_by_parent.add(&AnyId::from(parent), &task.id);
        }
        if task.state != TaskState::Open {
            self.used.remove_mut(&task.id);
        }
        self.tasks.insert_mut(task.id.clone(), task);
    }

    /// A task and its ancestors, those of them whose usage is counted.
    pub(crate) fn counted_chain(&self, id: &TaskId) -> impl Iterator<Item = &TaskId> {
        std::iter::successors(self.tasks.get(id), |task| self.tasks.get(task.parent.as_ref()?))
            .take(base::limit::TASK_DEPTH_MAX)
            .map(|task| &task.id)
            .filter(|id| self.used.contains_key(*id))
    }

    /// The tasks of an agent that are here, ended ones included.
    pub fn tasks_of(&self, agent: &base::AgentId) -> impl Iterator<Item = &Arc<Task>> {
        self.tasks_by_agent
            .of(&AnyId::from(agent))
            .filter_map(|id| self.tasks.get(id))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Forgets tasks that have ended, once they outnumber those at work: a token of a task that is not here is as
    /// dead as one of a task that is known to have ended.
    pub(crate) fn forget_ended_tasks(&mut self) {
        let ended = |task: &&Arc<Task>| task.state != TaskState::Open;
        if self.tasks.values().filter(ended).count() < ENDED_TASKS_MAX {
            return;
        }
        let ended: Vec<Arc<Task>> = self.tasks.values().filter(ended).cloned().collect();
        for task in ended {
            self.tasks_by_agent.remove(&AnyId::from(&task.agent), &task.id);
            if let Some(parent) = &task.parent {
                self.tasks_by_parent.remove(&AnyId::from(parent), &task.id);
            }
            self.tasks.remove_mut(&task.id);
        }
    }

    /// Keeps an API token.
    pub(crate) fn keep_api_token(&mut self, digest: [u8; 32], token: Arc<ApiToken>) {
        if token.revoked {
            self.ended_api_tokens.insert_mut(token.id.clone());
        }
        self.api_tokens.insert_mut(digest, token);
    }

    /// Keeps a credential, and the indexes true.
    pub(crate) fn keep_credential(&mut self, credential: Arc<Credential>) {
        self.credentials_by_principal.add(&credential.principal, &credential.id);
        self.credentials.insert_mut(credential.id.clone(), credential);
    }

    /// The name behind an id, or the id itself: for messages and exports.
    pub fn name_of(&self, id: &AnyId) -> String {
        fn named<K: Kind>(snapshot: &Snapshot, id: &AnyId) -> Option<String> {
            let id = id.as_str().parse().ok()?;
            K::shelf(snapshot).get(&id).map(|thing| thing.name.to_string())
        }
        let name = match id.kind() {
            IdKind::PersonId => named::<Person>(self, id),
            IdKind::GroupId => named::<Group>(self, id),
            IdKind::WorkloadId => named::<Workload>(self, id),
            IdKind::BlueprintId => named::<Blueprint>(self, id),
            IdKind::AgentId => named::<Agent>(self, id),
            IdKind::ServerId => named::<Server>(self, id),
            IdKind::ToolId => named::<Tool>(self, id),
            IdKind::RoleId => named::<Role>(self, id),
            IdKind::GrantId => named::<Grant>(self, id),
            IdKind::PolicyId => named::<Rule>(self, id),
            IdKind::SecretId => named::<KeptSecret>(self, id),
            IdKind::ClientId => named::<Client>(self, id),
            IdKind::AuthenticatorId
            | IdKind::CredentialId
            | IdKind::DecisionId
            | IdKind::DelegationId
            | IdKind::KeyId
            | IdKind::PayloadId
            | IdKind::SessionId
            | IdKind::TaskId
            | IdKind::TenantId
            | IdKind::TokenId => None,
        };
        name.unwrap_or_else(|| id.to_string())
    }

    /// The grants given to exactly this principal, group or blueprint, whether they still hold or not.
    pub fn grants_of(&self, subject: &AnyId) -> Vec<Arc<Thing<Grant>>> {
        self.grants_by_subject.of(subject).filter_map(|id| self.grants.get(id)).cloned().collect()
    }

    /// The groups that a principal is in.
    pub fn groups_of(&self, member: &AnyId) -> impl Iterator<Item = &GroupId> {
        self.groups_by_member.of(member)
    }

    /// Whether a person or workload holds an administrative permission now, directly or through a group.
    pub fn has_permission(&self, principal: &AnyId, wanted: Permission, now: Timestamp) -> bool {
        let groups = self.groups_of(principal).map(AnyId::from);
        std::iter::once(principal.clone()).chain(groups).any(|subject| {
            self.grants_by_subject.of(&subject).filter_map(|id| self.grants.get(id)).any(|grant| {
                grant.body.holds(now)
                    && self.roles.get(&grant.body.role).is_some_and(|role| {
                        role.body.permissions.contains(&wanted)
                            || role.body.permissions.contains(&Permission::Administer)
                    })
            })
        })
    }
}
