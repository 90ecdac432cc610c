//! Authenticators as values, and what a proof by them is worth.

use base::{AuthenticatorId, Class, PersonId, Refuse, Timestamp};
use serde::{Deserialize, Serialize};

/// Something that a person proves themself with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authenticator {
    /// Its id.
    pub id: AuthenticatorId,
    /// Whose it is.
    pub person: PersonId,
    /// What it is.
    pub kind: AuthenticatorKind,
    /// What the person called it.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// Whether it is on several devices, as it last said.
    #[serde(default)]
    pub synced: bool,
    /// What it verifies with: the hash of a password, the public half of a passkey, an address that was read. Nothing
    /// of a generator of codes, whose seed is sealed.
    pub verifier: String,
}

/// What an authenticator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthenticatorKind {
    /// A discoverable credential of Web Authentication that verifies who holds it.
    Passkey,
    /// A password.
    Password,
    /// A generator of time-based codes (RFC 6238).
    Totp,
    /// The fact that there are recovery codes.
    Codes,
    /// An address whose mail the person was shown to read.
    Email,
}

impl AuthenticatorKind {
    /// As written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Password => "password",
            Self::Totp => "totp",
            Self::Codes => "codes",
            Self::Email => "email",
        }
    }

    /// Whether a person can sign in by it alone.
    pub const fn signs_in(self) -> bool {
        matches!(self, Self::Passkey | Self::Password)
    }
}

/// What authenticators are refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorRefusal {
    /// There is none with this id, or it is another's.
    #[error("there is no such authenticator")]
    Missing,
    /// The password is too short or too long.
    #[error("a password has {min} to 1024 characters", min = super::PASSWORD_CHARACTERS_MIN)]
    Length,
    /// The password is one that is guessed early.
    #[error("this password would be guessed early")]
    Known,
    /// The code is not the one, or was used.
    #[error("the code is wrong or was used already")]
    Code,
    /// The passkey is one that somebody has already, or proves nothing.
    #[error("the passkey could not be added")]
    Passkey,
    /// There are too many.
    #[error("there are 20 passkeys already")]
    TooMany,
    /// Nothing would be left to sign in with.
    #[error("this is the last way to sign in")]
    Last,
    /// The label is no line of text.
    #[error("give 1 to 60 characters on one line")]
    Label,
}

impl Refuse for AuthenticatorRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Missing => Class::Missing,
            Self::Length | Self::Known | Self::Code | Self::Passkey | Self::Label => Class::Invalid,
            Self::TooMany | Self::Last => Class::Conflict,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "not_found",
            Self::Length => "password_length",
            Self::Known => "password_known",
            Self::Code => "wrong_code",
            Self::Passkey => "bad_passkey",
            Self::TooMany => "too_many_passkeys",
            Self::Last => "last_authenticator",
            Self::Label => "bad_text",
        }
    }
}
