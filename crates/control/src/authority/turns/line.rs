//! One line: each actor has one place in it, and behind that a queue of their own.

use std::collections::{HashMap, VecDeque};

use base::Actor;
use tokio::sync::oneshot;

use super::Turn;

/// How many writes of one actor may wait.
pub(super) const WAITING_PER_ACTOR_MAX: usize = 64;

/// Which of an actor's.
pub(super) type Number = u64;

/// Those who wait. An actor who has nothing more to write has no place, so this is as bounded as the actors are.
#[derive(Debug, Default)]
pub(super) struct Line {
    order: VecDeque<Actor>,
    waiting: HashMap<Actor, VecDeque<(Number, oneshot::Sender<Turn>)>>,
    last: Number,
}

impl Line {
    /// One more who waits, if that actor has not too many already.
    pub(super) fn stand(&mut self, actor: &Actor) -> Option<(Number, oneshot::Receiver<Turn>)> {
        let queue = self.waiting.entry(actor.clone()).or_default();
        if queue.is_empty() {
            self.order.push_back(actor.clone());
        }
        if queue.len() >= WAITING_PER_ACTOR_MAX {
            return None;
        }
        self.last += 1;
        let (given, mine) = oneshot::channel();
        queue.push_back((self.last, given));
        Some((self.last, mine))
    }

    /// The first one of the first actor, who goes to the end of the line.
    pub(super) fn next(&mut self) -> Option<oneshot::Sender<Turn>> {
        let actor = self.order.pop_front()?;
        let queue = self.waiting.get_mut(&actor)?;
        let (_, next) = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&actor);
        } else {
            self.order.push_back(actor);
        }
        Some(next)
    }

    /// One who does not wait any more, because they had their turn or went away.
    pub(super) fn leave(&mut self, actor: &Actor, number: Number) {
        let Some(queue) = self.waiting.get_mut(actor) else { return };
        queue.retain(|(each, _)| *each != number);
        if queue.is_empty() {
            self.waiting.remove(actor);
            self.order.retain(|each| each != actor);
        }
    }

    /// How many of an actor wait.
    #[cfg(test)]
    pub(super) fn count(&self, actor: &Actor) -> usize {
        self.waiting.get(actor).map_or(0, VecDeque::len)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty() && self.waiting.is_empty()
    }
}
