//! Who calls, as a verified access token says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use base::{AgentId, AnyId, CredentialId, DelegationId, Position, TaskId, TenantId, Timestamp, TokenId};
use store::ProofUse;

use super::Slices;
use crate::{
    snapshot::{Dead, Life, Snapshot},
    task::Task,
};

/// What a verified access token says about its bearer. Made only by the token verifier.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's id.
    pub token: TokenId,
    /// The agent that acts.
    pub agent: AgentId,
    /// The task it acts within; the person and the chain are the task's.
    pub task: TaskId,
    /// The tenant.
    pub tenant: TenantId,
    /// The position of the log at which the token was issued.
    pub position: Position,
    /// The generation of the log in which the token was issued.
    pub generation: i64,
    /// When the token ends.
    pub expires: Timestamp,
    /// The proof of possession that came with this request, to be used up together with what it is for.
    pub proof: Option<ProofUse>,
    /// What the token itself rests on.
    pub(crate) grounds: Arc<Grounds>,
    /// What was found of it last.
    pub(crate) standing: Standing,
}

/// What a token rests on besides the lives of those whom it names.
#[derive(Debug)]
pub(crate) struct Grounds {
    /// The key that signed it.
    pub(crate) kid: String,
    /// By what its client got it.
    pub(crate) credential: Option<CredentialId>,
    /// What a person agreed to, where it comes from that.
    pub(crate) delegation: Option<DelegationId>,
    /// Whether it is bound to a key of its sender.
    pub(crate) is_bound: bool,
    /// What it is for, as it says.
    pub(crate) audience: String,
}

impl Grounds {
    /// A token ends with its signing key and with the credential by which its client got it, and one that anybody may use
    /// ends when its agent's must be bound.
    fn hold(&self, known: &Snapshot, agent: &AgentId, now: Timestamp) -> Result<(), Dead> {
        let rests = known.token_rests(self.credential.as_ref(), self.delegation.as_ref(), now);
        if known.ring.public().get(&self.kid).is_none() || !rests {
            return Err(Dead::TokenRevoked);
        }
        // Fails closed: an agent without a blueprint has no say in how it is bound.
        let blueprint = known.agents.get(agent).and_then(|agent| known.blueprints.get(&agent.body.blueprint));
        let must_be_bound = blueprint.is_none_or(|blueprint| blueprint.body.dpop_required);
        if must_be_bound && !self.is_bound { Err(Dead::Unbound) } else { Ok(()) }
    }
}

/// A task and its ancestors, own first.
pub type Chain = Arc<[Arc<Task>]>;

/// The tasks of a chain.
pub(crate) fn tasks(chain: &Chain) -> Vec<&Task> {
    chain.iter().map(AsRef::as_ref).collect()
}

impl Caller {
    /// What the token is for: the URL of the endpoint that it was sent to.
    pub fn audience(&self) -> &str {
        &self.grounds.audience
    }

    /// The same caller for a further act of the same request, whose proof was used up by an earlier one.
    #[must_use]
    pub fn without_proof(&self) -> Self {
        Self { proof: None, ..self.clone() }
    }

    /// The chain of tasks behind the caller, own first, if everything in it is alive and nothing that concerns it
    /// was revoked after the token was issued.
    ///
    /// INVARIANT: asked at each call; a token that was good a moment ago proves nothing. What was found on this very
    /// snapshot is the same until the first thing ends that ends by itself.
    pub fn alive(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Chain, Dead> {
        if self.expires <= now {
            return Err(Dead::Inactive(AnyId::from(&self.token), "expired"));
        }
        if let Some(chain) = self.standing.on(snapshot, now) {
            return Ok(chain);
        }
        let chain = snapshot.living_chain(&self.task, now)?;
        let own = chain.first().ok_or_else(|| Dead::Unknown(AnyId::from(&self.task)))?;
        if own.agent != self.agent {
            return Err(Dead::Unknown(AnyId::from(&self.agent)));
        }
        let concerns: Vec<AnyId> = chain
            .iter()
            .flat_map(|task| {
                let person = task.person.as_ref().map(AnyId::from);
                let owner = snapshot.agents.get(&task.agent).map(|agent| AnyId::from(&agent.body.owner));
                [Some(AnyId::from(&task.id)), Some(AnyId::from(&task.agent)), person, owner]
                    .into_iter()
                    .flatten()
            })
            .collect();
        let life = Life {
            generation: self.generation,
            position: self.position,
            tenant: &self.tenant,
            token: Some(&self.token),
        };
        snapshot.credential_lives(&life, &concerns)?;
        // SECURITY: all that is asked of a token before it is believed again is asked here, since what is kept stands for
        // all of it. Streams under way ask nobody else.
        self.grounds.hold(snapshot, &self.agent, now)?;
        let chain: Chain = chain.iter().filter_map(|task| snapshot.tasks.get(&task.id)).cloned().collect();
        self.standing.keep(snapshot, now, &chain);
        Ok(chain)
    }
}

/// That a caller was found alive. Clones share it: all requests with one token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Arc<Mutex<Option<Found>>>);

#[derive(Debug)]
struct Found {
    /// Which snapshot it was found on. Weak, so that nothing of an old one is held; its address is not given to another
    /// as long as this is here.
    on: Weak<Slices>,
    from: Timestamp,
    until: Timestamp,
    chain: Chain,
}

impl Standing {
    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found on this snapshot, if that still holds.
    pub(crate) fn on(&self, snapshot: &Snapshot, now: Timestamp) -> Option<Chain> {
        let slices = snapshot.found.0.as_ref()?;
        let found = self.found();
        let found = found.as_ref().filter(|found| std::ptr::eq(found.on.as_ptr(), Arc::as_ptr(slices)))?;
        (found.from <= now && now < found.until).then(|| Arc::clone(&found.chain))
    }

    /// Keeps what was found, until the first deadline of a task and the first end of an agent.
    fn keep(&self, snapshot: &Snapshot, now: Timestamp, chain: &Chain) {
        let Some(slices) = &snapshot.found.0 else { return };
        let deadlines = chain.iter().map(|task| task.scope.deadline);
        let agents = chain.iter().filter_map(|task| snapshot.agents.get(&task.agent)?.body.expires);
        let Some(until) = deadlines.chain(agents).min() else { return };
        let (on, chain) = (Arc::downgrade(slices), Arc::clone(chain));
        *self.found() = Some(Found { on, from: now, until, chain });
    }
}
