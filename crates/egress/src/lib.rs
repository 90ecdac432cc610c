//! Fetches of addresses that strangers chose.
//!
//! SECURITY: a stranger who names an address makes the server open a connection. So there is one client for all such
//! addresses: `https` only; the name is resolved once, every address it has must be a public one, and the connection goes to
//! the address that was looked at; no redirect is followed; size, time and number are bounded. What is refused is told apart
//! only as far as the stranger knows it already.

#![warn(missing_docs)]

mod address;
mod client;

pub use address::is_public;
pub use client::{Egress, EgressRefusal, Fetched, Rules};
