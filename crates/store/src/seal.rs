//! Secrets at rest: each under a data key of its own, each data key under the key-encryption key (KEK).

use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base::{Dice, Fault};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{file, keepsake::Keepsakes};

const FILE: &str = "kek";
const KEY: usize = 32;
/// A wrapped data key: nonce, key, tag.
const WRAPPED: usize = NONCE_LEN + KEY + 16;

/// A secret as it lies in a row: the wrapped data key, a nonce, the ciphertext with its tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// For the row's `bytea` column.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the row's `bytea` column.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[sealed, {} bytes]", self.0.len())
    }
}

/// The key-encryption key: AES-256-GCM, in a file of mode 0600 beside the database.
///
/// Nonces are random: one KEK wraps far fewer than 2^32 data keys (NIST SP 800-38D, section 8.3), and a data key
/// seals one row once.
pub(crate) struct Kek {
    key: LessSafeKey,
    keepsakes: Keepsakes,
}

impl Kek {
    /// Reads the key, or makes it when `may_create` says that nothing was sealed yet.
    pub(crate) fn open(data_dir: &Path, may_create: bool, dice: &dyn Dice) -> Result<Self, Fault> {
        let path = data_dir.join(FILE);
        let text = match file::read_private(&path)? {
            Some(text) => Zeroizing::new(text),
            None if may_create => {
                let mut key: [u8; KEY] = dice.bytes();
                let text = Zeroizing::new(hex::encode(key).into_bytes());
                key.zeroize();
                file::create_private(&path, &text)?;
                text
            }
            None => {
                let reason = format!(
                    "`{}` is missing, and the database holds secrets sealed with it; put the file back from its backup",
                    path.display()
                );
                return Err(Fault::new("opening the key-encryption key", reason));
            }
        };
        let mut key = Zeroizing::new([0; KEY]);
        hex::decode_to_slice(text.trim_ascii(), key.as_mut_slice()).map_err(|_| {
            let reason = format!(
                "`{}` does not hold 64 hexadecimal digits; put the file back from its backup",
                path.display()
            );
            Fault::new("opening the key-encryption key", reason)
        })?;
        Ok(Self { key: aead(&key)?, keepsakes: Keepsakes::derived_from(&key)? })
    }

    /// For values that clients keep for us.
    pub(crate) const fn keepsakes(&self) -> &Keepsakes {
        &self.keepsakes
    }

    /// Seals `plaintext` for the row named by `aad`, typically its id.
    pub(crate) fn seal(&self, aad: &str, plaintext: &[u8], dice: &dyn Dice) -> Result<Sealed, Fault> {
        let dek = Zeroizing::new(dice.bytes::<KEY>());
        let mut out = encrypt(&self.key, aad, dek.as_slice(), dice)?;
        out.extend(encrypt(&aead(&dek)?, aad, plaintext, dice)?);
        Ok(Sealed(out))
    }

    /// Opens what was sealed for the same row; anything else is a fault.
    pub(crate) fn open_sealed(&self, aad: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let Some((wrapped, rest)) = sealed.0.split_at_checked(WRAPPED) else {
            return Err(Fault::new("opening a sealed value", "it is too short"));
        };
        let dek = decrypt(&self.key, aad, wrapped)?;
        let mut key = Zeroizing::new([0; KEY]);
        key.copy_from_slice(&dek);
        decrypt(&aead(&key)?, aad, rest)
    }
}

fn aead(key: &[u8; KEY]) -> Result<LessSafeKey, Fault> {
    let key =
        UnboundKey::new(&AES_256_GCM, key).map_err(|error| Fault::new("making a sealing key", error))?;
    Ok(LessSafeKey::new(key))
}

fn encrypt(key: &LessSafeKey, aad: &str, plaintext: &[u8], dice: &dyn Dice) -> Result<Vec<u8>, Fault> {
    let nonce: [u8; NONCE_LEN] = dice.bytes();
    let mut out = Vec::with_capacity(NONCE_LEN + plaintext.len() + 16);
    out.extend(nonce);
    out.extend(plaintext);
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad.as_bytes()),
            &mut out[NONCE_LEN..],
        )
        .map_err(|error| Fault::new("sealing a value", error))?;
    out.extend(tag.as_ref());
    Ok(out)
}

fn decrypt(key: &LessSafeKey, aad: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let doing = "opening a sealed value";
    let Some((nonce, ciphertext)) = sealed.split_at_checked(NONCE_LEN) else {
        return Err(Fault::new(doing, "it is too short"));
    };
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|error| Fault::new(doing, error))?;
    let mut out = Zeroizing::new(ciphertext.to_vec());
    let length = key
        .open_in_place(nonce, Aad::from(aad.as_bytes()), &mut out)
        .map_err(|_| Fault::new(doing, "the key-encryption key or the row is not the one it was sealed for"))?
        .len();
    out.truncate(length);
    Ok(out)
}
