//! Why a call gets no permit.

use base::{Class, Fault, Refuse};
use policy::Answer;

use crate::snapshot::Dead;

/// Why a call gets no permit.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A decision, with the answer that the caller reads. It is on record.
    #[error("{}", .0.reason)]
    Denied(Box<Answer>),
    /// The credential, a principal or the task is not alive any more.
    #[error(transparent)]
    Dead(Dead),
    /// The server was stopped or moved while the request was on its way.
    #[error("the server was stopped or moved while the request was on its way")]
    ServerGone,
    /// The proof of possession was used before.
    #[error("the DPoP proof was used before")]
    ProofReplayed,
    /// This node has not seen the log for too long.
    #[error("this node cannot prove that it knows the latest revocations")]
    Stale,
    /// Too much waits already.
    #[error("too many calls wait to be recorded")]
    Busy,
    /// Our own failure.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Refused {
    /// Which kind of "no".
    pub fn class(&self) -> Class {
        match self {
            Self::Denied(_) => Class::Denied,
            Self::Dead(dead) => dead.class(),
            Self::ProofReplayed => Class::Unauthenticated,
            Self::ServerGone | Self::Stale | Self::Busy => Class::Busy,
            Self::Fault(_) => Class::Fault,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(answer) => answer.code,
            Self::Dead(dead) => dead.code(),
            Self::ServerGone => "server_gone",
            Self::ProofReplayed => "proof_replayed",
            Self::Stale => "node_stale",
            Self::Busy => "busy",
            Self::Fault(_) => "fault",
        }
    }
}

impl From<Dead> for Refused {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}
