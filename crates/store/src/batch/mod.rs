//! The batch writer: what many calls must make durable shares one commit, and so one sync of the disk.
//!
//! One task per node takes what waits, up to 256 entries, writes it in one transaction and answers each entry
//! after the commit. An entry that is turned away leaves nothing behind and does not hold up the others. When the
//! task is gone, every [`crate::Store::submit`] is a fault, and no call is forwarded.

mod apply;
mod entry;
mod item;
mod proof;
mod usage;
mod writer;

pub use entry::{Debit, Denied, Entry, Intent, Limit, Outcome, ProofUse, Submitted};
pub(crate) use writer::{Job, start};
