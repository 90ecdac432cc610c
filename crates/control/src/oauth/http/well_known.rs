//! What the server says about itself: RFC 8414 and OpenID Connect Discovery in all URL forms, RFC 9728 per resource.
//!
//! INVARIANT: JSON or 404 only, whatever is asked for under `/.well-known`; no redirect, no page, no sign-in.

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use base::{Error, Fault};
use wire::oauth::{
    ErrorCode, Issuer, OAuthError, ResourceMetadata, ResourceUri, ServerMetadata, protected_resource_path,
    server_metadata_paths,
};

use super::{
    AUTHORIZE_PATH, INTROSPECT_PATH, JWKS_PATH, REVOKE_PATH,
    answer::{nowhere, public, refuse},
};
use crate::{
    control::Control,
    oauth::{asking::TOKEN_PATH, audience::Audience, said::said},
};

/// How clients prove themselves, preferred first.
const CLIENT_METHODS: [&str; 3] = ["private_key_jwt", "client_secret_basic", "client_secret_post"];

pub(super) fn routes(control: &Control) -> Router<Control> {
    let mut routes = Router::new()
        .route(&protected_resource_path(&Audience::Api.to_string()), get(api))
        .route(&protected_resource_path(&Audience::AllServers.to_string()), get(all_servers))
        .route(&protected_resource_path("/mcp/{server}"), get(mcp_server))
        .route("/.well-known", any(nowhere))
        .route("/.well-known/", any(nowhere))
        .route("/.well-known/{*rest}", any(nowhere));
    if let Ok(issuer) = issuer(control) {
        for path in server_metadata_paths(&issuer) {
            routes = routes.route(&path, get(server));
        }
    }
    routes
}

fn issuer(control: &Control) -> Result<Issuer, OAuthError> {
    Issuer::parse(&control.settings().issuer())
}

async fn server(State(control): State<Control>) -> Response {
    let document = issuer(&control).and_then(|issuer| {
        let issued = ServerMetadata {
            authorization_endpoint: Some(issuer.join(AUTHORIZE_PATH)),
            introspection_endpoint: Some(issuer.join(INTROSPECT_PATH)),
            revocation_endpoint: Some(issuer.join(REVOKE_PATH)),
            grant_types_supported: vec![
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ],
            token_endpoint_auth_methods_supported: CLIENT_METHODS.to_vec(),
            introspection_endpoint_auth_methods_supported: CLIENT_METHODS.to_vec(),
            revocation_endpoint_auth_methods_supported: CLIENT_METHODS.to_vec(),
            ..ServerMetadata::new(&issuer, TOKEN_PATH, JWKS_PATH)
        };
        issued.to_json().map_err(unwritable)
    });
    document.map_or_else(|error| refuse(&axum::http::HeaderMap::new(), &error), |document| public(&document))
}

async fn api(State(control): State<Control>) -> Response {
    resource(&control, &Audience::Api, "Writ API".to_owned())
}

async fn all_servers(State(control): State<Control>) -> Response {
    resource(&control, &Audience::AllServers, "all MCP servers behind Writ".to_owned())
}

async fn mcp_server(State(control): State<Control>, Path(server): Path<String>) -> Response {
    if control.snapshot().servers.named(&server).is_none() {
        return nowhere().await;
    }
    resource(&control, &Audience::Mcp(server.clone()), server)
}

fn resource(control: &Control, audience: &Audience, name: String) -> Response {
    let document = issuer(control).and_then(|issuer| {
        let resource = ResourceUri::parse(&audience.uri(issuer.as_str()))?;
        let metadata =
            ResourceMetadata { resource_name: Some(name), ..ResourceMetadata::new(&resource, &issuer, []) };
        metadata.to_json().map_err(unwritable)
    });
    let refused = |error: OAuthError| {
        let error = OAuthError::new(ErrorCode::ServerError, error.description);
        refuse(&axum::http::HeaderMap::new(), &error).into_response()
    };
    document.map_or_else(refused, |document| public(&document))
}

fn unwritable(error: serde_json::Error) -> OAuthError {
    said(Error::from(Fault::new("writing metadata", error)))
}
