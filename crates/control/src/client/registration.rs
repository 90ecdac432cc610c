//! Clients that register themselves (RFC 7591).

use std::sync::Arc;

use base::{AnyId, Class, ClientId, Error, Event, EventKind, Fault, Refuse, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Read, Row};
use wire::{
    json::Json,
    oauth::{ClientMetadata, OAuthError},
};

use crate::{
    authority::{Authority as _, System},
    control::Control,
    opaque::{new_secret, sha256},
    row::parsed,
    snapshot::{Snapshot, prune},
};

/// How long a registration lasts to which nobody agrees, in seconds.
const UNUSED_SECONDS: i64 = 24 * 3600;
/// The most registrations to which nobody agreed yet.
const UNUSED_MAX: usize = 1000;

/// A registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) id: ClientId,
    pub(crate) metadata: ClientMetadata,
    /// The SHA-256 of its secret, hexadecimal.
    pub(crate) secret_sha256: Option<String>,
    pub(crate) created: Timestamp,
    /// When it ends, until somebody agrees to it.
    pub(crate) expires: Option<Timestamp>,
}

impl Registration {
    pub(super) fn secret(&self) -> Option<[u8; 32]> {
        let mut digest = [0; 32];
        let text = self.secret_sha256.as_ref()?;
        hex::decode_to_slice(text, &mut digest).is_ok().then_some(digest)
    }
}

/// What a registration is refused for, beside what it says.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationRefusal {
    /// It is switched off.
    #[error(
        "clients do not register themselves here; use a client ID metadata document, or ask an administrator"
    )]
    Off,
    /// Too many register.
    #[error("too many clients register themselves; try again later")]
    TooMany,
}

impl Refuse for RegistrationRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Off => Class::Denied,
            Self::TooMany => Class::Limited,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Off => "registration_off",
            Self::TooMany => "too_many_registrations",
        }
    }
}

/// A client that registered itself; its secret is shown this once.
#[derive(Debug)]
pub struct Registered {
    /// Its id.
    pub id: ClientId,
    /// What it said.
    pub metadata: ClientMetadata,
    /// Its secret.
    pub secret: Option<Secret>,
    /// When it was registered.
    pub created: Timestamp,
}

impl Registered {
    /// The answer (section 3.2.1).
    pub fn to_json(&self) -> Json {
        let mut members = self.metadata.to_object();
        members.insert("client_id", self.id.as_str());
        members.insert("client_id_issued_at", self.created.seconds());
        if let Some(secret) = &self.secret {
            members.insert("client_secret", secret.expose());
            members.insert("client_secret_expires_at", 0);
        }
        Json::Object(members)
    }
}

impl Control {
    /// Registers a client that asks for it.
    pub async fn register_client(
        &self,
        address: &str,
        body: &Json,
    ) -> Result<Result<Registered, OAuthError>, Error> {
        if !self.settings().registration {
            return Err(RegistrationRefusal::Off.into());
        }
        let by = self.system("registration");
        let ctx = by.ctx();
        if !self.inner().tries.admit_address(&format!("registration {address}"), ctx.now) {
            return Err(RegistrationRefusal::TooMany.into());
        }
        let metadata = match ClientMetadata::of_registration(body) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error)),
        };
        let secret = metadata.method.wants_secret();
        // Letters and digits only: clients differ in how they encode anything else in HTTP Basic.
        let secret = secret.then(|| new_secret("writsecret", ctx.dice.as_ref()));
        let registration = Registration {
            id: ClientId::new(ctx.now, ctx.dice.as_ref()),
            metadata,
            secret_sha256: secret.as_ref().map(|secret| hex::encode(sha256(secret.expose().as_bytes()))),
            created: ctx.now,
            expires: Some(ctx.now.plus_seconds(UNUSED_SECONDS)),
        };
        let plan = |known: &Snapshot| {
            let unused =
                known.registrations.values().filter(|one| one.expires.is_some_and(|end| ctx.now < end));
            if unused.count() >= UNUSED_MAX { Err(RegistrationRefusal::TooMany.into()) } else { Ok(()) }
        };
        let (mut tx, ()) = self.begin(&by, plan).await?;
        let sql = "insert into registration (id, expires, doc) values ($1, $2, $3)";
        let args = [(&registration.id).into(), registration.expires.into(), document(&registration)?.into()];
        tx.exec(sql, &args).await?;
        let facts = json!({ "method": registration.metadata.method, "from": address });
        self.keep(tx, vec![Event::new(EventKind::ClientRegistered, &registration.id, facts)]).await?;
        let Registration { id, metadata, created, .. } = registration;
        Ok(Ok(Registered { id, metadata, secret, created }))
    }

    /// Forgets registrations to which nobody agreed in time; run from time to time.
    pub async fn forget_registrations(&self, by: &System) -> Result<u64, Error> {
        self.forget(by, 0, &["delete from registration where expires is not null and expires <= $1"]).await
    }
}

impl Registration {
    /// Keeps a registration for good: somebody agreed to its client. Part of the transaction that says so.
    pub(crate) async fn agreed(tx: &mut store::Tx, id: &ClientId) -> Result<bool, Fault> {
        let sql = "select doc, expires from registration where id = $1";
        let Some(row) = tx.row(sql, &[id.into()]).await? else { return Ok(false) };
        let mut registration: Self = parsed(serde_json::from_str(&row.text(0)?))?;
        registration.expires = None;
        let sql = "update registration set expires = null, doc = $2 where id = $1";
        Ok(tx.exec(sql, &[id.into(), document(&registration)?.into()]).await? == 1)
    }
}

/// Puts the registrations into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows("select doc from registration", &[]).await? {
        keep(snapshot, &row)?;
    }
    Ok(())
}

/// Reads one registration again, if the id is one's.
pub(crate) async fn reload(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    let Some(row) = read.row("select doc from registration where id = $1", &[id.into()]).await? else {
        snapshot.registrations.remove_mut(&parsed(id.as_str().parse::<ClientId>())?);
        return Ok(());
    };
    keep(snapshot, &row)?;
    let now = read.head().time;
    drop(prune(&mut snapshot.registrations, |one| one.expires.is_some_and(|expires| expires <= now)));
    Ok(())
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    let registration: Registration = parsed(serde_json::from_str(&row.text(0)?))?;
    snapshot.registrations.insert_mut(registration.id.clone(), Arc::new(registration));
    Ok(())
}

fn document(registration: &Registration) -> Result<String, Fault> {
    serde_json::to_string(registration).map_err(|error| Fault::new("writing a registration", error))
}
