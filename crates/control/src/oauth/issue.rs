//! Making a token: claims from the stored chain, a signature, a record, and only then the answer.

use base::{
    AnyId, Error, Event, EventKind, Fault, Secret, TaskId, Timestamp, TokenId, WorkloadId,
    limit::ACCESS_TOKEN_SECONDS_MAX,
};
use serde_json::json;
use store::{Entry, Origin, Submitted};
use wire::{
    jose::Algorithm,
    json::Json,
    oauth::{
        ACCESS_TOKEN_TYPE, AccessClaims, ErrorCode, OAuthError, TASK_DETAILS_TYPE, TokenKind, TokenResponse,
        TokenType,
    },
};

use super::{
    asking::Asking,
    audience::Audience,
    claims::subject_and_actors,
    client::Client,
    said::{busy, said},
    token::{Wanted, at_most},
};
use crate::{
    control::Control,
    principal::LimitsSpec,
    snapshot::{Dead, Snapshot},
    task::Task,
};

/// What a token rests on.
pub(super) struct Basis {
    /// The task that it is for.
    pub(super) task: Task,
    /// When the token that it was exchanged for ends.
    pub(super) until: Option<Timestamp>,
    /// What the answer to an exchange calls it.
    pub(super) issued: Option<TokenKind>,
}

impl Control {
    /// A token for an agent within a task.
    pub(super) async fn issue_for_task(
        &self,
        asking: &Asking,
        audience: &Audience,
        basis: Basis,
    ) -> Result<TokenResponse, OAuthError> {
        let now = asking.ctx.now;
        let claims = {
            let known = self.snapshot();
            let chain = known.living_chain(&basis.task.id, now).map_err(|dead| said(dead.into()))?;
            let is_own =
                |own: &&&Task| matches!(asking.client(), Client::Agent(agent) if *agent == own.agent);
            let own = chain.first().filter(is_own);
            let own =
                own.ok_or_else(|| said(Fault::new("issuing a token", "for another agent's task").into()))?;
            let (subject, actors) =
                subject_and_actors(&chain).ok_or_else(|| said(Dead::Unknown((&own.id).into()).into()))?;
            let deadline =
                chain.iter().map(|task| task.scope.deadline).fold(own.scope.deadline, Timestamp::min);
            let lifetime = now.plus_seconds(token_seconds(&known, own));
            AccessClaims {
                actors,
                task: Some(own.id.clone()),
                expires: at_most(basis.until, deadline.min(lifetime)),
                ..self.claims(asking, audience, subject)
            }
        };
        let details =
            details(&basis.task).map_err(|error| said(Fault::new("writing a task", error).into()))?;
        let answer = self.issue(asking, claims).await?;
        Ok(TokenResponse { issued_token_type: basis.issued, authorization_details: Some(details), ..answer })
    }

    /// A token for a workload, for itself, for the API.
    pub(super) async fn issue_for_workload(
        &self,
        asking: &Asking,
        wanted: &Wanted,
        workload: &WorkloadId,
    ) -> Result<TokenResponse, OAuthError> {
        if wanted.request.task.is_some() {
            let why = "workloads have no tasks; leave `authorization_details` out";
            return Err(OAuthError::new(ErrorCode::InvalidAuthorizationDetails, why));
        }
        if wanted.audience != Audience::Api {
            let why = "workloads get tokens for the API only";
            return Err(OAuthError::new(ErrorCode::InvalidTarget, why));
        }
        let lifetime = LimitsSpec::default().token_seconds;
        let claims = AccessClaims {
            expires: asking.ctx.now.plus_seconds(lifetime),
            ..self.claims(asking, &wanted.audience, workload.into())
        };
        self.issue(asking, claims).await
    }

    /// What all tokens say. Task, chain and expiry are filled in by those who know.
    pub(super) fn claims(&self, asking: &Asking, audience: &Audience, subject: AnyId) -> AccessClaims {
        let issuer = self.settings().issuer();
        AccessClaims {
            audience: audience.uri(&issuer),
            issuer,
            client_id: asking.client().client_id(),
            subject,
            id: TokenId::new(asking.ctx.now, asking.ctx.dice.as_ref()),
            issued: asking.ctx.now,
            expires: asking.ctx.now,
            task: None,
            actors: Vec::new(),
            thumbprint: asking.key.clone(),
            scope: None,
            credential: asking.proven.credential.clone(),
            delegation: None,
            signed_in: None,
            generation: asking.known.generation,
            // SECURITY: not the position of this moment but that at which the client proved itself.
            position: asking.known.position,
        }
    }

    /// Signs and records.
    async fn issue(&self, asking: &Asking, claims: AccessClaims) -> Result<TokenResponse, OAuthError> {
        let answer = self.sign_token(&claims)?;
        self.record_token(asking, &claims).await?;
        Ok(answer)
    }

    /// Signs a token that is not on record yet.
    pub(super) fn sign_token(&self, claims: &AccessClaims) -> Result<TokenResponse, OAuthError> {
        // Whole seconds, as the claims will say them.
        let expires_in = claims.expires.seconds() - claims.issued.seconds();
        if expires_in < 1 {
            let why = "the task, or the token that was exchanged, ends now; begin a new task";
            return Err(OAuthError::new(ErrorCode::InvalidGrant, why));
        }
        let signer = self.snapshot().ring.signer(Algorithm::Es256).cloned();
        let signer =
            signer.ok_or_else(|| said(Fault::new("signing a token", "there is no signing key").into()))?;
        let token = signer.sign(ACCESS_TOKEN_TYPE, &claims.to_json()).map_err(|fault| said(fault.into()))?;
        let bound = claims.thumbprint.is_some();
        Ok(TokenResponse {
            access_token: Secret::new(token),
            token_type: if bound { TokenType::Dpop } else { TokenType::Bearer },
            expires_in,
            scope: None,
            issued_token_type: None,
            refresh_token: None,
            id_token: None,
            authorization_details: None,
        })
    }

    /// INVARIANT: no token leaves before its record is durable.
    async fn record_token(&self, asking: &Asking, claims: &AccessClaims) -> Result<(), OAuthError> {
        let event = issued(claims);
        match self.store().submit(Entry::Event(Origin::from(&asking.ctx), event)).await {
            Ok(Submitted::Recorded(_)) => Ok(()),
            Ok(Submitted::Busy) => Err(busy()),
            Ok(other) => {
                Err(said(Fault::new("recording a token", format!("the log answered {other:?}")).into()))
            }
            Err(fault) => Err(said(Error::from(fault))),
        }
    }
}

/// The record of a token.
pub(super) fn issued(claims: &AccessClaims) -> Event {
    let facts = json!({
        "client": claims.client_id, "credential": claims.credential, "delegation": claims.delegation,
        "subject": claims.subject, "audience": claims.audience, "jkt": claims.thumbprint, "expires": claims.expires,
    });
    let mut event = Event::new(EventKind::TokenIssued, &claims.id, facts);
    event.task.clone_from(&claims.task);
    event
}

/// How long a token of this task's agent lives, in seconds.
pub(super) fn token_seconds(known: &Snapshot, task: &Task) -> i64 {
    let agent = known.agents.get(&task.agent);
    let blueprint = agent.and_then(|agent| known.blueprints.get(&agent.body.blueprint));
    let seconds = blueprint.map_or(0, |blueprint| blueprint.body.limits.token_seconds);
    seconds.min(ACCESS_TOKEN_SECONDS_MAX)
}

/// The task as authorization details (RFC 9396, section 7): what was granted.
pub(super) fn details(task: &Task) -> Result<Json, serde_json::Error> {
    let scope = &task.scope;
    let limits =
        Json::object([("calls", task.limits.calls_max.into()), ("bytes", task.limits.bytes_max.into())]);
    let id: &TaskId = &task.id;
    Ok(Json::Array(vec![Json::object([
        ("type", TASK_DETAILS_TYPE.into()),
        ("task", id.as_str().into()),
        ("purpose", task.purpose.as_str().into()),
        ("tools", Json::from_serialize(&scope.tools)?),
        ("resources", Json::from_serialize(&scope.resources)?),
        ("prompts", Json::from_serialize(&scope.prompts)?),
        ("limits", limits),
        ("deadline", scope.deadline.seconds().into()),
    ])]))
}
