//! How a request carries its access token: read strictly, nothing verified.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::refused::TokenRefused;
use crate::credential::API_TOKEN_PREFIX;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// How a token is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RFC 6750.
    Bearer,
    /// RFC 9449, section 7.1.
    Dpop,
}

/// An access token as a request carries it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) token: &'a str,
    /// The DPoP proof beside it.
    pub(crate) proof: Option<&'a str>,
    /// The method, as sent.
    pub(crate) method: &'a str,
    /// The public URL of the request, without query.
    pub(crate) url: &'a str,
}

impl<'a> Presented<'a> {
    /// Reads the headers. Tokens come in the header only: never in the query, never in a body.
    pub(crate) fn of(headers: &'a HeaderMap, method: &'a str, url: &'a str) -> Result<Self, TokenRefused> {
        let value = match only(headers, &AUTHORIZATION) {
            Only::None => return Err(TokenRefused::Missing),
            Only::One(value) => value,
            // Which of two counts would be a guess.
            Only::Unreadable => {
                return Err(TokenRefused::Malformed(
                    "the request needs exactly one readable `Authorization` header",
                ));
            }
        };
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let scheme = if scheme.eq_ignore_ascii_case("bearer") {
            Scheme::Bearer
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Scheme::Dpop
        } else {
            return Err(TokenRefused::Missing);
        };
        if token.is_empty() || !token.bytes().all(is_token_byte) {
            return Err(TokenRefused::Malformed(
                "the `Authorization` header holds no token behind its scheme",
            ));
        }
        let proof = proof_header(headers).map_err(TokenRefused::Malformed)?;
        Ok(Self { scheme, token, proof, method, url })
    }
}

/// The opaque API token of a request, if that is what it carries.
pub(crate) fn api_token(headers: &HeaderMap) -> Option<&str> {
    let Only::One(value) = only(headers, &AUTHORIZATION) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with(API_TOKEN_PREFIX)).then_some(token)
}

/// The one `DPoP` header of a request (RFC 9449, section 4.3, point 1).
pub(crate) fn proof_header(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    match only(headers, &DPOP) {
        Only::None => Ok(None),
        Only::One(proof) => Ok(Some(proof)),
        Only::Unreadable => Err("the request may have one `DPoP` header, in visible ASCII"),
    }
}

enum Only<'a> {
    None,
    One(&'a str),
    /// Several, or one that is no text.
    Unreadable,
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Only<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Only::None,
        (Some(value), None) => value.to_str().map_or(Only::Unreadable, Only::One),
        (Some(_), Some(_)) => Only::Unreadable,
    }
}

/// `token68` of RFC 9110, section 11.2, which is what RFC 6750 calls `b64token`.
fn is_token_byte(byte: u8) -> bool {
    TOKEN_BYTES[usize::from(byte)]
}

/// Looked up, since each call asks it of several hundred bytes.
const TOKEN_BYTES: [bool; 256] = {
    let mut bytes = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        bytes[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        byte += 1;
    }
    bytes
};
