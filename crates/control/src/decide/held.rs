//! What stands behind the roles of a decision, and what would be missing: for operators who ask why.

use policy::{Act, ActKind, Effect};
use serde::Serialize;

use super::{
    facts::{Target, each_role_on, holders_of_agent, holders_of_person},
    slice::Moment,
};
use crate::{grant::GrantOn, snapshot::Snapshot, task::Task};

/// A grant by which a principal holds a role that covers an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeldGrant {
    /// Who holds it, directly or through a group or blueprint: `person/maya`.
    pub principal: String,
    /// The grant's name.
    pub grant: String,
    /// The role.
    pub role: String,
    /// On what: `catalogue`, `server/shop`, `tool/shop/send_mail`.
    pub on: String,
}

/// The grants behind the roles of everybody in a chain, the person first.
pub fn grants_behind(chain: &[&Task], act: &Act, known: &Snapshot, now: base::Timestamp) -> Vec<HeldGrant> {
    let (target, moment) = (Target::of(act, known), Moment::of(now));
    let mut held = Vec::new();
    let mut collect = |principal: &str, holders: &[base::AnyId]| {
        for holder in holders {
            each_role_on(&target, holder, known, &moment, |grant, role, path| {
                let on = match &grant.body.on {
                    GrantOn::System => "system".to_owned(),
                    GrantOn::Catalogue => "catalogue".to_owned(),
                    GrantOn::Server(_) => format!("server/{path}"),
                    GrantOn::Tool(_) => format!("tool/{path}"),
                };
                let (principal, grant) = (principal.to_owned(), grant.name.to_string());
                held.push(HeldGrant { principal, grant, role: role.name.to_string(), on });
            });
        }
    };
    if let Some(person) = chain.first().and_then(|task| task.person.as_ref()) {
        collect(&format!("person/{}", known.people.name_of(person)), &holders_of_person(person, known));
    }
    let mut agents: Vec<&base::AgentId> = chain.iter().rev().map(|task| &task.agent).collect();
    agents.dedup();
    for agent in agents {
        collect(&format!("agent/{}", known.agents.name_of(agent)), &holders_of_agent(agent, known));
    }
    held
}

/// The role that gives least of those that would cover an act.
pub fn least_role(act: &Act, known: &Snapshot) -> Option<String> {
    let (effect, tool) = match &act.kind {
        ActKind::Tool { name, effect, .. } => (*effect, Some(name.as_str())),
        ActKind::Resource { .. } | ActKind::Prompt { .. } | ActKind::Open | ActKind::List => {
            (Effect::Read, None)
        }
    };
    let fitting =
        known.roles.iter().filter(|role| role.body.permissions.is_empty() && role.body.covers(effect, tool));
    let least = fitting.min_by_key(|role| (role.body.tools.is_empty(), role.body.effects.len()));
    least.map(|role| role.name.to_string())
}
