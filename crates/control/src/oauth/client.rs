//! Who asks the token endpoint: an agent or a workload that proves itself, or a client that people agreed to.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base::{Actor, AgentId, AnyId, Class, CredentialId, Ctx, Error, Secret, WorkloadId};
use store::ProofUse;
use wire::{
    jose::{Jwks, PublicJwk},
    json::Json,
    oauth::{
        AssertionRules, ClientAssertion, ClientAuthentication, ClientSecret, ErrorCode, OAuthError,
        verify_client_assertion,
    },
};

use super::said::said;
use crate::{
    client::{KnownClient, Sort},
    control::Control,
    credential::{Credential, Proof},
    key::KeyState,
    opaque::sha256,
    snapshot::Snapshot,
};

/// By how much the clocks of clients may differ from ours, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// The longest life of a client assertion, in seconds.
const ASSERTION_SECONDS_MAX: i64 = 300;

/// A client of the authorization server.
#[derive(Clone, Debug)]
pub(crate) enum Client {
    Agent(AgentId),
    Workload(WorkloadId),
    /// A program that asks for what a person agreed to.
    App(Arc<KnownClient>),
}

impl Client {
    /// Its id as it stands in tokens and records.
    pub(crate) fn client_id(&self) -> String {
        match self {
            Self::Agent(id) => id.to_string(),
            Self::Workload(id) => id.to_string(),
            Self::App(client) => client.client_id.clone(),
        }
    }

    /// Where its credentials hang, where it has any.
    fn principal(&self) -> Option<AnyId> {
        match self {
            Self::Agent(id) => Some(id.into()),
            Self::Workload(id) => Some(id.into()),
            Self::App(client) => client.registered().map(Into::into),
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Agent(id) => Actor::Agent(id.clone()),
            Self::Workload(id) => Actor::Workload(id.clone()),
            // Whoever it is for is known once the code or token is read.
            Self::App(_) => Actor::Anonymous,
        }
    }

    /// Those that a client may mean by its id or its name. An agent, a workload and a registered client may have the same
    /// name: what they prove themselves with tells them apart.
    fn called(name: &str, known: &Snapshot, ctx: &Ctx) -> impl Iterator<Item = Self> {
        let agent = known.agents.find(name).map(|agent| Self::Agent(agent.id.clone()));
        let workload = known.workloads.find(name).map(|workload| Self::Workload(workload.id.clone()));
        let app = known.kept_client(name, ctx).map(|client| Self::App(Arc::new(client)));
        agent.into_iter().chain(workload).chain(app)
    }
}

/// A client that proved itself.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) client: Client,
    /// What it proved itself with; none for a public client, and for one that describes itself.
    pub(crate) credential: Option<CredentialId>,
    /// Its assertion, to be used up before anything happens.
    pub(crate) assertion: Option<ProofUse>,
}

impl Control {
    /// The programs that a request may mean, as far as there are any.
    pub(crate) async fn apps(
        &self,
        shown: &ClientAuthentication,
        ctx: &Ctx,
    ) -> Result<Vec<Arc<KnownClient>>, OAuthError> {
        let mut ids: Vec<&str> = match shown {
            ClientAuthentication::Public { client_id }
            | ClientAuthentication::Assertion { client_id, .. } => vec![client_id],
            ClientAuthentication::Basic { readings } => {
                readings.iter().map(|reading| reading.client_id.as_str()).collect()
            }
            ClientAuthentication::Post(reading) => vec![&reading.client_id],
        };
        ids.dedup();
        let mut apps = Vec::new();
        for id in ids {
            match self.known_client(id, ctx).await {
                Ok(client) => apps.push(client),
                Err(Error::Refused(refusal)) if refusal.class == Class::Missing => {}
                Err(Error::Refused(refusal)) => {
                    return Err(OAuthError::new(ErrorCode::InvalidClient, refusal.message));
                }
                Err(error) => return Err(said(error)),
            }
        }
        Ok(apps)
    }
}

/// Establishes which client asks. `apps` are the programs that it may be.
///
/// SECURITY: unknown, wrong, expired, revoked and suspended read alike, and take about as long.
pub(crate) fn prove(
    known: &Snapshot,
    shown: &ClientAuthentication,
    apps: &[Arc<KnownClient>],
    issuer: &str,
    ctx: &Ctx,
) -> Result<Proven, OAuthError> {
    let proven = match shown {
        ClientAuthentication::Public { client_id } => public(apps, client_id),
        ClientAuthentication::Basic { readings } => readings
            .iter()
            .find_map(|reading| by_own_secret(apps, reading).or_else(|| by_secret(known, reading, ctx))),
        ClientAuthentication::Post(reading) => {
            by_own_secret(apps, reading).or_else(|| by_secret(known, reading, ctx))
        }
        ClientAuthentication::Assertion { client_id, assertion } => {
            by_own_key(apps, client_id, assertion, issuer, ctx)
                .or_else(|| by_assertion(known, client_id, assertion, issuer, ctx))
        }
    };
    proven.ok_or_else(refusal)
}

/// The one answer to every client that did not prove itself.
pub(crate) fn refusal() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidClient,
        "the client is unknown or not active, or its proof of itself is wrong, expired or used before",
    )
}

/// A client that proves itself in no way: PKCE and its redirect URI bind it to what it redeems.
fn public(apps: &[Arc<KnownClient>], client_id: &str) -> Option<Proven> {
    let found = apps.iter().find(|app| app.client_id == client_id && app.is_public())?;
    Some(Proven { client: Client::App(Arc::clone(found)), credential: None, assertion: None })
}

/// A client that registered itself, with the secret that it got.
fn by_own_secret(apps: &[Arc<KnownClient>], reading: &ClientSecret) -> Option<Proven> {
    let shown = sha256(reading.secret.expose().as_bytes());
    let found = apps.iter().filter(|app| app.client_id == reading.client_id).find(|app| {
        matches!(&app.sort, Sort::Dynamic(_, Some(kept)) if verify_slices_are_equal(kept, &shown).is_ok())
    })?;
    Some(Proven { client: Client::App(Arc::clone(found)), credential: None, assertion: None })
}

/// A client that describes itself, with a key of its own.
fn by_own_key(
    apps: &[Arc<KnownClient>],
    client_id: &str,
    assertion: &Secret,
    issuer: &str,
    ctx: &Ctx,
) -> Option<Proven> {
    let found = apps.iter().find(|app| app.client_id == client_id)?;
    let verified = verify_with(&found.metadata.keys()?, client_id, assertion, issuer, ctx)?;
    let assertion = Some(ProofUse { digest: verified.replay_id, expires: verified.forget_after });
    Some(Proven { client: Client::App(Arc::clone(found)), credential: None, assertion })
}

fn by_secret(known: &Snapshot, reading: &ClientSecret, ctx: &Ctx) -> Option<Proven> {
    let shown = sha256(reading.secret.expose().as_bytes());
    let fits = |credential: &Credential| match &credential.proof {
        Proof::Secret { sha256 } => {
            let mut kept = [0; 32];
            hex::decode_to_slice(sha256, &mut kept).is_ok() && verify_slices_are_equal(&kept, &shown).is_ok()
        }
        Proof::Key { .. } => false,
    };
    let (client, credential) =
        good(known, &reading.client_id, ctx).find(|(_, credential)| fits(credential))?;
    Some(Proven { client, credential: Some(credential.id.clone()), assertion: None })
}

fn by_assertion(
    known: &Snapshot,
    client_id: &str,
    assertion: &Secret,
    issuer: &str,
    ctx: &Ctx,
) -> Option<Proven> {
    // Each key alone, so that keys with the same `kid`, or assertions without one, are not in each other's way.
    let verified = |jwk: &str| verify_with(&one_key(jwk)?, client_id, assertion, issuer, ctx);
    let mut tried = false;
    for (client, credential) in good(known, client_id, ctx) {
        let Proof::Key { jwk, .. } = &credential.proof else { continue };
        tried = true;
        if let Some(ClientAssertion { replay_id, forget_after, .. }) = verified(jwk) {
            let assertion = Some(ProofUse { digest: replay_id, expires: forget_after });
            return Some(Proven { client, credential: Some(credential.id.clone()), assertion });
        }
    }
    if !tried {
        // A stranger's assertion costs us what a known client's does, so that time does not tell who exists. Its
        // answer is thrown away.
        let decoy = known.keys.values().find(|key| key.state == KeyState::Signing);
        decoy.map(|key| verified(&key.jwk));
    }
    None
}

fn one_key(jwk: &str) -> Option<Jwks> {
    Some(Jwks::new([PublicJwk::parse(&Json::parse(jwk.as_bytes()).ok()?).ok()?.into()]))
}

fn verify_with(
    keys: &Jwks,
    client_id: &str,
    assertion: &Secret,
    issuer: &str,
    ctx: &Ctx,
) -> Option<ClientAssertion> {
    let rules = AssertionRules {
        client_id,
        keys,
        audiences: &[issuer],
        now: ctx.now,
        leeway_seconds: LEEWAY_SECONDS,
        lifetime_seconds_max: ASSERTION_SECONDS_MAX,
    };
    verify_client_assertion(assertion.expose(), &rules).ok()
}

/// The credentials of whoever is called so that can still prove their principal.
fn good<'a>(known: &'a Snapshot, name: &str, ctx: &'a Ctx) -> impl Iterator<Item = (Client, &'a Credential)> {
    Client::called(name, known, ctx).flat_map(move |client| {
        let principal = client.principal();
        let credentials = principal.iter().flat_map(|id| known.credentials_of(id));
        let credentials = credentials.map(AsRef::as_ref).collect::<Vec<&Credential>>();
        credentials
            .into_iter()
            .filter(|credential| known.credential_is_good(credential, ctx).is_ok())
            .map(move |credential| (client.clone(), credential))
    })
}
