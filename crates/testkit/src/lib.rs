//! What tests stand on: a clock that stands still, dice that repeat themselves, and real databases.
//!
//! Storage is never mocked. A test of anything that stores runs on SQLite in a temporary file and on a real
//! PostgreSQL that is started from the installed binaries, see [`each_database`].

#![warn(missing_docs)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test stops at the first surprise"
)]

mod bench;
mod clock;
mod dice;
mod postgres;
mod totp;

pub use bench::{Bench, ctx, each_database};
pub use clock::FixedClock;
pub use dice::SeededDice;
pub use postgres::{Held, Postgres};
pub use totp::totp;
