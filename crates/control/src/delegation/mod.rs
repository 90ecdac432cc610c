//! What persons let clients do, and take back.
//!
//! A person agrees to one client, for one resource, until an instant. Most delegations are an agent's within a task; a few let
//! a program act as the person, or only tell it who they are. Codes, refresh tokens and access tokens rest on a delegation
//! and end with it, whoever ends it.
//!
//! INVARIANT: codes and refresh tokens are spent by one guarded statement. One that comes a second time ends its delegation:
//! one of the two who have it is not the client (RFC 9700, section 4.14.2; RFC 6749, section 4.1.2).

mod agent;
mod model;
mod service;
mod store;

pub(crate) use agent::{ASSISTANT, name_for};
pub(crate) use model::{CodeTerms, Wanted, WantedPowers, WantedTask};
pub use model::{Delegation, DelegationRefusal, NamedClaims, Powers, SessionTie};
pub(crate) use service::{NewRefresh, Remembered, Ticket, keep_refresh};
pub(crate) use store::{Spent, load_all, reload, spend_code, spend_refresh};
