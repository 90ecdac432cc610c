//! Signed notes and verifier keys (C2SP signed-note 1.0), with Ed25519 (algorithm 0x01).

use std::{fmt, str::FromStr};

use aws_lc_rs::{
    digest,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const ED25519_ALGORITHM: u8 = 1;
/// Signature lines of one note; witnesses may add theirs to ours.
const SIGNATURES_MAX: usize = 100;
/// Bytes of one note.
const NOTE_BYTES_MAX: usize = 64 * 1024;

/// Why a note or key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The name of a key is empty or holds spaces, control characters or `+`.
    #[error("a key's name must be non-empty, without spaces and `+`")]
    Name,
    /// The text is not of the form `name+hash+base64`, its hash is wrong, or the algorithm is not Ed25519.
    #[error("not a verifier key of the form `name+hash+key` with Ed25519")]
    Key,
    /// The text is not a note: text that ends in a newline, an empty line, signature lines.
    #[error("not a signed note")]
    Form,
    /// No signature is by the key.
    #[error("no signature by `{0}`")]
    Unsigned(String),
    /// A signature by the key is wrong.
    #[error("the signature by `{0}` is wrong")]
    Forged(String),
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) { Err(NoteError::Name) } else { Ok(()) }
}

/// The first four bytes of SHA-256(name || 0x0A || algorithm || public key).
fn key_hash(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(name.as_bytes());
    context.update(&[b'\n', ED25519_ALGORITHM]);
    context.update(public);
    let hash = context.finish();
    let mut out = [0; 4];
    out.copy_from_slice(&hash.as_ref()[..4]);
    out
}

/// The public half of a log's key, with its name. Prints as a vkey: `name+hash+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    hash: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// A key from its name and Ed25519 public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), hash: key_hash(name, &public), public })
    }

    /// The key's name; for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519_ALGORITHM];
        key.extend(self.public);
        write!(f, "{}+{}+{}", self.name, hex::encode(self.hash), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key)?;
        let Some((&ED25519_ALGORITHM, public)) = key.split_first() else { return Err(NoteError::Key) };
        let key = Self::new(name, public.try_into().map_err(|_| NoteError::Key)?)?;
        if hex::encode(key.hash) == hash { Ok(key) } else { Err(NoteError::Key) }
    }
}

/// The private half: signs notes.
pub struct NoteSigner {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl NoteSigner {
    /// A signer from the 32 bytes of an Ed25519 seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key)?;
        Ok(Self { verifier: VerifierKey::new(name, public)?, pair })
    }

    /// The public half.
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The text with an empty line and the signature line. The text must end in a newline.
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        if !text.ends_with('\n') || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Form);
        }
        let mut blob = self.verifier.hash.to_vec();
        blob.extend(self.pair.sign(text.as_bytes()).as_ref());
        Ok(format!("{text}\n\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(blob)))
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[signer of {}]", self.verifier)
    }
}

/// A note taken apart, not verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote<'a> {
    /// The text, with its final newline.
    text: &'a str,
    signatures: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> SignedNote<'a> {
    /// Takes a note apart.
    pub fn parse(note: &'a str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX || note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::Form);
        }
        // The last empty line parts text and signatures; the text may hold empty lines itself.
        let (text, lines) =
            note.rfind("\n\n").map(|at| (&note[..=at], &note[at + 2..])).ok_or(NoteError::Form)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            let (name, blob) = line
                .strip_prefix("\u{2014} ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(NoteError::Form)?;
            check_name(name).map_err(|_| NoteError::Form)?;
            let blob = STANDARD.decode(blob).map_err(|_| NoteError::Form)?;
            if blob.len() < 5 || signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Form);
            }
            signatures.push((name, blob));
        }
        Ok(Self { text, signatures })
    }

    /// The text, if `key` signed it. Signatures by other keys do not matter.
    pub fn verify(&self, key: &VerifierKey) -> Result<&'a str, NoteError> {
        let mut unsigned = true;
        for (name, blob) in &self.signatures {
            let (hash, signature) = blob.split_at(4);
            if *name == key.name && hash == key.hash {
                if !key.verifies(self.text, signature) {
                    return Err(NoteError::Forged(key.name.clone()));
                }
                unsigned = false;
            }
        }
        if unsigned { Err(NoteError::Unsigned(key.name.clone())) } else { Ok(self.text) }
    }

    /// How many signature lines there are.
    pub fn signature_count(&self) -> usize {
        self.signatures.len()
    }
}
