//! A client, whichever sort it is of.

use std::sync::Arc;

use base::{Class, ClientId, Ctx, Error, Refuse};
use wire::oauth::ClientMetadata;

use super::{ClientUse, FetchFailed};
use crate::{control::Control, opaque::sha256, snapshot::Snapshot};

/// Where a client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// An administrator registered it.
    Registered(ClientId),
    /// It registered itself; with the SHA-256 of its secret, where it has one.
    Dynamic(ClientId, Option<[u8; 32]>),
    /// It is described at the URL that is its id.
    Document,
}

/// A client, whichever sort it is of.
#[derive(Clone, Debug)]
pub struct KnownClient {
    /// Its id as it stands in requests and tokens.
    pub client_id: String,
    /// Where it comes from.
    pub sort: Sort,
    /// What it is for.
    pub purpose: ClientUse,
    /// What it says about itself.
    pub metadata: ClientMetadata,
    /// Whether its requests must be pushed.
    pub par_required: bool,
}

impl KnownClient {
    /// Whether this installation vouches for it.
    pub const fn is_vouched(&self) -> bool {
        self.registered().is_some()
    }

    /// Whether it proves itself in no way.
    pub fn is_public(&self) -> bool {
        self.metadata.method == wire::oauth::RegisteredMethod::None
    }

    /// What a person agreed to: what the client says about itself, as a digest. Another digest is another client.
    pub fn digest(&self) -> String {
        let text = serde_json::to_vec(&self.metadata).unwrap_or_default();
        hex::encode(sha256(&text))
    }

    /// Under which id an administrator registered it, where one did. Its credentials hang there.
    pub const fn registered(&self) -> Option<&ClientId> {
        match &self.sort {
            Sort::Registered(id) => Some(id),
            Sort::Dynamic(..) | Sort::Document => None,
        }
    }
}

/// What clients are refused for.
#[derive(Debug, thiserror::Error)]
pub enum ClientRefusal {
    /// There is no such client.
    #[error("there is no client with this `client_id`")]
    Unknown,
    /// What lies at its URL cannot be had, or is not what it should be.
    #[error("the client's metadata document: {0}")]
    Document(String),
    /// An address of a registered client is none.
    #[error("`{field}`: {why}")]
    Uri {
        /// The member of the spec.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl Refuse for ClientRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Unknown => Class::Missing,
            Self::Document(_) | Self::Uri { .. } => Class::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "client_unknown",
            Self::Document(_) => "client_document",
            Self::Uri { .. } => "bad_uri",
        }
    }
}

impl From<FetchFailed> for ClientRefusal {
    fn from(failed: FetchFailed) -> Self {
        Self::Document(failed.0)
    }
}

impl Control {
    /// The client with this id. One that is described at a URL is fetched, unless it was a while ago.
    pub async fn known_client(&self, client_id: &str, ctx: &Ctx) -> Result<Arc<KnownClient>, Error> {
        if let Some(client) = self.snapshot().kept_client(client_id, ctx) {
            return Ok(Arc::new(client));
        }
        if !client_id.starts_with("https://") && !client_id.starts_with("http://") {
            return Err(ClientRefusal::Unknown.into());
        }
        Ok(self.client_at(client_id).await?)
    }
}

impl Snapshot {
    /// A client that is kept here: registered by an administrator, found by name or id, or by itself.
    pub(crate) fn kept_client(&self, client_id: &str, ctx: &Ctx) -> Option<KnownClient> {
        if let Some(client) = self.clients.find(client_id) {
            return Some(KnownClient {
                client_id: client.name.to_string(),
                sort: Sort::Registered(client.id.clone()),
                purpose: client.body.purpose,
                metadata: client.body.metadata(),
                par_required: client.body.par_required,
            });
        }
        let id: ClientId = client_id.parse().ok()?;
        let registration = self.registrations.get(&id)?;
        let over = registration.expires.is_some_and(|expires| expires <= ctx.now);
        (!over).then(|| KnownClient {
            client_id: id.to_string(),
            sort: Sort::Dynamic(id, registration.secret()),
            purpose: ClientUse::Agent,
            metadata: registration.metadata.clone(),
            par_required: false,
        })
    }
}
