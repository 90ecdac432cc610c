//! What the batch writer takes and what it answers.

use base::{AnyId, Event, Place, Position, Receipt, TaskId, Timestamp};

use crate::{Ended, Origin, SealedPayload};

/// One thing to be made durable together with whatever else waits at that moment.
#[derive(Debug)]
pub enum Entry {
    /// An act was allowed and is about to be forwarded.
    Intent(Box<Intent>),
    /// An act was refused.
    Denied(Box<Denied>),
    /// What became of an intent.
    Outcome(Box<Outcome>),
    /// A proof was used where nothing else is to be written.
    Proof(ProofUse),
    /// A record that changes no other row: a token was issued, a token request was refused.
    Event(Origin, Event),
}

/// The intent of a call.
#[derive(Debug)]
pub struct Intent {
    /// Who, where, when.
    pub origin: Origin,
    /// The record, of kind `call.allowed`.
    pub event: Event,
    /// The position of the state on which the decision rests.
    pub guard: Position,
    /// The digest of the exact act; comes back in the receipt.
    pub digest: [u8; 32],
    /// What the call takes from the limits of its task and of each of the task's ancestors.
    pub debits: Vec<Debit>,
    /// The sender's proof, if it gave one.
    pub proof: Option<ProofUse>,
    /// The call's content, kept apart.
    pub payload: Option<SealedPayload>,
}

/// A refusal on record.
#[derive(Debug)]
pub struct Denied {
    /// Who, where, when.
    pub origin: Origin,
    /// The record, of kind `call.denied`.
    pub event: Event,
    /// The sender's proof, if it gave one: it is used up by a refusal too.
    pub proof: Option<ProofUse>,
    /// The call's content, kept apart.
    pub payload: Option<SealedPayload>,
}

/// The outcome of a call; its record is of kind `call.ended`.
#[derive(Debug)]
pub struct Outcome {
    /// Who, where, when.
    pub origin: Origin,
    /// Whose call it was.
    pub subject: AnyId,
    /// Within which task.
    pub task: TaskId,
    /// What became of it.
    pub ended: Ended,
    /// The intent that it ends.
    pub intent: Place,
    /// Volume that flowed. It has happened, so it is counted even where it exceeds the limit; the next intent
    /// then meets a limit that is used up.
    pub debits: Vec<Debit>,
    /// The answer's content, kept apart.
    pub payload: Option<SealedPayload>,
}

/// Something taken from a task's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit {
    /// Whose limits.
    pub task: TaskId,
    /// Calls; not negative.
    pub calls: i64,
    /// Bytes; not negative.
    pub bytes: i64,
}

/// The use of a sender's proof (RFC 9449, section 11.1): each proof is good once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofUse {
    /// The digest of the proof's key and id.
    pub digest: [u8; 32],
    /// When the proof would be refused as too old, and its row may go.
    pub expires: Timestamp,
}

/// The answer of the batch writer. Everything but `Durable`, `Recorded` and `Noted` means that nothing of the
/// entry was kept.
#[derive(Debug)]
pub enum Submitted {
    /// The intent is durable.
    Durable(Receipt),
    /// The refusal, outcome or event is durable, at this position.
    Recorded(Position),
    /// The use of the proof is durable.
    Noted,
    /// Authority may have ended after the state that was decided on: decide again.
    Moved,
    /// This task's limit does not admit the act.
    Limited(TaskId, Limit),
    /// The proof was used before.
    Replayed,
    /// Too much waits already; try again shortly.
    Busy,
}

/// Which limit of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The number of calls.
    Calls,
    /// The number of bytes.
    Bytes,
    /// The task has no row of limits: it does not exist, or not any more.
    Absent,
}
