//! The two sides of a message: how its client speaks, and by which way it goes to the server.

use std::sync::Arc;

use wire::mcp::{Envelope, Response};

use crate::{reply, request::Generation, session::Session, tongue::Tongue};

/// How the client speaks.
pub(crate) enum Front {
    /// Within a session; what it can do was said when the session was opened.
    Session,
    /// In requests that stand for themselves.
    Stateless(Box<Told>),
}

/// What a request of 2026-07-28 says about itself, as far as it passes, and what it asks for.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) envelope: Envelope,
    /// SHA-256 of the act, which stays the same when the client asks again with answers.
    pub(crate) act: [u8; 32],
}

impl Front {
    /// An answer over HTTP, in the client's way.
    pub(crate) fn reply(&self, answer: &Response) -> axum::response::Response {
        match self {
            Self::Session => reply::message(answer),
            Self::Stateless(_) => reply::stateless(answer),
        }
    }

    pub(crate) const fn generation(&self) -> Generation {
        match self {
            Self::Session => Generation::Sessions,
            Self::Stateless(_) => Generation::Stateless,
        }
    }
}

/// By which way a message goes to the server.
#[derive(Clone)]
pub(crate) enum Route {
    /// As the first one of a session that is not yet open.
    Opening,
    /// Within a session: the client's own, or one that the gate keeps for a client that knows none.
    Within(Arc<Session>),
    /// By itself (2026-07-28).
    Alone,
}

impl Route {
    pub(crate) const fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Within(session) => Some(session),
            Self::Opening | Self::Alone => None,
        }
    }

    /// The generation that the server is spoken to in.
    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Opening => Generation::Sessions,
            Self::Alone => Generation::Stateless,
            Self::Within(session) => match session.tongue {
                Tongue::Session { .. } => Generation::Sessions,
                Tongue::Stateless => Generation::Stateless,
            },
        }
    }
}
