//! Writ's own signing keys: made at first start, one of each algorithm, rotated without a failed request.
//!
//! A new key signs from the moment it is made; the one before it keeps verifying until everything it signed has
//! expired. The private halves are sealed at rest, and destroyed when their key stops signing.

mod model;
mod ring;
mod service;
mod store;

pub use model::{KeyState, VerifyingKey};
pub use ring::Ring;
pub use service::{KeyRefusal, VERIFY_SECONDS};
pub(crate) use store::{load_all, reload};
