//! Signed tokens: JWS compact serialisation (RFC 7515), keys (RFC 7517), JWT (RFC 7519) as RFC 8725 wants them.
//!
//! The signatures are aws-lc-rs; everything that says no is ours. A general JWT library leaves `typ`, `crit`,
//! duplicate members and the binding of algorithm and key to its caller, and each of these has been an attack.
//!
//! SECURITY: an algorithm belongs to a key and is never chosen by a token: the header's `alg` must be the one
//! that the key was made for. Symmetric algorithms and `none` do not exist here at all.

mod algorithm;
mod compact;
mod key;
mod public;
mod refusal;
mod verify;

#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use compact::Header;
pub use compact::unverified_claim;
pub use key::SigningKey;
pub use public::{Jwks, KeyRefusal, PublicJwk};
pub use refusal::TokenRefusal;
pub use verify::{Verified, VerifyRules, verify};

pub(crate) use compact::{Compact, KeyInHeader};
pub(crate) use verify::seconds_of;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Base64url without padding (RFC 7515, appendix C).
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of a base64url text, strictly: no padding, no other alphabet, no line breaks, and the unused bits of
/// the last character zero, so that one value has one spelling.
pub fn base64url_decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
