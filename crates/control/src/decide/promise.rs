//! Asynchronous mode: which acts may go on before their intents are durable (the one exception to the first law).

use base::Fault;
use policy::{Act, ActKind, Effect};
use store::Reservation;

use super::{Caller, Message, left::Left};
use crate::{catalogue::EffectSource, control::Control, snapshot::Snapshot, task::Task};

/// How many calls and bytes must be left to an act that does not wait until they are taken. Beyond what may wait for the
/// log at a time (5,120 calls of this node), so that no limit is passed; near it, acts wait.
const CALLS_LEFT_MIN: u64 = 8192;
const BYTES_LEFT_MIN: u64 = 256 * 1024 * 1024;

impl Control {
    /// Room for a promise, where the operator chose so and the act is of the right sort: the call of a tool that a person has
    /// confirmed as `read`, by a caller without a proof to use up, far from any limit. What is only decided as such a call,
    /// as the end of its task is, may do something else.
    pub(super) fn reserve(
        &self,
        known: &Snapshot,
        caller: &Caller,
        chain: &[&Task],
        act: &Act,
        message: &Message<'_>,
    ) -> Result<Option<Reservation<'_>>, Fault> {
        let is_chosen = self.settings().asynchronous_reads && message.is_call;
        if !is_chosen || caller.proof.is_some() || !is_confirmed_read(known, act) {
            return Ok(None);
        }
        let left = Left::of(chain, known)?;
        let is_far = left.calls >= CALLS_LEFT_MIN && left.bytes >= BYTES_LEFT_MIN;
        Ok(if is_far { self.store().reserve(message.bytes) } else { None })
    }
}

fn is_confirmed_read(known: &Snapshot, act: &Act) -> bool {
    let ActKind::Tool { name, effect: Effect::Read, .. } = &act.kind else { return false };
    let tool = known.tools.named(&format!("{}/{name}", act.server));
    tool.is_some_and(|tool| {
        tool.body.effect == Effect::Read && tool.body.effect_source == EffectSource::Confirmed
    })
}
