//! Servers on this machine, as the gateway comes to them: by name.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

/// Starts servers that stand in the operator's own configuration.
///
/// SECURITY: a name is all that passes. No command, argument, variable or file is in reach of the gateway, so nothing that
/// came over the network can say what is run (threat class 23).
pub trait Local: Send + Sync + 'static {
    /// Starts a process of the server of this name. It may still turn out not to begin: see [`Pipes::end`].
    fn start(&self, name: &str) -> Result<Pipes, NotStarted>;
}

/// No server stands in the configuration.
impl Local for () {
    fn start(&self, _name: &str) -> Result<Pipes, NotStarted> {
        Err(NotStarted::Unknown)
    }
}

/// A process, by its ends. It is over, with everything that it has started, soon after both pipes are dropped.
pub struct Pipes {
    /// What it reads: a message a line.
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Resolves when it is over: with why it never began, where that is so.
    pub end: Pin<Box<dyn Future<Output = Option<NotStarted>> + Send>>,
    /// After how long without use it is ended.
    pub idle: Duration,
}

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// The configuration of this node names no such server.
    #[error("the configuration of this node has no local server of this name")]
    Unknown,
    /// A file is not the one that was pinned.
    #[error("a file of the local server is not the one that was pinned; it was not started")]
    Changed,
    /// Every process that it may have is in use.
    #[error("the local server has as many processes as it may; try again later")]
    Crowded,
    /// The system did not start it.
    #[error("the local server could not be started")]
    Failed,
}
