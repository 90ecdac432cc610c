//! Methods that nobody knows.

use base::{Actor, EventKind, Fault};
use serde_json::json;
use store::{Denied, Entry, Origin, Submitted};

use super::{Caller, Refused, evidence::event};
use crate::control::Control;

/// How much of a method's name is written down, in characters.
const SHOWN: usize = 128;

impl Control {
    /// Puts on record that a caller asked for a method that is not carried, and uses up the proof that came with it. There
    /// is nothing to decide: what nobody knows is denied. Without a server where all were asked.
    pub async fn deny_unknown(
        &self,
        caller: &Caller,
        server: Option<&str>,
        method: &str,
    ) -> Result<(), Refused> {
        let now = self.now();
        if !self.is_fresh(now) {
            return Err(Refused::Stale);
        }
        caller.alive(&self.snapshot(), now)?;
        let ctx = self.ctx(Actor::Agent(caller.agent.clone()));
        let shown: String = method.chars().take(SHOWN).collect();
        let facts = json!({ "code": "unknown_method", "method": shown, "server": server, "verdict": "deny" });
        let denied = Denied {
            origin: Origin::from(&ctx),
            event: event(EventKind::CallDenied, caller, facts.into()),
            proof: caller.proof.clone(),
            payload: None,
        };
        match self.store().submit(Entry::Denied(Box::new(denied))).await? {
            Submitted::Recorded(_) | Submitted::Noted => Ok(()),
            Submitted::Replayed => Err(Refused::ProofReplayed),
            Submitted::Busy => Err(Refused::Busy),
            Submitted::Durable(_) | Submitted::Moved | Submitted::Limited(..) => {
                Err(Fault::new("recording a refusal", "the log answered another question").into())
            }
        }
    }
}
