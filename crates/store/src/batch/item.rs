//! An entry on its way through the writer.

use base::{Fault, Place, Pledge, Position, Promise, Receipt};

use super::{Debit, Denied, Entry, Intent, Limit, Outcome, ProofUse, Submitted, queue::Reply};
use crate::{Ended, SealedPayload, log::Draft};

/// An entry taken apart: what it writes, and how it stands.
pub(crate) struct Item {
    /// None for what nobody waits for.
    reply: Option<Reply>,
    pub(super) draft: Option<Draft>,
    pub(super) role: Role,
    pub(super) debits: Vec<Debit>,
    pub(super) proof: Option<ProofUse>,
    pub(super) payload: Option<SealedPayload>,
    pub(super) state: State,
}

/// What is special about an entry.
pub(super) enum Role {
    Intent {
        guard: Position,
        digest: [u8; 32],
    },
    /// An intent that was promised: its act goes on, so it is written whatever has happened since.
    Promised(Pledge),
    Outcome {
        intent: Place,
    },
    Other,
}

/// How an entry stands in the present attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing speaks against it so far.
    Good,
    Moved,
    Limited(base::TaskId, Limit),
    Replayed,
    /// The outcome of an intent that has one.
    Late,
    /// Written, at this position if it has a record.
    Written(Option<Position>),
}

impl Item {
    /// Takes an entry apart. All that can fail of one that can never be written, fails here.
    pub(crate) fn new(entry: Entry, reply: Reply) -> Result<Self, Fault> {
        Ok(Self { reply: Some(reply), ..Self::take_apart(entry)? })
    }

    fn take_apart(entry: Entry) -> Result<Self, Fault> {
        match entry {
            Entry::Intent(intent) => {
                let Intent { origin, event, guard, digest, debits, proof, payload } = *intent;
                refuse_negative(&debits)?;
                let item = Self::of(Draft::new(&origin, event)?, Role::Intent { guard, digest });
                Ok(Self { debits, proof, payload, ..item })
            }
            Entry::Denied(denied) => {
                let Denied { origin, event, proof, payload } = *denied;
                Ok(Self { proof, payload, ..Self::of(Draft::new(&origin, event)?, Role::Other) })
            }
            Entry::Outcome(outcome) => Self::outcome(*outcome),
            Entry::Proof(proof) => Ok(Self { proof: Some(proof), ..Self::with(None, Role::Other) }),
            Entry::Event(origin, event) => {
                // Followers pass over what this node's batch writer wrote.
                if !event.kind.is_quiet() {
                    let reason =
                        format!("`{}` changes something and needs its change beside it", event.kind.as_str());
                    return Err(Fault::new("submitting to the log", reason));
                }
                Ok(Self::of(Draft::new(&origin, event)?, Role::Other))
            }
        }
    }

    /// An intent that is promised, and the promise. All that can fail, fails here.
    ///
    /// SECURITY: no proof is among it; whether one was used before is only known when it is written.
    pub(crate) fn promised(intent: Intent) -> Result<(Self, Promise), Fault> {
        let Intent { origin, event, guard: _, digest, debits, proof: _, payload } = intent;
        refuse_negative(&debits)?;
        let draft = Draft::new(&origin, event)?;
        let (promise, pledge) = Promise::made(digest);
        let item = Self::of(draft, Role::Promised(pledge));
        Ok((Self { debits, payload, ..item }, promise))
    }

    /// What became of a call.
    pub(crate) fn outcome(outcome: Outcome) -> Result<Self, Fault> {
        let Outcome { origin, subject, task, ended, intent, debits, payload } = outcome;
        refuse_negative(&debits)?;
        let draft = Draft::of_end(&origin, Some(subject), Some(task), ended);
        let draft = match intent.position() {
            Some(position) => draft.ending(position),
            None => draft,
        };
        Ok(Self { debits, payload, ..Self::of(draft, Role::Outcome { intent }) })
    }

    /// The end of an intent whose receipt nobody took: no permit was made, so nothing was forwarded.
    fn never_forwarded(intent: Position, draft: Draft) -> Self {
        let draft = draft.ended(intent, Ended::NOT_FORWARDED);
        Self::of(draft, Role::Outcome { intent: intent.into() })
    }

    const fn of(draft: Draft, role: Role) -> Self {
        Self::with(Some(draft), role)
    }

    const fn with(draft: Option<Draft>, role: Role) -> Self {
        let debits = Vec::new();
        Self { reply: None, draft, role, debits, proof: None, payload: None, state: State::Good }
    }

    /// Whether it is an intent whose caller has gone: it is not worth writing any more.
    pub(super) fn is_abandoned(&self) -> bool {
        matches!(self.role, Role::Intent { .. }) && self.reply.as_ref().is_some_and(Reply::is_closed)
    }

    pub(super) fn is_good(&self) -> bool {
        self.state == State::Good
    }

    pub(super) const fn is_written(&self) -> bool {
        matches!(self.state, State::Written(_))
    }

    pub(super) fn is_moved(&self) -> bool {
        self.state == State::Moved
    }

    pub(super) fn is_late(&self) -> bool {
        self.state == State::Late
    }

    pub(super) const fn is_outcome(&self) -> bool {
        matches!(self.role, Role::Outcome { .. })
    }

    /// Whether it is a promise that is not kept yet, or the end of one: it is written sooner or later, whatever happens.
    pub(super) fn is_owed(&self) -> bool {
        match &self.role {
            Role::Promised(pledge) => pledge.place().position().is_none(),
            Role::Outcome { intent } => intent.position().is_none(),
            Role::Intent { .. } | Role::Other => false,
        }
    }

    pub(super) const fn is_promise(&self) -> bool {
        matches!(self.role, Role::Promised(_))
    }

    /// Whether somebody waits for it.
    pub(super) const fn is_awaited(&self) -> bool {
        self.reply.is_some()
    }

    /// The intent that it is the outcome of, if that was durable before.
    pub(super) fn ends(&self) -> Option<Position> {
        match &self.role {
            Role::Outcome { intent } => intent.position(),
            Role::Intent { .. } | Role::Promised(_) | Role::Other => None,
        }
    }

    /// The position of the state that the entry was decided on, where it is worth nothing without it.
    pub(super) const fn guard(&self) -> Option<Position> {
        match self.role {
            Role::Intent { guard, .. } => Some(guard),
            Role::Promised(_) | Role::Outcome { .. } | Role::Other => None,
        }
    }

    /// Answers the caller. After the commit, or for an entry of which nothing was kept. Gives what follows when the
    /// caller has gone: the end of an intent that nobody will forward.
    pub(super) fn answer(self) -> Option<Self> {
        let submitted = match (self.state, self.role) {
            // SECURITY: the only place where receipts are made; `Written` is set by an attempt, and answers are
            // given when its commit has returned.
            (State::Written(Some(position)), Role::Intent { digest, .. }) => {
                Ok(Submitted::Durable(Receipt::durable(position, digest)))
            }
            (State::Written(Some(position)), Role::Promised(pledge)) => {
                pledge.keep(position);
                return None;
            }
            (State::Written(Some(position)), Role::Outcome { .. } | Role::Other) => {
                Ok(Submitted::Recorded(position))
            }
            (State::Written(None) | State::Late, _) => Ok(Submitted::Noted),
            (State::Moved, _) => Ok(Submitted::Moved),
            (State::Limited(task, limit), _) => Ok(Submitted::Limited(task, limit)),
            (State::Replayed, _) => Ok(Submitted::Replayed),
            (State::Good, _) => Err(Fault::new("writing a batch", "an entry was left over")),
        };
        // The caller may have gone away; what is written stays written.
        let unheard = self.reply?.send(submitted).err()?;
        match (unheard, self.draft) {
            (Ok(Submitted::Durable(receipt)), Some(draft)) => {
                Some(Self::never_forwarded(receipt.position(), draft))
            }
            _ => None,
        }
    }

    /// Answers that the database was busy and nothing was kept.
    pub(super) fn put_off(self) {
        self.tell(Ok(Submitted::Busy));
    }

    pub(super) fn fail(self, fault: Fault) {
        self.tell(Err(fault));
    }

    fn tell(self, submitted: Result<Submitted, Fault>) {
        // The caller may have gone away; nobody is left to tell.
        drop(self.reply.map(|reply| reply.send(submitted)));
    }
}

/// SECURITY: a negative debit would give back what a task has used.
fn refuse_negative(debits: &[Debit]) -> Result<(), Fault> {
    match debits.iter().find(|debit| debit.calls < 0 || debit.bytes < 0) {
        Some(debit) => {
            Err(Fault::new("submitting to the log", format!("a negative debit of {}", debit.task)))
        }
        None => Ok(()),
    }
}
