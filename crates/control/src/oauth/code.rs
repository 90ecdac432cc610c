//! Codes and refresh tokens: what a person agreed to becomes tokens.

use std::sync::Arc;

use base::{Ctx, DelegationId, Error, Fault, Secret};
use store::Tx;
use wire::{
    json::Json,
    oauth::{AccessClaims, CodeGrant, ErrorCode, OAuthError, ResourceUri, TokenRequest, TokenResponse},
};

use super::{
    asked::{OFFLINE_ACCESS, is_of_people},
    asking::Asking,
    audience::Audience,
    claims::subject_and_actors,
    issue::{details, issued, token_seconds},
    said::said,
    token::at_most,
    widen::tools_scope,
};
use crate::{
    authority::Authority,
    client::KnownClient,
    control::Control,
    delegation::{CodeTerms, Delegation, NewRefresh, Powers, Spent, keep_refresh, spend_code, spend_refresh},
    opaque::{new_secret, sha256},
    snapshot::Snapshot,
};

/// How long a token lives by which a program acts as a person or asks who they are, in seconds.
const PERSON_TOKEN_SECONDS: i64 = 300;
/// What refresh tokens begin with, so that they are recognised in logs and by secret scanners.
const REFRESH_PREFIX: &str = "writrefresh_";
/// The same of codes.
pub(super) const CODE_PREFIX: &str = "writcode_";

/// A client that redeems what a person agreed to: on the person's authority, for as long as they have not taken it back.
pub(super) struct Redeeming {
    ctx: Ctx,
    delegation: DelegationId,
}

impl Authority for Redeeming {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        known.delegation_lives(&self.delegation, self.ctx.now).map(drop)
    }
}

/// What tokens are made of.
struct Tokens {
    answer: TokenResponse,
    claims: AccessClaims,
    refresh: Option<Secret>,
    /// What the ID token says about the person; none where there is no ID token.
    about: Option<Vec<(&'static str, Json)>>,
}

impl Control {
    /// Redeems a code (RFC 6749, section 4.1.3; RFC 7636, section 4.6).
    pub(super) async fn redeem_code(
        &self,
        asking: &Asking,
        app: &Arc<KnownClient>,
        request: &TokenRequest,
        grant: &CodeGrant,
    ) -> Result<TokenResponse, OAuthError> {
        let digest = sha256(grant.code.expose().as_bytes());
        let sql = "select delegation from authorization_code where digest = $1";
        let delegation = self.delegation_behind(app, sql, &digest).await?;
        let asking = asking.for_person(delegation.person.clone());
        let (by, tokens) = (
            redeeming(&asking, &delegation),
            self.tokens(&asking, app, &delegation, request.resource.as_ref()).await?,
        );
        let (mut tx, ()) = self.begin(&by, |_| Ok(())).await.map_err(dead)?;
        let terms = match spend_code(&mut tx, &digest, asking.ctx.now).await.map_err(fault)? {
            Spent::First(terms) => terms,
            Spent::Again(id) => {
                tx.rollback().await.map_err(fault)?;
                return Err(self.spent_again(&id, "a code was used twice").await);
            }
            Spent::Unknown => return Err(no_grant("the code is unknown or its time is over")),
        };
        meets(&terms, app, grant, asking.key.as_deref())?;
        let tokens = self.with_id_token(app, &delegation, terms.nonce.as_deref(), tokens)?;
        self.hand_out(tx, &asking, app, &delegation, tokens).await
    }

    /// Gives the next tokens for a refresh token, and a new one in its place (RFC 6749, section 6; RFC 9700, section
    /// 4.14.2).
    pub(super) async fn refresh(
        &self,
        asking: &Asking,
        app: &Arc<KnownClient>,
        request: &TokenRequest,
        token: &Secret,
    ) -> Result<TokenResponse, OAuthError> {
        let digest = sha256(token.expose().as_bytes());
        let sql = "select delegation from refresh_token where digest = $1";
        let delegation = self.delegation_behind(app, sql, &digest).await?;
        // Those that mean nothing here were left out before, and are again.
        let agreed = |scope: &str| delegation.scope.iter().any(|had| had == scope);
        if request.scope.iter().any(|scope| is_of_people(scope) && !agreed(scope)) {
            let why = "`scope` is wider than what the person agreed to";
            return Err(OAuthError::new(ErrorCode::InvalidScope, why));
        }
        let asking = asking.for_person(delegation.person.clone());
        let (by, tokens) = (
            redeeming(&asking, &delegation),
            self.tokens(&asking, app, &delegation, request.resource.as_ref()).await?,
        );
        let (mut tx, ()) = self.begin(&by, |_| Ok(())).await.map_err(dead)?;
        match spend_refresh(&mut tx, &digest, asking.ctx.now).await.map_err(fault)? {
            Spent::First(bound) => {
                if bound.is_some() && bound != asking.key {
                    let why = "the refresh token is bound to a key; send a DPoP proof of that key";
                    return Err(OAuthError::new(ErrorCode::InvalidGrant, why));
                }
            }
            Spent::Again(id) => {
                tx.rollback().await.map_err(fault)?;
                return Err(self.spent_again(&id, "a refresh token was used twice").await);
            }
            Spent::Unknown => return Err(no_grant("the refresh token is unknown or its time is over")),
        }
        let tokens = self.with_id_token(app, &delegation, None, tokens)?;
        self.hand_out(tx, &asking, app, &delegation, tokens).await
    }

    /// The tokens for a device whose person agreed.
    pub(super) async fn redeem_device(
        &self,
        asking: &Asking,
        app: &Arc<KnownClient>,
        digest: &[u8; 32],
        delegation: &DelegationId,
    ) -> Result<TokenResponse, OAuthError> {
        let delegation = self.living(app, delegation)?;
        let asking = asking.for_person(delegation.person.clone());
        let by = redeeming(&asking, &delegation);
        let tokens = self.tokens(&asking, app, &delegation, None).await?;
        let (mut tx, ()) = self.begin(&by, |_| Ok(())).await.map_err(dead)?;
        // INVARIANT: one statement says whether the device gets its tokens for the first time.
        let sql = "update device_code set state = 'spent' where digest = $1 and state = 'agreed'";
        if tx.exec(sql, &[digest.into()]).await.map_err(fault)? != 1 {
            return Err(no_grant("the device code was used already"));
        }
        let tokens = self.with_id_token(app, &delegation, None, tokens)?;
        self.hand_out(tx, &asking, app, &delegation, tokens).await
    }

    /// Gives up a refresh token: what the person agreed to ends (RFC 7009, section 2.1). False when it is none.
    pub(super) async fn revoke_refresh_token(
        &self,
        asking: &Asking,
        token: &Secret,
    ) -> Result<bool, OAuthError> {
        if !token.expose().starts_with(REFRESH_PREFIX) {
            return Ok(false);
        }
        let found = self.delegation_by_refresh(token).await.map_err(said)?;
        let known = Arc::clone(&self.snapshot());
        let found = found.and_then(|id| known.delegations.get(&id).cloned());
        let Some(found) = found.filter(|found| found.client == asking.client().client_id()) else {
            return Ok(true);
        };
        let by = redeeming(&asking.for_person(found.person.clone()), &found);
        let ended = self.revoke_delegation(&by, &found.id, "given up by its client").await;
        match ended {
            Ok(_) | Err(Error::Refused(_)) => Ok(true),
            Err(error) => Err(said(error)),
        }
    }

    /// The delegation behind something that a client shows, if it is alive and this client's.
    async fn delegation_behind(
        &self,
        app: &KnownClient,
        sql: &'static str,
        digest: &[u8; 32],
    ) -> Result<Arc<Delegation>, OAuthError> {
        let row = {
            let place = self.inner().readers.admit(crate::readers::Reader::Owner).await;
            let _place = place.map_err(|crowded| said(crowded.into()))?;
            let mut read = self.store().read().await.map_err(fault)?;
            read.row(sql, &[digest.into()]).await.map_err(fault)?
        };
        let id = row.ok_or_else(|| no_grant("the code or token is unknown, or its time is over"))?;
        let id: DelegationId = id.parsed(0).map_err(fault)?;
        if !self.snapshot().delegations.contains_key(&id) {
            // It may have been agreed on another node a moment ago.
            self.catch_up().await.map_err(fault)?;
        }
        self.living(app, &id)
    }

    fn living(&self, app: &KnownClient, id: &DelegationId) -> Result<Arc<Delegation>, OAuthError> {
        let known = self.snapshot();
        let delegation = known.delegation_lives(id, self.now()).map_err(dead)?;
        if delegation.client != app.client_id {
            return Err(no_grant("the code or token is another client's"));
        }
        // A client that says something else about itself than what was agreed to is another one.
        if delegation.client_digest != app.digest() {
            return Err(no_grant("the client changed since the person agreed; ask them again"));
        }
        Ok(Arc::clone(delegation))
    }

    /// SECURITY: of two who come with one code or refresh token, one is not the client. Neither goes on.
    async fn spent_again(&self, id: &DelegationId, reason: &str) -> OAuthError {
        metrics::counter!("writ_tokens_reused_total").increment(1);
        let by = self.system("reuse of a token");
        match self.revoke_delegation(&by, id, reason).await {
            Ok(_) | Err(Error::Refused(_)) => {
                no_grant("it was used before; what the person agreed to has ended")
            }
            Err(error) => said(error),
        }
    }

    /// The access token, not yet on record, and a refresh token where the client gets one.
    async fn tokens(
        &self,
        asking: &Asking,
        app: &KnownClient,
        delegation: &Delegation,
        resource: Option<&ResourceUri>,
    ) -> Result<Tokens, OAuthError> {
        let issuer = self.settings().issuer();
        let audience = Audience::parse(&delegation.audience, &issuer);
        let audience = audience.ok_or_else(|| no_grant("the resource is not there any more"))?;
        if resource.is_some_and(|named| !audience.is(named.as_normal(), &issuer)) {
            let why = "`resource` is not the one that the person agreed to";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, why));
        }
        if app.metadata.dpop_bound_access_tokens && asking.key.is_none() {
            let why = "this client's tokens are bound to a key: send a DPoP proof with the request";
            return Err(OAuthError::new(ErrorCode::InvalidDpopProof, why));
        }
        let now = asking.ctx.now;
        let known = Arc::clone(&self.snapshot());
        let (subject, actors, seconds) = match &delegation.powers {
            Powers::Agent { task, .. } => {
                let chain = known.living_chain(task, now).map_err(|error| dead(error.into()))?;
                let (subject, actors) =
                    subject_and_actors(&chain).ok_or_else(|| no_grant("the task is not there any more"))?;
                let own = chain.first().ok_or_else(|| no_grant("the task is not there any more"))?;
                let blueprint = known
                    .agents
                    .get(&own.agent)
                    .and_then(|agent| known.blueprints.get(&agent.body.blueprint));
                if asking.key.is_none() && blueprint.is_none_or(|blueprint| blueprint.body.dpop_required) {
                    let why =
                        "this agent's tokens must be bound to a key: send a DPoP proof with the request";
                    return Err(OAuthError::new(ErrorCode::InvalidDpopProof, why));
                }
                (subject, actors, token_seconds(&known, own))
            }
            Powers::Person | Powers::SignIn => {
                ((&delegation.person).into(), Vec::new(), PERSON_TOKEN_SECONDS)
            }
        };
        let claims = AccessClaims {
            actors,
            task: delegation.task().cloned(),
            scope: granted(&known, delegation),
            expires: at_most(Some(delegation.expires), now.plus_seconds(seconds)),
            delegation: Some(delegation.id.clone()),
            signed_in: Some(delegation.signed_in.clone()),
            ..self.claims(asking, &audience, subject)
        };
        let mut answer = self.sign_token(&claims)?;
        answer.scope.clone_from(&claims.scope);
        if let Some(task) = delegation.task().and_then(|task| known.tasks.get(task)) {
            let granted = details(task).map_err(|error| fault(Fault::new("writing a task", error)))?;
            answer.authorization_details = Some(granted);
        }
        let comes_back = match delegation.powers {
            Powers::Agent { .. } | Powers::Person => true,
            Powers::SignIn => delegation.scope.iter().any(|scope| scope == OFFLINE_ACCESS),
        };
        let refresh = comes_back.then(|| new_secret(REFRESH_PREFIX, asking.ctx.dice.as_ref()));
        let about = if delegation.scope.iter().any(|scope| scope == "openid") {
            Some(self.claims_of(&known, delegation, &delegation.claims.id_token).await.map_err(said)?)
        } else {
            None
        };
        Ok(Tokens { answer, claims, refresh, about })
    }

    fn with_id_token(
        &self,
        app: &KnownClient,
        delegation: &Delegation,
        nonce: Option<&str>,
        mut tokens: Tokens,
    ) -> Result<Tokens, OAuthError> {
        if let Some(about) = &tokens.about {
            let access_token = &tokens.answer.access_token;
            tokens.answer.id_token = Some(self.id_token(app, delegation, nonce, access_token, about)?);
        }
        Ok(tokens)
    }

    /// INVARIANT: no token leaves before its record, and what it was given for, are durable together.
    async fn hand_out(
        &self,
        mut tx: crate::authority::Write,
        asking: &Asking,
        app: &KnownClient,
        delegation: &Delegation,
        tokens: Tokens,
    ) -> Result<TokenResponse, OAuthError> {
        let Tokens { mut answer, claims, refresh, .. } = tokens;
        if let Some(token) = &refresh {
            // A public client has nothing but its key to show that it is the same one (RFC 9449, section 5).
            let jkt = asking.key.as_deref().filter(|_| app.is_public());
            keep_refresh(&mut tx as &mut Tx, delegation, &NewRefresh { token, jkt }).await.map_err(fault)?;
        }
        self.keep(tx, vec![issued(&claims)]).await.map_err(said)?;
        answer.refresh_token = refresh;
        Ok(answer)
    }
}

/// The scopes that were granted: those about the person, and those that stand for what the task may do, where any do.
fn granted(known: &Snapshot, delegation: &Delegation) -> Option<String> {
    let task = delegation.task().and_then(|task| known.tasks.get(task));
    let effects = task.and_then(|task| task.scope.by_effects()).unwrap_or_default();
    let scopes: Vec<String> =
        delegation.scope.iter().cloned().chain(effects.into_iter().map(tools_scope)).collect();
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

fn redeeming(asking: &Asking, delegation: &Delegation) -> Redeeming {
    Redeeming { ctx: asking.ctx.clone(), delegation: delegation.id.clone() }
}

/// Whether whoever comes with a code is the client that asked for it.
fn meets(
    terms: &CodeTerms,
    app: &KnownClient,
    grant: &CodeGrant,
    key: Option<&str>,
) -> Result<(), OAuthError> {
    if terms.client != app.client_id {
        return Err(no_grant("the code is another client's"));
    }
    let named = terms.redirect.as_ref().map(wire::oauth::RedirectUri::as_str);
    if grant.redirect_uri.as_deref().is_some_and(|given| named != Some(given)) {
        return Err(no_grant("`redirect_uri` is not the one that the code was asked with"));
    }
    if !terms.challenge.is_met_by(grant.verifier.expose()) {
        return Err(no_grant("`code_verifier` is not the one behind the `code_challenge`"));
    }
    if terms.jkt.is_some() && terms.jkt.as_deref() != key {
        return Err(no_grant("the code is bound to a key; send a DPoP proof of that key"));
    }
    Ok(())
}

fn no_grant(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, why)
}

/// What it rests on is over.
fn dead(error: Error) -> OAuthError {
    match error {
        Error::Refused(refusal) if refusal.class != base::Class::Busy => {
            no_grant(&format!("{}; ask the person again", refusal.message))
        }
        error => said(error),
    }
}

fn fault(fault: Fault) -> OAuthError {
    said(fault.into())
}
