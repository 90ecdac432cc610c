//! Giving out, checking and ending credentials.

use base::{
    AnyId, Class, CredentialId, Ctx, Error, Event, EventKind, IdKind, PersonId, Refuse, Secret, TokenId,
};
use serde_json::json;
use wire::{jose::PublicJwk, json::Json};

use super::{
    model::{ApiToken, Credential, Proof},
    standing::Standing,
    store,
};
use crate::{
    authority::Authority,
    control::Control,
    opaque::{new_secret, sha256},
    principal::line,
    snapshot::Snapshot,
};

/// What API tokens begin with, so that they are recognised in logs and by secret scanners.
pub const API_TOKEN_PREFIX: &str = "writ_";
/// What the secrets of agents and workloads begin with. Letters and digits only: clients differ in how they encode
/// anything else in HTTP Basic.
const SECRET_PREFIX: &str = "writsecret";
/// The most credentials of one principal that are not revoked.
const CREDENTIALS_MAX: usize = 16;

/// What credentials are refused for.
#[derive(Debug, thiserror::Error)]
pub enum CredentialRefusal {
    /// There is no such principal.
    #[error("there is no {0} `{1}`")]
    NoSuchPrincipal(String, String),
    /// There is no such credential.
    #[error("there is no such credential")]
    Missing,
    /// The key is not one that can be used.
    #[error("`jwk`: {0}")]
    Key(String),
    /// Some other principal proves itself with this key already.
    #[error("`jwk`: this key is in use already")]
    KeyInUse,
    /// It is one of the principal's own keys.
    #[error("`jwk`: this is the key `{id}` of `{name}` itself, which is {standing}")]
    OwnKey {
        /// Whose.
        name: String,
        /// The word for whose kind: where to add another.
        word: &'static str,
        /// The key as it is registered.
        id: CredentialId,
        /// What became of it.
        standing: Standing,
    },
    /// There are too many.
    #[error("`{0}` has {CREDENTIALS_MAX} credentials already")]
    TooMany(String),
    /// The life is not within its bounds.
    #[error("`expires_seconds`: must be positive")]
    Expiry,
}

impl Refuse for CredentialRefusal {
    fn class(&self) -> Class {
        match self {
            Self::NoSuchPrincipal(..) | Self::Missing => Class::Missing,
            Self::Key(_) | Self::Expiry => Class::Invalid,
            Self::KeyInUse | Self::OwnKey { .. } | Self::TooMany(_) => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchPrincipal(..) | Self::Missing => "not_found",
            Self::Key(_) => "bad_key",
            Self::KeyInUse | Self::OwnKey { .. } => "key_in_use",
            Self::TooMany(_) => "too_many_credentials",
            Self::Expiry => "bad_expiry",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::TooMany(_) => Some("revoke one that is no longer used".into()),
            Self::KeyInUse => Some("make a key of its own for each principal".into()),
            Self::OwnKey { standing: Standing::Active, .. } => Some("it needs no second registration".into()),
            Self::OwnKey { name, word, .. } => Some(format!(
                "what is dead stays dead; make a new one: `writ {word} keys add {name} --generate-key FILE`"
            )),
            _ => None,
        }
    }
}

/// Why an API token is not accepted. One message for all: which it is would help somebody who guesses.
#[derive(Debug, thiserror::Error)]
pub enum ApiRefusal {
    /// It is not a token that is alive.
    #[error("the token is unknown, expired or revoked")]
    Unknown,
}

impl Refuse for ApiRefusal {
    fn class(&self) -> Class {
        Class::Unauthenticated
    }

    fn code(&self) -> &'static str {
        "bad_token"
    }

    fn help(&self) -> Option<String> {
        let help = "an administrator makes a new one: `writ person token create NAME`; where no administrator's token is left, restart `writ up`: it writes a new admin.token";
        Some(help.into())
    }
}

impl Control {
    /// Gives a person or a workload a new API token. Its text is shown this once.
    pub async fn issue_api_token(
        &self,
        by: &impl Authority,
        principal: &AnyId,
        label: &str,
        expires_seconds: Option<i64>,
    ) -> Result<(TokenId, Secret), Error> {
        let text = Self::new_api_token(by.ctx());
        let id = self.keep_api_token(by, principal, label, &text, expires_seconds).await?;
        Ok((id, text))
    }

    /// The text of a new API token, not yet of any use.
    pub(crate) fn new_api_token(ctx: &Ctx) -> Secret {
        new_secret(API_TOKEN_PREFIX, ctx.dice.as_ref())
    }

    /// Makes a token's text of use.
    pub(crate) async fn keep_api_token(
        &self,
        by: &impl Authority,
        principal: &AnyId,
        label: &str,
        text: &Secret,
        expires_seconds: Option<i64>,
    ) -> Result<TokenId, Error> {
        let ctx = by.ctx();
        let plan = |known: &Snapshot| {
            Ok(ApiToken {
                id: TokenId::new(ctx.now, ctx.dice.as_ref()),
                principal: principal.clone(),
                label: line("label", label)?,
                generation: known.generation,
                position: known.position,
                created: ctx.now,
                expires: expiry(ctx, expires_seconds)?,
                revoked: false,
            })
        };
        let (mut tx, token) = self.begin(by, plan).await?;
        store::insert_api_token(&mut tx, &token, &sha256(text.expose().as_bytes())).await?;
        let facts = json!({ "principal": principal, "expires": token.expires });
        self.keep(tx, vec![Event::new(EventKind::ApiTokenIssued, &token.id, facts)]).await?;
        Ok(token.id)
    }

    /// Ends an API token.
    pub async fn revoke_api_token(&self, by: &impl Authority, id: &TokenId) -> Result<(), Error> {
        self.revoke(by, store::REVOKE_API_TOKEN, EventKind::ApiTokenRevoked, id.into()).await
    }

    /// Registers a public key by which an agent or a workload proves itself (`private_key_jwt`).
    pub async fn add_key(
        &self,
        by: &impl Authority,
        principal: &AnyId,
        label: &str,
        jwk: &serde_json::Value,
        expires_seconds: Option<i64>,
    ) -> Result<CredentialId, Error> {
        let key = PublicJwk::parse(&Json::from(jwk.clone()))
            .map_err(|error| CredentialRefusal::Key(error.to_string()))?;
        let thumbprint = key.thumbprint().to_owned();
        let jwk = key.to_json().to_text();
        self.add_credential(by, principal, label, &Proof::Key { jwk, thumbprint }, expires_seconds).await
    }

    /// Makes a shared secret for an agent or a workload; its text is shown this once. Keys are better.
    pub async fn add_secret(
        &self,
        by: &impl Authority,
        principal: &AnyId,
        label: &str,
        expires_seconds: Option<i64>,
    ) -> Result<(CredentialId, Secret), Error> {
        let text = new_secret(SECRET_PREFIX, by.ctx().dice.as_ref());
        let proof = Proof::Secret { sha256: hex::encode(sha256(text.expose().as_bytes())) };
        let id = self.add_credential(by, principal, label, &proof, expires_seconds).await?;
        Ok((id, text))
    }

    async fn add_credential(
        &self,
        by: &impl Authority,
        principal: &AnyId,
        label: &str,
        proof: &Proof,
        expires_seconds: Option<i64>,
    ) -> Result<CredentialId, Error> {
        let ctx = by.ctx();
        let plan = |known: &Snapshot| {
            may_be_added(known, ctx, principal, proof)?;
            Ok(Credential {
                id: CredentialId::new(ctx.now, ctx.dice.as_ref()),
                principal: principal.clone(),
                proof: proof.clone(),
                label: line("label", label)?,
                generation: known.generation,
                position: known.position,
                created: ctx.now,
                expires: expiry(ctx, expires_seconds)?,
                revoked: false,
            })
        };
        let (mut tx, credential) = self.begin(by, plan).await?;
        let kind = if matches!(proof, Proof::Key { .. }) { "key" } else { "secret" };
        store::insert_credential(&mut tx, &credential).await?;
        let facts = json!({ "principal": principal, "kind": kind, "expires": credential.expires });
        self.keep(tx, vec![Event::new(EventKind::CredentialAdded, &credential.id, facts)]).await?;
        Ok(credential.id)
    }

    /// Ends a credential.
    pub async fn revoke_credential(&self, by: &impl Authority, id: &CredentialId) -> Result<(), Error> {
        self.revoke(by, store::REVOKE_CREDENTIAL, EventKind::CredentialRevoked, id.into()).await
    }

    async fn revoke(
        &self,
        by: &impl Authority,
        sql: &'static str,
        kind: EventKind,
        id: AnyId,
    ) -> Result<(), Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        if !store::revoke(&mut tx, sql, &id).await? {
            return Err(CredentialRefusal::Missing.into());
        }
        self.keep(tx, vec![Event::new(kind, id, json!({}))]).await.map(drop)
    }
}

impl Snapshot {
    /// The credentials of a principal, revoked ones included.
    pub fn credentials_of(&self, principal: &AnyId) -> impl Iterator<Item = &std::sync::Arc<Credential>> {
        self.credentials_by_principal.of(principal).filter_map(|id| self.credentials.get(id))
    }

    /// The principal behind the API token with this SHA-256, if the token and the principal are alive.
    pub(crate) fn api_token_holder(&self, digest: &[u8; 32], ctx: &Ctx) -> Result<&AnyId, ApiRefusal> {
        let token = self.api_tokens.get(digest).filter(|token| self.api_token_is_good(token, ctx));
        token.map(|token| &token.principal).ok_or(ApiRefusal::Unknown)
    }

    /// The person who answers for an agent or a workload.
    pub(crate) fn owner_of(&self, principal: &AnyId) -> Option<&PersonId> {
        let text = principal.as_str();
        match principal.kind() {
            IdKind::AgentId => self.agents.get(&text.parse().ok()?).map(|agent| &agent.body.owner),
            IdKind::WorkloadId => {
                self.workloads.get(&text.parse().ok()?).map(|workload| &workload.body.owner)
            }
            _ => None,
        }
    }

    /// A principal and the person who answers for it: a revocation of either ends the principal's credentials.
    pub(crate) fn concerns(&self, principal: &AnyId) -> Vec<AnyId> {
        let owner = self.owner_of(principal).map(AnyId::from);
        std::iter::once(principal.clone()).chain(owner).collect()
    }
}

fn expiry(ctx: &Ctx, seconds: Option<i64>) -> Result<Option<base::Timestamp>, CredentialRefusal> {
    match seconds {
        Some(seconds) if seconds <= 0 => Err(CredentialRefusal::Expiry),
        seconds => Ok(seconds.map(|seconds| ctx.now.plus_seconds(seconds))),
    }
}

/// Whether a principal may prove itself with this, too.
fn may_be_added(
    known: &Snapshot,
    ctx: &Ctx,
    principal: &AnyId,
    proof: &Proof,
) -> Result<(), CredentialRefusal> {
    let is_this = |other: &&std::sync::Arc<Credential>| match (&other.proof, proof) {
        (Proof::Key { thumbprint: other, .. }, Proof::Key { thumbprint, .. }) => other == thumbprint,
        (Proof::Secret { .. }, _) | (_, Proof::Secret { .. }) => false,
    };
    if let Some(other) = known.credentials.values().find(|other| !other.revoked && is_this(other)) {
        if other.principal != *principal {
            return Err(CredentialRefusal::KeyInUse);
        }
        let word = if principal.kind() == IdKind::AgentId { "agent" } else { "workload" };
        return Err(CredentialRefusal::OwnKey {
            name: known.name_of(principal),
            word,
            id: other.id.clone(),
            standing: known.credential_standing(other, ctx),
        });
    }
    // Only those that can still prove something: what a stop made dead does not stand in the way of a new key.
    let present = known.credentials_of(principal).filter(|other| known.may_prove(other, ctx).is_ok()).count();
    if present >= CREDENTIALS_MAX {
        return Err(CredentialRefusal::TooMany(known.name_of(principal)));
    }
    Ok(())
}
