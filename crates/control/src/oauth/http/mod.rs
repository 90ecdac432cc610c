//! The authorization server over HTTP: `/oauth2/*` and `/.well-known/*`.
//!
//! Everything under these paths answers in JSON, also what does not exist: clients that meet a page where they
//! expect a document give up.

mod answer;
mod body;
mod cors;
mod well_known;

use axum::{
    Router,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::Response,
    routing::{any, get, post},
};
use wire::oauth::{ErrorCode, OAuthError};

use super::asking::TOKEN_PATH;
use crate::control::Control;
use answer::{json, method_not_allowed, nowhere, refuse};

/// Where a token's meaning is asked for.
pub(super) const INTROSPECT_PATH: &str = "/oauth2/introspect";
/// Where tokens are given up.
pub(super) const REVOKE_PATH: &str = "/oauth2/revoke";
/// Where the public keys are.
pub(super) const JWKS_PATH: &str = "/oauth2/jwks";
/// Where people will consent; clients read its address from the metadata and some refuse metadata without one.
pub(super) const AUTHORIZE_PATH: &str = "/oauth2/authorize";

/// The routes of the authorization server, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    Router::new()
        .route(TOKEN_PATH, post(token).route_layer(middleware::from_fn(body::read_form)))
        .route(REVOKE_PATH, post(revoke).route_layer(middleware::from_fn(body::read_form)))
        .route(JWKS_PATH, get(jwks))
        .merge(well_known::routes(control))
        // Before the layer, so that preflights reach it.
        .method_not_allowed_fallback(method_not_allowed)
        // Pages of other origins may discover, and get tokens with what they hold; what tokens mean is asked by servers.
        .layer(middleware::from_fn(cors::cors))
        .route(INTROSPECT_PATH, post(introspect).route_layer(middleware::from_fn(body::read_form)))
        .route(AUTHORIZE_PATH, any(authorize))
        .route("/oauth2/{*rest}", any(nowhere))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(control.clone())
}

type Body = Result<Bytes, BytesRejection>;

async fn token(State(control): State<Control>, headers: HeaderMap, body: Body) -> Response {
    let answer = match form(&headers, &body) {
        Ok(body) => control.token(&headers, body).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer.to_json()),
        Err(error) => refuse(&headers, &error),
    }
}

async fn introspect(State(control): State<Control>, headers: HeaderMap, body: Body) -> Response {
    let answer = match form(&headers, &body) {
        Ok(body) => control.introspect(&headers, body).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) => json(StatusCode::OK, &answer.to_json()),
        Err(error) => refuse(&headers, &error),
    }
}

async fn revoke(State(control): State<Control>, headers: HeaderMap, body: Body) -> Response {
    let answer = match form(&headers, &body) {
        Ok(body) => control.revoke_access_token(&headers, body).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(()) => json(StatusCode::OK, &wire::json::Json::Object(wire::json::Object::new())),
        Err(error) => refuse(&headers, &error),
    }
}

async fn jwks(State(control): State<Control>) -> Response {
    let keys = control.snapshot().ring.public().to_json();
    answer::public(&keys)
}

/// There is no grant by redirect yet. The address is there because clients read it before they read which grants
/// there are; whoever comes here is told.
async fn authorize(headers: HeaderMap) -> Response {
    let why = "there is no authorization by redirect here; use `client_credentials` or token exchange";
    refuse(&headers, &OAuthError::new(ErrorCode::UnauthorizedClient, why))
}

/// The body of a form request.
fn form<'a>(headers: &HeaderMap, body: &'a Body) -> Result<&'a [u8], OAuthError> {
    let invalid = |why: &str| OAuthError::new(ErrorCode::InvalidRequest, why);
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(invalid("the body must be `application/x-www-form-urlencoded`"));
    }
    body.as_deref().map_err(|_| invalid("the body could not be read, or is larger than the limit"))
}
