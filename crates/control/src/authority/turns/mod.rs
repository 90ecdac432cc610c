//! Writes of one node take turns, so that what one plans the next one knows. A stop goes first, and nobody's crowd of
//! writes keeps the others waiting.

mod line;

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use base::{Actor, Ctx, Error, Fault};
use store::{Tx, Unrecorded};
use tokio::{sync::oneshot, time::Instant};

use super::{Authority, AuthorityRefusal};
use crate::snapshot::Snapshot;
use line::{Line, Number};

/// How many stops of one actor may be under way: they go before what others wait for.
const STOPS_PER_ACTOR_MAX: usize = 4;

/// Before whom a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Before nobody.
    None,
    /// It takes authority away, and others may be flooding.
    Stop,
    /// The same for somebody who may change everything.
    AdministratorsStop,
}

/// Who may write next.
#[derive(Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Ledger>>);

#[derive(Debug, Default)]
struct Ledger {
    is_taken: bool,
    /// Whether the last turn was an owner's stop: then one of the others goes next, so that whoever stops one thing
    /// after the other does not end everybody's writes.
    was_stop: bool,
    administrators: Line,
    stops: Line,
    others: Line,
    stopping: HashMap<Actor, usize>,
}

impl Ledger {
    const fn line(&mut self, haste: Haste) -> &mut Line {
        match haste {
            Haste::AdministratorsStop => &mut self.administrators,
            Haste::Stop => &mut self.stops,
            Haste::None => &mut self.others,
        }
    }

    /// Who has the turn next; nobody has it when nobody waits.
    fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let order = if self.was_stop { [Haste::None, Haste::Stop] } else { [Haste::Stop, Haste::None] };
        for haste in std::iter::once(Haste::AdministratorsStop).chain(order) {
            if let Some(next) = self.line(haste).next() {
                self.was_stop = haste == Haste::Stop;
                return Some(next);
            }
        }
        (self.is_taken, self.was_stop) = (false, false);
        None
    }
}

impl Turns {
    /// Waits for a turn, for as long as the caller does.
    pub(super) async fn take(&self, by: &impl Authority) -> Result<Turn, Error> {
        let (haste, actor) = (by.haste(), by.ctx().actor.clone());
        let (number, mine) = {
            let mut ledger = self.ledger();
            if !ledger.is_taken {
                ledger.is_taken = true;
                return Ok(Turn(Self(Arc::clone(&self.0))));
            }
            ledger.line(haste).stand(&actor).ok_or(AuthorityRefusal::Crowded)?
        };
        let _standing = Standing { turns: self, haste, actor, number };
        mine.await.map_err(|error| Fault::new("waiting for a turn", error).into())
    }

    /// Somebody's right as one that goes first, as far as they have not too many of these under way.
    pub(crate) fn hurry<'a, A: Authority>(&'a self, by: &'a A) -> Result<Urgent<'a, A>, Error> {
        let mut ledger = self.ledger();
        let count = ledger.stopping.entry(by.ctx().actor.clone()).or_default();
        if *count >= STOPS_PER_ACTOR_MAX {
            return Err(AuthorityRefusal::Crowded.into());
        }
        *count += 1;
        Ok(Urgent { by, turns: self })
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write now. Dropping it lets the next one write.
#[derive(Debug)]
pub(crate) struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.ledger().next();
        // Whoever left at this instant drops their turn in turn.
        drop(next.map(|next| next.send(Self(Turns(Arc::clone(&self.0.0))))));
    }
}

/// One who waits, until dropped.
struct Standing<'a> {
    turns: &'a Turns,
    haste: Haste,
    actor: Actor,
    number: Number,
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        self.turns.ledger().line(self.haste).leave(&self.actor, self.number);
    }
}

/// Somebody's right, for a write that goes before all that waits. Made by [`Turns::hurry`] only, which counts them.
pub(crate) struct Urgent<'a, A: Authority> {
    by: &'a A,
    turns: &'a Turns,
}

impl<A: Authority> Authority for Urgent<'_, A> {
    fn ctx(&self) -> &Ctx {
        self.by.ctx()
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        self.by.stands(known)
    }

    fn is_administrators(&self) -> bool {
        self.by.is_administrators()
    }

    fn haste(&self) -> Haste {
        if self.by.is_administrators() { Haste::AdministratorsStop } else { Haste::Stop }
    }
}

impl<A: Authority> Drop for Urgent<'_, A> {
    fn drop(&mut self) {
        let mut ledger = self.turns.ledger();
        let actor = &self.by.ctx().actor;
        if let Some(count) = ledger.stopping.get_mut(actor) {
            *count -= 1;
            if *count == 0 {
                ledger.stopping.remove(actor);
            }
        }
    }
}

/// A write transaction with the turn that it has. Dropping it rolls back and lets the next one begin.
pub(crate) struct Write {
    tx: Tx,
    turn: Turn,
    until: Instant,
}

impl Write {
    pub(super) const fn new(tx: Tx, turn: Turn, until: Instant) -> Self {
        Self { tx, turn, until }
    }

    /// Gives the writes up.
    pub(crate) async fn rollback(self) -> Result<(), Fault> {
        self.tx.rollback().await
    }

    /// Keeps the writes without a record, for one of the few reasons for which that is right.
    pub(crate) async fn commit_unrecorded(self, reason: Unrecorded) -> Result<(), Fault> {
        self.tx.commit_unrecorded(reason).await
    }

    /// For the commit, which the turn must outlive; and how long the turn should last at most.
    pub(crate) fn into_parts(self) -> (Tx, Turn, Instant) {
        (self.tx, self.turn, self.until)
    }
}

impl Deref for Write {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

#[cfg(test)]
mod tests;
