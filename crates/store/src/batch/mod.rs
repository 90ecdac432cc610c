//! The batch writer: what many calls must make durable shares one commit, and so one sync of the disk.
//!
//! One task per node takes what waits, up to 256 entries, writes it in one transaction and answers each entry
//! after the commit. An entry that is turned away leaves nothing behind and does not hold up the others. When the
//! task is gone, every [`crate::Store::submit`] is a fault, and no call is forwarded.
//!
//! An intent that was promised ([`crate::Store::reserve`]) is not turned away: its act goes on already. It is written with
//! what comes next, and tried again until it is.

mod apply;
mod entry;
mod item;
mod proof;
mod queue;
mod usage;
mod writer;

pub use entry::{Debit, Denied, Entry, Intent, Limit, Outcome, ProofUse, Submitted};
pub(crate) use item::Item;
pub(crate) use queue::{Queue, Refused};
pub(crate) use writer::start;
