//! Refusals as HTTP: the one table from classes to statuses.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base::{BodyRefusal, Class, Error, Refusal};
use serde::{Deserialize, Serialize};

use super::api::Need;
use crate::oauth::NONCE_WANTED;

/// What a refused request gets to read.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The stable code.
    pub code: String,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The one code whose status says more than its class.
const METHOD_NOT_ALLOWED: &str = "method_not_allowed";

/// A refusal on its way out.
#[derive(Debug)]
pub struct ApiError(Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ApiError {
    /// What it says, for services that refuse with it.
    pub(super) fn into_error(self) -> Error {
        self.0
    }

    /// Whether it is about a proof without a nonce, which goes out with the answer.
    pub(super) fn wants_nonce(&self) -> bool {
        matches!(&self.0, Error::Refused(refusal) if refusal.code == NONCE_WANTED)
    }

    fn refusal(class: Class, code: &'static str, message: &str, help: Option<&str>) -> Self {
        Self(Error::Refused(Refusal {
            class,
            code,
            message: message.to_owned(),
            help: help.map(str::to_owned),
        }))
    }

    pub(super) fn unauthenticated() -> Self {
        let help = "send `Authorization: Bearer TOKEN`; the command line takes it from WRIT_TOKEN";
        Self::refusal(
            Class::Unauthenticated,
            "unauthenticated",
            "this needs exactly one bearer token",
            Some(help),
        )
    }

    pub(super) fn unguarded() -> Self {
        Self::refusal(Class::Fault, "fault", "the operation is not guarded", None)
    }

    pub(super) fn stale() -> Self {
        Self::refusal(
            Class::Busy,
            "node_stale",
            "this node cannot prove that it knows the latest revocations",
            Some("try again shortly"),
        )
    }

    pub(super) fn full(refusal: BodyRefusal) -> Self {
        Self::refusal(Class::Busy, "busy", &refusal.to_string(), Some("try again shortly"))
    }

    pub(super) fn bodiless() -> Self {
        Self::refusal(Class::Invalid, "bad_request", "this operation takes no body; send none", None)
    }

    pub(super) fn unrecordable() -> Self {
        Self::refusal(
            Class::Busy,
            "log_unavailable",
            "the log takes no records; nothing is allowed until it does",
            Some("see the server's log and `writ doctor`"),
        )
    }

    pub(super) fn denied(need: Need) -> Self {
        let message = match need {
            Need::Administer => "this needs the permission `administer`",
            Need::Audit => "this needs the permission `audit`",
            Need::Nobody | Need::Anyone => "you may not do this",
        };
        Self::refusal(
            Class::Denied,
            "not_permitted",
            message,
            Some("ask an administrator for a role with it on `system`"),
        )
    }

    /// There is no such thing, or the asker may not know of it.
    pub fn missing() -> Self {
        Self::refusal(Class::Missing, "not_found", "there is no such thing here", None)
    }

    /// The same, with the name of something that the asker may know of and probably meant.
    pub(super) fn missing_like(meant: Option<&str>) -> Self {
        let help = meant.map(|name| format!("did you mean `{name}`?"));
        Self::refusal(Class::Missing, "not_found", "there is no such thing here", help.as_deref())
    }

    pub(super) fn method() -> Self {
        Self::refusal(Class::Invalid, METHOD_NOT_ALLOWED, "there is no such operation on this path", None)
    }

    /// The request itself is wrong.
    pub(super) fn invalid(message: &str) -> Self {
        Self::refusal(Class::Invalid, "bad_request", message, None)
    }
}

/// The status of each class.
pub(crate) const fn status(class: Class) -> StatusCode {
    match class {
        Class::Invalid => StatusCode::BAD_REQUEST,
        Class::Unauthenticated => StatusCode::UNAUTHORIZED,
        Class::Denied => StatusCode::FORBIDDEN,
        Class::Missing => StatusCode::NOT_FOUND,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Limited => StatusCode::TOO_MANY_REQUESTS,
        Class::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Class::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let refusal = match self.0 {
            Error::Refused(refusal) => refusal,
            Error::Fault(fault) if store::is_busy(&fault) => Refusal {
                class: Class::Busy,
                code: "busy",
                message: "the database is busy".into(),
                help: Some("try again shortly".into()),
            },
            Error::Fault(fault) if store::is_gone(&fault) => {
                tracing::error!(error = %fault, "the database cannot be reached");
                Refusal {
                    class: Class::Busy,
                    code: "database_unreachable",
                    message: "the database cannot be reached; nothing was changed".into(),
                    help: Some("try again shortly; whoever runs the server finds why in its log".into()),
                }
            }
            Error::Fault(fault) if store::is_undecided(&fault) => {
                tracing::error!(error = %fault, "a change was not acknowledged");
                Refusal {
                    class: Class::Busy,
                    code: "undecided",
                    message: "the database did not answer in time; the change may still be kept".into(),
                    help: Some("look whether it was kept before you try again".into()),
                }
            }
            Error::Fault(fault) => {
                // Logged once, here; the caller learns that it was us and nothing else.
                tracing::error!(error = %fault, "a request failed");
                let message = "something failed on our side; nothing was changed".into();
                Refusal {
                    class: Class::Fault,
                    code: "fault",
                    message,
                    help: Some("see the server's log".into()),
                }
            }
        };
        let status = if refusal.code == METHOD_NOT_ALLOWED {
            StatusCode::METHOD_NOT_ALLOWED
        } else {
            status(refusal.class)
        };
        let body = ErrorBody { code: refusal.code.into(), message: refusal.message, help: refusal.help };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if refusal.class == Class::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"writ\""));
        }
        if refusal.class == Class::Busy {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
