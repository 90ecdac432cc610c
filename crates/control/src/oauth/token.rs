//! The token endpoint (RFC 6749, section 3.2; RFC 8693; RFC 8707; RFC 9396; RFC 9449).

use base::{Event, EventKind, Timestamp};
use http::HeaderMap;
use serde_json::json;
use store::{Entry, Origin};
use wire::oauth::{ErrorCode, Form, Grant, OAuthError, TokenKind, TokenRequest, TokenResponse};

use super::{
    asked::is_of_people,
    asking::{Asking, TOKEN_PATH},
    audience::Audience,
    client::Client,
    issue::Basis,
};
use crate::control::Control;

/// What a token request is about, once it is known who asks and for which resource.
pub(super) struct Wanted {
    pub(super) audience: Audience,
    pub(super) request: TokenRequest,
}

impl Control {
    /// Answers a token request. Every token is on record before it leaves; so is every refusal of a known client.
    pub async fn token(&self, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, OAuthError> {
        let asked = self.asked_token(headers, body).await;
        let outcome = asked.as_ref().map_or_else(|error| error.code.as_str(), |_| "issued");
        metrics::counter!("writ_token_requests_total", "outcome" => outcome).increment(1);
        asked
    }

    async fn asked_token(&self, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, OAuthError> {
        let form = Form::parse(body)?;
        let asking = self.asking_at(TOKEN_PATH, headers, &form).await?;
        let granted = self.grant(&asking, &form).await;
        if let Err(error) = &granted {
            self.record_token_refusal(&asking, error.code).await;
        }
        granted
    }

    async fn grant(&self, asking: &Asking, form: &Form) -> Result<TokenResponse, OAuthError> {
        let request = TokenRequest::parse(form)?;
        let not_theirs = |why: &str| Err(OAuthError::new(ErrorCode::UnauthorizedClient, why));
        match (&request.grant, asking.client()) {
            (Grant::AuthorizationCode(code), Client::App(app)) => {
                return self.redeem_code(asking, app, &request, code).await;
            }
            (Grant::RefreshToken(token), Client::App(app)) => {
                return self.refresh(asking, app, &request, token).await;
            }
            (Grant::DeviceCode(code), Client::App(app)) => return self.poll_device(asking, app, code).await,
            (Grant::AuthorizationCode(_) | Grant::RefreshToken(_) | Grant::DeviceCode(_), _) => {
                return not_theirs(
                    "this grant is for clients that people agree to; agents use `client_credentials` or token exchange",
                );
            }
            (Grant::ClientCredentials | Grant::TokenExchange(_), Client::App(_)) => {
                return not_theirs("this client acts for people; send them to the authorization endpoint");
            }
            (Grant::ClientCredentials | Grant::TokenExchange(_), Client::Agent(_) | Client::Workload(_)) => {}
        }
        // Those about people are in the metadata, and SDKs ask for all that they find there; a machine's token has none of them.
        if request.scope.iter().any(|scope| !is_of_people(scope)) {
            let why = "there are no scopes here: what a token may do is said by its task; leave `scope` out";
            return Err(OAuthError::new(ErrorCode::InvalidScope, why));
        }
        let wanted = Wanted { audience: self.wanted_audience(asking, &request)?, request };
        check_binding(asking)?;
        match (&wanted.request.grant, asking.client()) {
            (Grant::ClientCredentials, Client::Agent(agent)) => {
                let task = self.own_task(asking, agent, wanted.request.task.as_ref()).await?;
                let basis = Basis { task, until: None, issued: None };
                self.issue_for_task(asking, &wanted.audience, basis).await
            }
            (Grant::ClientCredentials, Client::Workload(workload)) => {
                self.issue_for_workload(asking, &wanted, workload).await
            }
            (Grant::TokenExchange(exchange), Client::Agent(agent)) => {
                let (task, until) =
                    self.exchanged_task(asking, agent, exchange, wanted.request.task.as_ref()).await?;
                let basis = Basis { task, until, issued: Some(TokenKind::AccessToken) };
                self.issue_for_task(asking, &wanted.audience, basis).await
            }
            (Grant::TokenExchange(_), Client::Workload(_)) => {
                not_theirs("workloads act for themselves only; use `client_credentials`")
            }
            (Grant::AuthorizationCode(_) | Grant::RefreshToken(_) | Grant::DeviceCode(_), _)
            | (_, Client::App(_)) => not_theirs("this client has no such grant"),
        }
    }

    /// What the token shall be for. A token without an audience is never made (RFC 8707, section 2).
    fn wanted_audience(&self, asking: &Asking, request: &TokenRequest) -> Result<Audience, OAuthError> {
        let issuer = self.settings().issuer();
        let refuse = |why: String| OAuthError::new(ErrorCode::InvalidTarget, why);
        let named = match &request.grant {
            Grant::TokenExchange(exchange) => exchange.audience.as_deref(),
            Grant::ClientCredentials
            | Grant::AuthorizationCode(_)
            | Grant::RefreshToken(_)
            | Grant::DeviceCode(_) => None,
        };
        let named = named.map(wire::oauth::ResourceUri::parse).transpose()?;
        let resource = match (&request.resource, &named) {
            (Some(resource), Some(audience)) if resource != audience => {
                return Err(refuse(
                    "`resource` and `audience` name different targets; a token has one".into(),
                ));
            }
            (Some(resource), _) | (None, Some(resource)) => resource,
            (None, None) => {
                return Err(refuse(format!(
                    "`resource` is missing; set it to the URL the token is for, for example {issuer}/mcp/SERVER, or {issuer}/mcp for all servers"
                )));
            }
        };
        Audience::of(resource, &issuer, &asking.known).ok_or_else(|| {
            refuse(format!("`resource` is no MCP server and no API of this issuer; use {issuer}/mcp/SERVER, {issuer}/mcp or {issuer}/api/v1"))
        })
    }

    /// Puts a refusal on record: the code and nothing else. Only for clients that proved themselves; strangers are
    /// counted, so that they cannot fill the log.
    async fn record_token_refusal(&self, asking: &Asking, code: ErrorCode) {
        let is_public = matches!(asking.client(), Client::App(app) if app.is_public());
        let waits = matches!(code, ErrorCode::AuthorizationPending | ErrorCode::SlowDown);
        if is_public || waits || matches!(code, ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) {
            // The log is what failed, most likely: the client shall not wait for it twice. Or anybody may pose as the client.
            metrics::counter!("writ_refusals_without_record_total", "code" => code.as_str()).increment(1);
            return;
        }
        let facts = json!({ "client": asking.client().client_id(), "code": code.as_str() });
        let event = Event::global(EventKind::TokenRefused, facts);
        // The client gets its refusal whether or not this is durable: nothing follows from it.
        if let Err(fault) = self.store().submit(Entry::Event(Origin::from(&asking.ctx), event)).await {
            tracing::warn!(error = %fault, "a refused token request could not be recorded");
        }
    }
}

/// An agent whose blueprint wants bound tokens gets no other.
fn check_binding(asking: &Asking) -> Result<(), OAuthError> {
    let Client::Agent(agent) = asking.client() else { return Ok(()) };
    let agent = asking.known.agents.get(agent);
    let blueprint = agent.and_then(|agent| asking.known.blueprints.get(&agent.body.blueprint));
    if asking.key.is_none() && blueprint.is_none_or(|blueprint| blueprint.body.dpop_required) {
        let why = "this agent's tokens must be bound to a key: send a DPoP proof with the request";
        return Err(OAuthError::new(ErrorCode::InvalidDpopProof, why));
    }
    Ok(())
}

/// The earlier of a limit that may be absent and an instant.
pub(super) fn at_most(until: Option<Timestamp>, instant: Timestamp) -> Timestamp {
    until.map_or(instant, |until| until.min(instant))
}
