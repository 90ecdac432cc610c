//! A request to the authorization server, up to the point where it is known who asks.

use std::sync::Arc;

use base::{Actor, Ctx, Error, Fault};
use http::{HeaderMap, header::AUTHORIZATION};
use store::ProofUse;
use wire::{
    dpop::{ProofRules, TargetUri},
    oauth::{ClientAuthentication, ErrorCode, Form, OAuthError},
};

use super::{
    client::{Client, Proven, prove, refusal},
    presented::proof_header,
    refused::{PROOF_REPLAYED, TokenRefused},
    said::said,
    verify::{PROOF_AGE_SECONDS_MAX, PROOF_LEEWAY_SECONDS},
};
use crate::{
    authority::Authority,
    control::Control,
    snapshot::{Dead, Snapshot},
};

/// Where tokens are made.
pub(crate) const TOKEN_PATH: &str = "/oauth2/token";

/// A client whose proofs are used up, and the state of the world in which it proved itself.
#[derive(Clone)]
pub(crate) struct Asking {
    /// The circumstances, with the client as actor.
    pub(crate) ctx: Ctx,
    pub(crate) proven: Proven,
    /// What was true when the client proved itself. Whatever is issued carries this position, so that a revocation
    /// that is later ends it, however the two raced.
    pub(crate) known: Arc<Snapshot>,
    /// The thumbprint of the key that the client proved to hold (DPoP).
    pub(crate) key: Option<String>,
}

impl Asking {
    pub(crate) const fn client(&self) -> &Client {
        &self.proven.client
    }
}

impl Asking {
    /// The same asking, for a person: what it leads to is on record as theirs.
    pub(super) fn for_person(&self, person: base::PersonId) -> Self {
        Self { ctx: self.ctx.clone().acting_as(Actor::Person(person)), ..self.clone() }
    }
}

impl Authority for Asking {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The client may ask as long as what it proved itself with is good. Whatever else a task rests on, its plan asks; what
    /// a person agreed to has an authority of its own.
    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        let Some(id) = &self.proven.credential else { return Ok(()) };
        let credential = known.credentials.get(id);
        let ended = || Dead::Inactive(id.into(), "ended");
        Ok(known.credential_is_good(credential.ok_or_else(ended)?, &self.ctx)?)
    }
}

impl Control {
    /// Establishes who asks the endpoint at this path, and with which key; uses up both proofs.
    pub(crate) async fn asking_at(
        &self,
        path: &str,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<Asking, OAuthError> {
        let (mut asking, assertion) = self.who_asks(headers, form).await?;
        let key = self.sender_key(path, headers, &asking.ctx);
        if let Err(error) = &key
            && error.code == ErrorCode::UseDpopNonce
        {
            // Nothing was asked yet: the client comes again, perhaps with the same assertion.
            return Err(error.clone());
        }
        let proof = key.as_ref().ok().and_then(|key| key.as_ref()).map(|(_, proof)| proof.clone());
        // Together, so that they share a commit. The assertion first: without it nobody has asked anything.
        let (assertion, proof) = tokio::join!(self.use_up(assertion), self.use_up(proof));
        assertion?.then_some(()).ok_or_else(refusal)?;
        asking.key = key?.map(|(thumbprint, _)| thumbprint);
        if !proof? {
            return Err(OAuthError::new(
                ErrorCode::InvalidDpopProof,
                "the DPoP proof was used before; make a new one for each request",
            ));
        }
        Ok(asking)
    }

    /// Establishes who asks another endpoint, without a key.
    pub(crate) async fn asking(&self, headers: &HeaderMap, form: &Form) -> Result<Asking, OAuthError> {
        let (asking, assertion) = self.who_asks(headers, form).await?;
        self.use_up(assertion).await?.then_some(asking).ok_or_else(refusal)
    }

    async fn who_asks(
        &self,
        headers: &HeaderMap,
        form: &Form,
    ) -> Result<(Asking, Option<ProofUse>), OAuthError> {
        let ctx = self.ctx(Actor::Anonymous);
        if !self.is_fresh(ctx.now) {
            let why = "this node cannot prove that it knows the latest revocations; try again shortly";
            return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, why));
        }
        let values = headers.get_all(AUTHORIZATION).iter().map(|value| value.to_str());
        let authorization: Vec<&str> = values.collect::<Result<_, _>>().map_err(|_| {
            OAuthError::new(ErrorCode::InvalidRequest, "the `Authorization` header is not visible ASCII")
        })?;
        let shown = ClientAuthentication::of(&authorization, form)?;
        let apps = self.apps(&shown, &ctx).await?;
        let known = Arc::clone(&self.snapshot());
        let proven = prove(&known, &shown, &apps, &self.settings().issuer(), &ctx)?;
        let assertion = proven.assertion.clone();
        let ctx = ctx.acting_as(proven.client.actor());
        Ok((Asking { ctx, proven, known, key: None }, assertion))
    }

    /// The key that a client proves to hold, where it sends a proof (RFC 9449, sections 5 and 10.1).
    fn sender_key(
        &self,
        path: &str,
        headers: &HeaderMap,
        ctx: &Ctx,
    ) -> Result<Option<(String, ProofUse)>, OAuthError> {
        let refuse = |why: &str| OAuthError::new(ErrorCode::InvalidDpopProof, why);
        let Some(shown) = proof_header(headers).map_err(refuse)? else { return Ok(None) };
        let url = format!("{}{path}", self.settings().issuer());
        let target =
            TargetUri::parse(&url).ok_or_else(|| said(Fault::new("reading the public URL", url).into()))?;
        let rules = ProofRules {
            method: "POST",
            target: &target,
            access_token: None,
            thumbprint: None,
            now: ctx.now,
            age_seconds_max: PROOF_AGE_SECONDS_MAX,
            leeway_seconds: PROOF_LEEWAY_SECONDS,
        };
        let (thumbprint, used) = self.proof_holds(shown, &rules).map_err(|refused| {
            let wants_nonce = matches!(refused, TokenRefused::NonceWanted);
            let code = if wants_nonce { ErrorCode::UseDpopNonce } else { ErrorCode::InvalidDpopProof };
            OAuthError::new(code, refused.to_string())
        })?;
        Ok(Some((thumbprint, used)))
    }

    /// Uses up a single-use proof; false when it was used before. No proof is no trouble.
    async fn use_up(&self, proof: Option<ProofUse>) -> Result<bool, OAuthError> {
        let Some(proof) = proof else { return Ok(true) };
        match self.use_proof(proof).await {
            Ok(()) => Ok(true),
            Err(Error::Refused(refusal)) if refusal.code == PROOF_REPLAYED => Ok(false),
            Err(error) => Err(said(error)),
        }
    }
}
