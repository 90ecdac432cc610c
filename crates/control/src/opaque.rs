//! Opaque secrets: made by chance, shown once, and known afterwards by their digest alone.

use aws_lc_rs::digest::{SHA256, digest};
use base::{Dice, Secret};

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// A new secret: the prefix, by which logs and scanners recognise it, and 256 bits of chance in hexadecimal.
pub(crate) fn new_secret(prefix: &str, dice: &dyn Dice) -> Secret {
    Secret::new(format!("{prefix}{}", hex::encode(dice.bytes::<32>())))
}
