//! Our errors in OAuth's words: the one table.

use base::{Class, Error};
use wire::oauth::{ErrorCode, OAuthError};

/// What the token endpoint says of an error of ours.
///
/// Nearly all that a token request can be refused for is the task that it asks for, so that is what most classes turn
/// into; a subject, a person or a task that is not alive is an invalid grant (RFC 6749, section 5.2).
pub(crate) fn said(error: Error) -> OAuthError {
    match error {
        Error::Refused(refusal) => {
            let code = match (refusal.class, refusal.code) {
                (Class::Denied, "agent_not_for_person") => ErrorCode::UnauthorizedClient,
                (Class::Unauthenticated, _) | (Class::Conflict, "task_ended" | "agent_not_active") => {
                    ErrorCode::InvalidGrant
                }
                (Class::Invalid | Class::Denied | Class::Missing | Class::Conflict, _) => {
                    ErrorCode::InvalidAuthorizationDetails
                }
                (Class::Limited | Class::Busy, _) => ErrorCode::TemporarilyUnavailable,
                (Class::Fault, _) => ErrorCode::ServerError,
            };
            let description = match refusal.help {
                Some(help) => format!("{}; {help}", refusal.message),
                None => refusal.message,
            };
            OAuthError::new(code, description)
        }
        // Neither leaves anything behind that somebody could use: no token was given out.
        Error::Fault(fault) if store::is_busy(&fault) || store::is_undecided(&fault) => busy(),
        Error::Fault(fault) if store::is_gone(&fault) => {
            tracing::error!(error = %fault, "the database cannot be reached");
            OAuthError::new(
                ErrorCode::TemporarilyUnavailable,
                "the database cannot be reached; no token was issued; try again shortly",
            )
        }
        Error::Fault(fault) => {
            // Logged once, here; the client learns that it was us and nothing else.
            tracing::error!(error = %fault, "a token request failed");
            OAuthError::new(ErrorCode::ServerError, "something failed on our side; no token was issued")
        }
    }
}

/// Not now.
pub(crate) fn busy() -> OAuthError {
    OAuthError::new(ErrorCode::TemporarilyUnavailable, "too much waits to be recorded; try again shortly")
}
