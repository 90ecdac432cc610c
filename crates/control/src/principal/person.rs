//! Persons.

use base::{Error, EventKind, PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{PrincipalRefusal, line};
use crate::{
    kind::{Kind, Statements, Thing, statements},
    snapshot::Snapshot,
};

/// The kind of persons. They are never removed: records lead to them.
#[derive(Debug)]
pub struct Person;

/// Whether a person can act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PersonState {
    /// They can.
    #[default]
    Active,
    /// They cannot, nor can anything they own.
    Disabled,
}

impl PersonState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// What a document says about a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonSpec {
    /// The name that others see.
    pub display_name: String,
    /// Where they get mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether they can act.
    #[serde(default)]
    pub state: PersonState,
}

/// A person as stored; nothing in it is a reference.
pub type PersonBody = PersonSpec;

impl Kind for Person {
    const KIND: &'static str = "Person";
    const PLURAL: &'static str = "people";
    const SQL: Statements = statements!("person");
    const CREATED: EventKind = EventKind::PersonCreated;
    const UPDATED: EventKind = EventKind::PersonUpdated;
    const DELETED: Option<EventKind> = None;

    type Id = PersonId;
    type Spec = PersonSpec;
    type Body = PersonBody;

    fn resolve(
        mut spec: PersonSpec,
        before: Option<&Thing<Self>>,
        _known: &Snapshot,
        _now: Timestamp,
    ) -> Result<PersonBody, Error> {
        spec.display_name = line("display_name", &spec.display_name)?;
        spec.email = spec.email.map(|email| line("email", &email)).transpose()?;
        if let Some(before) = before
            && (before.body.state, spec.state) == (PersonState::Disabled, PersonState::Active)
        {
            // SECURITY: re-applying an old folder of documents must not bring a leaver back.
            return Err(PrincipalRefusal::NotByDocument {
                kind: "person",
                name: before.name.to_string(),
                from: before.body.state.as_str(),
                to: spec.state.as_str(),
                how: "writ person enable NAME",
            }
            .into());
        }
        Ok(spec)
    }

    fn spec(body: &PersonBody, _known: &Snapshot) -> PersonSpec {
        body.clone()
    }

    fn ends_authority(before: &PersonBody, after: &PersonBody) -> bool {
        before.state == PersonState::Active && after.state != PersonState::Active
    }

    fn belongs_to(thing: &Thing<Self>, person: Option<&PersonId>) -> bool {
        person == Some(&thing.id)
    }

    fn facts(body: &PersonBody) -> serde_json::Value {
        serde_json::json!({ "state": body.state })
    }
}
