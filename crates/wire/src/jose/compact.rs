//! The compact form, taken apart strictly, before anything in it is believed.

use base::limit::TOKEN_BYTES_MAX;

use super::{Algorithm, PublicJwk, TokenRefusal, base64url, base64url_decode};
use crate::json::{Json, Limits, Object};

/// The header of a token, as far as it is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `alg`, one of ours.
    pub algorithm: Algorithm,
    /// `typ`, as written.
    pub typ: Option<String>,
    /// `kid`, as written.
    pub kid: Option<String>,
}

/// Whether a `jwk` in the header is an attack or the point of the token (RFC 9449, section 4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyInHeader {
    Refused,
    Wanted,
}

/// A token taken apart; nothing in it is verified yet.
pub(crate) struct Compact<'a> {
    pub(crate) header: Header,
    /// The header's `jwk`, only where it is wanted.
    pub(crate) jwk: Option<Json>,
    signing_input: &'a [u8],
    claims: &'a str,
    signature: Vec<u8>,
}

/// Header parameters through which a token could choose its own key (RFC 8725, section 3.10).
const KEY_PARAMETERS: [&str; 4] = ["jku", "x5u", "x5c", "jwk"];

/// Limits of a header and of claims: far more than any real token has.
const LIMITS: Limits = Limits { bytes: TOKEN_BYTES_MAX, depth: 24, values: 2048, digits: 32, exponent: 64 };

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str, bytes_max: usize, keys: KeyInHeader) -> Result<Self, TokenRefusal> {
        if token.len() > bytes_max {
            return Err(TokenRefusal::TooLarge);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenRefusal::NotThreeParts);
        };
        let signing_input = &token.as_bytes()[..header.len() + 1 + claims.len()];
        let header = base64url_decode(header).ok_or(TokenRefusal::NotBase64Url)?;
        let signature = base64url_decode(signature).ok_or(TokenRefusal::NotBase64Url)?;
        let header =
            Json::parse_with(&header, LIMITS).map_err(|error| TokenRefusal::HeaderJson(error.kind))?;
        let mut header = header.into_object().ok_or(TokenRefusal::WrongShape)?;
        let jwk = match keys {
            KeyInHeader::Wanted => header.remove("jwk"),
            KeyInHeader::Refused => None,
        };
        Ok(Self { header: Header::read(&header)?, jwk, signing_input, claims, signature })
    }

    /// The claims, if `key` signed them.
    ///
    /// SECURITY: the way to the claims leads through the signature.
    pub(crate) fn claims_signed_by(&self, key: &PublicJwk) -> Result<Object, TokenRefusal> {
        if self.header.algorithm != key.algorithm() {
            return Err(TokenRefusal::AlgorithmNotOfKey);
        }
        if !key.verify_bytes(self.signing_input, &self.signature) {
            return Err(TokenRefusal::BadSignature);
        }
        parse_claims(self.claims)
    }
}

/// A text claim of a token whose signature is not checked: only to find out whose keys to look up, as the client's
/// name in its assertion (RFC 7523, section 3) or the issuer of a foreign token.
///
/// SECURITY: the answer is what a stranger says. Nothing may follow from it but the choice of keys with which the same
/// token is then [verified](super::verify).
pub fn unverified_claim(token: &str, name: &str) -> Result<Option<String>, TokenRefusal> {
    let claims = parse_claims(Compact::parse(token, TOKEN_BYTES_MAX, KeyInHeader::Refused)?.claims)?;
    Ok(claims.get(name).and_then(Json::as_str).map(str::to_owned))
}

fn parse_claims(encoded: &str) -> Result<Object, TokenRefusal> {
    let claims = base64url_decode(encoded).ok_or(TokenRefusal::NotBase64Url)?;
    let claims = Json::parse_with(&claims, LIMITS).map_err(|error| TokenRefusal::ClaimsJson(error.kind))?;
    claims.into_object().ok_or(TokenRefusal::WrongShape)
}

impl Header {
    fn read(header: &Object) -> Result<Self, TokenRefusal> {
        if header.contains("crit") {
            return Err(TokenRefusal::Critical);
        }
        if let Some(name) = KEY_PARAMETERS.into_iter().find(|name| header.contains(name)) {
            return Err(TokenRefusal::KeyInHeader(name));
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(TokenRefusal::WrongShape),
        };
        let algorithm = text("alg")?.as_deref().and_then(Algorithm::parse);
        Ok(Self {
            algorithm: algorithm.ok_or(TokenRefusal::UnsupportedAlgorithm)?,
            typ: text("typ")?,
            kid: text("kid")?,
        })
    }
}

/// The text that is signed: header and claims, encoded and joined.
pub(super) fn signing_input(header: &Json, claims: &Json) -> String {
    let mut input = base64url(header.to_text());
    input.push('.');
    input.push_str(&base64url(claims.to_text()));
    input
}
