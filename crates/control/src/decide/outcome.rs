//! What became of allowed acts: queued, recorded together, never waited for.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::{Actor, Event, EventKind, Fault, Position, Timestamp};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::json;
use store::{Debit, Entry, Origin, Submitted};
use tokio::sync::mpsc;

use super::Caller;
use crate::control::Control;

/// Outcomes that may wait. More are left to the sweeper, which records them as unknown.
const QUEUE_MAX: usize = 8192;
/// Outcomes that may be on their way into the log at once.
const UNDER_WAY_MAX: usize = 1024;

/// What became of an allowed act.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whose act it was.
    pub caller: Caller,
    /// Where its intent stands.
    pub intent: Position,
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
pub(crate) struct UnderWay(Mutex<HashSet<Position>>);

impl UnderWay {
    fn set(&self) -> MutexGuard<'_, HashSet<Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, intent: Position) {
        self.set().insert(intent);
    }
}

/// Where outcomes are queued.
#[derive(Clone)]
pub struct Outcomes {
    queue: mpsc::Sender<Outcome>,
    control: Control,
}

impl Outcomes {
    /// Queues an outcome. A full queue loses it to the sweeper, and is counted.
    pub fn queue(&self, outcome: Outcome) {
        let intent = outcome.intent;
        let queued = self.queue.try_send(outcome);
        self.control.inner().under_way.set().remove(&intent);
        if queued.is_err() {
            metrics::counter!("writ_outcomes_left_to_the_sweeper_total").increment(1);
        }
    }
}

impl Control {
    /// The queue of outcomes, and the loop that empties it into the log until the queue is dropped.
    pub fn outcomes(&self) -> (Outcomes, impl Future<Output = ()> + Send + use<>) {
        let (sender, mut queue) = mpsc::channel(QUEUE_MAX);
        let control = self.clone();
        let run = async move {
            let mut under_way = FuturesUnordered::new();
            loop {
                tokio::select! {
                    outcome = queue.recv(), if under_way.len() < UNDER_WAY_MAX => match outcome {
                        Some(outcome) => under_way.push(control.record_outcome(outcome)),
                        None => break,
                    },
                    Some(()) = under_way.next(), if !under_way.is_empty() => {}
                }
            }
            while under_way.next().await.is_some() {}
        };
        (Outcomes { queue: sender, control: self.clone() }, run)
    }

    /// Says in the database what is under way here, before a sweep asks.
    pub async fn show_under_way(&self) -> Result<(), Fault> {
        let intents: Vec<Position> = self.inner().under_way.set().iter().copied().collect();
        self.store().under_way(&intents, self.now()).await
    }

    async fn record_outcome(&self, outcome: Outcome) {
        let ctx = self.ctx(Actor::Agent(outcome.caller.agent.clone()));
        let debits = self.spent(&outcome);
        let facts = json!({
            "intent": outcome.intent, "result": outcome.result, "code": outcome.code, "bytes": outcome.bytes,
            "answer_sha256": outcome.answer.map(hex::encode), "ended": outcome.ended,
        });
        let Caller { agent, task, .. } = outcome.caller;
        let event =
            Event { kind: EventKind::CallEnded, subject: Some(agent.into()), task: Some(task), data: facts };
        let entry = store::Outcome {
            origin: Origin::from(&ctx),
            event,
            intent: outcome.intent,
            debits,
            payload: None,
        };
        match self.store().submit(Entry::Outcome(Box::new(entry))).await {
            Ok(Submitted::Recorded(_)) => {}
            Ok(_) => metrics::counter!("writ_outcomes_left_to_the_sweeper_total").increment(1),
            Err(fault) => {
                tracing::error!(error = %fault, intent = %outcome.intent, "an outcome was left to the sweeper");
            }
        }
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
