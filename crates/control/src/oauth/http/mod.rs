//! The authorization server over HTTP: `/oauth2/*` and `/.well-known/*`.
//!
//! Everything under these paths answers in JSON, also what does not exist: clients that meet a page where they
//! expect a document give up.

mod answer;
mod body;
mod cors;
mod logout;
mod pages;
mod well_known;

use axum::{
    Router,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use http::request::Parts;
use wire::{
    json::Json,
    oauth::{ErrorCode, OAuthError},
};

use super::{
    asking::TOKEN_PATH,
    audience::Audience,
    device::{self, DEVICE_PATH},
    nonce::DPOP_NONCE,
    pushed::{PUSH_PATH, PUSHED_SECONDS},
};
use crate::{control::Control, http::address};
use answer::{json, method_not_allowed, nowhere, refuse};

/// Where a token's meaning is asked for.
pub(super) const INTROSPECT_PATH: &str = "/oauth2/introspect";
/// Where tokens are given up.
pub(super) const REVOKE_PATH: &str = "/oauth2/revoke";
/// Where the public keys are.
pub(super) const JWKS_PATH: &str = "/oauth2/jwks";
/// Where people are sent to agree.
pub(super) const AUTHORIZE_PATH: &str = "/oauth2/authorize";
/// Where clients register themselves (RFC 7591).
pub(super) const REGISTER_PATH: &str = "/oauth2/register";
/// Where people are sent to sign out (OpenID Connect RP-Initiated Logout 1.0).
pub(super) const LOGOUT_PATH: &str = "/oauth2/logout";

/// The routes of the authorization server, ready to be merged into the server's.
pub fn router(control: &Control) -> Router {
    Router::new()
        .route(TOKEN_PATH, post(token).route_layer(middleware::from_fn(body::read_form)))
        .route(REVOKE_PATH, post(revoke).route_layer(middleware::from_fn(body::read_form)))
        .route(JWKS_PATH, get(jwks))
        .route(PUSH_PATH, post(push).route_layer(middleware::from_fn(body::read_form)))
        .route(DEVICE_PATH, post(device).route_layer(middleware::from_fn(body::read_form)))
        .route(REGISTER_PATH, post(register).route_layer(middleware::from_fn(body::read_form)))
        .route(&Audience::UserInfo.to_string(), get(user_info).post(user_info))
        .merge(well_known::routes(control))
        // Before the layer, so that preflights reach it.
        .method_not_allowed_fallback(method_not_allowed)
        // Pages of other origins may discover, and get tokens with what they hold; what tokens mean is asked by servers.
        .layer(middleware::from_fn(cors::cors))
        .route(INTROSPECT_PATH, post(introspect).route_layer(middleware::from_fn(body::read_form)))
        .route(AUTHORIZE_PATH, get(pages::authorize).post(pages::authorize))
        .route(LOGOUT_PATH, get(logout::begin).post(logout::begin_by_form))
        .route("/consent", get(pages::consent).post(pages::decide))
        .route("/device", get(pages::device).post(pages::connect))
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
    let response = match answer {
        Ok(answer) => json(StatusCode::OK, &answer.to_json()),
        Err(error) => refuse(&headers, &error),
    };
    with_nonce(&control, response)
}

/// Gives the client the nonce for its next proof, where proofs need one (RFC 9449, section 8.2).
fn with_nonce(control: &Control, mut response: Response) -> Response {
    if let Some(nonce) = control.dpop_nonce(control.now()) {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
    response
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
        Ok(()) => json(StatusCode::OK, &Json::Object(wire::json::Object::new())),
        Err(error) => refuse(&headers, &error),
    }
}

async fn jwks(State(control): State<Control>) -> Response {
    let keys = control.snapshot().ring.public().to_json();
    answer::public(&keys)
}

async fn push(State(control): State<Control>, asked: Parts, body: Body) -> Response {
    let headers = &asked.headers;
    let answer = match form(headers, &body) {
        Ok(body) => control.push_request(headers, body, &address(&asked)).await,
        Err(error) => Err(error),
    };
    let response = match answer {
        Ok(uri) => {
            let body =
                Json::object([("request_uri", uri.expose().into()), ("expires_in", PUSHED_SECONDS.into())]);
            json(StatusCode::CREATED, &body)
        }
        Err(error) => refuse(headers, &error),
    };
    with_nonce(&control, response)
}

async fn device(State(control): State<Control>, asked: Parts, body: Body) -> Response {
    let headers = &asked.headers;
    let answer = match form(headers, &body) {
        Ok(body) => control.await_person(headers, body, &address(&asked)).await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(waiting) => {
            let page = format!("{}/device", control.settings().issuer());
            let code = device::shown(&waiting.user_code);
            let body = Json::object([
                ("device_code", waiting.device_code.expose().into()),
                ("user_code", code.as_str().into()),
                ("verification_uri", page.as_str().into()),
                ("verification_uri_complete", format!("{page}?user_code={code}").into()),
                ("expires_in", device::DEVICE_SECONDS.into()),
                ("interval", device::POLL_SECONDS.into()),
            ]);
            json(StatusCode::OK, &body)
        }
        Err(error) => refuse(headers, &error),
    }
}

async fn register(State(control): State<Control>, asked: Parts, body: Body) -> Response {
    let headers = &asked.headers;
    let invalid = |why: String| OAuthError::new(ErrorCode::InvalidClientMetadata, why);
    let read = body.map_err(|_| invalid("the body could not be read, or is larger than the limit".into()));
    let read = read.and_then(|body| {
        Json::parse(&body).map_err(|error| invalid(format!("the body is not strict JSON: {error}")))
    });
    let answer = match read {
        Ok(body) => control.register_client(&address(&asked), &body).await,
        Err(error) => Ok(Err(error)),
    };
    match answer {
        Ok(Ok(registered)) => json(StatusCode::CREATED, &registered.to_json()),
        Ok(Err(error)) => refuse(headers, &error),
        Err(base::Error::Refused(refusal)) => {
            let status = crate::http::status(refusal.class);
            let body = Json::object([
                ("error", ErrorCode::AccessDenied.as_str().into()),
                ("error_description", refusal.message.as_str().into()),
            ]);
            json(status, &body)
        }
        Err(error) => refuse(headers, &super::said::said(error)),
    }
}

async fn user_info(State(control): State<Control>, asked: Parts) -> Response {
    match control.user_info(&asked.headers, &asked.method).await {
        Ok(claims) => json(StatusCode::OK, &claims),
        Err(error) => {
            let refused = control.mcp_challenge(&Audience::UserInfo, &error);
            let mut response = (refused.status, refused.body).into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.extend(refused.headers);
            response
        }
    }
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
