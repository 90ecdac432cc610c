//! The data plane: it stands where agents act, asks the control plane before each act, and carries what is allowed.
//!
//! The way of a message through `/mcp/{server}`, or through `/mcp` to one or all of the servers behind it ([`aggregate`]): the HTTP request is checked and bounded, its sender
//! authenticated ([`Gateway`]), one JSON-RPC message parsed, the act authorised, which makes its intent durable or promised
//! ([`Plane::authorize`]), the permit used up by forwarding exactly the message it was made for, the answer checked
//! and carried back, the outcome reported ([`Plane::conclude`]).
//!
//! INVARIANTS:
//! - Nothing goes upstream without a [`policy::Permit`], or the standing that the permit of an opened session left.
//! - No header of the client goes upstream; of upstream headers, only the session id is read.
//! - The control plane is reached only through [`Plane`]; there is no SQL and no key here.
//!
//! Client and server may be of different generations. Each side has its own form: [`Front`](front::Front) for the
//! client, [`Tongue`](tongue::Tongue) for the server; what lies between `authorize` and `conclude` knows neither, and
//! `translate` turns the results of one into those of the other.

mod account;
mod aggregate;
mod asking;
mod beforehand;
mod call;
mod config;
mod delivered;
mod door;
mod errands;
mod exchange;
mod filter;
mod front;
mod gateway;
mod greeting;
mod known;
mod leash;
mod listen;
mod listing;
mod notices;
mod opening;
mod openings;
mod outgoing;
mod parked;
mod plane;
mod post;
mod relay;
mod reply;
mod request;
mod resume;
mod rights;
mod room;
mod round;
mod session;
mod sessions;
mod settle;
mod state;
mod stateless;
mod stream;
mod tasks;
mod tongue;
mod translate;
mod upkeep;
mod upstream;

pub use config::{Config, Limits};
pub use gateway::Gateway;
pub use plane::{
    Asked, Authorized, Ending, Holder, Item, Outcome, Passes, Patience, Plane, Presented, Refused,
    ToolDefinition, Unauthorized, Upstream, View,
};
pub use request::{List, Request};
pub use upstream::{Discovered, Local, NotStarted, Pipes};
