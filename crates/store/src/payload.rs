//! Payloads: contents that records name but do not hold.
//!
//! Each has a random salt of its own, kept beside it. Of the salt and one root key, which is sealed under the KEK, two keys
//! derive: one seals the content, one keys the digest that the record carries. Erasing destroys the salt, and with it
//! both the content and all that the digest could tell of it: without the salt nobody can test a guess, not even who holds
//! the root. What was erased stands in no file of SQLite afterwards: freed bytes are overwritten, and the write-ahead log is
//! emptied, at the latest by the next sweep or start.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk},
    hmac,
};
use base::{Ctx, Dice, Fault, PayloadId, Position};
use zeroize::Zeroizing;

use crate::{Sealed, Store, Tx, Value, deadline::Deadline, engine::Engine, seal::Kek, store::Inner};

/// The name under which the root is sealed.
const ROOT: &str = "payload_root";

/// A payload on its way into the store, together with the entry that names its digest.
#[derive(Clone, Debug)]
pub struct SealedPayload {
    id: PayloadId,
    digest: [u8; 32],
    salt: [u8; 32],
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

    /// The row's values in the order of `insert into payload`; the record at `position` names it.
    pub(crate) fn values(&self, position: Position) -> [Value; 4] {
        [position.into(), (&self.id).into(), self.salt.into(), (&self.ciphertext).into()]
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
    pub fn seal_payload(&self, ctx: &Ctx, content: &[u8]) -> Result<SealedPayload, Fault> {
        let inner: &Inner = self.inner();
        let (id, salt) = (PayloadId::new(ctx.now, &*ctx.dice), inner.dice.bytes());
        let keys = inner.payload_root.keys(&salt)?;
        Ok(SealedPayload { digest: keys.digest(content), ciphertext: keys.seal(&id, content)?, salt, id })
    }

    /// Reads the payload that the record at `position` names; `None` when there is none of this id.
    pub async fn open_payload(&self, position: Position, id: &PayloadId) -> Result<Option<Payload>, Fault> {
        const SQL: &str = "select salt, ciphertext from payload where position = $1 and id = $2";
        let row = self.read().await?.row(SQL, &[position.into(), id.into()]).await?;
        let Some(row) = row else { return Ok(None) };
        let (Some(salt), Some(ciphertext)) = (row.opt_bytes(0)?, row.opt_bytes(1)?) else {
            return Ok(Some(Payload::Erased));
        };
        let keys = self.inner().payload_root.keys(&salt)?;
        let content = keys.open(id, ciphertext)?;
        let digest = keys.digest(&content);
        Ok(Some(Payload::Kept { content, digest }))
    }
}

impl Tx {
    /// Destroys the payload that the record at `position` names; says whether there was one to destroy. The caller
    /// commits `payload.erased`.
    pub async fn erase_payload(&mut self, position: Position, id: &PayloadId) -> Result<bool, Fault> {
        const SQL: &str = "update payload set salt = null, ciphertext = null \
                           where position = $1 and id = $2 and salt is not null";
        self.erases = true;
        Ok(self.exec(SQL, &[position.into(), id.into()]).await? == 1)
    }
}

/// The key from which all keys of payloads derive (HKDF-SHA-256, RFC 5869).
pub(crate) struct Root(Prk);

/// Opens the database's root key, and makes it when there is none.
pub(crate) async fn open_root(engine: &Engine, kek: &Kek, dice: &dyn Dice) -> Result<Root, Fault> {
    let mut conn = engine.begin_alone(Deadline::of_read()).await?;
    let row = conn.row("select sealed from payload_root where id = 1", &[]).await?;
    let root = if let Some(row) = row {
        conn.rollback().await?;
        kek.open_sealed(ROOT, &Sealed::from_bytes(row.bytes(0)?))?
    } else {
        let root = Zeroizing::new(dice.bytes::<32>());
        let sealed = kek.seal(ROOT, root.as_slice(), dice)?;
        conn.exec("insert into payload_root (id, sealed) values (1, $1)", &[sealed.as_bytes().into()])
            .await?;
        conn.commit().await?;
        Zeroizing::new(root.to_vec())
    };
    Ok(Root(Prk::new_less_safe(HKDF_SHA256, &root)))
}

impl Root {
    fn keys(&self, salt: &[u8]) -> Result<Keys, Fault> {
        let fault = |error| Fault::new("deriving a payload's keys", error);
        let mut both = Zeroizing::new([0; 64]);
        let info = [b"writ payload v1", salt];
        self.0.expand(&info, Both).and_then(|okm| okm.fill(both.as_mut_slice())).map_err(fault)?;
        let (sealing, digesting) = both.split_at(32);
        let sealing = UnboundKey::new(&AES_256_GCM, sealing).map_err(fault)?;
        Ok(Keys {
            sealing: LessSafeKey::new(sealing),
            digesting: hmac::Key::new(hmac::HMAC_SHA256, digesting),
        })
    }
}

/// As many bytes as both keys of a payload have.
struct Both;

impl KeyType for Both {
    fn len(&self) -> usize {
        64
    }
}

/// The two keys of one payload.
struct Keys {
    sealing: LessSafeKey,
    digesting: hmac::Key,
}

impl Keys {
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
