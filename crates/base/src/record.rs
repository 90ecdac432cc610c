//! The log's own vocabulary.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a record: 1, 2, 3, without gaps, in commit order. Zero is before the first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub i64);

impl Position {
    /// Before the first record.
    pub const ZERO: Self = Self(0);

    /// The position `count` records later.
    #[must_use]
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0 + count)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Proof that a record is durable. Half of a permit; the other half is the decision.
///
/// Neither cloneable nor copyable: one durable intent makes one permit.
#[derive(Debug)]
pub struct Receipt {
    position: Position,
    digest: [u8; 32],
}

impl Receipt {
    /// Says that the record at `position`, whose intent has this `digest`, is durable.
    ///
    /// SECURITY: only the store's batch writer calls this, after the commit; `cargo xtask tidy` holds that.
    pub const fn durable(position: Position, digest: [u8; 32]) -> Self {
        Self { position, digest }
    }

    /// Where the record stands.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The digest of the exact act that the record announces.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}
