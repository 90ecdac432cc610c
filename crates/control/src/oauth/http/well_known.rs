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
    ErrorCode, Grant, Issuer, OAuthError, ResourceMetadata, ResourceUri, ServerMetadata,
    protected_resource_path, server_metadata_paths,
};

use super::{
    AUTHORIZE_PATH, INTROSPECT_PATH, JWKS_PATH, LOGOUT_PATH, REGISTER_PATH, REVOKE_PATH,
    answer::{nowhere, public, refuse},
};
use crate::{
    control::Control,
    oauth::{
        asked::IDENTITY_SCOPES, asking::TOKEN_PATH, audience::Audience, device::DEVICE_PATH,
        pushed::PUSH_PATH, said::said,
    },
    principal::Level,
};

/// How clients prove themselves, preferred first.
const CLIENT_METHODS: [&str; 3] = ["private_key_jwt", "client_secret_basic", "client_secret_post"];
/// What ID tokens and the user info endpoint may say.
const CLAIMS: [&str; 14] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "auth_time",
    "acr",
    "amr",
    "nonce",
    "sid",
    "name",
    "preferred_username",
    "email",
    "email_verified",
];

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
            registration_endpoint: control.settings().registration.then(|| issuer.join(REGISTER_PATH)),
            device_authorization_endpoint: Some(issuer.join(DEVICE_PATH)),
            pushed_authorization_request_endpoint: Some(issuer.join(PUSH_PATH)),
            userinfo_endpoint: Some(Audience::UserInfo.uri(issuer.as_str())),
            backchannel_logout_supported: control.inner().tell.get().is_some(),
            backchannel_logout_session_supported: control.inner().tell.get().is_some(),
            end_session_endpoint: Some(issuer.join(LOGOUT_PATH)),
            response_types_supported: vec!["code"],
            response_modes_supported: vec!["query"],
            scopes_supported: IDENTITY_SCOPES.map(str::to_owned).to_vec(),
            prompt_values_supported: vec!["none", "login", "consent", "select_account"],
            acr_values_supported: Level::ALL
                .into_iter()
                .filter(|level| *level > Level::Link)
                .map(Level::acr)
                .collect(),
            claims_supported: CLAIMS.to_vec(),
            claims_parameter_supported: true,
            authorization_response_iss_parameter_supported: true,
            client_id_metadata_document_supported: control.inner().fetch.get().is_some(),
            grant_types_supported: Grant::TYPES.to_vec(),
            token_endpoint_auth_methods_supported: [&["none"][..], &CLIENT_METHODS].concat(),
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
