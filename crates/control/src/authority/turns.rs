//! Writes of one node take turns, so that what one plans the next one knows. A stop goes first, and nobody's crowd of
//! writes keeps the others waiting.

use std::{
    collections::HashMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use base::{Error, Fault};
use store::{Tx, Unrecorded};
use tokio::sync::{Mutex as Line, OwnedMutexGuard};

use super::{Authority, AuthorityRefusal};

/// How many writes of one actor may wait.
const WAITING_PER_ACTOR_MAX: usize = 64;

/// Who may write next.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Everybody stands in line here, in order, but for those in a hurry.
    line: Line<()>,
    /// Whoever holds this writes. At most one of the line and those in a hurry contend for it.
    turn: Arc<Line<()>>,
    waiting: Arc<Mutex<HashMap<String, usize>>>,
}

/// The right to write now.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

impl Turns {
    /// Waits for a turn, for as long as the caller does.
    pub(super) async fn take(&self, by: &impl Authority) -> Result<Turn, Error> {
        let mine = Arc::clone(&self.turn).lock_owned();
        if by.is_urgent() {
            return Ok(Turn(mine.await));
        }
        let _counted = self.stand(by.ctx().actor.to_string())?;
        let _first = self.line.lock().await;
        Ok(Turn(mine.await))
    }

    /// Counts one more who waits.
    fn stand(&self, actor: String) -> Result<Standing, Error> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(actor.clone()).or_default();
        if *count >= WAITING_PER_ACTOR_MAX {
            return Err(AuthorityRefusal::Crowded.into());
        }
        *count += 1;
        Ok(Standing { actor, waiting: Arc::clone(&self.waiting) })
    }
}

/// One who waits; counted until dropped.
struct Standing {
    actor: String,
    waiting: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.actor) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.actor);
            }
        }
    }
}

/// A write transaction with the turn that it has. Dropping it rolls back and lets the next one begin.
pub(crate) struct Write {
    tx: Tx,
    turn: Turn,
}

impl Write {
    pub(super) const fn new(tx: Tx, turn: Turn) -> Self {
        Self { tx, turn }
    }

    /// Gives the writes up.
    pub(crate) async fn rollback(self) -> Result<(), Fault> {
        self.tx.rollback().await
    }

    /// Keeps the writes without a record, for one of the few reasons for which that is right.
    pub(crate) async fn commit_unrecorded(self, reason: Unrecorded) -> Result<(), Fault> {
        self.tx.commit_unrecorded(reason).await
    }

    /// For the commit; the turn must outlive it.
    pub(crate) fn into_parts(self) -> (Tx, Turn) {
        (self.tx, self.turn)
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
mod tests {
    use std::sync::{Arc, Mutex};

    use base::{Actor, Ctx, Error, Timestamp};

    use super::{Authority, Turns, WAITING_PER_ACTOR_MAX};
    use crate::{authority::Urgent, snapshot::Snapshot};

    struct Someone(Ctx);

    impl Authority for Someone {
        fn ctx(&self) -> &Ctx {
            &self.0
        }

        fn stands(&self, _known: &Snapshot) -> Result<(), Error> {
            Ok(())
        }
    }

    fn someone(name: &str) -> Someone {
        let ctx = testkit::ctx(Timestamp::from_millis(0), Arc::new(testkit::SeededDice::new(1)));
        Someone(ctx.acting_as(Actor::System(name.to_owned())))
    }

    #[tokio::test]
    async fn a_stop_goes_before_a_crowd_and_no_crowd_keeps_others_out() {
        let turns = Arc::new(Turns::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = turns.take(&someone("first")).await.unwrap();
        let write = |name: &'static str, is_urgent: bool| {
            let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
            tokio::spawn(async move {
                let by = someone(name);
                let turn =
                    if is_urgent { turns.take(&Urgent(&by)).await } else { turns.take(&by).await }.unwrap();
                order.lock().unwrap().push(name);
                drop(turn);
            })
        };
        let mut all: Vec<_> = (0..WAITING_PER_ACTOR_MAX).map(|_| write("flood", false)).collect();
        while turns.waiting.lock().unwrap().get("system:flood") != Some(&WAITING_PER_ACTOR_MAX) {
            tokio::task::yield_now().await;
        }
        assert!(turns.take(&someone("flood")).await.is_err(), "one more of the crowd");
        all.push(write("other", false));
        all.push(write("stop", true));
        tokio::task::yield_now().await;
        drop(held);
        for one in all {
            one.await.unwrap();
        }
        let order = order.lock().unwrap().clone();
        // The first of the line stood at the door already.
        assert_eq!(order.iter().position(|name| *name == "stop"), Some(1), "{order:?}");
        assert_eq!(order.len(), WAITING_PER_ACTOR_MAX + 2);
        assert!(turns.waiting.lock().unwrap().is_empty());
    }
}
