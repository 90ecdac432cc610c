//! Who calls, as a verified access token says.

use base::{AgentId, AnyId, Position, TaskId, TenantId, Timestamp, TokenId};
use store::ProofUse;

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
}

impl Caller {
    /// The chain of tasks behind the caller, own first, if everything in it is alive and nothing that concerns it
    /// was revoked after the token was issued.
    ///
    /// INVARIANT: asked at each call; a token that was good a moment ago proves nothing.
    pub fn alive<'a>(&self, snapshot: &'a Snapshot, now: Timestamp) -> Result<Vec<&'a Task>, Dead> {
        if self.expires <= now {
            return Err(Dead::Inactive(AnyId::from(&self.token), "expired"));
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
        Ok(chain)
    }
}
