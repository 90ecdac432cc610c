//! Nonces for DPoP proofs (RFC 9449, sections 8 and 9): whoever has one made the proof after it was given out, not beforehand.
//!
//! A nonce is the minute in which it was given out, sealed with the key that all nodes share; none is kept.

use base::Timestamp;
use http::{HeaderMap, HeaderName, HeaderValue};
use wire::oauth::{Challenge, DpopChallenge};

use super::challenge::set_challenge;
use crate::control::Control;

/// The header in which a nonce is given out.
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const PURPOSE: &[u8] = b"dpop nonce";
const STEP_SECONDS: i64 = 60;

impl Control {
    /// The nonce for the proofs of this moment; nothing where proofs need none.
    pub(crate) fn dpop_nonce(&self, now: Timestamp) -> Option<HeaderValue> {
        if !self.settings().dpop_nonces {
            return None;
        }
        let sealed = self.store().seal_keepsake(&step(now).to_be_bytes(), PURPOSE);
        HeaderValue::try_from(sealed.ok()?).ok()
    }

    /// Whether a proof is made with a nonce of this minute or one beside it, since the clocks of nodes differ; or needs none.
    pub(super) fn is_nonce_recent(&self, nonce: Option<&str>, now: Timestamp) -> bool {
        if !self.settings().dpop_nonces {
            return true;
        }
        let plain = nonce.and_then(|nonce| self.store().open_keepsake(nonce, PURPOSE));
        let given = plain.and_then(|plain| plain.try_into().ok()).map(i64::from_be_bytes);
        given.is_some_and(|given| (step(now) - 1..=step(now) + 1).contains(&given))
    }
}

/// Asks for a proof with this nonce, and for nothing else: clients look for a challenge that stands alone.
pub(crate) fn ask_for_nonce(headers: &mut HeaderMap, nonce: HeaderValue) {
    set_challenge(headers, &Challenge { dpop: Some(DpopChallenge::NonceWanted), ..Challenge::default() });
    headers.insert(DPOP_NONCE, nonce);
}

const fn step(now: Timestamp) -> i64 {
    now.seconds().div_euclid(STEP_SECONDS)
}
