//! The Model Context Protocol on the wire: JSON-RPC 2.0 messages, one at a time, as revisions 2025-03-26 to
//! 2025-11-25 frame them.
//!
//! Messages are read from strict [`Json`](crate::json::Json) and keep everything that they hold, known or not: what
//! is decided on is what is forwarded.

mod denial;
mod error;
mod message;
mod method;
mod version;

#[cfg(test)]
mod tests;

pub use denial::Denial;
pub use error::{RpcError, code};
pub use message::{Carried, Id, Invalid, Message, Notification, Request, Response};
pub use method::{Method, Notice};
pub use version::Revision;
