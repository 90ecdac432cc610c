//! Sessions as values.

use base::{Class, Dice, Position, Refuse, Secret, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    opaque::{new_secret, sha256},
    principal::Proof,
};

/// How long a session lasts that is not used, in seconds.
pub(super) const IDLE_SECONDS: i64 = 8 * 3600;
/// How long a session lasts at most, in seconds.
pub(super) const SECONDS_MAX: i64 = 7 * 24 * 3600;
/// The same of a session that a link began: long enough to make a way in.
pub(super) const LINK_SECONDS_MAX: i64 = 15 * 60;
/// The most sessions of one person; one more ends the oldest.
pub(super) const SESSIONS_MAX: usize = 32;

/// A person's session in a browser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Whose it is, and how they proved themself.
    pub proof: Proof,
    /// When they last proved themself.
    pub proved: Timestamp,
    /// When it began.
    pub began: Timestamp,
    /// When it ends at the latest.
    pub expires: Timestamp,
    /// The generation of the log in which it was made.
    pub generation: i64,
    /// The position of the log at which it was made.
    pub position: Position,
    /// Where it was begun, as far as a browser tells.
    pub visitor: Visitor,
}

/// Who is at the other end, as far as a request tells. Shown to the person; nothing rests on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// What the browser calls itself, shortened.
    pub browser: String,
    /// From which address the connection came.
    pub address: String,
}

/// The secret of a session as it stands in a cookie.
#[derive(Clone)]
pub(crate) struct SessionSecret(Secret);

impl SessionSecret {
    pub(crate) fn new(dice: &dyn Dice) -> Self {
        Self(new_secret("", dice))
    }

    /// What a cookie holds, if it can be one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let well_formed =
            text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        well_formed.then(|| Self(Secret::new(text.to_owned())))
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        sha256(self.0.expose().as_bytes())
    }
}

/// Why a session does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionRefusal {
    /// Unknown, ended or over.
    #[error("the session is unknown, or it ended")]
    Over,
    /// There is none with this id, or it is another's.
    #[error("there is no such session")]
    Missing,
}

impl Refuse for SessionRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Over => Class::Unauthenticated,
            Self::Missing => Class::Missing,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Over => "session_over",
            Self::Missing => "not_found",
        }
    }

    fn help(&self) -> Option<String> {
        matches!(self, Self::Over).then(|| "sign in again".into())
    }
}
