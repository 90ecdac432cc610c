//! How a client proves itself at the token endpoint (RFC 6749, section 2.3; RFC 7523).

use base::Secret;
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ErrorCode, Form, OAuthError, form::decode};
use crate::jose::unverified_claim;

/// The only accepted `client_assertion_type`.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An id and a secret as a client may have meant them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// The client's id.
    pub client_id: String,
    /// Its secret.
    pub secret: Secret,
}

/// What a client shows to prove itself; nothing of it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// Nothing but its name (`none`): a public client.
    Public {
        /// The client's id.
        client_id: String,
    },
    /// `client_secret_basic`: first form-decoded as RFC 6749, section 2.3.1 wants, then, where that differs, raw,
    /// as several clients send it.
    Basic {
        /// One or two readings, to be tried in this order.
        readings: Vec<ClientSecret>,
    },
    /// `client_secret_post`.
    Post(ClientSecret),
    /// `private_key_jwt`.
    Assertion {
        /// The client's id: the assertion's `sub`, not verified yet.
        client_id: String,
        /// The assertion.
        assertion: Secret,
    },
}

impl ClientAuthentication {
    /// Finds out how the client proves itself: from the values of all `Authorization` headers and the form. More than
    /// one way is refused (RFC 6749, section 2.3).
    pub fn of(authorization: &[&str], form: &Form) -> Result<Self, OAuthError> {
        let basic = match authorization {
            [] => None,
            [value] => Some(basic_readings(value)?),
            _ => return Err(invalid("the request has several `Authorization` headers; send one")),
        };
        let ways =
            [basic.is_some(), form.get("client_secret").is_some(), form.get("client_assertion").is_some()];
        if ways.into_iter().filter(|&way| way).count() > 1 {
            return Err(invalid(
                "the client proves itself in more than one way; use one of the `Authorization` header, `client_secret` and `client_assertion`",
            ));
        }
        if form.get("client_assertion_type").is_some() && form.get("client_assertion").is_none() {
            return Err(invalid("`client_assertion_type` stands without `client_assertion`"));
        }
        let named = form.get("client_id");
        if let Some(mut readings) = basic {
            readings.retain(|reading| named.is_none_or(|named| named == reading.client_id));
            if readings.is_empty() {
                return Err(invalid("`client_id` differs from the one in the `Authorization` header"));
            }
            return Ok(Self::Basic { readings });
        }
        if let Some(assertion) = form.get("client_assertion") {
            return assertion_of(assertion, form);
        }
        let client_id = named
            .ok_or_else(|| {
                OAuthError::new(
                    ErrorCode::InvalidClient,
                    "the client does not prove who it is; use `private_key_jwt` (`client_assertion`), `client_secret_basic` or `client_secret_post`",
                )
            })?
            .to_owned();
        Ok(match form.get("client_secret") {
            Some(secret) => Self::Post(ClientSecret { client_id, secret: Secret::new(secret.to_owned()) }),
            None => Self::Public { client_id },
        })
    }

    /// The ways' registered name (`token_endpoint_auth_method`).
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Public { .. } => "none",
            Self::Basic { .. } => "client_secret_basic",
            Self::Post(_) => "client_secret_post",
            Self::Assertion { .. } => "private_key_jwt",
        }
    }
}

fn invalid(description: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

fn assertion_of(assertion: &str, form: &Form) -> Result<ClientAuthentication, OAuthError> {
    if form.get("client_assertion_type") != Some(JWT_BEARER) {
        return Err(invalid(
            "`client_assertion_type` must be `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`",
        ));
    }
    let subject = unverified_claim(assertion, "sub").map_err(|refusal| {
        OAuthError::new(ErrorCode::InvalidClient, format!("the client assertion: {refusal}"))
    })?;
    let client_id = subject
        .filter(|subject| !subject.is_empty())
        .ok_or_else(|| OAuthError::new(ErrorCode::InvalidClient, "the client assertion has no `sub`"))?;
    if form.get("client_id").is_some_and(|named| named != client_id) {
        return Err(invalid("`client_id` differs from the `sub` of the client assertion"));
    }
    Ok(ClientAuthentication::Assertion { client_id, assertion: Secret::new(assertion.to_owned()) })
}

/// The readings of a Basic credential (RFC 7617): at least one.
fn basic_readings(header: &str) -> Result<Vec<ClientSecret>, OAuthError> {
    let malformed = || {
        OAuthError::new(
            ErrorCode::InvalidClient,
            "the `Authorization` header is not `Basic` with base64 of `client_id:client_secret`",
        )
    };
    let (scheme, encoded) = header.trim_ascii().split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = STANDARD.decode(encoded.trim_ascii()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = Secret::new(decoded.ok_or_else(malformed)?);
    let (id, secret) = decoded.expose().split_once(':').ok_or_else(malformed)?;
    let reading = |client_id: String, secret: String| {
        (!client_id.is_empty() && !client_id.contains('\0') && !secret.is_empty())
            .then(|| ClientSecret { client_id, secret: Secret::new(secret) })
    };
    let unescaped =
        decode(id.as_bytes()).zip(decode(secret.as_bytes())).and_then(|(id, secret)| reading(id, secret));
    let raw = reading(id.to_owned(), secret.to_owned());
    let mut readings: Vec<ClientSecret> = [unescaped, raw].into_iter().flatten().collect();
    readings.dedup();
    if readings.is_empty() { Err(malformed()) } else { Ok(readings) }
}
