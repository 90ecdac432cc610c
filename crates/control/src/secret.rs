//! Secrets that Writ keeps: credentials of upstream servers, which agents never hold.
//!
//! The kind holds what may be seen; the value is sealed in a table of its own and reaches memory only in the
//! snapshot's vault, as a [`base::Secret`].

use base::{Dice, Error, EventKind, SecretId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::{Shelf, Snapshot},
};

/// The kind of secrets.
#[derive(Debug)]
pub struct KeptSecret;

/// What a document says about a secret: that it exists. Values are stored with `writ secret put`, never in
/// documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// What it is for.
    pub description: String,
}

impl Kind for KeptSecret {
    const KIND: &'static str = "Secret";
    const PLURAL: &'static str = "secrets";
    const SQL: Statements = statements!("secret");
    const CREATED: EventKind = EventKind::SecretStored;
    const UPDATED: EventKind = EventKind::SecretStored;
    const DELETED: Option<EventKind> = Some(EventKind::SecretDeleted);

    type Id = SecretId;
    type Spec = SecretSpec;
    type Body = SecretSpec;

    fn new_id(now: Timestamp, dice: &dyn Dice) -> SecretId {
        SecretId::new(now, dice)
    }

    fn parse_id(text: &str) -> Option<SecretId> {
        text.parse().ok()
    }

    fn shelf(snapshot: &Snapshot) -> &Shelf<Self> {
        &snapshot.secrets
    }

    fn shelf_mut(snapshot: &mut Snapshot) -> &mut Shelf<Self> {
        &mut snapshot.secrets
    }

    fn resolve(
        mut spec: SecretSpec,
        _before: Option<&Thing<Self>>,
        _known: &Snapshot,
        _now: Timestamp,
    ) -> Result<SecretSpec, Error> {
        spec.description = line("description", &spec.description)?;
        Ok(spec)
    }

    fn spec(body: &SecretSpec, _known: &Snapshot) -> SecretSpec {
        body.clone()
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        let uses = |server: &&std::sync::Arc<Thing<crate::catalogue::Server>>| {
            server.body.credential.as_ref().is_some_and(|credential| credential.secret == thing.id)
        };
        known
            .servers
            .iter()
            .find(uses)
            .map(|server| format!("server `{}` uses secret `{}`", server.name, thing.name))
    }
}
