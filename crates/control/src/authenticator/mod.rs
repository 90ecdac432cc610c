//! How persons prove themselves: passkeys, a password, a generator of codes, recovery codes, an address that they read.
//!
//! INVARIANT: everything that works once is spent by one guarded statement, whose effect is kept with the record of it.
//! INVARIANT: a password is never hashed before the limits were asked; hashing runs in a bounded pool.

mod invitation;
mod model;
mod password;
mod service;
mod store;
mod totp;

pub use invitation::{InvitationRefusal, Invited};
pub use model::{Authenticator, AuthenticatorKind, AuthenticatorRefusal};
pub(crate) use password::Hasher;
pub use password::{Cost, PASSWORD_CHARACTERS_MIN};
pub(crate) use service::{Ways, handle_of};
pub(crate) use totp::Seed;
