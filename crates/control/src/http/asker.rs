//! Who asks the API.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use base::{Actor, AnyId, Ctx, Error, IdKind, PersonId, Sender, WorkloadId};
use store::ProofUse;

use super::{api::Need, error::ApiError};
use crate::{
    authority::Authority,
    control::Control,
    credential::ApiRefusal,
    decide::Caller,
    grant::Permission,
    oauth::{Believed, TokenHolder, api_token, stands},
    opaque::sha256,
    snapshot::Snapshot,
};

/// Who asks, from a verified credential.
#[derive(Clone, Debug)]
pub enum Asker {
    /// Nobody needs to be known.
    Nobody,
    /// A person, with an API token of theirs.
    Person(PersonId),
    /// A workload, with an API token of its own.
    Workload(WorkloadId),
    /// An agent within a task, with an access token for the API.
    Agent(Box<Caller>),
}

/// An asker whose right to the operation at hand has been established. Made only by that.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub asker: Asker,
    /// The circumstances.
    pub ctx: Ctx,
    /// Whether they may read everything.
    pub may_audit: bool,
    /// Whether they may change everything.
    pub may_administer: bool,
    shown: Shown,
    need: Need,
}

/// What an asker showed, as far as it never changes: that it is no forgery. Whether it still counts is another
/// question, asked of each state of the world.
#[derive(Clone, Debug)]
enum Shown {
    /// Nothing.
    Nothing,
    /// An API token, as the SHA-256 of its text.
    ApiToken([u8; 32]),
    /// An access token that we signed.
    AccessToken(Arc<Believed>),
}

impl Asked {
    /// The person who asks, if it is one.
    pub const fn person(&self) -> Option<&PersonId> {
        match &self.asker {
            Asker::Person(id) => Some(id),
            Asker::Nobody | Asker::Workload(_) | Asker::Agent(_) => None,
        }
    }

    /// The right to the operation together with a rule of its own: both are asked again before anything is written.
    /// The rule gets what the asker is and may at that moment.
    pub(super) const fn provided<F>(&self, rule: F) -> Provided<'_, F>
    where
        F: Fn(&Self, &Snapshot) -> Result<(), ApiError> + Send + Sync,
    {
        Provided { asked: self, rule }
    }

    /// The same asker at this later moment, if they still are who they were and may what they might.
    ///
    /// SECURITY: for requests that took time to arrive. A client that holds its body back would otherwise act on a
    /// credential that was good when its head came and has been revoked since.
    pub(super) fn renewed(&self, control: &Control) -> Result<Self, ApiError> {
        let ctx = Ctx { now: control.now(), ..self.ctx.clone() };
        if self.need != Need::Nobody && !control.is_fresh(ctx.now) {
            return Err(ApiError::stale());
        }
        establish(&control.snapshot(), &ctx, self.shown.clone(), self.need)
    }

    /// Whose body it is that comes with the request.
    pub(super) fn sender(&self) -> Option<Sender> {
        (self.ctx.actor != Actor::Anonymous).then(|| Sender::Known(self.ctx.actor.clone()))
    }

    fn again(&self, known: &Snapshot) -> Result<Self, ApiError> {
        establish(known, &self.ctx, self.shown.clone(), self.need)
    }
}

impl Authority for Asked {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        self.again(known).map(drop).map_err(ApiError::into_error)
    }

    fn is_administrators(&self) -> bool {
        self.may_administer
    }
}

/// What [`Asked::provided`] gives.
pub(super) struct Provided<'a, F> {
    asked: &'a Asked,
    rule: F,
}

impl<F> Authority for Provided<'_, F>
where
    F: Fn(&Asked, &Snapshot) -> Result<(), ApiError> + Send + Sync,
{
    fn ctx(&self) -> &Ctx {
        &self.asked.ctx
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        let asked = self.asked.again(known);
        asked.and_then(|asked| (self.rule)(&asked, known)).map_err(ApiError::into_error)
    }

    fn is_administrators(&self) -> bool {
        self.asked.may_administer
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // SECURITY: a route without the guard in front of it has no asker and refuses everyone.
        parts.extensions.get::<Self>().cloned().ok_or_else(ApiError::unguarded)
    }
}

/// Establishes who asks and whether they may. A proof of possession is used up by it.
pub(super) async fn authenticate(control: &Control, parts: &Parts, need: Need) -> Result<Asked, ApiError> {
    let ctx = control.ctx(Actor::Anonymous);
    if need == Need::Nobody {
        return establish(&control.snapshot(), &ctx, Shown::Nothing, need);
    }
    if !control.is_fresh(ctx.now) {
        return Err(ApiError::stale());
    }
    let (shown, proof) = show(control, parts, &ctx)?;
    let asked = establish(&control.snapshot(), &ctx, shown, need)?;
    let Some(proof) = proof else { return Ok(asked) };
    control.use_proof(proof).await?;
    Ok(asked)
}

/// What a request shows: an opaque token of a person or workload, or an access token of an agent or workload. Whatever
/// else it carries, the verifier of access tokens says what is wrong with it.
fn show(control: &Control, parts: &Parts, ctx: &Ctx) -> Result<(Shown, Option<ProofUse>), ApiError> {
    if let Some(token) = api_token(&parts.headers) {
        return Ok((Shown::ApiToken(sha256(token.as_bytes())), None));
    }
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        return Err(ApiError::unauthenticated());
    }
    let url = format!("{}{}", control.settings().issuer(), parts.uri.path());
    let (believed, proof) = control.believe_api_access_token(&parts.headers, &parts.method, &url, ctx.now)?;
    Ok((Shown::AccessToken(believed), proof))
}

/// Whether what was shown is alive in this state of the world, whose it is, and whether they may do what is needed.
///
/// SECURITY: this is asked when a request comes in and again before it writes: one function for both, so that the two
/// cannot come apart.
fn establish(known: &Snapshot, ctx: &Ctx, shown: Shown, need: Need) -> Result<Asked, ApiError> {
    let asker = who(known, ctx, &shown)?;
    let (actor, principal) = match &asker {
        Asker::Nobody => (Actor::Anonymous, None),
        Asker::Person(id) => (Actor::Person(id.clone()), Some(AnyId::from(id))),
        Asker::Workload(id) => (Actor::Workload(id.clone()), Some(AnyId::from(id))),
        // What agents may do is said by tasks and grants on tools, never by administrative permissions.
        Asker::Agent(caller) => (Actor::Agent(caller.agent.clone()), None),
    };
    let holds =
        |permission| principal.as_ref().is_some_and(|id| known.has_permission(id, permission, ctx.now));
    let (may_audit, may_administer) = (holds(Permission::Audit), holds(Permission::Administer));
    let allowed = match need {
        Need::Nobody | Need::Anyone => true,
        Need::Audit => may_audit,
        Need::Administer => may_administer,
    };
    if !allowed {
        return Err(ApiError::denied(need));
    }
    Ok(Asked { asker, ctx: ctx.acting_as(actor), may_audit, may_administer, shown, need })
}

fn who(known: &Snapshot, ctx: &Ctx, shown: &Shown) -> Result<Asker, ApiError> {
    let principal = match shown {
        Shown::Nothing => return Ok(Asker::Nobody),
        Shown::AccessToken(believed) => {
            return Ok(match stands(known, believed, &ctx.tenant, ctx.now)? {
                TokenHolder::Agent(caller) => Asker::Agent(caller),
                TokenHolder::Workload(id) => Asker::Workload(id),
                TokenHolder::Person(id) => Asker::Person(id),
            });
        }
        Shown::ApiToken(digest) => known.api_token_holder(digest, ctx)?,
    };
    let asker = match principal.kind() {
        IdKind::PersonId => principal.as_str().parse().map(Asker::Person).ok(),
        IdKind::WorkloadId => principal.as_str().parse().map(Asker::Workload).ok(),
        _ => None,
    };
    asker.ok_or_else(|| ApiRefusal::Unknown.into())
}
