//! Credentials as values.

use base::{AnyId, CredentialId, Position, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

/// A key or secret by which an agent or a workload proves itself at the token endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is: an agent or a workload.
    pub principal: AnyId,
    /// What it is.
    pub proof: Proof,
    /// What a person called it.
    pub label: String,
    /// The generation of the log in which it was made.
    pub generation: i64,
    /// The position of the log at which it was made.
    pub position: Position,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// Whether it was ended.
    pub revoked: bool,
}

/// What a credential proves with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// A public key (`private_key_jwt`, RFC 7523), as a JWK in JSON; its thumbprint (RFC 7638) is its key id.
    Key {
        /// The JWK.
        jwk: String,
        /// Its RFC 7638 SHA-256 thumbprint, base64url.
        thumbprint: String,
    },
    /// A shared secret, as the SHA-256 of its text. Writ makes the secrets itself, with 256 bits of chance, so a
    /// fast hash is enough. Discouraged, and visible in the inventory.
    Secret {
        /// The digest, hexadecimal.
        sha256: String,
    },
}

/// An opaque token for the API, of a person or a workload. Stored as a digest only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id.
    pub id: TokenId,
    /// Whose it is: a person or a workload.
    pub principal: AnyId,
    /// What a person called it.
    pub label: String,
    /// The generation of the log in which it was made.
    pub generation: i64,
    /// The position of the log at which it was made.
    pub position: Position,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// Whether it was ended.
    pub revoked: bool,
}
