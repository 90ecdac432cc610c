//! Token responses (RFC 6749, section 5.1).

use base::Secret;

use super::TokenKind;
use crate::json::Json;

/// How an access token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// RFC 6750: whoever holds it.
    Bearer,
    /// RFC 9449: with a proof of its key. Only for a client that sent a proof; others refuse the answer.
    Dpop,
    /// RFC 8693: the token is no access token.
    NotApplicable,
}

impl TokenType {
    /// As sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
            Self::NotApplicable => "N_A",
        }
    }
}

/// A successful answer of the token endpoint. It goes with status 200, `application/json` and
/// `Cache-Control: no-store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenResponse {
    /// The token.
    pub access_token: Secret,
    /// How it is used.
    pub token_type: TokenType,
    /// How long it lives, in seconds.
    pub expires_in: i64,
    /// The scopes granted, where there are any.
    pub scope: Option<String>,
    /// What was issued, in answer to a token exchange.
    pub issued_token_type: Option<TokenKind>,
    /// The next refresh token.
    pub refresh_token: Option<Secret>,
    /// Who signed in (OpenID Connect Core 1.0, section 3.1.3.3).
    pub id_token: Option<Secret>,
    /// The task granted, as an array (RFC 9396, section 7).
    pub authorization_details: Option<Json>,
}

impl TokenResponse {
    /// The response body. Absent members are left out: real clients fail on `null`.
    pub fn to_json(&self) -> Json {
        let optional = [
            ("scope", self.scope.as_deref().map(Json::from)),
            ("issued_token_type", self.issued_token_type.map(|kind| kind.as_str().into())),
            ("refresh_token", self.refresh_token.as_ref().map(|token| token.expose().into())),
            ("id_token", self.id_token.as_ref().map(|token| token.expose().into())),
            ("authorization_details", self.authorization_details.clone()),
        ];
        let required = [
            ("access_token", self.access_token.expose().into()),
            ("token_type", self.token_type.as_str().into()),
            ("expires_in", self.expires_in.into()),
        ];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Json::Object(required.into_iter().chain(present).collect())
    }
}
