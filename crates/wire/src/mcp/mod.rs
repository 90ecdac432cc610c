//! The Model Context Protocol on the wire: JSON-RPC 2.0 messages, one at a time, as revisions 2025-03-26 to
//! 2026-07-28 frame them. The last of them knows no sessions; what it adds is in `stateless`.
//!
//! Messages are read from strict [`Json`](crate::json::Json) and keep everything that they hold, known or not: what
//! is decided on is what is forwarded.

mod denial;
mod error;
mod message;
mod method;
mod stateless;
mod version;

#[cfg(test)]
mod tests;

pub use denial::Denial;
pub use error::{RpcError, code};
pub use message::{Carried, Id, Invalid, Message, Notification, Request, Response};
pub use method::{Ask, Method, Notice};
pub use stateless::{
    Envelope, HeaderParam, STATELESS, TASKS_EXTENSION, decode_header, encode_header, meta, named_param,
};
pub use version::Revision;
