//! Time-based codes (RFC 6238): six digits, thirty seconds, HMAC-SHA-1, which is what every authenticator app speaks.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use base::{Dice, Timestamp};
use zeroize::Zeroizing;

const STEP_SECONDS: i64 = 30;
/// How many steps the clock of a phone may be off.
const SKEW_STEPS: i64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The seed of a generator: 160 bits (RFC 4226, section 4, R6).
#[derive(Clone)]
pub(crate) struct Seed(Zeroizing<[u8; 20]>);

impl Seed {
    pub(crate) fn new(dice: &dyn Dice) -> Self {
        Self(Zeroizing::new(dice.bytes()))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// In base 32, as apps take it (RFC 4648, section 6).
    pub(crate) fn to_base32(&self) -> String {
        let mut text = String::new();
        for group in self.0.chunks_exact(5) {
            let bits = group.iter().fold(0_u64, |bits, &byte| (bits << 8) | u64::from(byte));
            for at in (0..8).rev() {
                let digit = usize::try_from((bits >> (at * 5)) & 31).unwrap_or_default();
                text.push(char::from(ALPHABET[digit]));
            }
        }
        text
    }

    /// The step after `used` in which this code is the right one, if there is one near `now`.
    ///
    /// SECURITY: whoever keeps the step as used makes the code and all earlier ones worthless.
    pub(crate) fn step_of(&self, code: &str, now: Timestamp, used: i64) -> Option<i64> {
        let present = now.seconds().div_euclid(STEP_SECONDS);
        let is_code =
            |step: &i64| verify_slices_are_equal(self.code_at(*step).as_bytes(), code.as_bytes()).is_ok();
        // All of them are compared, whichever fits.
        let fitting: Vec<i64> = (present - SKEW_STEPS..=present + SKEW_STEPS).filter(is_code).collect();
        fitting.into_iter().find(|step| *step > used)
    }

    fn code_at(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.as_bytes());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag.last().copied().unwrap_or_default() & 15);
        let word = tag
            .get(at..at + 4)
            .unwrap_or_default()
            .iter()
            .fold(0_u32, |word, &byte| (word << 8) | u32::from(byte));
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    #[cfg(test)]
    pub(crate) fn code(&self, now: Timestamp) -> String {
        self.code_at(now.seconds().div_euclid(STEP_SECONDS))
    }
}

#[cfg(test)]
mod tests {
    use base::Timestamp;

    use super::Seed;

    fn standard() -> Seed {
        Seed::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn the_standards_vectors_hold() {
        // RFC 6238, appendix B: the last six of eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(standard().code(Timestamp::from_seconds(seconds)), code);
        }
        assert_eq!(standard().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_counts_for_a_neighbouring_step_and_never_twice() {
        let seed = standard();
        let at = Timestamp::from_seconds(3000);
        let code = seed.code(at);
        assert_eq!(seed.step_of(&code, at, 0), Some(100));
        assert_eq!(seed.step_of(&code, at.plus_seconds(30), 0), Some(100));
        assert_eq!(seed.step_of(&code, at.plus_seconds(-30), 0), Some(100));
        assert_eq!(seed.step_of(&code, at.plus_seconds(60), 0), None);
        assert_eq!(seed.step_of(&code, at, 100), None);
        for wrong in ["", "00000", &format!("{code}0"), "abcdef"] {
            assert_eq!(seed.step_of(wrong, at, 0), None, "{wrong}");
        }
    }
}
