//! The way to the servers.

mod breaker;
mod client;
mod frames;
mod link;
mod outbound;
mod question;
mod trouble;

pub(crate) use client::{Client, LAST_EVENT_ID, METHOD, NAME, PROTOCOL_VERSION, SESSION_ID, Standing, Way};
pub(crate) use frames::Frames;
pub use link::{Local, NotStarted, Pipes};
pub(crate) use outbound::{Form, Outbound};
pub use question::Discovered;
pub(crate) use question::{Question, ourselves};
pub(crate) use trouble::Trouble;
