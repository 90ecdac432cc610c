//! Signing keys as values.

use base::{KeyId, Timestamp};
use serde::{Deserialize, Serialize};

/// The public half of one of Writ's signing keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerifyingKey {
    /// Its id.
    pub id: KeyId,
    /// The key id in tokens and in the JWKS: the RFC 7638 thumbprint.
    pub kid: String,
    /// The JWS algorithm (RFC 7518, section 3.1): `ES256`, `RS256` or `EdDSA`.
    pub algorithm: String,
    /// The public JWK, JSON.
    pub jwk: String,
    /// Its state.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
    /// When it stopped signing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_until: Option<Timestamp>,
}

/// The life of a signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Signs and verifies.
    Signing,
    /// Verifies what it signed.
    Verifying,
    /// Neither: nothing that it signed is valid any more.
    Revoked,
}

impl KeyState {
    /// The state as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Verifying => "verifying",
            Self::Revoked => "revoked",
        }
    }

    /// The state that is written like this.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Signing, Self::Verifying, Self::Revoked].into_iter().find(|state| state.as_str() == text)
    }
}
