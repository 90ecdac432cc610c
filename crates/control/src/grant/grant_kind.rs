//! Grants.

use base::{AnyId, Error, EventKind, GrantId, IdKind, RoleId, ServerId, Timestamp, ToolId};
use serde::{Deserialize, Serialize};

use super::GrantRefusal;
use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::{Shelf, Snapshot},
};

/// The kind of grants.
#[derive(Debug)]
pub struct Grant;

/// What a document says about a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantSpec {
    /// To whom: `person/NAME`, `agent/NAME`, `workload/NAME`, `group/NAME` or `blueprint/NAME`.
    pub to: String,
    /// The role.
    pub role: String,
    /// On what: `catalogue` (every server), `server/NAME`, `tool/SERVER/TOOL`, or `system` (Writ itself).
    pub on: String,
    /// Why.
    pub reason: String,
    /// When it ends, RFC 3339.
    #[serde(default, with = "base::rfc3339", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
}

/// Who can hold a grant: an id of a person, agent, workload, group or blueprint.
pub type GrantSubject = AnyId;

/// What a grant is on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantOn {
    /// Writ itself.
    System,
    /// Every server.
    Catalogue,
    /// One server with its tools, resources and prompts.
    Server(ServerId),
    /// One tool.
    Tool(ToolId),
}

impl GrantOn {
    /// The id of what the grant is on, where it is on one thing.
    pub fn id(&self) -> Option<AnyId> {
        match self {
            Self::System | Self::Catalogue => None,
            Self::Server(id) => Some(id.into()),
            Self::Tool(id) => Some(id.into()),
        }
    }
}

/// A grant as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GrantBody {
    /// To whom.
    pub to: GrantSubject,
    /// The role.
    pub role: RoleId,
    /// On what.
    pub on: GrantOn,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

impl GrantBody {
    /// Whether the grant still holds.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

impl Kind for Grant {
    const KIND: &'static str = "Grant";
    const PLURAL: &'static str = "grants";
    const SQL: Statements = statements!("access_grant");
    const CREATED: EventKind = EventKind::GrantCreated;
    // A changed grant can give less than before.
    const UPDATED: EventKind = EventKind::GrantRevoked;
    const DELETED: Option<EventKind> = Some(EventKind::GrantRevoked);

    type Id = GrantId;
    type Spec = GrantSpec;
    type Body = GrantBody;

    fn resolve(
        spec: GrantSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        now: Timestamp,
    ) -> Result<GrantBody, Error> {
        let role = known.roles.named(&spec.role).ok_or_else(|| GrantRefusal::NoSuch {
            field: "role",
            kind: "role",
            name: spec.role.clone(),
            meant: known.roles.nearest(&spec.role),
        })?;
        let to = subject(&spec.to, known)?;
        let on = resource(&spec.on, known)?;
        let administrative = !role.body.permissions.is_empty();
        let may_administer =
            matches!(to.kind(), IdKind::PersonId | IdKind::WorkloadId) && on == GrantOn::System;
        if administrative != (on == GrantOn::System) || (administrative && !may_administer) {
            return Err(GrantRefusal::NotAdministrative(spec.role).into());
        }
        let expires = spec.expires;
        let unchanged = before.is_some_and(|before| before.body.expires == expires);
        if expires.is_some_and(|expires| expires <= now) && !unchanged {
            return Err(GrantRefusal::Expired.into());
        }
        Ok(GrantBody { to, role: role.id.clone(), on, reason: line("reason", &spec.reason)?, expires })
    }

    fn spec(body: &GrantBody, known: &Snapshot) -> GrantSpec {
        let on = match &body.on {
            GrantOn::System => "system".to_owned(),
            GrantOn::Catalogue => "catalogue".to_owned(),
            GrantOn::Server(id) => format!("server/{}", known.servers.name_of(id)),
            GrantOn::Tool(id) => format!("tool/{}", known.tools.name_of(id)),
        };
        GrantSpec {
            to: format!("{}/{}", subject_word(body.to.kind()), known.name_of(&body.to)),
            role: known.roles.name_of(&body.role),
            on,
            reason: body.reason.clone(),
            expires: body.expires,
        }
    }

    fn index(snapshot: &mut Snapshot, before: Option<&Thing<Self>>, after: Option<&Thing<Self>>) {
        if let Some(before) = before {
            snapshot.grants_by_subject.remove(&before.body.to, &before.id);
            snapshot.grants_on.remove(&(before.body.to.clone(), before.body.on.clone()), &before.id);
        }
        if let Some(after) = after {
            snapshot.grants_by_subject.add(&after.body.to, &after.id);
            snapshot.grants_on.add(&(after.body.to.clone(), after.body.on.clone()), &after.id);
        }
    }

    fn facts(body: &GrantBody) -> serde_json::Value {
        serde_json::json!({ "to": body.to, "role": body.role, "on": body.on, "expires": body.expires })
    }
}

const fn subject_word(kind: IdKind) -> &'static str {
    match kind {
        IdKind::PersonId => "person",
        IdKind::AgentId => "agent",
        IdKind::WorkloadId => "workload",
        IdKind::GroupId => "group",
        _ => "blueprint",
    }
}

fn subject(text: &str, known: &Snapshot) -> Result<AnyId, GrantRefusal> {
    const WANTED: &str = "`person/NAME`, `agent/NAME`, `workload/NAME`, `group/NAME` or `blueprint/NAME`";
    let refuse = || GrantRefusal::Reference {
        field: "to",
        text: text.chars().take(80).collect(),
        wanted: WANTED,
        meant: called(text, known),
    };
    let (word, name) = text.split_once('/').ok_or_else(refuse)?;
    match word {
        "person" => named("person", &known.people, name),
        "agent" => named("agent", &known.agents, name),
        "workload" => named("workload", &known.workloads, name),
        "group" => named("group", &known.groups, name),
        "blueprint" => named("blueprint", &known.blueprints, name),
        _ => Err(refuse()),
    }
}

fn named<K: Kind>(kind: &'static str, shelf: &Shelf<K>, name: &str) -> Result<AnyId, GrantRefusal> {
    id_of(shelf, name).ok_or_else(|| {
        // Only for a name that is not there: all names are compared.
        let meant = shelf.nearest(name).map(|meant| format!("{kind}/{meant}"));
        GrantRefusal::NoSuch { field: "to", kind, name: name.to_owned(), meant }
    })
}

fn id_of<K: Kind>(shelf: &Shelf<K>, name: &str) -> Option<AnyId> {
    shelf.named(name).map(|thing| thing.id.clone().into())
}

/// What is called so and can hold a grant, where a name stands without its kind.
fn called(name: &str, known: &Snapshot) -> Option<String> {
    let found = [
        ("agent", id_of(&known.agents, name)),
        ("person", id_of(&known.people, name)),
        ("workload", id_of(&known.workloads, name)),
        ("group", id_of(&known.groups, name)),
        ("blueprint", id_of(&known.blueprints, name)),
    ];
    let words: Vec<String> =
        found.iter().filter(|(_, id)| id.is_some()).map(|(word, _)| format!("{word}/{name}")).collect();
    (!words.is_empty()).then(|| words.join("` or `"))
}

fn resource(text: &str, known: &Snapshot) -> Result<GrantOn, GrantRefusal> {
    const WANTED: &str = "`catalogue`, `server/NAME`, `tool/SERVER/TOOL` or `system`";
    let missing = |kind, name: &str, meant: Option<String>| {
        let meant = meant.map(|meant| format!("{kind}/{meant}"));
        GrantRefusal::NoSuch { field: "on", kind, name: name.to_owned(), meant }
    };
    match text.split_once('/') {
        None if text == "catalogue" => Ok(GrantOn::Catalogue),
        None if text == "system" => Ok(GrantOn::System),
        Some(("server", name)) => known
            .servers
            .named(name)
            .map(|server| GrantOn::Server(server.id.clone()))
            .ok_or_else(|| missing("server", name, known.servers.nearest(name))),
        Some(("tool", name)) => known
            .tools
            .named(name)
            .map(|tool| GrantOn::Tool(tool.id.clone()))
            .ok_or_else(|| missing("tool", name, known.tools.nearest(name))),
        _ => Err(GrantRefusal::Reference {
            field: "on",
            text: text.chars().take(80).collect(),
            wanted: WANTED,
            meant: place_called(text, known),
        }),
    }
}

/// The server or tool that is called so, where a name stands without its kind.
fn place_called(name: &str, known: &Snapshot) -> Option<String> {
    let server = known.servers.named(name).map(|_| format!("server/{name}"));
    server.or_else(|| known.tools.named(name).map(|_| format!("tool/{name}")))
}
