//! Promises: intents that are durable shortly after their acts went on.
//!
//! For acts that only read, where an operator chose the asynchronous mode. What bounds the risk is held here: how much may be
//! promised at a time, for how long, and that nothing is promised while the log does not keep up.

use base::{Fault, Promise};

use crate::{Intent, Store, batch::Item, store::stopped};

/// Room for one promise. What is not used is given back.
#[must_use = "a reservation that is dropped promises nothing"]
pub struct Reservation<'a> {
    pub(crate) store: &'a Store,
    pub(crate) bytes: i64,
    pub(crate) is_used: bool,
}

impl Reservation<'_> {
    /// Promises an intent; none when authority may have ended after the state that was decided on: decide again.
    ///
    /// What the act takes from limits is taken whatever is left of them, so whoever asks sees to it that enough is. An intent
    /// with a sender's proof is a fault: whether the proof is good is known when it is written, not before.
    ///
    /// Whatever happens to this process afterwards, but for its death, the record is written: a batch that fails is tried
    /// again. Where it is not known whether it failed, the record may be written twice, and one of the two ends as unknown.
    pub fn promise(mut self, intent: Intent) -> Result<Option<Promise>, Fault> {
        let inner = self.store.inner();
        if intent.proof.is_some() {
            return Err(Fault::new("promising an intent", "it has a proof to use up"));
        }
        if inner.keeper.known().is_none_or(|head| intent.guard < head.guard) {
            return Ok(None);
        }
        let (item, promise) = Item::promised(intent)?;
        self.store.queue().promise(item, self.bytes).map_err(|_| stopped())?;
        self.is_used = true;
        Ok(Some(promise))
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.store.queue().release(self.bytes);
        }
    }
}
