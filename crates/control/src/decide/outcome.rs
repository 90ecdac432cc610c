//! What became of allowed acts: queued, recorded together, never waited for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::{Actor, AnyId, Fault, Place, PlaceKey, Position, Timestamp};
use store::{Debit, Ended, Origin, Seen};

use super::Caller;
use crate::control::Control;

/// What became of an allowed act.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose act it was.
    pub caller: Caller,
    /// Where its intent stands.
    pub intent: Place,
    /// `done`, `failed`, `cut` or `unknown`.
    pub result: &'static str,
    /// Why, as a stable code, where it did not simply end well.
    pub code: Option<&'static str>,
    /// How many bytes came back.
    pub bytes: i64,
    /// SHA-256 over the canonical answer, where there was one.
    pub answer: Option<[u8; 32]>,
    /// When it ended.
    pub ended: Timestamp,
}

/// The intents whose acts are under way on this node.
///
/// INVARIANT: an intent is here from its permit to its outcome, so that no sweep takes a long act for a lost one.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<HashMap<PlaceKey, Place>>);

impl UnderWay {
    fn places(&self) -> MutexGuard<'_, HashMap<PlaceKey, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, intent: Place) {
        self.places().insert(intent.key(), intent);
    }
}

impl Control {
    /// Queues what became of an act, for its record. Nobody waits for it: what cannot be kept is left to the sweeper, which
    /// records it as unknown.
    pub fn conclude(&self, outcome: Outcome) {
        self.inner().under_way.places().remove(&outcome.intent.key());
        let ctx = self.ctx(Actor::Agent(outcome.caller.agent.clone()));
        let debits = self.spent(&outcome);
        let Outcome { caller, intent, result, code, bytes, answer, ended } = outcome;
        self.store().leave(store::Outcome {
            origin: Origin::from(&ctx),
            subject: AnyId::from(caller.agent),
            task: caller.task,
            ended: Ended { result, code, seen: Some(Seen { bytes, answer, at: ended }) },
            intent,
            debits,
            payload: None,
        });
    }

    /// Says in the database what is under way here, before a sweep asks.
    pub async fn show_under_way(&self) -> Result<(), Fault> {
        // One that has no position yet cannot be swept either.
        let intents: Vec<Position> =
            self.inner().under_way.places().values().filter_map(Place::position).collect();
        self.store().under_way(&intents, self.now()).await
    }

    /// The bytes that came back, for the task and each ancestor, also when they have ended meanwhile.
    fn spent(&self, outcome: &Outcome) -> Vec<Debit> {
        let known = self.snapshot();
        let mut debits = Vec::new();
        let mut next = Some(outcome.caller.task.clone());
        while let Some(id) =
            next.take().filter(|_| outcome.bytes > 0 && debits.len() < base::limit::TASK_DEPTH_MAX)
        {
            next = known.tasks.get(&id).and_then(|task| task.parent.clone());
            debits.push(Debit { task: id, calls: 0, bytes: outcome.bytes });
        }
        debits
    }
}
