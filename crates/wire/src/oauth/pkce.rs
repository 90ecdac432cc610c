//! Proof key for code exchange (RFC 7636), with S256 and nothing else (OAuth 2.1, section 4.1.1).

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::{ErrorCode, OAuthError};

/// What a client commits to when it asks for a code: base64url of the SHA-256 of its verifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Reads `code_challenge` and `code_challenge_method`. Every client sends both: there is no `plain` here.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self, OAuthError> {
        let refuse = |why: &str| Err(OAuthError::new(ErrorCode::InvalidRequest, why));
        let Some(challenge) = challenge else {
            return refuse("`code_challenge` is missing; every client uses PKCE with S256");
        };
        if method != Some("S256") {
            return refuse("`code_challenge_method` must be `S256`");
        }
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(bytes) if bytes.len() == 32 => Ok(Self(challenge.to_owned())),
            Ok(_) | Err(_) => refuse("`code_challenge` is not base64url of a SHA-256"),
        }
    }

    /// What commits to `verifier`.
    pub fn of(verifier: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref()))
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is what the client committed to: 43 to 128 unreserved characters (section 4.1).
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let well_formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let shown = Self::of(verifier);
        well_formed && verify_slices_are_equal(shown.0.as_bytes(), self.0.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::CodeChallenge;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_standards_example_is_met_and_nothing_near_it() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert!(challenge.is_met_by(VERIFIER) && CodeChallenge::of(VERIFIER) == challenge);
        for other in ["", &VERIFIER[1..], &format!("{VERIFIER}="), &VERIFIER.to_lowercase(), CHALLENGE] {
            assert!(!challenge.is_met_by(other), "{other}");
        }
    }

    #[test]
    fn plain_missing_and_malformed_challenges_are_refused() {
        for (challenge, method) in [
            (None, Some("S256")),
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (Some(VERIFIER.trim_end_matches('k')), Some("S256")),
            (Some("not base64url of a digest!"), Some("S256")),
            (Some(&format!("{CHALLENGE}=")[..]), Some("S256")),
        ] {
            assert!(CodeChallenge::parse(challenge, method).is_err(), "{challenge:?} {method:?}");
        }
    }
}
