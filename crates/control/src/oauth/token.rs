//! The token endpoint (RFC 6749, section 3.2; RFC 8693; RFC 8707; RFC 9396; RFC 9449).

use base::{Event, EventKind, Timestamp};
use http::HeaderMap;
use serde_json::json;
use store::{Entry, Origin};
use wire::oauth::{ErrorCode, Form, Grant, OAuthError, TokenKind, TokenRequest, TokenResponse};

use super::{asking::Asking, audience::Audience, client::Client, issue::Basis};
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
        let asking = self.asking_for_token(headers, &form).await?;
        let granted = self.grant(&asking, &form).await;
        if let Err(error) = &granted {
            self.record_token_refusal(&asking, error.code).await;
        }
        granted
    }

    async fn grant(&self, asking: &Asking, form: &Form) -> Result<TokenResponse, OAuthError> {
        let request = TokenRequest::parse(form)?;
        if !request.scope.is_empty() {
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
                let why = "workloads act for themselves only; use `client_credentials`";
                Err(OAuthError::new(ErrorCode::UnauthorizedClient, why))
            }
        }
    }

    /// What the token shall be for. A token without an audience is never made (RFC 8707, section 2).
    fn wanted_audience(&self, asking: &Asking, request: &TokenRequest) -> Result<Audience, OAuthError> {
        let issuer = self.settings().issuer();
        let refuse = |why: String| OAuthError::new(ErrorCode::InvalidTarget, why);
        let named = match &request.grant {
            Grant::TokenExchange(exchange) => exchange.audience.as_deref(),
            Grant::ClientCredentials => None,
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
        if matches!(code, ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable) {
            // The log is what failed, most likely: the client shall not wait for it twice.
            metrics::counter!("writ_refusals_without_record_total", "code" => code.as_str()).increment(1);
            return;
        }
        let facts = json!({ "client": asking.client().id(), "code": code.as_str() });
        let event = Event::new(EventKind::TokenRefused, asking.client().id(), facts);
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
