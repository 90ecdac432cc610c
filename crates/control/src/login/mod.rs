//! Signing in: from what a person shows to a session.
//!
//! INVARIANT: known and unknown names are treated alike, by what is answered and by what is done for it: the same statements,
//! the same hashing, the same record. Limits are asked before anything is hashed.

pub mod http;
mod recover;
mod service;
mod tries;
mod visit;

pub(crate) use http::{LOGIN_PATH, begin_passkey, expired, parameter};
pub use recover::{Mail, MailRefusal, Post};
pub(crate) use tries::Tries;
pub(crate) use visit::{Purpose, Visit};
