//! Form bodies (`application/x-www-form-urlencoded`), strictly.

use std::fmt;

use base::{Secret, limit::FORM_BYTES_MAX};

use super::{ErrorCode, OAuthError};

/// The most parameters of a form.
const PARAMETERS_MAX: usize = 64;

/// The parameters of a request, each at most once (RFC 6749, section 3.2). `Debug` prints names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    parameters: Vec<(String, Secret)>,
}

impl Form {
    /// Parses a body. Refused: more than [`FORM_BYTES_MAX`] bytes or 64 parameters, a parameter that stands twice,
    /// broken percent-encoding, anything but UTF-8, and NUL.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        let refuse = |description: &str| Err(OAuthError::new(ErrorCode::InvalidRequest, description));
        if body.len() > FORM_BYTES_MAX {
            return refuse("the body is larger than the limit");
        }
        let mut parameters: Vec<(String, Secret)> = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            if parameters.len() == PARAMETERS_MAX {
                return refuse("the body has more than 64 parameters");
            }
            let equals = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let value = pair.get(equals + 1..).unwrap_or_default();
            let (Some(name), Some(value)) = (decode(&pair[..equals]), decode(value)) else {
                return refuse("the body is not form-encoded UTF-8; check the percent-encoding");
            };
            if parameters.iter().any(|(known, _)| *known == name) {
                return Err(repeated(&name));
            }
            parameters.push((name, Secret::new(value)));
        }
        Ok(Self { parameters })
    }

    /// The value of a parameter. One without a value counts as absent (RFC 6749, section 3.2).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.expose())
            .filter(|v| !v.is_empty())
    }

    /// The value of a parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| {
            OAuthError::new(ErrorCode::InvalidRequest, format!("the parameter `{name}` is missing"))
        })
    }
}

/// RFC 8707 and RFC 8693 admit several resources; a token of ours has one audience, so one is the most.
fn repeated(name: &str) -> OAuthError {
    let shown: String = name.chars().take(64).collect();
    match name {
        "resource" | "audience" => OAuthError::new(
            ErrorCode::InvalidTarget,
            format!("the parameter `{name}` stands twice; ask for one token per resource"),
        ),
        _ => OAuthError::new(
            ErrorCode::InvalidRequest,
            format!("the parameter `{shown}` stands twice; send each parameter once"),
        ),
    }
}

/// Form-decodes: `+` is a space, `%XX` a byte, the whole UTF-8 without NUL. `None` if it is not so encoded.
pub(super) fn decode(encoded: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                rest = tail;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parameters.iter().map(|(name, _)| name)).finish()
    }
}
