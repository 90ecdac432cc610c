//! Whether an agent takes a task: it is at work, and made for whom it shall act.

use base::{AgentId, Error, Fault, PersonId, Timestamp};

use super::model::TaskRefusal;
use crate::{
    kind::Thing,
    principal::{Agent, AgentOrigin, BlueprintBody},
    snapshot::{Dead, Snapshot},
};

/// The agent and what its blueprint says, if it takes a task of this person, below another one or not.
pub(crate) fn taker<'a>(
    known: &'a Snapshot,
    agent: &AgentId,
    person: Option<&PersonId>,
    is_child: bool,
    now: Timestamp,
) -> Result<&'a BlueprintBody, Error> {
    let missing = || TaskRefusal::NoSuchAgent(agent.to_string());
    let agent = known.agents.get(agent).ok_or_else(missing)?;
    known.agent_lives(&agent.id, now).map_err(|dead| not_active(agent, &dead))?;
    let blueprint = known
        .blueprints
        .get(&agent.body.blueprint)
        .ok_or_else(|| Fault::new("planning a task", "the blueprint of its agent is not there"))?;
    acts_for(agent, blueprint.body.origin, person, is_child)?;
    Ok(&blueprint.body)
}

/// The state of an agent that is not alive, for whoever wanted it to work.
fn not_active(agent: &Thing<Agent>, dead: &Dead) -> TaskRefusal {
    let state = match dead {
        Dead::Inactive(_, state) => state,
        Dead::Ownerless(_) => "without an active owner",
        Dead::OtherGeneration
        | Dead::Revoked(_)
        | Dead::TokenRevoked
        | Dead::Unbound
        | Dead::Unknown(_)
        | Dead::TaskEnded(..) => "not active",
    };
    TaskRefusal::AgentNotActive { agent: agent.name.to_string(), state }
}

/// Whether an agent of this origin takes such a task.
fn acts_for(
    agent: &Thing<Agent>,
    origin: AgentOrigin,
    person: Option<&PersonId>,
    is_child: bool,
) -> Result<(), TaskRefusal> {
    let refuse = |origin, whom| Err(TaskRefusal::NotForThem { agent: agent.name.to_string(), origin, whom });
    match origin {
        AgentOrigin::Assistant if person.is_some_and(|person| person != &agent.body.owner) => {
            refuse("its owner's assistant", "for anyone else")
        }
        AgentOrigin::Child if !is_child => refuse("another agent's child", "outside a task of that agent"),
        AgentOrigin::Company | AgentOrigin::Assistant | AgentOrigin::Child => Ok(()),
    }
}
