//! What all kept things have in common.
//!
//! Persons, agents, servers, roles and the rest are **kinds**. A thing of a kind is one row: an id, a name that is
//! unique within its tenant, a version, and a body as a document. What a user writes is a [`Kind::Spec`], with names
//! as references; what is stored is a [`Kind::Body`], with ids. Resolving the one into the other is where
//! references and rules are checked.
//!
//! Every change travels one way: a [`Draft`](crate::draft::Draft) is made from the snapshot, things are put into it
//! or removed, and the draft is committed as one transaction with one record per change. The snapshot then follows
//! the log. A preview is the same draft, not committed.

use std::{fmt, sync::Arc};

use base::{Error, EventKind, Id, PersonId, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::snapshot::{Shelved, Snapshot};

/// A kind of thing that the control plane keeps by name.
pub trait Kind: Shelved + Send + Sync + Sized + 'static {
    /// The kind as written in documents, for example `Agent`.
    const KIND: &'static str;
    /// The kind in URLs, for example `agents`.
    const PLURAL: &'static str;
    /// The statements of its table.
    const SQL: Statements;
    /// The record of a new thing.
    const CREATED: EventKind;
    /// The record of a changed thing.
    const UPDATED: EventKind;
    /// The record of a removed thing; absent where things of this kind are never removed.
    const DELETED: Option<EventKind>;

    /// Its id.
    type Id: Id;
    /// What a user writes: names as references. Unknown members are refused.
    type Spec: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + utoipa::ToSchema + 'static;
    /// What is stored: ids as references.
    type Body: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + fmt::Debug + 'static;

    /// Checks a spec and turns its names into ids. `before` is the thing as it stands, if it exists.
    fn resolve(
        spec: Self::Spec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        now: Timestamp,
    ) -> Result<Self::Body, Error>;
    /// The spec that would give this body: the way back of [`Kind::resolve`].
    fn spec(body: &Self::Body, known: &Snapshot) -> Self::Spec;

    /// Why a thing cannot be removed yet, if something still stands on it.
    fn held_by(_thing: &Thing<Self>, _known: &Snapshot) -> Option<String> {
        None
    }
    /// Whether a thing is a person's own, so that they see it without a permission.
    fn belongs_to(_thing: &Thing<Self>, _person: Option<&PersonId>) -> bool {
        false
    }
    /// Keeps the snapshot's indexes true when a thing comes, changes or goes.
    fn index(_snapshot: &mut Snapshot, _before: Option<&Thing<Self>>, _after: Option<&Thing<Self>>) {}
    /// Whether a change ends the authority that the thing had: what was issued before is dead from then on, also
    /// when the change is taken back.
    fn ends_authority(_before: &Self::Body, _after: &Self::Body) -> bool {
        false
    }
    /// What is probably not meant, of a thing that can be stored: for whoever stores it.
    fn warnings(_body: &Self::Body, _known: &Snapshot) -> Vec<String> {
        Vec::new()
    }
    /// What a record of a change says beyond the id: small, without names or payloads.
    fn facts(_body: &Self::Body) -> serde_json::Value {
        serde_json::json!({})
    }
}

/// One thing of a kind, as stored.
#[derive(Debug)]
pub struct Thing<K: Kind> {
    /// Its id; never changes and is never reused.
    pub id: K::Id,
    /// Its name, unique within the tenant.
    pub name: Arc<str>,
    /// Counts its changes from 1; a write that is based on an older version is refused.
    pub version: i64,
    /// When it was made.
    pub created: Timestamp,
    /// The rest.
    pub body: K::Body,
}

impl<K: Kind> Clone for Thing<K> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            version: self.version,
            created: self.created,
            body: self.body.clone(),
        }
    }
}

/// The statements of one kind's table. All tables of kinds have the same columns:
/// `(id, tenant, name, version, created, doc)`.
#[derive(Clone, Copy)]
pub struct Statements {
    /// `(id, tenant, name, version, created, doc)`.
    pub insert: &'static str,
    /// `(id, version before, doc)`: keeps the thing only if nobody else changed it.
    pub update: &'static str,
    /// `(id, version before)`.
    pub delete: &'static str,
    /// `(id)`.
    pub one: &'static str,
    /// No parameters.
    pub all: &'static str,
}

/// The [`Statements`] of a table, put together at compile time.
macro_rules! statements {
    ($table:literal) => {
        $crate::kind::Statements {
            insert: concat!(
                "insert into ",
                $table,
                " (id, tenant, name, version, created, doc) values ($1, $2, $3, $4, $5, $6)"
            ),
            update: concat!(
                "update ",
                $table,
                " set version = version + 1, doc = $3 where id = $1 and version = $2"
            ),
            delete: concat!("delete from ", $table, " where id = $1 and version = $2"),
            one: concat!("select id, name, version, created, doc from ", $table, " where id = $1"),
            all: concat!("select id, name, version, created, doc from ", $table, " order by id"),
        }
    };
}
pub(crate) use statements;

/// A thing as the API shows it.
#[derive(Serialize, Deserialize, Clone, Debug, utoipa::ToSchema)]
pub struct View<S> {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Counts its changes from 1.
    pub version: i64,
    /// When it was made, RFC 3339.
    pub created: String,
    /// What a document says about it.
    pub spec: S,
}

impl<K: Kind> Thing<K> {
    /// The thing as the API shows it.
    pub fn view(&self, known: &Snapshot) -> View<K::Spec> {
        View {
            id: self.id.to_string(),
            name: self.name.to_string(),
            version: self.version,
            created: self.created.to_string(),
            spec: K::spec(&self.body, known),
        }
    }
}
