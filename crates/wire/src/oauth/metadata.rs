//! What servers say about themselves: RFC 8414 and OpenID Connect Discovery, RFC 9728.

use std::fmt;

use serde::Serialize;

use super::{ErrorCode, OAuthError, ResourceUri, TASK_DETAILS_TYPE};
use crate::{jose::Algorithm, json::Json, uri::strict_url};

/// The name of an authorization server: one string, byte for byte the same in metadata, tokens, `iss` parameters and
/// protected resource metadata. Without query, fragment and trailing slash, because clients compare it as text and
/// half of them disagree about the slash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// Reads an issuer as configured: an `http` or `https` URL in normal form.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let normal = strict_url(text).map(|url| url.as_str().to_owned());
        let slashless = text.trim_end_matches('/');
        let is_normal = normal.is_some_and(|normal| normal.trim_end_matches('/') == text);
        if is_normal && slashless == text && !text.contains(['?', '#']) {
            return Ok(Self(text.to_owned()));
        }
        Err(OAuthError::new(
            ErrorCode::InvalidRequest,
            "the public URL must be a normal http or https URL without query, fragment and slash at its end",
        ))
    }

    /// The issuer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An address below the issuer; `path` begins with a slash.
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The path of the issuer, empty or beginning with a slash.
    pub fn path(&self) -> &str {
        let authority = self.0.split_once("://").map_or("", |(_, rest)| rest);
        authority.find('/').map_or("", |at| &authority[at..])
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Metadata of the authorization server. One document for RFC 8414 and OpenID Connect Discovery 1.0, section 3, so
/// that every URL form answers the same. Absent endpoints and empty lists are left out (RFC 8414, section 3.2).
#[derive(Clone, Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the standards' flags, as they are")]
pub struct ServerMetadata {
    /// The issuer, byte for byte.
    pub issuer: String,
    /// Where people consent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Where tokens are made.
    pub token_endpoint: String,
    /// The keys.
    pub jwks_uri: String,
    /// Dynamic registration (RFC 7591).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// RFC 7662.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// RFC 7009.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// RFC 8628.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    /// RFC 9126.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// OpenID Connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<String>,
    /// OpenID Connect RP-Initiated Logout 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<String>,
    /// OpenID Connect Back-Channel Logout 1.0.
    #[serde(skip_serializing_if = "is_false")]
    pub backchannel_logout_supported: bool,
    /// Whether logout tokens name the session.
    #[serde(skip_serializing_if = "is_false")]
    pub backchannel_logout_session_supported: bool,
    /// How answers come back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_modes_supported: Vec<&'static str>,
    /// What may or must be asked of a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompt_values_supported: Vec<&'static str>,
    /// Authentication contexts, the weakest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_values_supported: Vec<&'static str>,
    /// Claims about persons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims_supported: Vec<&'static str>,
    /// Whether claims can be asked for one by one (OpenID Connect Core 1.0, section 5.5).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub claims_parameter_supported: bool,
    /// Always there, even when empty: both standards require it, and clients fail without.
    pub response_types_supported: Vec<&'static str>,
    /// Scopes; `offline_access` only where it is wanted, because clients ask for what is listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Grants.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub grant_types_supported: Vec<&'static str>,
    /// How clients prove themselves at the token endpoint; at the other endpoints likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// With which algorithms in `private_key_jwt`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// How clients prove themselves for introspection.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introspection_endpoint_auth_methods_supported: Vec<&'static str>,
    /// How clients prove themselves for revocation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revocation_endpoint_auth_methods_supported: Vec<&'static str>,
    /// PKCE methods; MCP clients stop when they do not find S256.
    pub code_challenge_methods_supported: Vec<&'static str>,
    /// RFC 9449.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dpop_signing_alg_values_supported: Vec<&'static str>,
    /// RFC 9396.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authorization_details_types_supported: Vec<&'static str>,
    /// RFC 9207. Said only when `iss` really is in every authorization response, errors too.
    #[serde(skip_serializing_if = "is_false")]
    pub authorization_response_iss_parameter_supported: bool,
    /// Client ID metadata documents.
    #[serde(skip_serializing_if = "is_false")]
    pub client_id_metadata_document_supported: bool,
    /// Subjects are the same for every client.
    pub subject_types_supported: Vec<&'static str>,
    /// Algorithms of ID tokens; RS256 is what clients without metadata expect.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !*value
}

impl ServerMetadata {
    /// What a server always says; optional endpoints are filled in by whoever serves them.
    pub fn new(issuer: &Issuer, token_path: &str, jwks_path: &str) -> Self {
        let algorithms: Vec<&str> = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect();
        Self {
            issuer: issuer.as_str().to_owned(),
            authorization_endpoint: None,
            token_endpoint: issuer.join(token_path),
            jwks_uri: issuer.join(jwks_path),
            registration_endpoint: None,
            introspection_endpoint: None,
            revocation_endpoint: None,
            device_authorization_endpoint: None,
            pushed_authorization_request_endpoint: None,
            userinfo_endpoint: None,
            end_session_endpoint: None,
            backchannel_logout_supported: false,
            backchannel_logout_session_supported: false,
            response_modes_supported: Vec::new(),
            prompt_values_supported: Vec::new(),
            acr_values_supported: Vec::new(),
            claims_supported: Vec::new(),
            claims_parameter_supported: false,
            response_types_supported: Vec::new(),
            scopes_supported: Vec::new(),
            grant_types_supported: Vec::new(),
            token_endpoint_auth_methods_supported: Vec::new(),
            token_endpoint_auth_signing_alg_values_supported: algorithms.clone(),
            introspection_endpoint_auth_methods_supported: Vec::new(),
            revocation_endpoint_auth_methods_supported: Vec::new(),
            code_challenge_methods_supported: vec!["S256"],
            dpop_signing_alg_values_supported: algorithms.clone(),
            authorization_details_types_supported: vec![TASK_DETAILS_TYPE],
            authorization_response_iss_parameter_supported: false,
            client_id_metadata_document_supported: false,
            subject_types_supported: vec!["public"],
            id_token_signing_alg_values_supported: algorithms,
        }
    }

    /// The document.
    pub fn to_json(&self) -> Result<Json, serde_json::Error> {
        Json::from_serialize(self)
    }
}

/// Metadata of a protected resource (RFC 9728): of one MCP endpoint, at the path form of its URL.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceMetadata {
    /// The resource: exactly the URL that clients are given.
    pub resource: String,
    /// The one authorization server; clients look at the first only.
    pub authorization_servers: Vec<String>,
    /// Scopes to ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes_supported: Vec<String>,
    /// Tokens come in the header only.
    pub bearer_methods_supported: Vec<&'static str>,
    /// RFC 9449.
    pub dpop_signing_alg_values_supported: Vec<&'static str>,
    /// Whether tokens without a key are refused.
    #[serde(skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens_required: bool,
    /// RFC 9396.
    pub authorization_details_types_supported: Vec<&'static str>,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

impl ResourceMetadata {
    /// The metadata of `resource`. `offline_access` is never among the scopes: it is a wish of clients towards the
    /// authorization server, not a right at a resource.
    pub fn new(resource: &ResourceUri, issuer: &Issuer, scopes: impl IntoIterator<Item = String>) -> Self {
        Self {
            resource: resource.as_written().to_owned(),
            authorization_servers: vec![issuer.as_str().to_owned()],
            scopes_supported: scopes.into_iter().filter(|scope| scope != OFFLINE_ACCESS).collect(),
            bearer_methods_supported: vec!["header"],
            dpop_signing_alg_values_supported: Algorithm::ALL
                .iter()
                .map(|algorithm| algorithm.as_str())
                .collect(),
            dpop_bound_access_tokens_required: false,
            authorization_details_types_supported: vec![TASK_DETAILS_TYPE],
            resource_name: None,
        }
    }

    /// The document.
    pub fn to_json(&self) -> Result<Json, serde_json::Error> {
        Json::from_serialize(self)
    }
}

/// The scope by which clients ask for refresh tokens.
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// Where the server's metadata is looked for: RFC 8414, section 3.1 (inserted), OpenID Connect Discovery as MCP clients
/// also try it (inserted) and as it is written (appended). Without a path of the issuer the forms fall together.
pub fn server_metadata_paths(issuer: &Issuer) -> Vec<String> {
    let path = issuer.path();
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
        format!("{path}/.well-known/oauth-authorization-server"),
    ];
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Where a protected resource's metadata lies (RFC 9728, section 3.1): `resource_path` begins with a slash.
pub fn protected_resource_path(resource_path: &str) -> String {
    let path = if resource_path == "/" { "" } else { resource_path };
    format!("/.well-known/oauth-protected-resource{path}")
}
