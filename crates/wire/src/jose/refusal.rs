//! What can be wrong with a token, by name.

use base::{Class, Refuse};

use crate::json::JsonErrorKind;

/// Why a signed token was refused. Messages name the rule and never repeat the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenRefusal {
    /// Longer than the cap.
    #[error("the token is larger than the limit")]
    TooLarge,
    /// Not `header.claims.signature`.
    #[error("the token does not consist of exactly three parts")]
    NotThreeParts,
    /// A part is not strict base64url.
    #[error("a part of the token is not base64url without padding")]
    NotBase64Url,
    /// The header is not a strict JSON object.
    #[error("the token's header is not acceptable: {0}")]
    HeaderJson(JsonErrorKind),
    /// The claims are not a strict JSON object.
    #[error("the token's claims are not acceptable: {0}")]
    ClaimsJson(JsonErrorKind),
    /// The header or the claims are JSON, but no object, or a header parameter has the wrong type.
    #[error("the token's header or claims have the wrong shape")]
    WrongShape,
    /// The header has `crit`; no extension is understood.
    #[error("the token has critical header parameters (`crit`), and none are supported")]
    Critical,
    /// The header brings or points to its own key.
    #[error("the token's header brings its own key (`{0}`), which is never trusted")]
    KeyInHeader(&'static str),
    /// `typ` is absent or another one.
    #[error("the token is of another type (`typ`) than is wanted here")]
    WrongType,
    /// `alg` is absent, `none`, symmetric or unknown.
    #[error("the token's algorithm (`alg`) is not supported; use ES256, RS256 or EdDSA")]
    UnsupportedAlgorithm,
    /// No key is called so, or no key is there at all.
    #[error("no known key has the token's `kid`")]
    UnknownKey,
    /// No `kid`, and several keys could have signed.
    #[error("the token names no key (`kid`) and several could have signed it")]
    AmbiguousKey,
    /// The key is made for another algorithm.
    #[error("the token's algorithm (`alg`) is not the one of its key")]
    AlgorithmNotOfKey,
    /// The signature does not fit.
    #[error("the token's signature is not valid")]
    BadSignature,
    /// A claim that must be there is not.
    #[error("the token has no `{0}` claim")]
    MissingClaim(&'static str),
    /// A claim has the wrong type, or a value that cannot be.
    #[error("the token's `{0}` claim is malformed")]
    MalformedClaim(&'static str),
    /// Another issuer.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// Another or more than one audience.
    #[error("the token is not meant for this audience alone")]
    WrongAudience,
    /// Too late.
    #[error("the token has expired")]
    Expired,
    /// Too early.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` lies in the future.
    #[error("the token was issued in the future; check the clocks")]
    IssuedInFuture,
    /// Valid for longer than is accepted.
    #[error("the token is valid for longer than is accepted")]
    LivesTooLong,
}

impl Refuse for TokenRefusal {
    fn class(&self) -> Class {
        Class::Unauthenticated
    }

    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "token_too_large",
            Self::NotThreeParts => "token_not_three_parts",
            Self::NotBase64Url => "token_not_base64url",
            Self::HeaderJson(_) => "token_header_json",
            Self::ClaimsJson(_) => "token_claims_json",
            Self::WrongShape => "token_wrong_shape",
            Self::Critical => "token_critical_header",
            Self::KeyInHeader(_) => "token_key_in_header",
            Self::WrongType => "token_wrong_type",
            Self::UnsupportedAlgorithm => "token_unsupported_algorithm",
            Self::UnknownKey => "token_unknown_key",
            Self::AmbiguousKey => "token_ambiguous_key",
            Self::AlgorithmNotOfKey => "token_algorithm_not_of_key",
            Self::BadSignature => "token_bad_signature",
            Self::MissingClaim(_) => "token_missing_claim",
            Self::MalformedClaim(_) => "token_malformed_claim",
            Self::WrongIssuer => "token_wrong_issuer",
            Self::WrongAudience => "token_wrong_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::IssuedInFuture => "token_issued_in_future",
            Self::LivesTooLong => "token_lives_too_long",
        }
    }
}
