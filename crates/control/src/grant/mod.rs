//! What principals may do: roles, and the grants that give them.
//!
//! A role covers effects, and may be narrowed to some tools. A grant gives a role to a principal on the whole
//! catalogue, a server or a tool, with a reason and an expiry. Grants are data that decisions look up, never
//! policies: their number does not slow a decision.

mod grant_kind;
mod role;

pub use grant_kind::{Grant, GrantBody, GrantOn, GrantSpec, GrantSubject};
pub use role::{Permission, Role, RoleBody, RoleSpec};

use base::{Class, Refuse};

/// What roles' and grants' specs are refused for.
#[derive(Debug, thiserror::Error)]
pub enum GrantRefusal {
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
    /// The principal or resource is not one spelling of `kind/name`.
    #[error("`{field}`: `{text}` is not {wanted}")]
    Reference {
        /// The member of the spec.
        field: &'static str,
        /// What was given.
        text: String,
        /// The admitted forms.
        wanted: &'static str,
        /// What was probably meant.
        meant: Option<String>,
    },
    /// A role without effects and without permissions gives nothing.
    #[error("`effects`: a role covers at least one effect or permission")]
    EmptyRole,
    /// Administrative permissions are for persons and workloads.
    #[error(
        "role `{0}` holds administrative permissions, which only persons and workloads on `system` can have"
    )]
    NotAdministrative(String),
    /// The expiry lies in the past.
    #[error("`expires`: the grant would have expired already")]
    Expired,
    /// Something still stands on it.
    #[error("{0}")]
    InUse(String),
}

impl Refuse for GrantRefusal {
    fn class(&self) -> Class {
        match self {
            Self::NoSuch { .. }
            | Self::Reference { .. }
            | Self::EmptyRole
            | Self::NotAdministrative(_)
            | Self::Expired => Class::Invalid,
            Self::InUse(_) => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoSuch { .. } => "no_such_reference",
            Self::Reference { .. } => "bad_reference",
            Self::EmptyRole => "empty_role",
            Self::NotAdministrative(_) => "not_administrative",
            Self::Expired => "already_expired",
            Self::InUse(_) => "still_in_use",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::NoSuch { meant: Some(meant), .. } | Self::Reference { meant: Some(meant), .. } => {
                Some(format!("did you mean `{meant}`?"))
            }
            Self::NoSuch { kind: kind @ ("role" | "server"), .. } => {
                Some(format!("see what there is: `writ {kind} list`"))
            }
            _ => None,
        }
    }
}
