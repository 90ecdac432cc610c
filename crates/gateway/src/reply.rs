//! Answers over HTTP.

use axum::{body::Body, response::Response};
use base::Charge;
use http::{HeaderName, HeaderValue, StatusCode, header};
use wire::{
    json::Json,
    mcp::{self, Id, RpcError, code},
};

use crate::{Unauthorized, room::Holding, upstream::SESSION_ID};

/// An answer that ends a request early. Boxed: it is the rare way.
#[derive(Debug)]
pub(crate) struct Stop(Box<Response>);

impl Stop {
    pub(crate) fn new(response: Response) -> Self {
        Self(Box::new(response))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status()
    }

    pub(crate) fn into_response(self) -> Response {
        *self.0
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// One JSON text.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

/// A JSON-RPC response with HTTP 200.
pub(crate) fn message(response: &mcp::Response) -> Response {
    json(StatusCode::OK, response.to_bytes())
}

/// A JSON-RPC response with the HTTP status that 2026-07-28 gives it.
pub(crate) fn stateless(response: &mcp::Response) -> Response {
    let status = response.outcome.as_ref().err().map_or(StatusCode::OK, |error| status_of(error.code));
    json(status, response.to_bytes())
}

/// An answer of a server to a client of 2026-07-28. What the client would have to be able to do has a status wherever it
/// comes from.
pub(crate) fn in_band(response: &mcp::Response) -> Response {
    let lacks = response.outcome.as_ref().is_err_and(|error| error.code == code::MISSING_CAPABILITY);
    json(if lacks { StatusCode::BAD_REQUEST } else { StatusCode::OK }, response.to_bytes())
}

/// An error of 2026-07-28 about the request itself, whatever it is.
pub(crate) fn stateless_refusal(id: Option<Id>, error: RpcError) -> Stop {
    let status = match status_of(error.code) {
        StatusCode::OK => StatusCode::BAD_REQUEST,
        other => other,
    };
    refusal_to(status, id, error)
}

/// MCP 2026-07-28, transports: errors about the request itself have statuses, what became of it has none. Wrong
/// parameters may be either; here they are what the server found wrong.
const fn status_of(error: i64) -> StatusCode {
    match error {
        code::METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        code::PARSE_ERROR
        | code::INVALID_REQUEST
        | code::HEADER_MISMATCH
        | code::MISSING_CAPABILITY
        | code::UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// An HTTP error whose body is a JSON-RPC error, so that clients of every generation can read it.
pub(crate) fn refusal(status: StatusCode, code: i64, why: impl Into<String>) -> Stop {
    refusal_to(status, None, RpcError::new(code, why))
}

/// The same in answer to a request whose id is known.
pub(crate) fn refusal_to(status: StatusCode, id: Option<Id>, error: RpcError) -> Stop {
    Stop::new(json(status, mcp::Response::error(id, error).to_bytes()))
}

/// HTTP 503 for what there is no room for just now.
pub(crate) fn busy(id: Option<Id>, why: impl Into<String>) -> Stop {
    let error = RpcError::new(code::INTERNAL_ERROR, why).with_code("busy");
    let mut response = refusal_to(StatusCode::SERVICE_UNAVAILABLE, id, error).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    Stop::new(response)
}

/// HTTP 400.
pub(crate) fn bad_request(why: impl Into<String>) -> Stop {
    refusal(StatusCode::BAD_REQUEST, code::BAD_REQUEST, why)
}

/// HTTP 404 for what is not there, or not for this caller.
pub(crate) fn missing() -> Stop {
    let body = Json::object([
        ("error", Json::from("not_found")),
        ("error_description", Json::from("there is no such MCP server here; check the name in the URL")),
    ]);
    Stop::new(json(StatusCode::NOT_FOUND, body.to_text()))
}

/// HTTP 404 for a session that is not (any more) the caller's: clients open a new one then.
pub(crate) fn no_session(id: Option<Id>) -> Stop {
    let error = RpcError::new(code::NO_SESSION, "session not found; send `initialize` to open a new one");
    refusal_to(StatusCode::NOT_FOUND, id, error)
}

/// HTTP 405; what is allowed, as the header says it.
pub(crate) fn wrong_method(allowed: &'static str) -> Stop {
    let why = format!("use {allowed} on this MCP endpoint");
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, code::BAD_REQUEST, why).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    Stop::new(response)
}

/// HTTP 202, without a body: the message was taken.
pub(crate) fn taken() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// A challenge, as the control plane made it.
pub(crate) fn challenge(unauthorized: Unauthorized) -> Stop {
    let Unauthorized { status, headers, body } = unauthorized;
    let mut response = json(status, body);
    response.headers_mut().extend(*headers);
    Stop::new(response)
}

/// An event stream.
pub(crate) fn stream(body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
    // Reverse proxies of the nginx family would otherwise hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Keeps the room of a large answer taken until the client has it, or lets go of it.
pub(crate) fn holding(response: Response, rooms: Vec<Charge>) -> Response {
    if rooms.is_empty() { response } else { response.map(|body| Body::new(Holding { body, _rooms: rooms })) }
}

/// Tells the client its session.
pub(crate) fn with_session(mut response: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(SESSION_ID, id);
    }
    response
}
