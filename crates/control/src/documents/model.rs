//! Documents as values.

use base::{Class, Refuse};
use serde::{Deserialize, Serialize};

use super::order::DocumentKind;
use crate::draft::Outcome;

/// The version of the document format.
pub const API_VERSION: &str = "writ/v1";

/// One document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `writ/v1`.
    #[serde(rename = "apiVersion")]
    pub api_version: String,
    /// What it is about, for example `Agent`.
    pub kind: String,
    /// Which one.
    pub metadata: Metadata,
    /// What it shall be.
    #[schema(value_type = Object)]
    pub spec: serde_json::Value,
}

/// Which thing a document is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Its name.
    pub name: String,
}

/// What applying a document did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Change {
    /// What it is about.
    pub kind: String,
    /// Which one.
    pub name: String,
    /// What happened to it.
    pub outcome: Outcome,
    /// What is probably not meant; nothing was refused for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What applying documents did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Plan {
    /// One per document, in the order in which they were applied.
    pub changes: Vec<Change>,
    /// The position of the last record; none when nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Whether nothing was to be written.
    pub dry_run: bool,
}

/// What documents are refused for before they are looked at more closely.
#[derive(Debug, thiserror::Error)]
pub enum DocumentRefusal {
    /// Another version of the format.
    #[error("{kind} `{name}`: `apiVersion`: `{version}` is not `{API_VERSION}`")]
    Version {
        /// What the document says that it is about.
        kind: String,
        /// Which one.
        name: String,
        /// What it gives.
        version: String,
    },
    /// A kind that there is not.
    #[error("{kind} `{name}`: `kind`: `{kind}` is not one of {list}", list = DocumentKind::list())]
    Kind {
        /// What the document says that it is about.
        kind: String,
        /// Which one.
        name: String,
    },
    /// Two documents about the same thing.
    #[error("{kind} `{name}`: there are two documents about it")]
    Twice {
        /// What they are about.
        kind: &'static str,
        /// Which one.
        name: String,
    },
    /// The spec does not have the shape of its kind.
    #[error("`spec`: {0}")]
    Spec(String),
}

impl Refuse for DocumentRefusal {
    fn class(&self) -> Class {
        Class::Invalid
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Version { .. } => "bad_api_version",
            Self::Kind { .. } => "unknown_kind",
            Self::Twice { .. } => "document_twice",
            Self::Spec(_) => "bad_spec",
        }
    }
}
