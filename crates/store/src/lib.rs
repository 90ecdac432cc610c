//! Storage: SQL behind a small face, the append-only log, group commit, sealed secrets.
//!
//! The ways in:
//!
//! * [`Store::begin`] and [`Tx::commit`]: a change together with the record of it;
//! * [`Store::submit`]: intents, refusals and outcomes of calls, many to one commit; [`Store::reserve`] for intents that
//!   are promised instead;
//! * [`Store::read`]: one consistent state;
//! * [`Store::follow`] and [`Store::head`]: the log, in order, and the proof of being fresh.
//!
//! What is absent on purpose: HTTP and the rules of the domain. What holds everywhere: a change is kept only with
//! its record; positions are gapless and in commit order; what was answered is durable; nothing is unbounded.

#![warn(missing_docs)]

mod batch;
mod deadline;
mod engine;
mod error;
mod file;
mod health;
mod keepsake;
mod log;
mod mark;
mod migrate;
mod open;
mod payload;
mod promise;
mod seal;
mod store;
mod sweep;
mod tree;
mod tx;
mod usage;
mod value;

pub use batch::{Debit, Denied, Entry, Intent, Limit, Outcome, ProofUse, Submitted};
pub use engine::Database;
pub use error::{SqlBusy, SqlConflict, SqlGone, conflict, is_busy, is_gone, is_undecided};
pub use log::{Ended, Head, Origin, Record, Seen};
pub use open::StoreConfig;
pub use payload::{Payload, SealedPayload};
pub use promise::Reservation;
pub use seal::Sealed;
pub use store::Store;
pub use sweep::Swept;
pub use tree::Export;
pub use tx::{Read, Tx, Unrecorded, View};
pub use usage::Used;
pub use value::{Bind, Row, Value};
