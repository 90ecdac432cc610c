//! Gathering what a decision rests on: the slice of the snapshot around the principals and the target.

use std::collections::BTreeMap;

use base::{AgentId, AnyId, PersonId, ServerId};
use policy::{Act, ActKind, AttributeValue, Effect, EntityKind, EntityRef, Subject, SubjectError};

use super::slice::Moment;
use crate::{
    grant::{Grant, GrantOn, Role, RoleBody},
    kind::Thing,
    principal::{AgentOrigin, MemberKind},
    snapshot::Snapshot,
};

/// A principal with the roles that it holds on the target of one act.
pub(super) struct Held {
    pub(super) subject: Subject,
    pub(super) roles: Vec<EntityRef>,
}

/// What an act is on, in the catalogue's terms.
pub(super) struct Target<'a> {
    act: &'a Act,
    server: Option<ServerId>,
    /// The places on which a grant covers the act, narrowest first.
    places: Vec<(GrantOn, String)>,
}

impl<'a> Target<'a> {
    pub(super) fn of(act: &'a Act, snapshot: &Snapshot) -> Self {
        let server = snapshot.servers.named(act.server.as_str()).map(|server| server.id.clone());
        let mut places = Vec::with_capacity(3);
        if let ActKind::Tool { name, .. } = &act.kind {
            let path = format!("{}/{name}", act.server);
            if let Some(tool) = snapshot.tools.named(&path) {
                places.push((GrantOn::Tool(tool.id.clone()), path));
            }
        }
        if let Some(server) = &server {
            places.push((GrantOn::Server(server.clone()), act.server.to_string()));
        }
        places.push((GrantOn::Catalogue, "*".to_owned()));
        Self { act, server, places }
    }

    /// Whether a role's rules include the act.
    fn is_covered_by(&self, role: &RoleBody) -> bool {
        match &self.act.kind {
            ActKind::Tool { name, effect, .. } => role.covers(*effect, Some(name)),
            ActKind::Resource { .. } | ActKind::Prompt { .. } => role.covers(Effect::Read, None),
            // Whoever may do anything at a server may open a session there and see what is theirs.
            ActKind::Open | ActKind::List => !role.effects.is_empty(),
        }
    }
}

/// The roles that `subjects` (a principal with its groups and blueprint) hold on the target.
fn roles_on(target: &Target<'_>, subjects: &[AnyId], snapshot: &Snapshot, moment: &Moment) -> Vec<EntityRef> {
    let mut roles = Vec::new();
    for subject in subjects {
        each_role_on(target, subject, snapshot, moment, |_, role, path| {
            roles.push(EntityRef::role_on(&role.name, path));
        });
        if matches!(target.act.kind, ActKind::Open | ActKind::List) {
            roles.extend(roles_on_some_tool(target, subject, snapshot, moment));
        }
    }
    roles
}

/// Each grant by which `subject` itself holds a role that covers the target, with the place that it is on.
pub(super) fn each_role_on(
    target: &Target<'_>,
    subject: &AnyId,
    snapshot: &Snapshot,
    moment: &Moment,
    mut found: impl FnMut(&Thing<Grant>, &Thing<Role>, &str),
) {
    for (place, path) in &target.places {
        let held = (subject.clone(), place.clone());
        let grants = snapshot.grants_on.of(&held).filter_map(|id| snapshot.grants.get(id));
        for grant in grants.filter(|grant| grant.body.holds(moment.now)) {
            moment.note(grant.body.expires);
            if let Some(role) = snapshot.roles.get(&grant.body.role)
                && target.is_covered_by(&role.body)
            {
                found(grant, role, path);
            }
        }
    }
}

/// A grant on a single tool is reason enough to open a session at its server.
fn roles_on_some_tool(
    target: &Target<'_>,
    subject: &AnyId,
    snapshot: &Snapshot,
    moment: &Moment,
) -> Vec<EntityRef> {
    let on_tool = |grant: &crate::grant::GrantBody| match &grant.on {
        GrantOn::Tool(tool) => {
            snapshot.tools.get(tool).filter(|tool| Some(&tool.body.server) == target.server.as_ref())
        }
        GrantOn::System | GrantOn::Catalogue | GrantOn::Server(_) => None,
    };
    let grants = snapshot.grants_by_subject.of(subject).filter_map(|id| snapshot.grants.get(id));
    grants
        .filter(|grant| grant.body.holds(moment.now))
        .filter_map(|grant| {
            moment.note(grant.body.expires);
            let tool = on_tool(&grant.body)?;
            let role = snapshot.roles.get(&grant.body.role)?;
            Some(EntityRef::role_on(&role.name, &tool.name))
        })
        .collect()
}

/// A person as principal of an act.
pub(super) fn person(
    id: &PersonId,
    target: &Target<'_>,
    snapshot: &Snapshot,
    moment: &Moment,
) -> Result<Held, SubjectError> {
    let own = AnyId::from(id);
    let groups: Vec<_> = groups_of(&own, MemberKind::Person, snapshot);
    let holders = with_groups(own, &groups);
    let roles = roles_on(target, &holders, snapshot, moment);
    let mut attributes = BTreeMap::new();
    if let Some(person) = snapshot.people.get(id) {
        attributes.insert("name".into(), AttributeValue::Text(person.name.to_string()));
        if let Some(email) = &person.body.email {
            attributes.insert("email".into(), AttributeValue::Text(email.clone()));
        }
    }
    let parents = groups
        .iter()
        .map(|(_, name)| EntityRef::new(EntityKind::PersonGroup, name))
        .chain(roles.iter().cloned());
    let reference = EntityRef::new(EntityKind::Person, &snapshot.people.name_of(id));
    let subject = Subject::new(reference, attributes, parents, snapshot.person_lives(id).is_ok())?;
    Ok(Held { subject, roles })
}

/// An agent as principal of an act.
pub(super) fn agent(
    id: &AgentId,
    target: &Target<'_>,
    snapshot: &Snapshot,
    moment: &Moment,
) -> Result<Held, SubjectError> {
    let own = AnyId::from(id);
    let groups: Vec<_> = groups_of(&own, MemberKind::Agent, snapshot);
    let mut holders = with_groups(own, &groups);
    let mut attributes = BTreeMap::new();
    let mut parents: Vec<EntityRef> =
        groups.iter().map(|(_, name)| EntityRef::new(EntityKind::AgentGroup, name)).collect();
    if let Some(agent) = snapshot.agents.get(id) {
        moment.note(agent.body.expires);
        holders.push(AnyId::from(&agent.body.blueprint));
        attributes.insert("name".into(), AttributeValue::Text(agent.name.to_string()));
        attributes.insert("owner".into(), AttributeValue::Text(snapshot.people.name_of(&agent.body.owner)));
        attributes.insert("purpose".into(), AttributeValue::Text(agent.body.purpose.clone()));
        if let Some(blueprint) = snapshot.blueprints.get(&agent.body.blueprint) {
            let kind = match blueprint.body.origin {
                AgentOrigin::Company => "company",
                AgentOrigin::Assistant => "assistant",
                AgentOrigin::Child => "child",
            };
            attributes.insert("kind".into(), AttributeValue::Text(kind.into()));
            parents.push(EntityRef::new(EntityKind::Blueprint, &blueprint.name));
        }
    }
    let roles = roles_on(target, &holders, snapshot, moment);
    parents.extend(roles.iter().cloned());
    let reference = EntityRef::new(EntityKind::Agent, &snapshot.agents.name_of(id));
    let subject = Subject::new(reference, attributes, parents, snapshot.agent_lives(id, moment.now).is_ok())?;
    Ok(Held { subject, roles })
}

fn with_groups(own: AnyId, groups: &[(AnyId, String)]) -> Vec<AnyId> {
    std::iter::once(own).chain(groups.iter().map(|(id, _)| id.clone())).collect()
}

/// Whose grants count for a person: their own and those of their groups.
pub(super) fn holders_of_person(id: &PersonId, snapshot: &Snapshot) -> Vec<AnyId> {
    let own = AnyId::from(id);
    let groups = groups_of(&own, MemberKind::Person, snapshot);
    with_groups(own, &groups)
}

/// Whose grants count for an agent: its own, those of its groups and of its blueprint.
pub(super) fn holders_of_agent(id: &AgentId, snapshot: &Snapshot) -> Vec<AnyId> {
    let own = AnyId::from(id);
    let groups = groups_of(&own, MemberKind::Agent, snapshot);
    let blueprint = snapshot.agents.get(id).map(|agent| AnyId::from(&agent.body.blueprint));
    with_groups(own, &groups).into_iter().chain(blueprint).collect()
}

/// The groups of a principal that are of its own kind, with their names.
fn groups_of(principal: &AnyId, of: MemberKind, snapshot: &Snapshot) -> Vec<(AnyId, String)> {
    let groups = snapshot.groups_of(principal).filter_map(|id| snapshot.groups.get(id));
    groups
        .filter(|group| group.body.of == of)
        .map(|group| (AnyId::from(&group.id), group.name.to_string()))
        .collect()
}
