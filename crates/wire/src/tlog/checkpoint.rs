//! Checkpoints (C2SP tlog-checkpoint 1.0): origin, size, root, one per line; signed as a note.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Hash, NoteError, NoteSigner, SignedNote, VerifierKey};

/// The head of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, a URL without scheme; also the name of its key.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root of the tree of all of them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed. Without extension lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed checkpoint. The origin must be the signer's name.
    pub fn sign(&self, signer: &NoteSigner) -> Result<String, NoteError> {
        if self.origin != signer.verifier().name() {
            return Err(NoteError::Name);
        }
        signer.sign(&self.text())
    }

    /// Verifies a signed checkpoint of the log whose key this is.
    ///
    /// SECURITY: the text must be exactly what [`Checkpoint::text`] prints: no extension lines, no second spelling
    /// of a number or hash.
    pub fn verify(note: &str, key: &VerifierKey) -> Result<Self, NoteError> {
        let text = SignedNote::parse(note)?.verify(key)?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Form);
        };
        let root =
            STANDARD.decode(root).ok().and_then(|root| Hash::try_from(root).ok()).ok_or(NoteError::Form)?;
        let size = size.parse().map_err(|_| NoteError::Form)?;
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        if checkpoint.text() != text {
            return Err(NoteError::Form);
        }
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(NoteError::Name) }
    }
}
