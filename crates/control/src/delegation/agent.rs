//! Which agent acts for a client.
//!
//! An agent says which client drives it. A company's agent that names the client acts for everybody who agrees; otherwise
//! each person has an assistant of their own for it, made when they agree for the first time.

use std::sync::Arc;

use base::{AnyId, Error, PersonId};

use super::model::DelegationRefusal;
use crate::{
    client::KnownClient,
    draft::Draft,
    kind::Thing,
    principal::{Agent, AgentOrigin, AgentSpec, AgentState},
    snapshot::Snapshot,
};

/// The blueprint of assistants that are made by agreeing; the first start makes it.
pub(crate) const ASSISTANT: &str = "assistant";
/// The longest name made of what a client calls itself, in bytes.
const STEM_BYTES_MAX: usize = 32;

impl Snapshot {
    /// The agent that acts for a client on behalf of a person, if there is one.
    ///
    /// SECURITY: one that was stopped is found, too, and refused: agreeing anew must not make what somebody stopped anew.
    pub(crate) fn agent_for(
        &self,
        client: &KnownClient,
        person: &PersonId,
    ) -> Result<Option<Arc<Thing<Agent>>>, DelegationRefusal> {
        let drives =
            |agent: &&Arc<Thing<Agent>>| agent.body.client.as_deref() == Some(client.client_id.as_str());
        let mut of_company = None;
        for agent in self.agents.iter().filter(drives) {
            let blueprint = self.blueprints.get(&agent.body.blueprint);
            match blueprint.map(|blueprint| blueprint.body.origin) {
                Some(AgentOrigin::Assistant) if agent.body.owner == *person => {
                    return at_work(agent).map(Some);
                }
                Some(AgentOrigin::Company) => of_company = Some(agent),
                Some(AgentOrigin::Assistant | AgentOrigin::Child) | None => {}
            }
        }
        of_company.map(at_work).transpose()
    }
}

fn at_work(agent: &Arc<Thing<Agent>>) -> Result<Arc<Thing<Agent>>, DelegationRefusal> {
    match agent.body.state {
        AgentState::Active => Ok(Arc::clone(agent)),
        AgentState::Staged | AgentState::Suspended | AgentState::Retired => {
            Err(DelegationRefusal::Stopped(agent.name.to_string()))
        }
    }
}

/// What an agent that is not made yet will be called: the client's name and the person's, as a name may be.
pub(crate) fn name_for(known: &Snapshot, client: &KnownClient, person: &PersonId) -> String {
    let mut stem = String::new();
    for character in client.metadata.client_name.chars().flat_map(char::to_lowercase) {
        if character.is_ascii_alphanumeric() {
            stem.push(character);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
        if stem.len() >= STEM_BYTES_MAX {
            break;
        }
    }
    let stem = stem.trim_matches('-');
    let stem = if stem.starts_with(|first: char| first.is_ascii_alphabetic()) { stem } else { "client" };
    let name = format!("{stem}-{}", known.people.name_of(person));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| known.agents.named(name).is_none())
        .unwrap_or(name)
}

/// The agent of a delegation, made in the draft where there is none yet.
pub(super) fn ensure(
    draft: &mut Draft,
    client: &KnownClient,
    person: &PersonId,
) -> Result<Arc<Thing<Agent>>, Error> {
    if let Some(agent) = draft.known().agent_for(client, person)? {
        return Ok(agent);
    }
    let name = name_for(draft.known(), client, person);
    let spec = AgentSpec {
        owner: draft.known().people.name_of(person),
        blueprint: ASSISTANT.to_owned(),
        purpose: format!("acts for its owner through {}", client.metadata.client_name),
        state: AgentState::Active,
        expires: None,
        client: Some(client.client_id.clone()),
    };
    draft.put::<Agent>(&name, spec)?;
    let made = draft.known().agents.named(&name).cloned();
    made.ok_or_else(|| crate::snapshot::Dead::Unknown(AnyId::from(person)).into())
}
