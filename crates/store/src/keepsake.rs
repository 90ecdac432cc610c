//! Values that clients keep for us: sealed, so that only we read them, and only for the purpose that they were made for.
//!
//! On all nodes that share the key-encryption key alike, and the same for the same value: a synthetic nonce is the MAC of
//! purpose and value, so two different ones never share a nonce (after RFC 5297, with AES-256-GCM in the place of CTR).

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use base::Fault;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The keys for them, derived from the key-encryption key.
pub(crate) struct Keepsakes {
    nonces: hmac::Key,
    seal: LessSafeKey,
}

impl Keepsakes {
    pub(crate) fn derived_from(kek: &[u8; 32]) -> Result<Self, Fault> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, kek);
        let derive = |purpose: &str| hmac::sign(&root, purpose.as_bytes());
        let key = UnboundKey::new(&AES_256_GCM, derive("writ/keepsake/seal/1").as_ref())
            .map_err(|error| Fault::new("deriving a key", error))?;
        let nonces = hmac::Key::new(hmac::HMAC_SHA256, derive("writ/keepsake/nonce/1").as_ref());
        Ok(Self { nonces, seal: LessSafeKey::new(key) })
    }

    /// Seals a value for one purpose.
    pub(crate) fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<String, Fault> {
        let mut mac = hmac::Context::with_key(&self.nonces);
        mac.update(&(bound_to.len() as u64).to_be_bytes());
        mac.update(bound_to);
        mac.update(plain);
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&mac.sign().as_ref()[..NONCE_LEN]);
        let mut out = nonce.to_vec();
        out.extend_from_slice(plain);
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .seal
            .seal_in_place_separate_tag(unique, Aad::from(bound_to), &mut out[NONCE_LEN..])
            .map_err(|error| Fault::new("sealing a value", error))?;
        out.extend_from_slice(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(out))
    }

    /// What was sealed for this purpose; `None` for everything else.
    pub(crate) fn open(&self, sealed: &str, bound_to: &[u8]) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let mut rest = rest.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.seal.open_in_place(nonce, Aad::from(bound_to), &mut rest).ok()?.len();
        rest.truncate(length);
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::Keepsakes;

    #[test]
    fn only_for_its_purpose_and_under_its_key() {
        let ours = Keepsakes::derived_from(&[1; 32]).unwrap();
        let sealed = ours.seal(b"task 17", b"ada").unwrap();
        assert_eq!(sealed, ours.seal(b"task 17", b"ada").unwrap());
        assert_eq!(ours.open(&sealed, b"ada").as_deref(), Some(&b"task 17"[..]));
        assert_ne!(sealed, ours.seal(b"task 18", b"ada").unwrap());
        assert_eq!(ours.open(&sealed, b"bob"), None);
        assert_eq!(Keepsakes::derived_from(&[2; 32]).unwrap().open(&sealed, b"ada"), None);
        for (index, _) in sealed.char_indices() {
            let mut changed = sealed.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(ours.open(&changed, b"ada"), None, "{index}");
        }
        for garbage in ["", "A", "=", "AAAAAAAAAAAAAAAA", "\u{e9}"] {
            assert_eq!(ours.open(garbage, b"ada"), None, "{garbage}");
        }
    }

    #[test]
    fn an_empty_value_is_a_value() {
        let ours = Keepsakes::derived_from(&[1; 32]).unwrap();
        let sealed = ours.seal(b"", b"").unwrap();
        assert_eq!(ours.open(&sealed, b"").as_deref(), Some(&b""[..]));
    }
}
