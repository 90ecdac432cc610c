//! Payloads: contents that records name but do not hold.
//!
//! Each has a random key of its own, sealed under the KEK. Two keys derive from it: one seals the content, one
//! keys the digest that the record carries. Erasing destroys the key, and with it both the content and all
//! that the digest could tell of it: without the key nobody can test a guess.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
};
use base::{Ctx, Fault, PayloadId, TaskId};
use zeroize::Zeroizing;

use crate::{Sealed, Store, Tx, Value, store::Inner};

/// A payload on its way into the store, together with the entry that names its digest.
#[derive(Clone, Debug)]
pub struct SealedPayload {
    id: PayloadId,
    digest: [u8; 32],
    task: Option<TaskId>,
    at: i64,
    key_sealed: Sealed,
    ciphertext: Vec<u8>,
}

impl SealedPayload {
    /// Its id, for the record.
    pub const fn id(&self) -> &PayloadId {
        &self.id
    }

    /// Its keyed digest, for the record: HMAC-SHA-256 of the content.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The row's values in the order of `insert into payload`.
    pub(crate) fn values(&self) -> [Value; 5] {
        [
            (&self.id).into(),
            self.task.as_ref().into(),
            self.at.into(),
            self.key_sealed.as_bytes().into(),
            (&self.ciphertext).into(),
        ]
    }
}

/// What is left of a payload.
#[derive(Debug)]
pub enum Payload {
    /// Its content, whose digest is the one given.
    Kept {
        /// The content.
        content: Zeroizing<Vec<u8>>,
        /// HMAC-SHA-256 of the content under this payload's digest key: equal to the record's, or one of the two
        /// was changed.
        digest: [u8; 32],
    },
    /// It was erased.
    Erased,
}

impl Store {
    /// Seals a content apart from its record. Nothing is written: the row goes in with the entry.
    pub fn seal_payload(
        &self,
        ctx: &Ctx,
        task: Option<&TaskId>,
        content: &[u8],
    ) -> Result<SealedPayload, Fault> {
        let inner: &Inner = self.inner();
        let id = PayloadId::new(ctx.now, &*ctx.dice);
        let key = Zeroizing::new(inner.dice.bytes::<32>());
        let keys = Keys::derive(&key)?;
        Ok(SealedPayload {
            digest: keys.digest(content),
            ciphertext: keys.seal(&id, content)?,
            key_sealed: inner.kek.seal(id.as_str(), key.as_slice(), &*inner.dice)?,
            task: task.cloned(),
            at: ctx.now.millis(),
            id,
        })
    }

    /// Reads a payload; `None` when there is none of this id.
    pub async fn open_payload(&self, id: &PayloadId) -> Result<Option<Payload>, Fault> {
        const SQL: &str = "select key_sealed, ciphertext from payload where id = $1";
        let row = self.read().await?.row(SQL, &[id.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let (Some(key), Some(ciphertext)) = (row.opt_bytes(0)?, row.opt_bytes(1)?) else {
            return Ok(Some(Payload::Erased));
        };
        let key = self.inner().kek.open_sealed(id.as_str(), &Sealed::from_bytes(key))?;
        let key =
            <&[u8; 32]>::try_from(key.as_slice()).map_err(|error| Fault::new("opening a payload", error))?;
        let keys = Keys::derive(key)?;
        let content = keys.open(id, ciphertext)?;
        let digest = keys.digest(&content);
        Ok(Some(Payload::Kept { content, digest }))
    }
}

impl Tx {
    /// Destroys a payload and its key; says whether there was one to destroy. The caller commits `payload.erased`.
    pub async fn erase_payload(&mut self, id: &PayloadId) -> Result<bool, Fault> {
        const SQL: &str = "update payload set key_sealed = null, ciphertext = null where id = $1 and key_sealed is not null";
        Ok(self.exec(SQL, &[id.into()]).await? == 1)
    }
}

/// The two keys of one payload (HKDF-SHA-256, RFC 5869).
struct Keys {
    sealing: LessSafeKey,
    digesting: hmac::Key,
}

impl Keys {
    fn derive(key: &[u8; 32]) -> Result<Self, Fault> {
        let fault = |error| Fault::new("deriving a payload's keys", error);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"writ payload v1").extract(key);
        let expand = |info: &'static [u8]| -> Result<Zeroizing<[u8; 32]>, Fault> {
            let mut out = Zeroizing::new([0; 32]);
            prk.expand(&[info], hkdf::HKDF_SHA256)
                .and_then(|okm| okm.fill(out.as_mut_slice()))
                .map_err(fault)?;
            Ok(out)
        };
        let sealing = UnboundKey::new(&AES_256_GCM, expand(b"seal")?.as_slice()).map_err(fault)?;
        let digesting = hmac::Key::new(hmac::HMAC_SHA256, expand(b"digest")?.as_slice());
        Ok(Self { sealing: LessSafeKey::new(sealing), digesting })
    }

    fn digest(&self, content: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.digesting, content);
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// SECURITY: the nonce is constant because this key seals one content, once.
    fn seal(&self, id: &PayloadId, content: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = content.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        self.sealing
            .seal_in_place_append_tag(nonce, Aad::from(id.as_str().as_bytes()), &mut out)
            .map_err(|error| Fault::new("sealing a payload", error))?;
        Ok(out)
    }

    fn open(&self, id: &PayloadId, ciphertext: Vec<u8>) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let mut out = Zeroizing::new(ciphertext);
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let length = self
            .sealing
            .open_in_place(nonce, Aad::from(id.as_str().as_bytes()), &mut out)
            .map_err(|error| Fault::new("opening a payload", error))?
            .len();
        out.truncate(length);
        Ok(out)
    }
}
