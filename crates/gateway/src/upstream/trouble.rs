//! What can go wrong with a server.

use wire::mcp::{RpcError, code};

use super::NotStarted;
use crate::Ending;

/// A way in which a server, or the way to it, failed one request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Our own: the permit is of another message, or a header to inject is not acceptable.
    #[error("the message is not the permitted one")]
    NotPermitted,
    #[error("the server could not be reached")]
    Unreachable,
    #[error("the server could not be reached several times in a row and is left alone for a moment")]
    Resting,
    #[error("{0}")]
    Launch(NotStarted),
    #[error("too many requests or sessions of the server are open; try again later")]
    Crowded,
    #[error("the certificates of the server's own authority cannot be read")]
    Authority,
    #[error("the server did not begin to answer in time")]
    Silent,
    #[error("the server stopped answering midway")]
    Stalled,
    #[error("the connection to the server broke")]
    Broken,
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
    #[error("the server does not know the session any more")]
    SessionGone,
    #[error("the server answered with something that is not MCP: {0}")]
    Garbage(&'static str),
    #[error("the server answered with more than {0} bytes")]
    TooLarge(usize),
    #[error("too much of what servers answered waits for its clients; try again shortly")]
    NoRoom,
    #[error("the server ended its stream without an answer")]
    NoAnswer,
    #[error("the server speaks a revision of the protocol that this gateway does not")]
    Revision,
    #[error("the server asks something that this client cannot be asked here")]
    Wants,
    #[error("the client did not answer what the server asked")]
    Unanswered,
    #[error("the client took the request back")]
    Cancelled,
}

impl Trouble {
    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NotPermitted => "not_permitted",
            Self::Unreachable | Self::Launch(NotStarted::Failed) => "upstream_unreachable",
            Self::Resting => "upstream_resting",
            Self::Authority => "upstream_authority",
            Self::Launch(NotStarted::Unknown) => "upstream_unknown",
            Self::Launch(NotStarted::Changed) => "upstream_changed",
            Self::Launch(NotStarted::Crowded) | Self::Crowded => "upstream_crowded",
            Self::Silent => "upstream_timeout",
            Self::Stalled => "upstream_stalled",
            Self::Broken => "upstream_broken",
            Self::Status(_) => "upstream_status",
            Self::SessionGone => "upstream_session_gone",
            Self::Garbage(_) => "upstream_invalid",
            Self::TooLarge(_) => "upstream_too_large",
            Self::NoRoom => "answers_crowded",
            Self::NoAnswer => "upstream_no_answer",
            Self::Revision => "upstream_revision",
            Self::Wants => "upstream_wants",
            Self::Unanswered => "input_refused",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the server may have done what was asked.
    pub(crate) const fn ending(&self) -> Ending {
        match self {
            Self::NotPermitted
            | Self::Unreachable
            | Self::Resting
            | Self::Authority
            | Self::Launch(_)
            | Self::Crowded
            | Self::Status(_)
            | Self::SessionGone
            | Self::Revision
            | Self::Unanswered => Ending::Failed,
            Self::Silent
            | Self::Stalled
            | Self::Broken
            | Self::Garbage(_)
            | Self::TooLarge(_)
            | Self::NoRoom
            | Self::NoAnswer
            | Self::Wants
            | Self::Cancelled => Ending::Unknown,
        }
    }

    /// What the client reads.
    pub(crate) fn to_error(&self) -> RpcError {
        RpcError::new(code::INTERNAL_ERROR, self.to_string()).with_code(self.code())
    }
}
