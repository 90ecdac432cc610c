//! Cross-origin requests (Fetch standard, section 3.2): discovery and token requests come from browsers, too.
//!
//! No cookie and no client certificate counts on these paths, so any origin may ask: it learns what it could ask
//! for from anywhere.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

const ALLOWED_HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, DPoP, MCP-Protocol-Version");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("WWW-Authenticate, DPoP-Nonce, Mcp-Session-Id");
const AN_HOUR: HeaderValue = HeaderValue::from_static("3600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Answers preflights, and says of every answer that scripts may read it.
pub(super) async fn cors(request: Request, next: Next) -> Response {
    let preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, AN_HOUR);
        open(headers);
        return response;
    }
    let mut response = next.run(request).await;
    open(response.headers_mut());
    response
}

fn open(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
}
