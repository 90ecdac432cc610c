//! Reading requests: strictly, and with errors that name the field.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{PathRejection, QueryRejection},
    },
    http::request::Parts,
};
use base::limit;
use serde::de::DeserializeOwned;
use wire::json::Json;

use super::error::ApiError;

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
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        // A path that does not fit names nothing.
        path.map(|Path(parameters)| Self(parameters)).map_err(|_| ApiError::missing())
    }
}
