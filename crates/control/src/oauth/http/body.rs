//! Forms come before anybody is known: what they prove is in them.

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use base::{BodyRefusal, limit::FORM_BYTES_MAX};
use wire::oauth::{ErrorCode, OAuthError};

use super::answer::refuse;
use crate::http::{Unread, read, stranger};

/// Reads the form of a request.
///
/// SECURITY: strangers share a part of what may be held, by the address from which they come.
pub(super) async fn read_form(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read(&parts, body, stranger(&parts), FORM_BYTES_MAX).await {
        Ok(mut held) => {
            let response = next.run(Request::from_parts(parts, Body::from(held.take()))).await;
            drop(held);
            response
        }
        Err(unread) => refuse(&parts.headers, &said(unread)),
    }
}

fn said(unread: Unread) -> OAuthError {
    let invalid = |why: &str| OAuthError::new(ErrorCode::InvalidRequest, why);
    match unread {
        Unread::Broken => invalid("the body could not be read"),
        Unread::Late => invalid("the body did not come in time"),
        Unread::Refused(refusal @ BodyRefusal::TooLarge(_)) => invalid(&refusal.to_string()),
        Unread::Refused(refusal @ (BodyRefusal::Share | BodyRefusal::Spent)) => {
            OAuthError::new(ErrorCode::TemporarilyUnavailable, refusal.to_string())
        }
        Unread::Unguarded => OAuthError::new(ErrorCode::ServerError, "the endpoint is not guarded"),
    }
}
