//! Writ's own signing keys: made at first start, one of each algorithm, rotated without a failed request.
//!
//! A new key signs from the moment it is made; the one before it keeps verifying until everything it signed has
//! expired. The private halves are sealed at rest.

mod model;
mod store;

pub use model::{KeyState, VerifyingKey};
pub(crate) use store::{load_all, reload};
