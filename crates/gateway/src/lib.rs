//! The data plane: it stands where agents act, asks the control plane before each act, and carries what is allowed.
//!
//! The way of a message through `/mcp/{server}`: the HTTP request is checked and bounded, its sender
//! authenticated, one JSON-RPC message parsed, the act authorised (which makes its intent durable), the permit used
//! up by forwarding exactly the message it was made for, the answer checked and carried back, the outcome reported.
//!
//! INVARIANTS:
//! - Nothing goes upstream without a [`policy::Permit`], or the standing that the permit of an opened session left.
//! - No header of the client goes upstream; upstream headers do not go to the client.
//! - The control plane is reached only through [`Plane`]; there is no SQL and no key here.

mod plane;
mod request;

pub use plane::{
    Asked, Authorized, Ending, Holder, Item, Outcome, Patience, Plane, Presented, Refused, ToolDefinition,
    Unauthorized, Upstream,
};
pub use request::{List, Request};
