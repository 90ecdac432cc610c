//! Who can act: persons, agents and workloads, and how they are grouped.
//!
//! INVARIANT: every agent and every workload has an owner, a person who answers for it. While the owner is
//! disabled, nothing they own is alive, whatever its own state says ([`crate::snapshot::Snapshot::is_alive`]).

mod agent;
mod blueprint;
mod group;
mod person;
mod proof;
mod workload;

pub use agent::{Agent, AgentBody, AgentSpec, AgentState};
pub use blueprint::{AgentOrigin, Blueprint, BlueprintBody, BlueprintSpec, LimitsSpec};
pub use group::{Group, GroupBody, GroupSpec, MemberKind};
pub use person::{Person, PersonBody, PersonSpec, PersonState};
pub use proof::{Level, Proof};
pub use workload::{Workload, WorkloadBody, WorkloadSpec, WorkloadState};

use base::{Class, PersonId, Refuse, limit};

use crate::snapshot::Snapshot;

/// What principals' specs are refused for.
#[derive(Debug, thiserror::Error)]
pub enum PrincipalRefusal {
    /// A reference leads nowhere.
    #[error("`{field}`: there is no {kind} `{name}`")]
    NoSuch {
        /// The member of the spec.
        field: &'static str,
        /// What was looked for.
        kind: &'static str,
        /// The name that leads nowhere.
        name: String,
        /// The name that was probably meant.
        meant: Option<String>,
    },
    /// The owner cannot answer for anything.
    #[error("`owner`: person `{0}` is disabled and cannot own anything")]
    OwnerDisabled(String),
    /// A text is missing or too long.
    #[error("`{field}`: give 1 to {max} bytes of text on one line")]
    Line {
        /// The member of the spec.
        field: &'static str,
        /// The longest admitted, in bytes.
        max: usize,
    },
    /// A state that was set to protect cannot be lifted by a document.
    #[error("`state`: {kind} `{name}` is {from} and is not made {to} by applying a document")]
    NotByDocument {
        /// What it is.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its present state.
        from: &'static str,
        /// The wanted state.
        to: &'static str,
        /// The command that does it.
        how: &'static str,
    },
    /// Retired is for good.
    #[error("`state`: agent `{0}` is retired, which is final")]
    Retired(String),
    /// A number is outside its bounds.
    #[error("`{field}`: {value} is outside {min} to {max}")]
    OutOfBounds {
        /// The member of the spec.
        field: &'static str,
        /// What was given.
        value: i64,
        /// The least admitted.
        min: i64,
        /// The most admitted.
        max: i64,
    },
}

impl Refuse for PrincipalRefusal {
    fn class(&self) -> Class {
        match self {
            Self::NoSuch { .. } | Self::Line { .. } | Self::OutOfBounds { .. } => Class::Invalid,
            Self::OwnerDisabled(_) | Self::NotByDocument { .. } | Self::Retired(_) => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoSuch { .. } => "no_such_reference",
            Self::OwnerDisabled(_) => "owner_disabled",
            Self::Line { .. } => "bad_text",
            Self::NotByDocument { .. } => "state_not_by_document",
            Self::Retired(_) => "agent_retired",
            Self::OutOfBounds { .. } => "out_of_bounds",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoSuch { meant: Some(meant), .. } => Some(format!("did you mean `{meant}`?")),
            Self::NoSuch { kind, .. } => {
                Some(format!("make it first, or correct the name: see `writ {kind} list`"))
            }
            Self::OwnerDisabled(_) => Some("name an active person as owner".into()),
            Self::NotByDocument { how, .. } => Some((*how).to_owned()),
            Self::Retired(_) => Some("make a new agent".into()),
            Self::Line { .. } | Self::OutOfBounds { .. } => None,
        }
    }
}

/// A line of free text: not empty, bounded, without control characters.
pub(crate) fn line(field: &'static str, text: &str) -> Result<String, PrincipalRefusal> {
    let text = text.trim();
    let fits = !text.is_empty() && text.len() <= limit::LINE_BYTES_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(PrincipalRefusal::Line { field, max: limit::LINE_BYTES_MAX }) }
}

/// A number within bounds.
pub(crate) fn within(field: &'static str, value: i64, min: i64, max: i64) -> Result<i64, PrincipalRefusal> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(PrincipalRefusal::OutOfBounds { field, value, min, max })
    }
}

/// The owner that a spec names. `unchanged` says that the thing has this owner already, so that a disabled owner
/// does not block other corrections.
fn owner(name: &str, before: Option<&PersonId>, known: &Snapshot) -> Result<PersonId, PrincipalRefusal> {
    let person = known.people.named(name).ok_or_else(|| PrincipalRefusal::NoSuch {
        field: "owner",
        kind: "person",
        name: name.to_owned(),
        meant: known.people.nearest(name),
    })?;
    if person.body.state == PersonState::Disabled && before != Some(&person.id) {
        return Err(PrincipalRefusal::OwnerDisabled(name.to_owned()));
    }
    Ok(person.id.clone())
}
