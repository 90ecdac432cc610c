//! What became of a permitted act.

use std::sync::Arc;

use base::{Clock, Place};

use crate::{Ending, Outcome, Plane};

/// The open account of one intent.
///
/// INVARIANT: each permitted act is concluded exactly once: when the account is dropped without an ending, which
/// happens when the client leaves or a handler panics, the outcome is unknown.
pub(crate) struct Account<P: Plane> {
    plane: Arc<P>,
    caller: P::Caller,
    clock: Arc<dyn Clock>,
    intent: Place,
    is_open: bool,
    /// How many bytes have come back.
    pub(crate) bytes: u64,
}

impl<P: Plane> Account<P> {
    pub(crate) const fn new(plane: Arc<P>, caller: P::Caller, clock: Arc<dyn Clock>, intent: Place) -> Self {
        Self { plane, caller, clock, intent, is_open: true, bytes: 0 }
    }

    /// Concludes the act, unless it is concluded.
    pub(crate) fn end(&mut self, result: Ending, code: Option<&'static str>, digest: Option<[u8; 32]>) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        metrics::counter!("writ_mcp_acts_total", "ending" => result.as_str()).increment(1);
        let (intent, bytes, at) = (self.intent.clone(), self.bytes, self.clock.now());
        self.plane.conclude(&self.caller, Outcome { intent, result, code, bytes, digest, at });
    }
}

impl<P: Plane> Drop for Account<P> {
    fn drop(&mut self) {
        self.end(Ending::Unknown, Some("client_left"), None);
    }
}
