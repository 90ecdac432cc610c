//! Who asks the API.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base::{Actor, AnyId, Ctx, Fault, IdKind, PersonId, WorkloadId};
use store::{Entry, ProofUse, Submitted};

use super::{api::Need, error::ApiError};
use crate::{
    control::Control,
    credential::{API_TOKEN_PREFIX, ApiRefusal},
    decide::Caller,
    grant::Permission,
    oauth::{ProofReplayed, TokenHolder},
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

/// An asker whose right to the operation at hand has been established.
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
}

impl Asked {
    /// The person who asks, if it is one.
    pub const fn person(&self) -> Option<&PersonId> {
        match &self.asker {
            Asker::Person(id) => Some(id),
            Asker::Nobody | Asker::Workload(_) | Asker::Agent(_) => None,
        }
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
    let (asked, proof) = establish(control, parts, need)?;
    let Some(proof) = proof else { return Ok(asked) };
    match control.store().submit(Entry::Proof(proof)).await? {
        Submitted::Noted => Ok(asked),
        Submitted::Replayed => Err(ProofReplayed.into()),
        Submitted::Busy => Err(ApiError::busy()),
        other => {
            Err(Fault::new("using up a proof", format!("the log answered another question: {other:?}"))
                .into())
        }
    }
}

fn establish(control: &Control, parts: &Parts, need: Need) -> Result<(Asked, Option<ProofUse>), ApiError> {
    let ctx = control.ctx(Actor::Anonymous);
    if need == Need::Nobody {
        return Ok((Asked { asker: Asker::Nobody, ctx, may_audit: false, may_administer: false }, None));
    }
    if !control.is_fresh(ctx.now) {
        return Err(ApiError::stale());
    }
    let (asker, proof) = who(control, parts, &ctx)?;
    let principal = match &asker {
        Asker::Person(id) => Some(AnyId::from(id)),
        Asker::Workload(id) => Some(AnyId::from(id)),
        // What agents may do is said by tasks and grants on tools, never by administrative permissions.
        Asker::Agent(_) | Asker::Nobody => None,
    };
    let holds = |permission| {
        principal.as_ref().is_some_and(|id| control.snapshot().has_permission(id, permission, ctx.now))
    };
    let (may_audit, may_administer) = (holds(Permission::Audit), holds(Permission::Administer));
    let allowed = match need {
        Need::Nobody | Need::Anyone => true,
        Need::Audit => may_audit,
        Need::Administer => may_administer,
    };
    if !allowed {
        return Err(ApiError::denied(need));
    }
    let actor = match &asker {
        Asker::Nobody => Actor::Anonymous,
        Asker::Person(id) => Actor::Person(id.clone()),
        Asker::Workload(id) => Actor::Workload(id.clone()),
        Asker::Agent(caller) => Actor::Agent(caller.agent.clone()),
    };
    Ok((Asked { asker, ctx: ctx.acting_as(actor), may_audit, may_administer }, proof))
}

/// The opaque API token of a request, if that is what it carries.
fn api_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(API_TOKEN_PREFIX)).then_some(token)
}

/// An opaque token of a person or workload, or an access token of an agent or workload. Whatever else a request
/// carries, the verifier of access tokens says what is wrong with it.
fn who(control: &Control, parts: &Parts, ctx: &Ctx) -> Result<(Asker, Option<ProofUse>), ApiError> {
    let Some(token) = api_token(&parts.headers) else {
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            return Err(ApiError::unauthenticated());
        }
        let url = format!("{}{}", control.settings().issuer(), parts.uri.path());
        let (holder, proof) = control.verify_api_access_token(&parts.headers, &parts.method, &url, ctx)?;
        let asker = match holder {
            TokenHolder::Agent(caller) => Asker::Agent(caller),
            TokenHolder::Workload(id) => Asker::Workload(id),
        };
        return Ok((asker, proof));
    };
    let principal = control.verify_api_token(token, ctx)?;
    let unknown = || ApiError::from(base::Error::from(ApiRefusal::Unknown));
    let asker = match principal.kind() {
        IdKind::PersonId => Asker::Person(principal.as_str().parse().map_err(|_| unknown())?),
        IdKind::WorkloadId => Asker::Workload(principal.as_str().parse().map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    Ok((asker, None))
}
