//! Answers as OAuth clients want them: JSON, never cached, without nulls.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use wire::{
    json::Json,
    oauth::{ErrorCode, OAuthError},
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A document that holds or concerns secrets.
pub(super) fn json(status: StatusCode, body: &Json) -> Response {
    let mut response = (status, body.to_text()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A document for everybody, good for a minute.
pub(super) fn public(body: &Json) -> Response {
    let mut response = body.to_text().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}

/// A refusal. A client that came with an `Authorization` header is told which scheme it should have used
/// (RFC 6749, section 5.2).
pub(super) fn refuse(asked: &HeaderMap, error: &OAuthError) -> Response {
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &error.to_json());
    let headers = response.headers_mut();
    if error.code == ErrorCode::InvalidClient && asked.contains_key(header::AUTHORIZATION) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"writ\""));
    }
    if error.code == ErrorCode::TemporarilyUnavailable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// There is nothing at this path.
pub(super) async fn nowhere() -> Response {
    let body = Json::object([
        ("error", "not_found".into()),
        ("error_description", "there is nothing at this path".into()),
    ]);
    json(StatusCode::NOT_FOUND, &body)
}

/// There is something, but not for this method.
pub(super) async fn method_not_allowed() -> Response {
    let error = OAuthError::new(ErrorCode::InvalidRequest, "this path does not take this method");
    json(StatusCode::METHOD_NOT_ALLOWED, &error.to_json())
}
