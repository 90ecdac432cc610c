//! Refusals and faults.
//!
//! A refusal is expected and has a name: each concept lists its own in an enum that implements [`Refuse`]. A
//! fault is ours, opaque to the caller, and keeps its source for the operator. One table, at the edge, turns a
//! [`Class`] into an HTTP status or an OAuth error.

use std::fmt;

/// The eight kinds of "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request itself is wrong.
    Invalid,
    /// It is not proven who asks.
    Unauthenticated,
    /// The asker may not.
    Denied,
    /// There is no such thing, or the asker may not know of it.
    Missing,
    /// The present state does not admit it.
    Conflict,
    /// A limit is used up.
    Limited,
    /// Not now; try again.
    Busy,
    /// Our own failure.
    Fault,
}

/// What each concept's refusals can say.
///
/// `Display` (through `Error`) is the message: lower case, what happened and why, user input in backticks.
pub trait Refuse: std::error::Error {
    /// Which kind of "no".
    fn class(&self) -> Class;

    /// The stable code, for example `task_wider_than_parent`.
    fn code(&self) -> &'static str;

    /// What the caller can do next.
    fn help(&self) -> Option<String> {
        None
    }
}

/// A refusal on its way to the edge, without the type of its concept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind of "no".
    pub class: Class,
    /// The stable code.
    pub code: &'static str,
    /// What happened and why.
    pub message: String,
    /// What the caller can do next.
    pub help: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Our own failure: the database, the disk, a broken invariant. Its text is for the operator's log and never
/// for the caller.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct Fault {
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl Fault {
    /// A fault with its cause; `doing` says what was being done, for example `appending to the log`.
    pub fn new(doing: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { doing, source: source.into() }
    }
}

/// Either "no" or "we failed".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An expected refusal.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Our own failure.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl<R: Refuse> From<R> for Error {
    fn from(refusal: R) -> Self {
        Self::Refused(Refusal {
            class: refusal.class(),
            code: refusal.code(),
            message: refusal.to_string(),
            help: refusal.help(),
        })
    }
}
