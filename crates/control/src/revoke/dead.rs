//! Whether what somebody wants to stop is dead already.

use base::{AnyId, Ctx, Position};

use super::{Target, owned_agents};
use crate::{
    catalogue::{ServerState, ToolState},
    principal::{AgentState, PersonState, WorkloadState},
    snapshot::Snapshot,
    task::TaskState,
};

/// Since which revocation a target is dead, if nothing of it came to life after that: it is stopped, no task of it is
/// open, and nothing was made since with which it could prove itself once it is at work again.
///
/// A change of state that ends authority is a revocation by itself, so that whatever is stopped and has one was stopped
/// by it or before it. Tasks that are over are unknown, and a stop of everything is never a repetition.
pub(super) fn dead_since(known: &Snapshot, ctx: &Ctx, target: &Target) -> Option<Position> {
    let (subject, is_stopped, principals): (AnyId, bool, Vec<AnyId>) = match target {
        Target::Agent(name) => {
            let agent = known.agents.find(name)?;
            let is_stopped = matches!(agent.body.state, AgentState::Suspended | AgentState::Retired);
            ((&agent.id).into(), is_stopped, vec![(&agent.id).into()])
        }
        Target::Person(name) => {
            let person = known.people.find(name)?;
            let subject = AnyId::from(&person.id);
            let agents = owned_agents(known, &subject).into_iter().map(AnyId::from);
            let workloads = known.workloads.iter().filter(|workload| workload.body.owner == person.id);
            let workloads = workloads.map(|workload| AnyId::from(&workload.id));
            let principals = std::iter::once(subject.clone()).chain(agents).chain(workloads).collect();
            (subject, person.body.state == PersonState::Disabled, principals)
        }
        Target::Workload(name) => {
            let workload = known.workloads.find(name)?;
            let is_stopped = workload.body.state == WorkloadState::Suspended;
            ((&workload.id).into(), is_stopped, vec![(&workload.id).into()])
        }
        Target::Tool(name) => {
            let tool = known.tools.find(name)?;
            ((&tool.id).into(), tool.body.state == ToolState::Quarantined, Vec::new())
        }
        Target::Server(name) => {
            let server = known.servers.find(name)?;
            ((&server.id).into(), server.body.state == ServerState::Stopped, Vec::new())
        }
        Target::Task(_) | Target::All => return None,
    };
    let is_of = |id: AnyId| principals.contains(&id);
    let mut open = known.tasks.values().filter(|task| task.state == TaskState::Open);
    let has_task = open.any(|task| {
        is_of((&task.agent).into()) || task.person.as_ref().is_some_and(|person| is_of(person.into()))
    });
    let can_prove_itself = principals.iter().any(|principal| known.can_prove_itself(principal, ctx));
    known.revoked.get(&subject).copied().filter(|_| is_stopped && !has_task && !can_prove_itself)
}
