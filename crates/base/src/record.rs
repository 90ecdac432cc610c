//! The log's own vocabulary.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

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

/// Where an intent stands in the log: known from the start, or as soon as its record is durable.
///
/// Clones are equal, and two places are equal only when they are of one intent.
#[derive(Clone, Debug)]
pub struct Place(At);

#[derive(Clone, Debug)]
enum At {
    Known(Position),
    Promised(Arc<OnceLock<Position>>),
}

impl Place {
    /// The position, if it is known by now.
    pub fn position(&self) -> Option<Position> {
        match &self.0 {
            At::Known(position) => Some(*position),
            At::Promised(place) => place.get().copied(),
        }
    }

    /// What tells this place from all others that exist. It stays the same when the position becomes known.
    pub fn key(&self) -> PlaceKey {
        PlaceKey(match &self.0 {
            At::Known(position) => Told::Apart(position.0),
            At::Promised(place) => Told::Held(Arc::as_ptr(place).addr()),
        })
    }
}

/// See [`Place::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceKey(Told);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Told {
    Apart(i64),
    Held(usize),
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self(At::Known(position))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Place {}

/// As text for log lines: the position, or that it has none yet.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position() {
            Some(position) => position.fmt(f),
            None => f.write_str("promised"),
        }
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

/// Word of the log that a record will be durable shortly: what stands for a [`Receipt`] where an operator chose the
/// asynchronous mode, for acts that only read.
///
/// Neither cloneable nor copyable, like a receipt.
#[derive(Debug)]
pub struct Promise {
    place: Place,
    digest: [u8; 32],
}

impl Promise {
    /// A promise for the intent with this `digest`, and what is pledged for it.
    ///
    /// SECURITY: only the store's queue calls this, when it has taken the intent; `cargo xtask tidy` holds that.
    pub fn made(digest: [u8; 32]) -> (Self, Pledge) {
        let pledge = Pledge(Arc::new(OnceLock::new()));
        (Self { place: pledge.place(), digest }, pledge)
    }

    /// Where the record will stand.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The digest of the exact act that the record announces.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// The other side of a [`Promise`]: with whoever has to keep it.
#[derive(Debug)]
pub struct Pledge(Arc<OnceLock<Position>>);

impl Pledge {
    /// Where the record will stand.
    pub fn place(&self) -> Place {
        Place(At::Promised(Arc::clone(&self.0)))
    }

    /// Says that the record is durable, and where. The first word counts.
    pub fn keep(&self, position: Position) {
        self.0.get_or_init(|| position);
    }
}
