//! Challenges (`WWW-Authenticate`): RFC 6750 section 3, RFC 9728 section 5.1, RFC 9449 section 7.1, RFC 9470.
//!
//! The order is not taste. Clients search the header with unanchored patterns and take the first match, join the
//! lines of one header name, and some read only the first scheme: so Bearer comes first and on its own line, the
//! parameters that clients look for come before free text, and free text never holds `name=`.

use super::{ErrorCode, error::plain_text, metadata::OFFLINE_ACCESS};
use crate::jose::Algorithm;

/// What a 401, 403 or 400 of a protected resource asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Where the resource's metadata lies, an absolute URL.
    pub resource_metadata: Option<&'a str>,
    /// All scopes that the operation needs, the present ones included: some clients ask for exactly these.
    pub scope: &'a [&'a str],
    /// What was wrong; `None` when no credentials came at all (RFC 6750, section 3.1).
    pub error: Option<ErrorCode>,
    /// The authentication contexts that would do (RFC 9470).
    pub acr_values: &'a [&'a str],
    /// How long ago people may have signed in, in seconds (RFC 9470).
    pub max_age: Option<u32>,
    /// The same for people.
    pub description: Option<&'a str>,
    /// The DPoP line, where DPoP is understood.
    pub dpop: Option<DpopChallenge>,
}

/// What the DPoP line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopChallenge {
    /// Proofs are understood.
    Offered,
    /// A proof with a nonce is wanted (RFC 9449, section 9); nothing else is said then.
    NonceWanted,
    /// The proof or its token was no good.
    Refused(ErrorCode),
}

impl Challenge<'_> {
    /// The header's lines, in the order in which they must be sent: Bearer, then DPoP.
    pub fn lines(&self) -> Vec<String> {
        if self.dpop == Some(DpopChallenge::NonceWanted) {
            return vec![dpop_line(Some(ErrorCode::UseDpopNonce))];
        }
        let mut bearer = Vec::new();
        if let Some(url) = self.resource_metadata {
            bearer.push(parameter("resource_metadata", url));
        }
        let scopes: Vec<&str> = self.scope.iter().copied().filter(|&scope| scope != OFFLINE_ACCESS).collect();
        if !scopes.is_empty() {
            bearer.push(parameter("scope", &scopes.join(" ")));
        }
        if let Some(error) = self.error {
            bearer.push(parameter("error", error.as_str()));
        }
        if !self.acr_values.is_empty() {
            bearer.push(parameter("acr_values", &self.acr_values.join(" ")));
        }
        if let Some(seconds) = self.max_age {
            bearer.push(format!("max_age={seconds}"));
        }
        if let Some(text) = self.description {
            bearer.push(parameter("error_description", &text.replace('=', " ")));
        }
        if bearer.is_empty() {
            // RFC 9110, section 11.2: a scheme alone is a challenge, but clients expect a parameter.
            bearer.push(parameter("realm", "writ"));
        }
        let mut lines = vec![format!("Bearer {}", bearer.join(", "))];
        match self.dpop {
            Some(DpopChallenge::Offered) => lines.push(dpop_line(None)),
            Some(DpopChallenge::Refused(error)) => lines.push(dpop_line(Some(error))),
            Some(DpopChallenge::NonceWanted) | None => {}
        }
        lines
    }
}

fn dpop_line(error: Option<ErrorCode>) -> String {
    let algorithms: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
    let error = error.map(|error| parameter("error", error.as_str()));
    let parameters: Vec<String> =
        [parameter("algs", &algorithms.join(" "))].into_iter().chain(error).collect();
    format!("DPoP {}", parameters.join(", "))
}

/// `name="value"`; what cannot stand in a quoted string is replaced.
fn parameter(name: &str, value: &str) -> String {
    format!("{name}=\"{}\"", plain_text(value))
}
