//! Secrets that Writ keeps: credentials of upstream servers, which agents never hold.
//!
//! The kind holds what may be seen; the value is sealed in a table of its own and reaches memory only in the
//! snapshot's vault, as a [`base::Secret`].

use base::{Class, Error, Event, EventKind, Position, Refuse, Secret, SecretId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    authority::Authority,
    control::Control,
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::Snapshot,
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

/// The largest value of a secret, in bytes.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// What a secret's value is refused for.
#[derive(Debug, thiserror::Error)]
enum SecretRefusal {
    #[error("there is no secret `{0}`")]
    Missing(String),
    #[error("`value`: give 1 to {VALUE_BYTES_MAX} bytes of printable ASCII; it travels in a header")]
    Value,
}

impl Refuse for SecretRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_) => Class::Missing,
            Self::Value => Class::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "not_found",
            Self::Value => "bad_secret_value",
        }
    }
}

impl Control {
    /// Stores or replaces the value of a secret.
    pub async fn put_secret_value(
        &self,
        by: &impl Authority,
        name: &str,
        value: &Secret,
    ) -> Result<Position, Error> {
        let text = value.expose();
        if !(1..=VALUE_BYTES_MAX).contains(&text.len())
            || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        {
            return Err(SecretRefusal::Value.into());
        }
        let find = |known: &Snapshot| {
            let secret = known.secrets.find(name).map(|secret| secret.id.clone());
            secret.ok_or_else(|| SecretRefusal::Missing(name.to_owned()).into())
        };
        let (mut tx, id) = self.begin(by, find).await?;
        let sealed = self.store().seal(id.as_str(), text.as_bytes())?;
        let sql = "insert into secret_value (id, sealed) values ($1, $2) on conflict (id) do update set sealed = excluded.sealed";
        tx.exec(sql, &[(&id).into(), sealed.as_bytes().into()]).await?;
        self.keep(
            tx,
            vec![Event::new(EventKind::SecretStored, id, serde_json::json!({ "value": "replaced" }))],
        )
        .await
    }
}
