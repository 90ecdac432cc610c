//! Reading requests: strictly, and with errors that name the field.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
    middleware::Next,
    response::{IntoResponse, Response},
};
use base::limit;
use serde::de::DeserializeOwned;
use wire::json::Json;

use super::error::ApiError;

/// How long a client may take to send a body.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Reads the body before anything else looks at the request: bounded in size and time.
///
/// SECURITY: whoever asks is authenticated after this. A client that holds its body back would otherwise act on a
/// credential that was good when its headers came and has been revoked since.
pub(crate) async fn read_first(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = tokio::time::timeout(BODY_WAIT, axum::body::to_bytes(body, limit::BODY_BYTES_MAX)).await;
    match bytes {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(_)) => {
            ApiError::invalid("the body could not be read, or is larger than 1 MiB").into_response()
        }
        Err(_elapsed) => ApiError::invalid("the body did not come in time").into_response(),
    }
}

/// A JSON body. Duplicate members are refused, as are unknown ones where the type says so.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|_| ApiError::invalid("the body could not be read, or is larger than the limit"))?;
        if bytes.len() > limit::BODY_BYTES_MAX {
            return Err(ApiError::invalid("the body is larger than 1 MiB"));
        }
        Json::parse(&bytes)
            .map_err(|error| ApiError::invalid(&format!("the body is not strict JSON: {error}")))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ApiError::invalid(&format!("the body does not fit: {error}")))
    }
}

/// Query parameters; unknown ones are refused where the type says so.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(params)| Self(params)).map_err(|error| ApiError::invalid(&error.body_text()))
    }
}

/// Parameters of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        // A path that does not fit names nothing.
        path.map(|Path(parameters)| Self(parameters)).map_err(|_| ApiError::missing())
    }
}
