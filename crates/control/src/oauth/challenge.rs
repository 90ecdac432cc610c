//! What a refused MCP request reads: status, challenges, body.

use base::{Class, Error};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use wire::{
    json::Json,
    oauth::{Challenge, DpopChallenge, ErrorCode, OAuthError, protected_resource_path},
};

use super::{
    audience::Audience,
    nonce::ask_for_nonce,
    refused::{MISSING, NONCE_WANTED, PROOF_REPLAYED},
};
use crate::control::Control;

/// An HTTP challenge, ready to be sent.
#[derive(Clone, Debug)]
pub struct Challenged {
    /// 401 without a valid credential, 400 for a malformed one, 503 where nobody can be recognised just now.
    pub status: StatusCode,
    /// `WWW-Authenticate`, one line each, in this order, and `DPoP-Nonce` where one is wanted.
    pub headers: HeaderMap,
    /// The body, JSON.
    pub body: Bytes,
}

impl Control {
    /// The challenge for a request to an MCP endpoint whose credentials were refused with `error`.
    pub fn mcp_challenge(&self, endpoint: &Audience, error: &Error) -> Challenged {
        let refusal = match error {
            Error::Refused(refusal) => refusal,
            Error::Fault(fault) => {
                tracing::error!(error = %fault, "an access token could not be verified");
                return unavailable(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    ErrorCode::ServerError,
                    "something failed on our side",
                );
            }
        };
        let (status, code) = match refusal.class {
            Class::Invalid => (StatusCode::BAD_REQUEST, ErrorCode::InvalidRequest),
            Class::Busy | Class::Limited => {
                return unavailable(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ErrorCode::TemporarilyUnavailable,
                    &refusal.message,
                );
            }
            Class::Fault => {
                return unavailable(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    ErrorCode::ServerError,
                    &refusal.message,
                );
            }
            Class::Unauthenticated | Class::Denied | Class::Missing | Class::Conflict => {
                (StatusCode::UNAUTHORIZED, ErrorCode::InvalidToken)
            }
        };
        if refusal.code == NONCE_WANTED
            && let Some(nonce) = self.dpop_nonce(self.now())
        {
            let mut headers = HeaderMap::new();
            ask_for_nonce(&mut headers, nonce);
            let body = body(ErrorCode::UseDpopNonce, &refusal.message, None);
            return Challenged { status, headers, body };
        }
        let path = protected_resource_path(&endpoint.to_string());
        let metadata = format!("{}{path}", self.settings().issuer());
        // Without credentials there is nothing wrong with them (RFC 6750, section 3.1).
        let missing = refusal.code == MISSING;
        let challenge = Challenge {
            resource_metadata: Some(&metadata),
            error: (!missing).then_some(code),
            description: (!missing).then_some(&refusal.message),
            dpop: Some(dpop(refusal.code)),
            ..Challenge::default()
        };
        let mut headers = HeaderMap::new();
        set_challenge(&mut headers, &challenge);
        Challenged { status, headers, body: body(code, &refusal.message, refusal.help.as_deref()) }
    }
}

/// Writes a challenge into the headers of an answer, and nothing else that was there.
pub(super) fn set_challenge(headers: &mut HeaderMap, challenge: &Challenge<'_>) {
    headers.remove(WWW_AUTHENTICATE);
    for line in challenge.lines().iter().filter_map(|line| HeaderValue::from_str(line).ok()) {
        headers.append(WWW_AUTHENTICATE, line);
    }
}

/// What the DPoP line says: of the proof where the proof was at fault, nothing otherwise.
fn dpop(code: &str) -> DpopChallenge {
    if code == PROOF_REPLAYED || (code.starts_with("dpop_") && !code.starts_with("dpop_token_")) {
        DpopChallenge::Refused(ErrorCode::InvalidDpopProof)
    } else if code.starts_with("dpop_token_") {
        DpopChallenge::Refused(ErrorCode::InvalidToken)
    } else {
        DpopChallenge::Offered
    }
}

fn unavailable(status: StatusCode, code: ErrorCode, message: &str) -> Challenged {
    Challenged { status, headers: HeaderMap::new(), body: body(code, message, None) }
}

pub(super) fn body(code: ErrorCode, message: &str, help: Option<&str>) -> Bytes {
    let description = help.map_or_else(|| message.to_owned(), |help| format!("{message}; {help}"));
    let json: Json = OAuthError::new(code, description).to_json();
    Bytes::from(json.to_text())
}
