//! The data plane: it stands where agents act, asks the control plane before each act, and carries what is allowed.
//!
//! The way of a message through `/mcp/{server}`: the HTTP request is checked and bounded, its sender
//! authenticated ([`Gateway`]), one JSON-RPC message parsed, the act authorised, which makes its intent durable
//! ([`Plane::authorize`]), the permit used up by forwarding exactly the message it was made for, the answer checked
//! and carried back, the outcome reported ([`Plane::conclude`]).
//!
//! INVARIANTS:
//! - Nothing goes upstream without a [`policy::Permit`], or the standing that the permit of an opened session left.
//! - No header of the client goes upstream; of upstream headers, only the session id is read.
//! - The control plane is reached only through [`Plane`]; there is no SQL and no key here.
//!
//! Revision 2026-07-28 and stdio are further ways to read and answer a message: they join at [`Request`] and keep
//! the part between `authorize` and `conclude`.

mod account;
mod call;
mod config;
mod door;
mod exchange;
mod gateway;
mod leash;
mod listing;
mod opening;
mod plane;
mod post;
mod reply;
mod request;
mod session;
mod sessions;
mod stream;
mod upkeep;
mod upstream;

pub use config::{Config, Limits};
pub use gateway::Gateway;
pub use plane::{
    Asked, Authorized, Ending, Holder, Item, Outcome, Patience, Plane, Presented, Refused, ToolDefinition,
    Unauthorized, Upstream,
};
pub use request::{List, Request};
