//! Resource indicators (RFC 8707).

use std::fmt;

use super::{ErrorCode, OAuthError};
use crate::uri::strict_url;

/// What a token is for: an absolute `http` or `https` URI without fragment, as written and in normal form.
///
/// Compared in normal form: `https://h` is `https://h/`, and the case of scheme and host and a default port do not matter;
/// everything else does, also a slash at the end of a path.
#[derive(Clone)]
pub struct ResourceUri {
    written: String,
    normal: String,
}

impl ResourceUri {
    /// Reads a resource indicator.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let url = strict_url(text).filter(|url| url.fragment().is_none()).ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidTarget,
                "`resource` must be an absolute http or https URI without fragment and user information",
            )
        })?;
        Ok(Self { written: text.to_owned(), normal: url.into() })
    }

    /// As the client wrote it.
    pub fn as_written(&self) -> &str {
        &self.written
    }

    /// In normal form.
    pub fn as_normal(&self) -> &str {
        &self.normal
    }
}

impl PartialEq for ResourceUri {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for ResourceUri {}

impl fmt::Debug for ResourceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}
