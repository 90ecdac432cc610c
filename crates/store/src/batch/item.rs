//! An entry on its way through the writer.

use base::{Fault, Position, Receipt};

use super::{Debit, Denied, Entry, Intent, Limit, Outcome, ProofUse, Submitted, writer::Reply};
use crate::{SealedPayload, log::Draft};

/// An entry taken apart: what it writes, and how it stands.
pub(super) struct Item {
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
    Intent { guard: Position, digest: [u8; 32] },
    Outcome { intent: Position },
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
    /// Takes an entry apart. One that can never be written gets its answer at once.
    pub(super) fn new(entry: Entry, reply: Option<Reply>) -> Option<Self> {
        match Self::take_apart(entry) {
            Ok((draft, role, debits, proof, payload)) => {
                Some(Self { reply, draft, role, debits, proof, payload, state: State::Good })
            }
            Err(fault) => {
                if let Some(reply) = reply {
                    // The caller may have gone away; nobody is left to tell.
                    drop(reply.send(Err(fault)));
                } else {
                    tracing::error!(%fault, "an outcome cannot be recorded");
                }
                None
            }
        }
    }

    fn take_apart(entry: Entry) -> Result<Parts, Fault> {
        match entry {
            Entry::Intent(intent) => {
                let Intent { origin, event, guard, digest, debits, proof, payload } = *intent;
                refuse_negative(&debits)?;
                let role = Role::Intent { guard, digest };
                Ok((Some(Draft::new(&origin, event)?), role, debits, proof, payload))
            }
            Entry::Denied(denied) => {
                let Denied { origin, event, proof, payload } = *denied;
                Ok((Some(Draft::new(&origin, event)?), Role::Other, Vec::new(), proof, payload))
            }
            Entry::Outcome(outcome) => {
                let Outcome { origin, event, intent, debits, payload } = *outcome;
                refuse_negative(&debits)?;
                let draft = Draft::new(&origin, event)?.ending(intent);
                Ok((Some(draft), Role::Outcome { intent }, debits, None, payload))
            }
            Entry::Proof(proof) => Ok((None, Role::Other, Vec::new(), Some(proof), None)),
            Entry::Event(origin, event) => {
                // Followers pass over what this node's batch writer wrote.
                if !event.kind.is_quiet() {
                    let reason =
                        format!("`{}` changes something and needs its change beside it", event.kind.as_str());
                    return Err(Fault::new("submitting to the log", reason));
                }
                Ok((Some(Draft::new(&origin, event)?), Role::Other, Vec::new(), None, None))
            }
        }
    }

    /// The end of an intent whose receipt nobody took: no permit was made, so nothing was forwarded.
    pub(super) fn never_forwarded(intent: Position, draft: Draft) -> Self {
        // Canonical as it stands: the members are in order.
        let data = format!(r#"{{"code":"not_forwarded","intent":{intent},"result":"failed"}}"#);
        Self {
            reply: None,
            draft: Some(draft.ended(intent, data)),
            role: Role::Outcome { intent },
            debits: Vec::new(),
            proof: None,
            payload: None,
            state: State::Good,
        }
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

    /// Whether it is an outcome that nobody waits for.
    pub(super) const fn was_left(&self) -> bool {
        self.reply.is_none() && matches!(self.role, Role::Outcome { .. })
    }

    /// The intent that the entry is the outcome of.
    pub(super) const fn ends(&self) -> Option<Position> {
        match self.role {
            Role::Outcome { intent } => Some(intent),
            Role::Intent { .. } | Role::Other => None,
        }
    }

    /// The position of the state that the entry was decided on, if it was.
    pub(super) const fn guard(&self) -> Option<Position> {
        match self.role {
            Role::Intent { guard, .. } => Some(guard),
            Role::Outcome { .. } | Role::Other => None,
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

type Parts = (Option<Draft>, Role, Vec<Debit>, Option<ProofUse>, Option<SealedPayload>);

/// SECURITY: a negative debit would give back what a task has used.
fn refuse_negative(debits: &[Debit]) -> Result<(), Fault> {
    match debits.iter().find(|debit| debit.calls < 0 || debit.bytes < 0) {
        Some(debit) => {
            Err(Fault::new("submitting to the log", format!("a negative debit of {}", debit.task)))
        }
        None => Ok(()),
    }
}
