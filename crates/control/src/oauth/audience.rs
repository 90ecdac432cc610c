//! What tokens are for: one server's MCP endpoint, that of all servers, or the API (RFC 8707).

use std::fmt;

use wire::oauth::ResourceUri;

use crate::snapshot::Snapshot;

const ALL: &str = "/mcp";
const MCP: &str = "/mcp/";
const API: &str = "/api/v1";
const USER_INFO: &str = "/oauth2/userinfo";

/// What a token is for. Each endpoint accepts tokens of exactly its own audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The API.
    Api,
    /// The MCP endpoint of the server with this name.
    Mcp(String),
    /// The MCP endpoint of all servers.
    AllServers,
    /// Where a client asks who somebody is (OpenID Connect Core 1.0, section 5.3).
    UserInfo,
}

impl Audience {
    /// The audience that a client names as a resource, if it is one of ours: the API, all servers, or one of the catalogue.
    pub fn of(resource: &ResourceUri, issuer: &str, known: &Snapshot) -> Option<Self> {
        let audience = Self::parse(resource.as_normal(), issuer)?;
        match &audience {
            Self::Mcp(server) if known.servers.named(server).is_none() => None,
            Self::Mcp(_) | Self::AllServers | Self::Api | Self::UserInfo => Some(audience),
        }
    }

    /// The audience that is written like this, whether the server is still there or not.
    pub fn parse(text: &str, issuer: &str) -> Option<Self> {
        let path = text.strip_prefix(issuer)?;
        if path == API {
            return Some(Self::Api);
        }
        if path == ALL {
            return Some(Self::AllServers);
        }
        if path == USER_INFO {
            return Some(Self::UserInfo);
        }
        path.strip_prefix(MCP)
            .filter(|name| name.parse::<base::Name>().is_ok())
            .map(|name| Self::Mcp(name.to_owned()))
    }

    /// The audience as it stands in tokens and metadata: the URL that clients are given.
    pub fn uri(&self, issuer: &str) -> String {
        format!("{issuer}{self}")
    }

    /// Whether `uri` is [its URI](Self::uri) at this issuer.
    pub fn is(&self, uri: &str, issuer: &str) -> bool {
        let Some(path) = uri.strip_prefix(issuer) else { return false };
        match self {
            Self::Api => path == API,
            Self::AllServers => path == ALL,
            Self::UserInfo => path == USER_INFO,
            Self::Mcp(server) => path.strip_prefix(MCP) == Some(server.as_str()),
        }
    }
}

impl fmt::Display for Audience {
    /// The path, for example `/mcp/crm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api => f.write_str(API),
            Self::AllServers => f.write_str(ALL),
            Self::UserInfo => f.write_str(USER_INFO),
            Self::Mcp(server) => write!(f, "{MCP}{server}"),
        }
    }
}
