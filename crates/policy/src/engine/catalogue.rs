//! What an engine is compiled from.

use std::{collections::BTreeMap, fmt};

use base::Name;
use wire::json::Json;

use crate::{AttributeValue, Effect, EntityKind};

/// All servers and tools that policies can be about. What is not in it does not exist for an agent.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The servers, also those without tools.
    pub servers: Vec<Name>,
    /// The tools with their pinned definitions.
    pub tools: Vec<ToolDefinition>,
    /// The attributes of principals that policies can read.
    pub vocabulary: Vocabulary,
}

/// A tool as it is pinned in the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolDefinition {
    /// The server that has it.
    pub server: Name,
    /// Its name, verbatim.
    pub name: String,
    /// What it does to the world.
    pub effect: Effect,
    /// The SHA-256 of the pinned definition.
    pub definition_hash: [u8; 32],
    /// The pinned `inputSchema` (JSON Schema); policies see the arguments typed by it.
    pub input_schema: Json,
    /// Further labels; policies see them as `resource.labels`.
    pub labels: Vec<String>,
}

/// The attributes of principals, by name. All of them are optional: a policy asks `principal has department` first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// Attributes of persons.
    pub person: BTreeMap<String, AttributeType>,
    /// Attributes of agents.
    pub agent: BTreeMap<String, AttributeType>,
    /// Attributes of workloads.
    pub workload: BTreeMap<String, AttributeType>,
}

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// Yes or no.
    Bool,
    /// A whole number.
    Long,
    /// A text.
    Text,
    /// Some texts, without order.
    Texts,
}

impl Default for Vocabulary {
    /// What Writ itself knows of principals.
    fn default() -> Self {
        let texts =
            |names: &[&str]| names.iter().map(|&name| (name.to_owned(), AttributeType::Text)).collect();
        Self {
            person: texts(&["name", "email", "department", "title"]),
            agent: texts(&["name", "kind", "owner", "purpose"]),
            workload: texts(&["name", "kind", "owner"]),
        }
    }
}

impl Vocabulary {
    /// The attributes of principals of this kind; none for what is no principal.
    pub(crate) fn of(&self, kind: EntityKind) -> Option<&BTreeMap<String, AttributeType>> {
        match kind {
            EntityKind::Person => Some(&self.person),
            EntityKind::Agent => Some(&self.agent),
            EntityKind::Workload => Some(&self.workload),
            _ => None,
        }
    }
}

impl AttributeType {
    /// Whether `value` has this type.
    pub(crate) const fn admits(self, value: &AttributeValue) -> bool {
        matches!(
            (self, value),
            (Self::Bool, AttributeValue::Bool(_))
                | (Self::Long, AttributeValue::Long(_))
                | (Self::Text, AttributeValue::Text(_))
                | (Self::Texts, AttributeValue::Texts(_))
        )
    }
}

/// A text with policies in Cedar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySource {
    /// Names the text in messages; also the id of its only policy when that has no `@id`.
    pub id: String,
    /// The policies.
    pub text: String,
}

/// Why a policy, or the catalogue, cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PolicyProblem {
    /// The source.
    pub source: String,
    /// The policy within it by `@id`; the source's id when no policy could be told apart.
    pub policy: String,
    /// The line of the source, counted from 1; 0 when the problem has no place.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl PolicyProblem {
    /// A catalogue of which Cedar can make no schema.
    pub(crate) fn of_catalogue(message: String) -> Self {
        Self {
            source: "catalogue".to_owned(),
            policy: "catalogue".to_owned(),
            line: 0,
            message,
            help: "look for a tool or an attribute whose name Cedar cannot take".to_owned(),
        }
    }
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "policy `{}`, line {} of `{}`: {}; {}",
            self.policy, self.line, self.source, self.message, self.help
        )
    }
}

impl std::error::Error for PolicyProblem {}
