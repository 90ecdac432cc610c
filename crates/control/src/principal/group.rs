//! Groups of principals of one kind.

use base::{AnyId, Class, Error, EventKind, GroupId, Refuse, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PrincipalRefusal, line};
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The most members of a group.
const MEMBERS_MAX: usize = 10_000;

/// The most members that a record names one by one.
const MEMBERS_IN_RECORD_MAX: usize = 500;

/// The kind of groups. Groups do not nest.
#[derive(Debug)]
pub struct Group;

/// What the members of a group are. One kind per group, so that a rule for persons never meets an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// Persons.
    Person,
    /// Agents.
    Agent,
    /// Workloads.
    Workload,
}

/// What a document says about a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// What its members are.
    pub of: MemberKind,
    /// What it is for.
    pub description: String,
    /// The names of its members, in any order, each once.
    #[serde(default)]
    pub members: Vec<String>,
}

/// A group as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupBody {
    /// What its members are.
    pub of: MemberKind,
    /// What it is for.
    pub description: String,
    /// Its members, sorted, each once.
    pub members: Vec<AnyId>,
}

/// What groups' specs are refused for, beyond what principals share.
#[derive(Debug, thiserror::Error)]
enum GroupRefusal {
    #[error("`of`: a group does not change from one kind of member to another")]
    OtherKind,
    #[error("`members`: more than {MEMBERS_MAX}")]
    TooMany,
    #[error("group `{0}` has grants")]
    HasGrants(String),
}

impl Refuse for GroupRefusal {
    fn class(&self) -> Class {
        match self {
            Self::OtherKind | Self::HasGrants(_) => Class::Conflict,
            Self::TooMany => Class::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::OtherKind => "group_kind_fixed",
            Self::TooMany => "group_too_large",
            Self::HasGrants(_) => "still_in_use",
        }
    }
}

impl Kind for Group {
    const KIND: &'static str = "Group";
    const PLURAL: &'static str = "groups";
    const SQL: Statements = statements!("principal_group");
    const CREATED: EventKind = EventKind::GroupCreated;
    const UPDATED: EventKind = EventKind::GroupUpdated;
    const DELETED: Option<EventKind> = Some(EventKind::GroupDeleted);

    type Id = GroupId;
    type Spec = GroupSpec;
    type Body = GroupBody;

    fn resolve(
        spec: GroupSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<GroupBody, Error> {
        if before.is_some_and(|before| before.body.of != spec.of) {
            return Err(GroupRefusal::OtherKind.into());
        }
        if spec.members.len() > MEMBERS_MAX {
            return Err(GroupRefusal::TooMany.into());
        }
        let description = line("description", &spec.description)?;
        let mut members =
            spec.members.iter().map(|name| member(spec.of, name, known)).collect::<Result<Vec<_>, _>>()?;
        members.sort();
        members.dedup();
        Ok(GroupBody { of: spec.of, description, members })
    }

    fn spec(body: &GroupBody, known: &Snapshot) -> GroupSpec {
        let mut members: Vec<String> = body.members.iter().map(|id| known.name_of(id)).collect();
        members.sort();
        GroupSpec { of: body.of, description: body.description.clone(), members }
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        (!known.grants_of(&AnyId::from(&thing.id)).is_empty())
            .then(|| GroupRefusal::HasGrants(thing.name.to_string()).to_string())
    }

    fn index(snapshot: &mut Snapshot, before: Option<&Thing<Self>>, after: Option<&Thing<Self>>) {
        if let Some(before) = before {
            before
                .body
                .members
                .iter()
                .for_each(|member| snapshot.groups_by_member.remove(member, &before.id));
        }
        if let Some(after) = after {
            after.body.members.iter().for_each(|member| snapshot.groups_by_member.add(member, &after.id));
        }
    }

    fn facts(body: &GroupBody) -> serde_json::Value {
        // A record is bounded; of a large group it holds the digest of its members.
        if body.members.len() <= MEMBERS_IN_RECORD_MAX {
            return serde_json::json!({ "of": body.of, "members": body.members });
        }
        let members: Vec<u8> =
            body.members.iter().flat_map(|id| id.as_str().bytes().chain([b'\n'])).collect();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &members);
        serde_json::json!({ "of": body.of, "count": body.members.len(), "sha256": hex::encode(digest) })
    }
}

fn member(of: MemberKind, name: &str, known: &Snapshot) -> Result<AnyId, PrincipalRefusal> {
    let (kind, id) = match of {
        MemberKind::Person => ("person", known.people.named(name).map(|thing| AnyId::from(&thing.id))),
        MemberKind::Agent => ("agent", known.agents.named(name).map(|thing| AnyId::from(&thing.id))),
        MemberKind::Workload => ("workload", known.workloads.named(name).map(|thing| AnyId::from(&thing.id))),
    };
    let meant = || match of {
        MemberKind::Person => known.people.nearest(name),
        MemberKind::Agent => known.agents.nearest(name),
        MemberKind::Workload => known.workloads.nearest(name),
    };
    id.ok_or_else(|| PrincipalRefusal::NoSuch {
        field: "members",
        kind,
        name: name.to_owned(),
        meant: meant(),
    })
}
