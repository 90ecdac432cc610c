//! Who asks the token endpoint: an agent or a workload that proves itself.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base::{Actor, AgentId, AnyId, CredentialId, Ctx, Secret, WorkloadId};
use store::ProofUse;
use wire::{
    jose::{Jwks, PublicJwk},
    json::Json,
    oauth::{
        AssertionRules, ClientAssertion, ClientAuthentication, ClientSecret, ErrorCode, OAuthError,
        verify_client_assertion,
    },
};

use crate::{
    credential::{Credential, Proof, sha256},
    key::KeyState,
    snapshot::Snapshot,
};

/// By how much the clocks of clients may differ from ours, in seconds.
const LEEWAY_SECONDS: i64 = 30;
/// The longest life of a client assertion, in seconds.
const ASSERTION_SECONDS_MAX: i64 = 300;

/// A client of the authorization server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Agent(AgentId),
    Workload(WorkloadId),
}

impl Client {
    pub(crate) fn id(&self) -> AnyId {
        match self {
            Self::Agent(id) => id.into(),
            Self::Workload(id) => id.into(),
        }
    }

    pub(crate) fn actor(&self) -> Actor {
        match self {
            Self::Agent(id) => Actor::Agent(id.clone()),
            Self::Workload(id) => Actor::Workload(id.clone()),
        }
    }

    /// Those that a client may mean by its id or its name. An agent and a workload may have the same name: what they
    /// prove themselves with tells them apart.
    fn called(name: &str, known: &Snapshot) -> impl Iterator<Item = Self> {
        let agent = known.agents.find(name).map(|agent| Self::Agent(agent.id.clone()));
        let workload = known.workloads.find(name).map(|workload| Self::Workload(workload.id.clone()));
        agent.into_iter().chain(workload)
    }
}

/// A client that proved itself.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) client: Client,
    /// What it proved itself with.
    pub(crate) credential: CredentialId,
    /// Its assertion, to be used up before anything happens.
    pub(crate) assertion: Option<ProofUse>,
}

/// Establishes which client asks.
///
/// SECURITY: unknown, wrong, expired, revoked and suspended read alike, and take about as long.
pub(crate) fn prove(
    known: &Snapshot,
    shown: &ClientAuthentication,
    issuer: &str,
    ctx: &Ctx,
) -> Result<Proven, OAuthError> {
    let proven = match shown {
        ClientAuthentication::Public { .. } => None,
        ClientAuthentication::Basic { readings } => {
            readings.iter().find_map(|reading| by_secret(known, reading, ctx))
        }
        ClientAuthentication::Post(reading) => by_secret(known, reading, ctx),
        ClientAuthentication::Assertion { client_id, assertion } => {
            by_assertion(known, client_id, assertion, issuer, ctx)
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
    Some(Proven { client, credential: credential.id.clone(), assertion: None })
}

fn by_assertion(
    known: &Snapshot,
    client_id: &str,
    assertion: &Secret,
    issuer: &str,
    ctx: &Ctx,
) -> Option<Proven> {
    // Each key alone, so that keys with the same `kid`, or assertions without one, are not in each other's way.
    let verified = |jwk: &str| verify_with(jwk, client_id, assertion, issuer, ctx);
    let mut tried = false;
    for (client, credential) in good(known, client_id, ctx) {
        let Proof::Key { jwk, .. } = &credential.proof else { continue };
        tried = true;
        if let Some(ClientAssertion { replay_id, forget_after, .. }) = verified(jwk) {
            let assertion = Some(ProofUse { digest: replay_id, expires: forget_after });
            return Some(Proven { client, credential: credential.id.clone(), assertion });
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

fn verify_with(
    jwk: &str,
    client_id: &str,
    assertion: &Secret,
    issuer: &str,
    ctx: &Ctx,
) -> Option<ClientAssertion> {
    let key = PublicJwk::parse(&Json::parse(jwk.as_bytes()).ok()?).ok()?;
    let rules = AssertionRules {
        client_id,
        keys: &Jwks::new([key.into()]),
        audiences: &[issuer],
        now: ctx.now,
        leeway_seconds: LEEWAY_SECONDS,
        lifetime_seconds_max: ASSERTION_SECONDS_MAX,
    };
    verify_client_assertion(assertion.expose(), &rules).ok()
}

/// The credentials of whoever is called so that can still prove their principal.
fn good<'a>(known: &'a Snapshot, name: &str, ctx: &'a Ctx) -> impl Iterator<Item = (Client, &'a Credential)> {
    Client::called(name, known).flat_map(move |client| {
        let credentials = known.credentials_of(&client.id()).map(AsRef::as_ref).collect::<Vec<&Credential>>();
        credentials
            .into_iter()
            .filter(|credential| known.credential_is_good(credential, ctx).is_ok())
            .map(move |credential| (client.clone(), credential))
    })
}
