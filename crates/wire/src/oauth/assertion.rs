//! Client assertions (RFC 7523, section 3, as `private_key_jwt`).

use aws_lc_rs::digest::{Context, SHA256};
use base::{Fault, Timestamp};

use crate::{
    jose::{Jwks, SigningKey, TokenRefusal, VerifyRules, verify},
    json::Json,
};

/// What must hold for a client's assertion.
#[derive(Clone, Copy, Debug)]
pub struct AssertionRules<'a> {
    /// The client that says it is speaking: `iss` and `sub`.
    pub client_id: &'a str,
    /// The keys that the client registered.
    pub keys: &'a Jwks,
    /// What the client may call us: the issuer, and for clients that are set so the token endpoint's URL.
    pub audiences: &'a [&'a str],
    /// The present.
    pub now: Timestamp,
    /// By how much clocks may differ, in seconds.
    pub leeway_seconds: i64,
    /// The longest life of an assertion, in seconds: as long must its `jti` be remembered.
    pub lifetime_seconds_max: i64,
}

/// An assertion that passed, except that it may have been used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAssertion {
    /// The registered key that signed it.
    pub kid: String,
    /// SHA-256 over the client's id and `jti`: what must be new.
    pub replay_id: [u8; 32],
    /// From when on the same assertion would be refused as expired, so that its replay id may be forgotten.
    pub forget_after: Timestamp,
}

/// Verifies a client's assertion: signed by one of its keys, `iss` and `sub` the client, meant for us alone, `exp` near,
/// `jti` there. `iat` may be absent, as RFC 7523 has it.
pub fn verify_client_assertion(
    assertion: &str,
    rules: &AssertionRules<'_>,
) -> Result<ClientAssertion, TokenRefusal> {
    let verified = verify(
        assertion,
        &VerifyRules {
            types: &[None, Some("JWT"), Some("client-authentication+jwt")],
            keys: rules.keys,
            issuer: Some(rules.client_id),
            audiences: rules.audiences,
            leeway_seconds: rules.leeway_seconds,
            now: rules.now,
            lifetime_seconds_max: rules.lifetime_seconds_max,
            issued_at_required: false,
            require: &["sub", "jti"],
        },
    )?;
    if verified.text("sub") != Some(rules.client_id) {
        return Err(TokenRefusal::MalformedClaim("sub"));
    }
    let jti = verified.text("jti").unwrap_or_default();
    let mut context = Context::new(&SHA256);
    for part in [rules.client_id, jti] {
        // Lengths first: `a` + `bc` and `ab` + `c` are different clients.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut replay_id = [0; 32];
    replay_id.copy_from_slice(context.finish().as_ref());
    Ok(ClientAssertion {
        kid: verified.kid,
        replay_id,
        forget_after: verified.expires.plus_seconds(rules.leeway_seconds),
    })
}

/// An assertion by which a client proves itself to `issuer` for the next minute. `jti` must be fresh.
pub fn make_client_assertion(
    key: &SigningKey,
    client_id: &str,
    issuer: &str,
    jti: &str,
    now: Timestamp,
) -> Result<String, Fault> {
    let claims = Json::object([
        ("iss", client_id.into()),
        ("sub", client_id.into()),
        ("aud", issuer.into()),
        ("jti", jti.into()),
        ("iat", now.seconds().into()),
        ("exp", now.plus_seconds(60).seconds().into()),
    ]);
    key.sign("JWT", &claims)
}
