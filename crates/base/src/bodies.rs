//! The bytes of requests' bodies that are held at once: one budget for the whole process.
//!
//! A body is held from its first byte until its request is served. Whoever sends bodies and lets them lie holds
//! memory that way; so each sender has a share, strangers, agents and people have a part of the budget each, and
//! what is beyond these is refused before it is kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::Actor;

/// What a waiting request costs beside the bytes of its head and body.
const REQUEST_BYTES: usize = 4 * 1024;
/// What a sender may hold as long as anything at all is left: several forms, or a call.
const LITTLE_BYTES: usize = 64 * 1024;
/// The least room that is made for a body.
const ROOM_BYTES_MIN: usize = 1024;

/// Who sends a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Nobody that is known, from this network address.
    Stranger(Arc<str>),
    /// Somebody, by a verified credential.
    Known(Actor),
}

/// How many bytes may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// By all senders of a sort together; by those who hold more than a little, three quarters of it.
    pub all: usize,
    /// By one of them.
    pub one: usize,
}

/// How many bytes may be held by whom.
///
/// SECURITY: the parts are apart, so that strangers do not take what agents need, and agents do not take what people
/// need to stop them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// Strangers, by network address.
    pub strangers: Share,
    /// Agents and workloads.
    pub machines: Share,
    /// People.
    pub people: Share,
}

impl Shares {
    /// Of what servers answer: 256 MiB for agents and as much for people, of which one may have 64 MiB. Nobody is a stranger.
    pub const fn of_answers() -> Self {
        const MIB: usize = 1024 * 1024;
        let share = Share { all: 256 * MIB, one: 64 * MIB };
        Self { strangers: Share { all: 0, one: 0 }, machines: share, people: share }
    }
}

impl Default for Shares {
    /// 64 MiB in all.
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            strangers: Share { all: 16 * MIB, one: 4 * MIB },
            machines: Share { all: 32 * MIB, one: 8 * MIB },
            people: Share { all: 16 * MIB, one: 4 * MIB },
        }
    }
}

/// Why a body is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefusal {
    /// It is larger than it may be.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The sender holds all that one may.
    #[error("too much of what you sent waits to be served; try again shortly")]
    Share,
    /// All senders of this sort together hold all that they may.
    #[error("too much of what was sent waits to be served; try again shortly")]
    Spent,
}

/// All bodies that are held. Clones share them.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Mutex<Ledger>>);

impl Default for Bodies {
    fn default() -> Self {
        Self::new(Shares::default())
    }
}

impl Bodies {
    /// Nothing is held yet.
    pub fn new(shares: Shares) -> Self {
        let part = |share| Part { share, held: 0, by_sender: HashMap::new() };
        Self(Arc::new(Mutex::new(Ledger {
            strangers: part(shares.strangers),
            machines: part(shares.machines),
            people: part(shares.people),
        })))
    }

    /// A body of `sender` that is to come, whose head took `head_bytes`, and that may have `bytes_max`.
    pub fn begin(
        &self,
        sender: Sender,
        head_bytes: usize,
        bytes_max: usize,
    ) -> Result<HeldBody, BodyRefusal> {
        let mut charge = self.charge(sender);
        charge.grow(REQUEST_BYTES.saturating_add(head_bytes))?;
        Ok(HeldBody { charge, bytes_max, bytes: Vec::new() })
    }

    /// An account for what is held because of this sender; nothing yet.
    pub fn charge(&self, sender: Sender) -> Charge {
        Charge { bodies: self.clone(), sender, bytes: 0 }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        // Nothing panics while the lock is held, and counts that are whole stay whole.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes that are counted as held, until this is dropped.
#[derive(Debug)]
pub struct Charge {
    bodies: Bodies,
    sender: Sender,
    bytes: usize,
}

impl Charge {
    /// Counts so many bytes more.
    fn grow(&mut self, more: usize) -> Result<(), BodyRefusal> {
        self.bodies.with(|ledger| ledger.of(&self.sender).take(&self.sender, more))?;
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    /// Counts at least so many bytes in all.
    pub fn reach(&mut self, bytes: usize) -> Result<(), BodyRefusal> {
        match bytes.checked_sub(self.bytes) {
            None | Some(0) => Ok(()),
            Some(more) => self.grow(more),
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.bodies.with(|ledger| ledger.of(&self.sender).give_back(&self.sender, self.bytes));
    }
}

/// One body, held. Its room comes back when this is dropped, however its request ends.
#[derive(Debug)]
pub struct HeldBody {
    charge: Charge,
    bytes_max: usize,
    bytes: Vec<u8>,
}

impl HeldBody {
    /// Copies a piece. What a piece stands in is not kept: it may be much larger than the piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), BodyRefusal> {
        let needed = self.bytes.len().saturating_add(piece.len());
        if needed > self.bytes_max {
            return Err(BodyRefusal::TooLarge(self.bytes_max));
        }
        let room = self.bytes.capacity();
        if needed > room {
            let wanted = room.saturating_mul(2).max(needed).max(ROOM_BYTES_MIN).min(self.bytes_max);
            let more = wanted.saturating_sub(room);
            self.charge.grow(more)?;
            self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Whether its sender holds half of what one may, or more.
    pub fn is_of_hoarder(&self) -> bool {
        let Charge { bodies, sender, .. } = &self.charge;
        bodies.with(|ledger| {
            let part = ledger.of(sender);
            part.by_sender.get(sender).is_some_and(|&held| held >= part.share.one / 2)
        })
    }

    /// The bytes, for those who serve the request. They stay counted until this is dropped.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[derive(Debug)]
struct Ledger {
    strangers: Part,
    machines: Part,
    people: Part,
}

impl Ledger {
    const fn of(&mut self, sender: &Sender) -> &mut Part {
        match sender {
            Sender::Stranger(_) | Sender::Known(Actor::Anonymous) => &mut self.strangers,
            Sender::Known(Actor::Agent(_) | Actor::Workload(_)) => &mut self.machines,
            Sender::Known(Actor::Person(_) | Actor::System(_)) => &mut self.people,
        }
    }
}

/// One part of the budget. A sender that holds nothing has no entry.
#[derive(Debug)]
struct Part {
    share: Share,
    held: usize,
    by_sender: HashMap<Sender, usize>,
}

impl Part {
    fn take(&mut self, sender: &Sender, bytes: usize) -> Result<(), BodyRefusal> {
        let of_sender = self.by_sender.get(sender).copied().unwrap_or_default().saturating_add(bytes);
        if of_sender > self.share.one {
            return Err(BodyRefusal::Share);
        }
        let held = self.held.saturating_add(bytes);
        // The last quarter is for those who hold little: a few who take all that one may must not shut out the others.
        let all = if of_sender > LITTLE_BYTES { self.share.all / 4 * 3 } else { self.share.all };
        if held > all {
            return Err(BodyRefusal::Spent);
        }
        self.held = held;
        self.by_sender.insert(sender.clone(), of_sender);
        Ok(())
    }

    fn give_back(&mut self, sender: &Sender, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
        match self.by_sender.get_mut(sender) {
            Some(of_sender) if *of_sender > bytes => *of_sender -= bytes,
            Some(_) | None => drop(self.by_sender.remove(sender)),
        }
    }
}

#[cfg(test)]
mod tests;
