//! Codes of an authenticator app.

use aws_lc_rs::hmac;

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The code that an app shows (RFC 6238) for a seed in base 32, in a step of 30 seconds since 1970. Computed here on its own, so
/// that it can judge.
pub fn totp(seed: &str, step: i64) -> String {
    let bits: Vec<u8> = seed
        .chars()
        .flat_map(|digit| {
            let value = u8::try_from(ALPHABET.find(digit).unwrap()).unwrap();
            (0..5).rev().map(move |at| (value >> at) & 1)
        })
        .collect();
    let key: Vec<u8> =
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| sum * 2 + bit)).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let word = u32::from_be_bytes(tag.as_ref()[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}
