//! The verifier: everything about a token that must hold, in one place.

use base::{Timestamp, limit::TOKEN_BYTES_MAX};

use super::{
    Header, Jwks, PublicJwk, TokenRefusal,
    compact::{Compact, KeyInHeader},
};
use crate::json::{Json, Object};

/// The largest time accepted in a claim, in seconds: the end of the year 9999. Beyond, arithmetic is an attack.
const SECONDS_MAX: i64 = 253_402_300_799;

/// What must hold for a token. There are no defaults: every caller says what it wants.
#[derive(Clone, Copy, Debug)]
pub struct VerifyRules<'a> {
    /// The accepted values of `typ`, exactly as written; `None` accepts its absence.
    pub types: &'a [Option<&'a str>],
    /// The keys of the issuer. A `kid` must name one of them; without one, exactly one key must have the algorithm.
    pub keys: &'a Jwks,
    /// The only accepted `iss`, byte for byte; `None` leaves the issuer to the caller.
    pub issuer: Option<&'a str>,
    /// The accepted audiences. `aud` must be one of them, as a string or as the only element of an array: a token
    /// that is also meant for somebody else could be replayed by them.
    pub audiences: &'a [&'a str],
    /// By how much clocks may differ, in seconds.
    pub leeway_seconds: i64,
    /// The present.
    pub now: Timestamp,
    /// The longest time from issue, or where `iat` is absent from now, to expiry, in seconds, leeway not counted.
    pub lifetime_seconds_max: i64,
    /// Whether `iat` must be there; when it is there, it is always checked.
    pub issued_at_required: bool,
    /// Further claims that must be there as non-empty strings.
    pub require: &'a [&'static str],
}

/// A token that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The believed part of its header.
    pub header: Header,
    /// The claims, with `exp` (and `iat`, where there) known to be whole seconds.
    pub claims: Object,
    /// The id of the key that signed.
    pub kid: String,
    /// When it expires, leeway not counted.
    pub expires: Timestamp,
}

impl Verified {
    /// The claim called `name`, when it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }
}

/// Verifies `token` (at most [`TOKEN_BYTES_MAX`] bytes): form, header, signature, type, issuer, audience, times.
pub fn verify(token: &str, rules: &VerifyRules<'_>) -> Result<Verified, TokenRefusal> {
    let compact = Compact::parse(token, TOKEN_BYTES_MAX, KeyInHeader::Refused)?;
    let typ = compact.header.typ.as_deref();
    if !rules.types.contains(&typ) {
        return Err(TokenRefusal::WrongType);
    }
    let key = find_key(&compact.header, rules.keys)?;
    let claims = compact.claims_signed_by(key)?;
    let expires = check_times(&claims, rules)?;
    if let Some(issuer) = rules.issuer {
        match claims.get("iss") {
            None => return Err(TokenRefusal::MissingClaim("iss")),
            Some(Json::String(found)) if found == issuer => {}
            Some(_) => return Err(TokenRefusal::WrongIssuer),
        }
    }
    check_audience(&claims, rules.audiences)?;
    for name in rules.require {
        match claims.get(name) {
            None => return Err(TokenRefusal::MissingClaim(name)),
            Some(Json::String(text)) if !text.is_empty() => {}
            Some(_) => return Err(TokenRefusal::MalformedClaim(name)),
        }
    }
    Ok(Verified { kid: key.kid().to_owned(), header: compact.header, claims, expires })
}

fn find_key<'a>(header: &Header, keys: &'a Jwks) -> Result<&'a PublicJwk, TokenRefusal> {
    if let Some(kid) = &header.kid {
        return keys.get(kid).map(AsRef::as_ref).ok_or(TokenRefusal::UnknownKey);
    }
    let mut fitting = keys.iter().filter(|key| key.algorithm() == header.algorithm);
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Ok(key),
        (Some(_), Some(_)) => Err(TokenRefusal::AmbiguousKey),
        (None, _) => Err(TokenRefusal::UnknownKey),
    }
}

fn check_audience(claims: &Object, accepted: &[&str]) -> Result<(), TokenRefusal> {
    let audience = match claims.get("aud") {
        None => return Err(TokenRefusal::MissingClaim("aud")),
        Some(Json::String(audience)) => audience.as_str(),
        Some(Json::Array(audiences)) => match audiences.as_slice() {
            [Json::String(audience)] => audience,
            [] => return Err(TokenRefusal::MalformedClaim("aud")),
            _ => return Err(TokenRefusal::WrongAudience),
        },
        Some(_) => return Err(TokenRefusal::MalformedClaim("aud")),
    };
    if accepted.contains(&audience) { Ok(()) } else { Err(TokenRefusal::WrongAudience) }
}

/// Whole seconds of a time claim (RFC 7519, section 2, `NumericDate`); fractions are refused, as we never issue any.
pub(crate) fn seconds_of(claims: &Object, name: &'static str) -> Result<Option<i64>, TokenRefusal> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    match value.as_i64() {
        Some(seconds) if (1..=SECONDS_MAX).contains(&seconds) => Ok(Some(seconds)),
        _ => Err(TokenRefusal::MalformedClaim(name)),
    }
}

/// Checks `exp`, `iat` and `nbf`, and gives the expiry.
fn check_times(claims: &Object, rules: &VerifyRules<'_>) -> Result<Timestamp, TokenRefusal> {
    let now = rules.now.seconds();
    let expires = seconds_of(claims, "exp")?.ok_or(TokenRefusal::MissingClaim("exp"))?;
    let issued = seconds_of(claims, "iat")?;
    if issued.is_none() && rules.issued_at_required {
        return Err(TokenRefusal::MissingClaim("iat"));
    }
    if now >= expires.saturating_add(rules.leeway_seconds) {
        return Err(TokenRefusal::Expired);
    }
    let latest = now.saturating_add(rules.leeway_seconds);
    if issued.is_some_and(|issued| issued > latest) {
        return Err(TokenRefusal::IssuedInFuture);
    }
    if seconds_of(claims, "nbf")?.is_some_and(|not_before| not_before > latest) {
        return Err(TokenRefusal::NotYetValid);
    }
    let begins = issued.unwrap_or(now);
    if expires <= begins && issued.is_some() {
        return Err(TokenRefusal::MalformedClaim("exp"));
    }
    if expires.saturating_sub(begins) > rules.lifetime_seconds_max {
        return Err(TokenRefusal::LivesTooLong);
    }
    Ok(Timestamp::from_seconds(expires))
}
