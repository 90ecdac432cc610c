//! Roles.

use std::collections::BTreeSet;

use base::{Error, EventKind, RoleId, Timestamp};
use policy::Effect;
use serde::{Deserialize, Serialize};

use super::GrantRefusal;
use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::Snapshot,
};

/// The kind of roles.
#[derive(Debug)]
pub struct Role;

/// What a role may do to Writ itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Everything.
    Administer,
    /// Read everything, the log included; change nothing.
    Audit,
}

/// What a document says about a role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleSpec {
    /// What it is for.
    pub description: String,
    /// The effects it covers.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub effects: BTreeSet<Effect>,
    /// The tools it is narrowed to, by their names on their servers; empty means all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tools: BTreeSet<String>,
    /// What it may do to Writ itself.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub permissions: BTreeSet<Permission>,
}

/// A role as stored; nothing in it is a reference.
pub type RoleBody = RoleSpec;

impl RoleBody {
    /// Whether the role covers a tool with this effect. Resources and prompts have no name here: a role that is
    /// narrowed to tools covers none of them.
    pub fn covers(&self, effect: Effect, tool: Option<&str>) -> bool {
        self.effects.contains(&effect)
            && (self.tools.is_empty() || tool.is_some_and(|tool| self.tools.contains(tool)))
    }
}

impl Kind for Role {
    const KIND: &'static str = "Role";
    const PLURAL: &'static str = "roles";
    const SQL: Statements = statements!("role");
    const CREATED: EventKind = EventKind::RoleCreated;
    const UPDATED: EventKind = EventKind::RoleUpdated;
    const DELETED: Option<EventKind> = Some(EventKind::RoleDeleted);

    type Id = RoleId;
    type Spec = RoleSpec;
    type Body = RoleBody;

    fn resolve(
        mut spec: RoleSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<RoleBody, Error> {
        spec.description = line("description", &spec.description)?;
        if spec.effects.is_empty() && spec.permissions.is_empty() {
            return Err(GrantRefusal::EmptyRole.into());
        }
        // SECURITY: a role that agents already hold must not become administrative under them.
        if let Some(before) = before
            && before.body.permissions.is_empty()
            && !spec.permissions.is_empty()
            && known.grants.iter().any(|grant| grant.body.role == before.id)
        {
            return Err(GrantRefusal::NotAdministrative(before.name.to_string()).into());
        }
        Ok(spec)
    }

    fn spec(body: &RoleBody, _known: &Snapshot) -> RoleSpec {
        body.clone()
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        let grant = known.grants.iter().find(|grant| grant.body.role == thing.id);
        grant.map(|grant| format!("grant `{}` gives role `{}`", grant.name, thing.name))
    }

    fn facts(body: &RoleBody) -> serde_json::Value {
        serde_json::json!({ "effects": body.effects, "tools": body.tools, "permissions": body.permissions })
    }
}
