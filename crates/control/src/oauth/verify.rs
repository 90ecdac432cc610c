//! The verifier of access tokens.
//!
//! A token's signature is checked once and remembered under the SHA-256 of its whole text. Everything that can change
//! is asked again at each call: the key, the times, the audience, the principals, the task and its ancestors, later
//! revocations, the sender's proof.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::{AnyId, Error, Fault, PersonId, TenantId, Timestamp, WorkloadId, limit::ACCESS_TOKEN_SECONDS_MAX};
use http::{HeaderMap, Method};
use moka::sync::Cache;
use store::{Entry, ProofUse, Submitted};
use wire::{
    dpop::{ProofRules, TargetUri, verify_proof},
    jose::{TokenRefusal, VerifyRules, unverified_claim, verify},
    oauth::{ACCESS_TOKEN_TYPE, AccessClaims},
};

use super::{
    audience::Audience,
    claims::subject_and_actors,
    presented::{Presented, Scheme},
    refused::{ProofReplayed, TokenRefused},
};
use crate::{
    authority::AuthorityRefusal,
    control::Control,
    decide::{Caller, Grounds, Standing, tasks},
    opaque::sha256,
    snapshot::{Dead, Life, Snapshot},
};

/// By how much the clocks of nodes may differ where a token seems to come from the future, in seconds. Expiry knows
/// no leeway: it is our own clock, and a deadline is a deadline.
const LEEWAY_SECONDS: i64 = 5;
/// How old a DPoP proof may be, in seconds.
pub(super) const PROOF_AGE_SECONDS_MAX: i64 = 60;
/// How far a proof may come from the future, in seconds.
pub(super) const PROOF_LEEWAY_SECONDS: i64 = 5;
/// Tokens whose signature is remembered.
const REMEMBERED_MAX: u64 = 16_384;

/// Tokens whose signature was checked, by the SHA-256 of their text.
///
/// SECURITY: the key is the digest of the whole token, so no two tokens share an entry (threat class 20).
pub(crate) type TokenCache = Cache<[u8; 32], Arc<Believed>>;

/// An empty cache.
pub(crate) fn token_cache() -> TokenCache {
    Cache::new(REMEMBERED_MAX)
}

/// The claims of a token that we signed; whether they still hold is another question.
#[derive(Debug)]
pub(crate) struct Believed {
    pub(crate) claims: AccessClaims,
    kid: String,
    /// For whom it stood when it was last asked.
    stood: Mutex<Option<Caller>>,
}

impl Believed {
    fn stood(&self) -> MutexGuard<'_, Option<Caller>> {
        self.stood.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For whom an access token stands.
#[derive(Clone, Debug)]
pub enum TokenHolder {
    /// An agent within a task.
    Agent(Box<Caller>),
    /// A workload, for itself.
    Workload(WorkloadId),
    /// A person, through a client that acts as them or asks who they are.
    Person(PersonId),
}

impl Control {
    /// Who calls an MCP endpoint, as the headers of one HTTP request prove it. `url` is the endpoint's public
    /// URL without query.
    ///
    /// The proof of possession that came along is in [`Caller::proof`] and must be used up before anything happens.
    pub fn verify_mcp_token(
        &self,
        headers: &HeaderMap,
        method: &Method,
        url: &str,
        endpoint: &Audience,
        now: Timestamp,
    ) -> Result<Caller, Error> {
        let presented = Presented::of(headers, method.as_str(), url)?;
        match self.holder_of(&presented, endpoint, &TenantId::first(), now)? {
            (TokenHolder::Agent(mut caller), proof) => {
                caller.proof = proof;
                Ok(*caller)
            }
            (TokenHolder::Workload(_) | TokenHolder::Person(_), _) => Err(TokenRefused::NotAnAgent.into()),
        }
    }

    /// The access token with which somebody calls the API, as far as it never changes: signed by us, for the API, and
    /// in the hands of whom it is bound to. For whom it [`stands`] is asked of each state of the world. `url` is the
    /// public URL of the request without query.
    ///
    /// The proof of possession comes back apart and must be used up before anything happens.
    pub(crate) fn believe_api_access_token(
        &self,
        headers: &HeaderMap,
        method: &Method,
        url: &str,
        now: Timestamp,
    ) -> Result<(Arc<Believed>, Option<ProofUse>), Error> {
        let presented = Presented::of(headers, method.as_str(), url)?;
        let believed = self.believe_for(&presented, &Audience::Api, &self.snapshot(), now)?;
        let proof = self.possession(&presented, &believed.claims, now)?;
        Ok((believed, proof))
    }

    fn holder_of(
        &self,
        presented: &Presented<'_>,
        audience: &Audience,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<(TokenHolder, Option<ProofUse>), TokenRefused> {
        let known = self.snapshot();
        let believed = self.believe_for(presented, audience, &known, now)?;
        let holder = stands(&known, &believed, tenant, now)?;
        let proof = self.possession(presented, &believed.claims, now)?;
        Ok((holder, proof))
    }

    /// Uses up a proof that a request showed: it counts once, on whatever node.
    pub(crate) async fn use_proof(&self, proof: ProofUse) -> Result<(), Error> {
        match self.store().submit(Entry::Proof(proof)).await? {
            Submitted::Noted => Ok(()),
            Submitted::Replayed => Err(ProofReplayed.into()),
            Submitted::Busy => Err(AuthorityRefusal::Crowded.into()),
            other => {
                let why = format!("the log answered another question: {other:?}");
                Err(Fault::new("using up a proof", why).into())
            }
        }
    }

    /// Whether the sender holds the key to which the token is bound (RFC 9449, section 7).
    pub(super) fn possession(
        &self,
        presented: &Presented<'_>,
        claims: &AccessClaims,
        now: Timestamp,
    ) -> Result<Option<ProofUse>, TokenRefused> {
        let thumbprint = match (presented.scheme, &claims.thumbprint) {
            (Scheme::Bearer, None) => return Ok(None),
            (Scheme::Bearer, Some(_)) => return Err(TokenRefused::BoundAsBearer),
            (Scheme::Dpop, None) => return Err(TokenRefused::UnboundAsDpop),
            (Scheme::Dpop, Some(thumbprint)) => thumbprint,
        };
        let proof = presented.proof.ok_or(TokenRefused::ProofMissing)?;
        let target = TargetUri::parse(presented.url)
            .ok_or(TokenRefused::Malformed("the request's URL is not one that a proof can name"))?;
        let rules = ProofRules {
            method: presented.method,
            target: &target,
            access_token: Some(presented.token),
            thumbprint: Some(thumbprint),
            now,
            age_seconds_max: PROOF_AGE_SECONDS_MAX,
            leeway_seconds: PROOF_LEEWAY_SECONDS,
        };
        self.proof_holds(proof, &rules).map(|(_, used)| Some(used))
    }

    /// The thumbprint of the key that made a proof, if the proof holds and its nonce is ours, and what uses it up.
    pub(super) fn proof_holds(
        &self,
        proof: &str,
        rules: &ProofRules<'_>,
    ) -> Result<(String, ProofUse), TokenRefused> {
        let proof = verify_proof(proof, rules)?;
        if !self.is_nonce_recent(proof.nonce.as_deref(), rules.now) {
            return Err(TokenRefused::NonceWanted);
        }
        let used = ProofUse { digest: proof.replay_id, expires: proof.forget_after };
        Ok((proof.thumbprint().to_owned(), used))
    }

    pub(super) fn believe_for(
        &self,
        presented: &Presented<'_>,
        audience: &Audience,
        known: &Snapshot,
        now: Timestamp,
    ) -> Result<Arc<Believed>, TokenRefused> {
        if !self.is_fresh(now) {
            return Err(TokenRefused::Stale);
        }
        let believed = self.believe(known, presented.token, now)?;
        if audience.is(&believed.claims.audience, &self.settings().issuer()) {
            Ok(believed)
        } else {
            Err(TokenRefused::WrongAudience)
        }
    }

    /// The claims of a token that one of our keys signed.
    ///
    /// SECURITY: of what is remembered only the signature counts; [`stands`] asks for everything else each time.
    pub(crate) fn believe(
        &self,
        known: &Snapshot,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Believed>, TokenRefusal> {
        let digest = sha256(token.as_bytes());
        let remembered = &self.inner().tokens;
        if let Some(believed) = remembered.get(&digest) {
            return Ok(believed);
        }
        // The audience is compared by the caller; here it only has to be one.
        let audience = unverified_claim(token, "aud")?.ok_or(TokenRefusal::MissingClaim("aud"))?;
        let rules = VerifyRules {
            types: &[Some(ACCESS_TOKEN_TYPE)],
            keys: known.ring.public(),
            issuer: Some(&self.settings().issuer()),
            audiences: &[&audience],
            leeway_seconds: LEEWAY_SECONDS,
            now,
            lifetime_seconds_max: ACCESS_TOKEN_SECONDS_MAX,
            issued_at_required: true,
            require: &["sub", "jti", "client_id"],
        };
        let verified = verify(token, &rules)?;
        let claims = AccessClaims::read(&verified.claims)?;
        let believed = Arc::new(Believed { claims, kid: verified.kid, stood: Mutex::default() });
        remembered.insert(digest, believed.clone());
        Ok(believed)
    }
}

/// For whom a believed token stands, if everything that it rests on is alive and on record as the token says.
pub(crate) fn stands(
    known: &Snapshot,
    believed: &Believed,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<TokenHolder, TokenRefused> {
    let claims = &believed.claims;
    // All that is asked below is the same on the same snapshot, but for what ends by itself: the token, which is asked
    // again, and what the caller's standing knows.
    if let Some(caller) = &*believed.stood()
        && now < caller.expires
        && caller.tenant == *tenant
        && caller.standing.on(known, now).is_some()
    {
        return Ok(TokenHolder::Agent(Box::new(caller.clone())));
    }
    if known.ring.public().get(&believed.kid).is_none() {
        return Err(TokenRefusal::UnknownKey.into());
    }
    if claims.expires <= now {
        return Err(TokenRefusal::Expired.into());
    }
    if claims.issued > now.plus_seconds(LEEWAY_SECONDS) {
        return Err(TokenRefusal::IssuedInFuture.into());
    }
    if !known.token_rests(claims.credential.as_ref(), claims.delegation.as_ref(), now) {
        return Err(TokenRefused::Dead(Dead::TokenRevoked));
    }
    match (&claims.task, &claims.delegation) {
        (Some(_), _) => {
            let caller = agent_stands(known, believed, tenant, now)?;
            *believed.stood() = Some(caller.clone());
            Ok(TokenHolder::Agent(Box::new(caller)))
        }
        (None, Some(_)) => person_stands(known, claims, tenant).map(TokenHolder::Person),
        (None, None) => workload_stands(known, claims, tenant).map(TokenHolder::Workload),
    }
}

fn person_stands(
    known: &Snapshot,
    claims: &AccessClaims,
    tenant: &TenantId,
) -> Result<PersonId, TokenRefused> {
    let person: PersonId = claims.subject.as_str().parse().map_err(|_| TokenRefused::ChainDiffers)?;
    let delegation = claims.delegation.as_ref().and_then(|id| known.delegations.get(id));
    let agreed = delegation.is_some_and(|delegation| {
        delegation.person == person && delegation.client == claims.client_id && delegation.task().is_none()
    });
    if !agreed || !claims.actors.is_empty() {
        return Err(TokenRefused::ChainDiffers);
    }
    let life =
        Life { generation: claims.generation, position: claims.position, tenant, token: Some(&claims.id) };
    known.credential_lives(&life, &[AnyId::from(&person)]).map_err(TokenRefused::from)?;
    Ok(person)
}

fn agent_stands(
    known: &Snapshot,
    believed: &Believed,
    tenant: &TenantId,
    now: Timestamp,
) -> Result<Caller, TokenRefused> {
    let claims = &believed.claims;
    let task = claims.task.clone().ok_or(TokenRefused::ChainDiffers)?;
    // Whose task it is says who acts: the client of an agent that people agreed to has an id of its own.
    let agent = known.tasks.get(&task).map(|task| task.agent.clone());
    let agent = agent.ok_or_else(|| Dead::TaskEnded(task.clone(), "ended"))?;
    if claims.delegation.is_none() && claims.client_id != agent.as_str() {
        return Err(TokenRefused::ChainDiffers);
    }
    let caller = Caller {
        token: claims.id.clone(),
        agent,
        task,
        tenant: tenant.clone(),
        position: claims.position,
        generation: claims.generation,
        expires: claims.expires,
        proof: None,
        grounds: Arc::new(Grounds {
            kid: believed.kid.clone(),
            credential: claims.credential.clone(),
            delegation: claims.delegation.clone(),
            is_bound: claims.thumbprint.is_some(),
            audience: claims.audience.clone(),
        }),
        standing: Standing::default(),
    };
    let chain = caller.alive(known, now).map_err(|dead| match dead {
        Dead::Unbound => TokenRefused::BindingRequired,
        dead => dead.into(),
    })?;
    // INVARIANT: the chain of principals comes from the stored tree; a token that says otherwise is not believed.
    let (subject, actors) = subject_and_actors(&tasks(&chain)).ok_or(TokenRefused::ChainDiffers)?;
    if subject != claims.subject || actors != claims.actors {
        return Err(TokenRefused::ChainDiffers);
    }
    Ok(caller)
}

fn workload_stands(
    known: &Snapshot,
    claims: &AccessClaims,
    tenant: &TenantId,
) -> Result<WorkloadId, TokenRefused> {
    let workload: WorkloadId = claims.client_id.parse().map_err(|_| TokenRefused::ChainDiffers)?;
    let id = AnyId::from(&workload);
    if claims.subject != id || !claims.actors.is_empty() {
        return Err(TokenRefused::ChainDiffers);
    }
    known.workload_lives(&workload)?;
    let life =
        Life { generation: claims.generation, position: claims.position, tenant, token: Some(&claims.id) };
    known.credential_lives(&life, &[id]).map_err(|dead: Dead| TokenRefused::from(dead))?;
    Ok(workload)
}
