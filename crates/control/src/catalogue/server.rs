//! Upstream MCP servers.

use std::{collections::BTreeSet, sync::Arc};

use base::{AnyId, Error, EventKind, Fault, SecretId, ServerId, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use url::Url;

use super::CatalogueRefusal;
use crate::{
    kind::{Kind, Statements, Thing, statements},
    principal::{line, within},
    snapshot::Snapshot,
};

/// The kind of servers.
#[derive(Debug)]
pub struct Server;

/// Whether calls go to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// They do.
    #[default]
    Active,
    /// They do not.
    Stopped,
}

/// What passes between a server and clients only where somebody says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// The server may use the client's model (`sampling/createMessage`).
    Sampling,
    /// The server may see the client's folders (`roots/list`).
    Roots,
    /// The server's log lines reach the client (`notifications/message`).
    Logging,
}

/// What a document says about a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerSpec {
    /// The address of its MCP endpoint: `https`, or `stdio://NAME` for a server of the node's configuration file.
    pub url: String,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What Writ proves itself with; agents never see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<ServerCredential<String>>,
    /// How long an answer may take to begin, in seconds.
    #[serde(default = "default_timeout")]
    pub timeout_seconds: i64,
    /// What passes although it does not by itself: `sampling`, `roots`, `logging`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub passes: BTreeSet<Pass>,
    /// The certificates of its own authority (PEM): it is trusted by these alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_ca: Option<String>,
    /// Whether calls go to it.
    #[serde(default)]
    pub state: ServerState,
}

const fn default_timeout() -> i64 {
    60
}

/// A header that carries a secret: `{header}: {prefix}{secret}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerCredential<S> {
    /// The secret.
    pub secret: S,
    /// The header's name.
    #[serde(default = "default_header")]
    pub header: String,
    /// What stands before the secret.
    #[serde(default = "default_prefix")]
    pub prefix: String,
}

fn default_header() -> String {
    "authorization".into()
}

fn default_prefix() -> String {
    "Bearer ".into()
}

/// A server as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerBody {
    /// The address of its MCP endpoint.
    pub url: Url,
    /// What it is.
    pub description: String,
    /// What Writ proves itself with.
    pub credential: Option<ServerCredential<SecretId>>,
    /// How long an answer may take to begin, in seconds.
    pub timeout_seconds: i64,
    /// What passes although it does not by itself.
    #[serde(default)]
    pub passes: BTreeSet<Pass>,
    /// The certificates of its own authority, PEM.
    #[serde(default)]
    pub tls_ca: Option<Arc<str>>,
    /// Whether calls go to it.
    pub state: ServerState,
}

/// The scheme of servers that a node starts by itself, by the name under which they stand in its configuration file.
const LOCAL: &str = "stdio";

impl ServerBody {
    /// The address as an operator writes it.
    fn address(&self) -> String {
        let text = self.url.as_str();
        if self.url.scheme() == LOCAL { text.trim_end_matches('/').to_owned() } else { text.to_owned() }
    }

    /// The header that proves Writ to the server, from the vault. A server whose secret has no value gets no call.
    pub fn lease(&self, known: &Snapshot) -> Result<Option<(http::HeaderName, http::HeaderValue)>, Fault> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let fault = |why: &'static str| Fault::new("leasing a credential", why);
        let secret = known.vault.get(&credential.secret).ok_or_else(|| fault("the secret has no value"))?;
        let name = http::HeaderName::from_bytes(credential.header.as_bytes())
            .map_err(|_| fault("not a header name"))?;
        let value = format!("{}{}", credential.prefix, secret.expose());
        let mut value = http::HeaderValue::try_from(value).map_err(|_| fault("not a header value"))?;
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }
}

impl Kind for Server {
    const KIND: &'static str = "Server";
    const PLURAL: &'static str = "servers";
    const SQL: Statements = statements!("server");
    const CREATED: EventKind = EventKind::ServerCreated;
    const UPDATED: EventKind = EventKind::ServerUpdated;
    const DELETED: Option<EventKind> = Some(EventKind::ServerDeleted);

    type Id = ServerId;
    type Spec = ServerSpec;
    type Body = ServerBody;

    fn resolve(
        spec: ServerSpec,
        before: Option<&Thing<Self>>,
        known: &Snapshot,
        _now: Timestamp,
    ) -> Result<ServerBody, Error> {
        if let Some(before) = before
            && (before.body.state, spec.state) == (ServerState::Stopped, ServerState::Active)
        {
            return Err(CatalogueRefusal::Stopped(before.name.to_string()).into());
        }
        let description =
            if spec.description.is_empty() { String::new() } else { line("description", &spec.description)? };
        let url = endpoint(&spec.url)?;
        if url.scheme() == LOCAL && (spec.credential.is_some() || spec.tls_ca.is_some()) {
            return Err(CatalogueRefusal::Url {
                url: spec.url.chars().take(200).collect(),
                why: "is no HTTP, so neither `credential` nor `tls_ca` goes with it; a local server gets its secrets from `env_file` in the configuration of the node",
            }
            .into());
        }
        Ok(ServerBody {
            url,
            description,
            credential: spec
                .credential
                .map(|credential| resolve_credential(credential, known))
                .transpose()?,
            timeout_seconds: within("timeout_seconds", spec.timeout_seconds, 1, 3600)?,
            passes: spec.passes,
            tls_ca: spec.tls_ca.map(|pem| authority(&pem)).transpose()?,
            state: spec.state,
        })
    }

    fn spec(body: &ServerBody, known: &Snapshot) -> ServerSpec {
        ServerSpec {
            url: body.address(),
            description: body.description.clone(),
            credential: body.credential.as_ref().map(|credential| ServerCredential {
                secret: known.secrets.name_of(&credential.secret),
                header: credential.header.clone(),
                prefix: credential.prefix.clone(),
            }),
            timeout_seconds: body.timeout_seconds,
            passes: body.passes.clone(),
            tls_ca: body.tls_ca.as_deref().map(str::to_owned),
            state: body.state,
        }
    }

    fn held_by(thing: &Thing<Self>, known: &Snapshot) -> Option<String> {
        let id = AnyId::from(&thing.id);
        let grant = known.grants.iter().find(|grant| grant.body.on.id().as_ref() == Some(&id));
        let tool = || known.tools.iter().find(|tool| tool.body.server == thing.id);
        grant
            .map(|grant| format!("grant `{}` is on server `{}`", grant.name, thing.name))
            .or_else(|| tool().map(|tool| format!("tool `{}` is still in the catalogue", tool.name)))
    }

    fn facts(body: &ServerBody) -> serde_json::Value {
        // The address says where secrets go; it holds none itself.
        let credential = body.credential.as_ref().map(|credential| {
            serde_json::json!({ "secret": credential.secret, "header": credential.header, "prefix": credential.prefix })
        });
        serde_json::json!({ "state": body.state, "url": body.url, "credential": credential })
    }
}

/// The address of an MCP endpoint. Plain HTTP is for this machine only.
fn endpoint(text: &str) -> Result<Url, CatalogueRefusal> {
    let refuse = |why| CatalogueRefusal::Url { url: text.chars().take(200).collect(), why };
    let url = Url::parse(text).map_err(|_| refuse("is not an absolute URL"))?;
    let host = url.host_str().ok_or_else(|| refuse("names no host"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(CatalogueRefusal::Url {
            url: "(hidden)".into(),
            why: "holds a user name or password; use `credential`",
        });
    }
    if url.fragment().is_some() {
        return Err(refuse("has a fragment"));
    }
    if url.scheme() == LOCAL {
        // SECURITY: a name and nothing else; what it stands for is known to the node alone (threat class 23).
        let is_name = host.parse::<base::Name>().is_ok();
        let rest = text.strip_prefix("stdio://").and_then(|rest| rest.strip_prefix(host));
        if !is_name || !matches!(rest, Some("" | "/")) {
            return Err(refuse(
                "is no `stdio://NAME`; NAME is that of a table `local.NAME` in the node's configuration",
            ));
        }
        return Url::parse(&format!("{LOCAL}://{host}/")).map_err(|_| refuse("is not an absolute URL"));
    }
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        "http" => Err(refuse("is not encrypted; use https, plain http is for this machine only")),
        _ => Err(refuse("is neither https nor `stdio://NAME`")),
    }
}

/// The longest text with certificates, in bytes.
const AUTHORITY_BYTES_MAX: usize = 64 * 1024;

/// Certificates as PEM (RFC 7468). What they say is judged when they are used; here they must be readable at all.
fn authority(pem: &str) -> Result<Arc<str>, CatalogueRefusal> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    if pem.len() > AUTHORITY_BYTES_MAX {
        return Err(CatalogueRefusal::Authority("is longer than 64 KiB"));
    }
    if pem.contains("PRIVATE KEY") {
        return Err(CatalogueRefusal::Authority("holds a private key; give the certificates alone"));
    }
    let mut certificates = pem.split(BEGIN).skip(1).peekable();
    if certificates.peek().is_none() {
        return Err(CatalogueRefusal::Authority("holds no certificate in PEM"));
    }
    for certificate in certificates {
        let base64 =
            certificate.split_once(END).map(|(base64, _)| base64.split_whitespace().collect::<String>());
        let is_read = base64.is_some_and(|base64| STANDARD.decode(base64).is_ok_and(|der| !der.is_empty()));
        if !is_read {
            return Err(CatalogueRefusal::Authority("holds a certificate that cannot be read"));
        }
    }
    Ok(pem.into())
}

fn resolve_credential(
    spec: ServerCredential<String>,
    known: &Snapshot,
) -> Result<ServerCredential<SecretId>, CatalogueRefusal> {
    let secret = known
        .secrets
        .named(&spec.secret)
        .ok_or_else(|| CatalogueRefusal::NoSuchSecret(spec.secret.clone()))?;
    let header = spec.header.to_ascii_lowercase();
    // Headers that the transport or the protocol own, or that are not header names at all.
    let reserved = [
        "host",
        "content-length",
        "content-type",
        "transfer-encoding",
        "connection",
        "accept",
        "te",
        "upgrade",
    ];
    let well_formed = http::HeaderName::from_bytes(header.as_bytes()).is_ok();
    if !well_formed || reserved.contains(&header.as_str()) || header.starts_with("mcp-") {
        return Err(CatalogueRefusal::Header(spec.header));
    }
    if spec.prefix.len() > 32 || !spec.prefix.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(CatalogueRefusal::Header(format!("{}: {}", spec.header, "prefix")));
    }
    Ok(ServerCredential { secret: secret.id.clone(), header, prefix: spec.prefix })
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn only_encrypted_or_local_addresses() {
        for good in [
            "https://crm.example/mcp",
            "http://127.0.0.1:9000/mcp",
            "http://localhost/mcp",
            "http://[::1]:1/mcp",
        ] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for bad in [
            "crm",
            "http://crm.example/mcp",
            "ftp://localhost/",
            "https://u:p@crm.example/",
            "https://h/#f",
            "http://127.0.0.1.evil.example/",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }
}
