//! OAuth 2.1 messages: what clients send to the authorization server, and what it and the gate answer.
//!
//! Strict in what they take: a parameter that stands twice, a client that proves itself in two ways or a member nobody
//! knows is refused by name. Plain in what they give: absent members are left out, never `null`, because
//! real clients fail on `null`.

mod access;
mod assertion;
mod authorize;
mod challenge;
mod claims;
mod client;
mod error;
mod form;
mod introspection;
mod metadata;
mod pkce;
mod redirect;
mod registration;
mod request;
mod resource;
mod response;
mod task;

#[cfg(test)]
mod tests;

pub use access::{ACCESS_TOKEN_TYPE, AccessClaims, SignedIn};
pub use assertion::{AssertionRules, ClientAssertion, make_client_assertion, verify_client_assertion};
pub use authorize::{AuthorizationRequest, AuthorizationTarget, Prompt};
pub use challenge::{Challenge, DpopChallenge};
pub use claims::{ClaimsRequest, WantedAcr};
pub use client::{ClientAuthentication, ClientSecret};
pub use error::{ErrorCode, OAuthError};
pub use form::Form;
pub use introspection::{Introspection, TokenQuery};
pub use metadata::{
    Issuer, ResourceMetadata, ServerMetadata, protected_resource_path, server_metadata_paths,
};
pub use pkce::CodeChallenge;
pub use redirect::RedirectUri;
pub use registration::{ClientMetadata, RegisteredMethod, logout_uri};
pub use request::{CodeGrant, Exchange, ExchangeToken, Grant, ScopeSet, TokenKind, TokenRequest};
pub use resource::ResourceUri;
pub use response::{TokenResponse, TokenType};
pub use task::{NewTask, TASK_DETAILS_TYPE, TaskDetails, TaskLimits, TaskUntil};
