//! Who asks the API.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use base::{Actor, AnyId, Ctx, IdKind, PersonId, WorkloadId};

use super::{api::Need, error::ApiError};
use crate::{control::Control, credential::ApiRefusal, decide::Caller, grant::Permission};

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

/// Establishes who asks and whether they may.
pub(super) fn authenticate(control: &Control, headers: &HeaderMap, need: Need) -> Result<Asked, ApiError> {
    let ctx = control.ctx(Actor::Anonymous);
    if need == Need::Nobody {
        return Ok(Asked { asker: Asker::Nobody, ctx, may_audit: false, may_administer: false });
    }
    if !control.is_fresh(ctx.now) {
        return Err(ApiError::stale());
    }
    let token = bearer(headers)?;
    let (asker, principal) = who(control, token, &ctx)?;
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
    Ok(Asked { asker, ctx: ctx.acting_as(actor), may_audit, may_administer })
}

/// The one bearer token of a request. Two credentials are as good as none: which one counts would be a guess.
fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(ApiError::unauthenticated()) };
    let value = value.to_str().map_err(|_| ApiError::unauthenticated())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(ApiError::unauthenticated)?;
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(ApiError::unauthenticated())
    }
}

fn who(control: &Control, token: &str, ctx: &Ctx) -> Result<(Asker, Option<AnyId>), ApiError> {
    if !token.starts_with(crate::credential::API_TOKEN_PREFIX) {
        return Ok((Asker::Agent(Box::new(control.verify_api_access_token(token, ctx)?)), None));
    }
    let principal = control.verify_api_token(token, ctx)?;
    let unknown = || ApiError::from(base::Error::from(ApiRefusal::Unknown));
    let asker = match principal.kind() {
        IdKind::PersonId => Asker::Person(principal.as_str().parse().map_err(|_| unknown())?),
        IdKind::WorkloadId => Asker::Workload(principal.as_str().parse().map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    Ok((asker, Some(principal)))
}
