//! Offline proofs (`c2sp.org/tlog-proof@v1`): one entry, its path, and the checkpoint that it leads to.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Checkpoint, Hash, NoteError, ProofError, VerifierKey, leaf_hash, verify_inclusion};

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// A proof that an entry is in the log, for someone who has the entry and trusts the log's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfflineProof {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The inclusion proof.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

/// Why an offline proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfflineError {
    /// The text is not of the format.
    #[error("not a `c2sp.org/tlog-proof@v1`")]
    Form,
    /// The checkpoint is not the log's.
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] NoteError),
    /// The entry is not the one at this index.
    #[error("the entry is not in the log: {0}")]
    Proof(#[from] ProofError),
}

impl fmt::Display for OfflineProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl OfflineProof {
    /// Reads a proof. Extra data, which is not authenticated, is skipped.
    pub fn parse(text: &str) -> Result<Self, OfflineError> {
        let rest = text.strip_prefix(HEADER).ok_or(OfflineError::Form)?;
        let rest = match rest.strip_prefix("extra ") {
            Some(rest) => {
                let (extra, rest) = rest.split_once('\n').ok_or(OfflineError::Form)?;
                STANDARD.decode(extra).map_err(|_| OfflineError::Form)?;
                rest
            }
            None => rest,
        };
        let (index, mut rest) =
            rest.strip_prefix("index ").and_then(|rest| rest.split_once('\n')).ok_or(OfflineError::Form)?;
        let canonical = !index.starts_with('+') && (index == "0" || !index.starts_with('0'));
        let index = index.parse().ok().filter(|_| canonical).ok_or(OfflineError::Form)?;
        let mut path = Vec::new();
        loop {
            let (line, later) = rest.split_once('\n').ok_or(OfflineError::Form)?;
            rest = later;
            if line.is_empty() {
                break;
            }
            let hash = STANDARD.decode(line).ok().and_then(|hash| Hash::try_from(hash).ok());
            path.push(hash.filter(|_| path.len() < 64).ok_or(OfflineError::Form)?);
        }
        Ok(Self { index, path, checkpoint: rest.to_owned() })
    }

    /// Verifies that `entry` is in the log whose key this is; gives the checkpoint that says so.
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, OfflineError> {
        let checkpoint = Checkpoint::verify(&self.checkpoint, key)?;
        verify_inclusion(&leaf_hash(entry), self.index, checkpoint.size, &self.path, &checkpoint.root)?;
        Ok(checkpoint)
    }
}
