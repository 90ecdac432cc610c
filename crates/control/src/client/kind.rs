//! Clients that an administrator registered.

use base::{ClientId, Error, EventKind, Timestamp};
use serde::{Deserialize, Serialize};
use wire::oauth::{ClientMetadata, RedirectUri, RegisteredMethod, logout_uri};

use super::ClientRefusal;
use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::line,
    snapshot::Snapshot,
};

/// The kind of registered clients.
#[derive(Debug)]
pub struct Client;

/// What a client is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientUse {
    /// It acts for people as an agent, within tasks that they agree to.
    #[default]
    Agent,
    /// It learns who somebody is and nothing more (OpenID Connect).
    SignIn,
    /// It acts as the person at the API: a command line, a console.
    Person,
}

/// What a document says about a client. Keys and secrets are credentials of the client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSpec {
    /// What people read.
    pub display_name: String,
    /// What it is for.
    #[serde(default, rename = "use")]
    pub purpose: ClientUse,
    /// Where answers may go; `http` on loopback with any port.
    pub redirect_uris: Vec<String>,
    /// Where people may go on after they signed out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it hears that a session ended (OpenID Connect Back-Channel Logout 1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether it proves itself by a key or secret that is registered for it; public otherwise.
    #[serde(default)]
    pub confidential: bool,
    /// Whether its tokens must be bound to a key (DPoP, RFC 9449).
    #[serde(default)]
    pub dpop_required: bool,
    /// Whether its requests must be pushed (RFC 9126).
    #[serde(default)]
    pub par_required: bool,
}

/// A client as stored; nothing in it is a reference.
pub type ClientBody = ClientSpec;

impl ClientSpec {
    /// The same in the words of a registration.
    pub(super) fn metadata(&self) -> ClientMetadata {
        let uris = |uris: &[String]| uris.iter().filter_map(|uri| RedirectUri::parse(uri).ok()).collect();
        ClientMetadata {
            client_name: self.display_name.clone(),
            redirect_uris: uris(&self.redirect_uris),
            method: if self.confidential { RegisteredMethod::PrivateKeyJwt } else { RegisteredMethod::None },
            jwks: None,
            client_uri: None,
            post_logout_redirect_uris: uris(&self.post_logout_redirect_uris),
            backchannel_logout_uri: self.backchannel_logout_uri.clone(),
            dpop_bound_access_tokens: self.dpop_required,
        }
    }
}

impl Kind for Client {
    const KIND: &'static str = "Client";
    const PLURAL: &'static str = "clients";
    const SQL: Statements = statements!("client");
    const CREATED: EventKind = EventKind::ClientCreated;
    const UPDATED: EventKind = EventKind::ClientUpdated;
    const DELETED: Option<EventKind> = Some(EventKind::ClientDeleted);

    type Id = ClientId;
    type Spec = ClientSpec;
    type Body = ClientBody;

    fn resolve(
        mut spec: ClientSpec,
        _before: Option<&Thing<Self>>,
        _known: &Snapshot,
        _now: Timestamp,
    ) -> Result<ClientBody, Error> {
        spec.display_name = line("display_name", &spec.display_name)?;
        if spec.redirect_uris.is_empty() {
            return Err(ClientRefusal::Uri { field: "redirect_uris", why: "give at least one".into() }.into());
        }
        for (field, uris) in [
            ("redirect_uris", &spec.redirect_uris),
            ("post_logout_redirect_uris", &spec.post_logout_redirect_uris),
        ] {
            for uri in uris {
                RedirectUri::parse(uri)
                    .map_err(|error| ClientRefusal::Uri { field, why: error.description })?;
            }
        }
        if let Some(uri) = &spec.backchannel_logout_uri {
            logout_uri(uri).map_err(|error| ClientRefusal::Uri {
                field: "backchannel_logout_uri",
                why: error.description,
            })?;
        }
        Ok(spec)
    }

    fn spec(body: &ClientBody, _known: &Snapshot) -> ClientSpec {
        body.clone()
    }

    fn facts(body: &ClientBody) -> serde_json::Value {
        serde_json::json!({ "use": body.purpose, "confidential": body.confidential })
    }
}
