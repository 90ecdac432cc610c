//! What a token stands for (RFC 7662), and giving one up (RFC 7009).

use base::{AnyId, Event, EventKind, Fault};
use http::HeaderMap;
use serde_json::json;
use wire::oauth::{ErrorCode, Form, Introspection, OAuthError, TokenQuery};

use super::{
    audience::Audience,
    client::{Client, refusal},
    issue::details,
    presented::api_token,
    revoked,
    said::said,
    verify::{TokenHolder, stands},
};
use crate::{control::Control, grant::Permission, opaque::sha256};

/// Whose tokens an asker may look at.
enum Sight {
    /// Everybody's.
    All,
    /// The client's own.
    Own(String),
    /// Nobody's.
    Nothing,
}

impl Control {
    /// Answers what a token stands for: to its own client, and to whoever may audit. Everybody else learns what they
    /// would of a token that does not exist.
    pub async fn introspect(&self, headers: &HeaderMap, body: &[u8]) -> Result<Introspection, OAuthError> {
        let form = Form::parse(body)?;
        let sight = self.sight(headers, &form).await?;
        let query = TokenQuery::parse(&form)?;
        let now = self.now();
        let known = self.snapshot();
        let Ok(believed) = self.believe(&known, query.token.expose(), now) else {
            return Ok(Introspection::Inactive);
        };
        let claims = &believed.claims;
        let visible = match &sight {
            Sight::All => true,
            Sight::Own(client) => claims.client_id == *client,
            Sight::Nothing => false,
        };
        let ours = Audience::parse(&claims.audience, &self.settings().issuer()).is_some();
        let tenant = base::TenantId::first();
        let (true, true, Ok(holder)) = (visible, ours, stands(&known, &believed, &tenant, now)) else {
            return Ok(Introspection::Inactive);
        };
        let authorization_details = match holder {
            TokenHolder::Agent(caller) => {
                let task = known.tasks.get(&caller.task);
                let details = task.map(|task| details(task)).transpose();
                details.map_err(|error| said(Fault::new("writing a task", error).into()))?
            }
            TokenHolder::Workload(_) | TokenHolder::Person(_) => None,
        };
        Ok(Introspection::Active { claims: Box::new(claims.clone()), authorization_details })
    }

    /// Ends one access token, for its own client. Unknown, foreign and dead tokens get the same answer: none.
    pub async fn revoke_access_token(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), OAuthError> {
        let form = Form::parse(body)?;
        let asking = self.asking(headers, &form).await?;
        let query = TokenQuery::parse(&form)?;
        if self.revoke_refresh_token(&asking, &query.token).await? {
            return Ok(());
        }
        let believed = self.believe(&asking.known, query.token.expose(), asking.ctx.now);
        let own = believed.ok().filter(|believed| believed.claims.client_id == asking.client().client_id());
        let Some(believed) = own.filter(|believed| believed.claims.expires > asking.ctx.now) else {
            return Ok(());
        };
        let claims = &believed.claims;
        let fault = |fault: Fault| said(fault.into());
        let asking = match claims.subject.as_str().parse() {
            // What a person agreed to is theirs, whichever program gives it up.
            Ok(person) => asking.for_person(person),
            Err(_) => asking,
        };
        let (mut tx, ()) = self.begin(&asking, |_| Ok(())).await.map_err(said)?;
        if !revoked::insert(&mut tx, &claims.id, claims.expires).await.map_err(fault)? {
            return tx.rollback().await.map_err(fault);
        }
        let mut event =
            Event::new(EventKind::TokenRevoked, &claims.id, json!({ "client": claims.client_id }));
        event.task.clone_from(&claims.task);
        self.keep(tx, vec![event]).await.map(drop).map_err(said)
    }

    async fn sight(&self, headers: &HeaderMap, form: &Form) -> Result<Sight, OAuthError> {
        let ctx = self.ctx(base::Actor::Anonymous);
        let may_audit = |id: &AnyId| self.snapshot().has_permission(id, Permission::Audit, ctx.now);
        if let Some(token) = api_token(headers) {
            if !self.is_fresh(ctx.now) {
                let why = "this node cannot prove that it knows the latest revocations; try again shortly";
                return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, why));
            }
            let principal = self.snapshot().api_token_holder(&sha256(token.as_bytes()), &ctx).cloned();
            let principal = principal.map_err(|_refusal| refusal())?;
            return Ok(if may_audit(&principal) { Sight::All } else { Sight::Nothing });
        }
        let asking = self.asking(headers, form).await?;
        match asking.client() {
            Client::Workload(id) if may_audit(&id.into()) => Ok(Sight::All),
            // Whoever knows a public client's id could ask in its name.
            Client::App(app) if app.is_public() => Ok(Sight::Nothing),
            client @ (Client::Workload(_) | Client::Agent(_) | Client::App(_)) => {
                Ok(Sight::Own(client.client_id()))
            }
        }
    }
}
