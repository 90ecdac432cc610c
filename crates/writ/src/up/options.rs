//! What `writ up` is told.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use anyhow::{Context as _, bail};
use base::Secret;
use serde::Deserialize;
use url::Url;

use super::{Connections, HeldMax, Proxies, mail::MailOptions};
use crate::local::LocalServer;

/// How to run the server.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The folder for everything that this node keeps.
    pub(crate) data: PathBuf,
    /// Where to listen; port 0 picks a free one.
    pub(crate) listen: SocketAddr,
    /// The address by which clients reach the server; `http://{listen}` when absent.
    pub(crate) public_url: Option<Url>,
    /// Certificate chain and private key, PEM.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// A PostgreSQL URL; SQLite in the data folder when absent.
    pub(crate) database: Option<Secret>,
    /// Documents to apply at start.
    pub(crate) apply: Vec<PathBuf>,
    /// Where to write `{"url", "pid"}` when the server answers.
    pub(crate) ready_file: Option<PathBuf>,
    /// How many connections it accepts.
    pub(crate) connections: Connections,
    /// How much of what clients send it holds.
    pub(crate) bodies: HeldMax,
    /// Whether confirmed reads go on before their intents are durable.
    pub(crate) asynchronous_reads: bool,
    /// The servers on this machine, by name.
    pub(crate) local: BTreeMap<String, LocalServer>,
    /// Whether clients may register themselves.
    pub(crate) registration: bool,
    /// Whether DPoP proofs count only with a nonce of the server.
    pub(crate) dpop_nonces: bool,
    /// The reverse proxies whose word about their clients' addresses counts.
    pub(crate) trusted_proxies: Proxies,
    /// What the client for strangers' addresses may reach beside the public Internet.
    pub(crate) egress: EgressRules,
    /// How mail goes out, where it does.
    pub(crate) mail: Option<MailOptions>,
}

/// What the client for strangers' addresses may reach beside the public Internet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EgressRules {
    /// Hosts of one's own, with port where it is not 443.
    #[serde(default)]
    own_hosts: Vec<String>,
    /// Certificates of authorities of one's own, PEM.
    #[serde(default)]
    authorities: Option<PathBuf>,
}

impl EgressRules {
    /// The client.
    pub(crate) fn client(&self) -> anyhow::Result<egress::Egress> {
        use rustls::pki_types::{CertificateDer, pem::PemObject as _};
        let mut authorities = Vec::new();
        if let Some(path) = &self.authorities {
            for certificate in CertificateDer::pem_file_iter(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?
            {
                let certificate = certificate.with_context(|| format!("`{}` is not PEM", path.display()))?;
                authorities.push(certificate.to_vec());
            }
        }
        let rules = egress::Rules { own_hosts: self.own_hosts.iter().cloned().collect(), authorities };
        egress::Egress::new(rules).context("the certificates of `egress.authorities`")
    }
}

/// The configuration file. Flags win over it; unknown keys are refused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) public_url: Option<Url>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) database: Option<Secret>,
    #[serde(default)]
    pub(crate) apply: Vec<PathBuf>,
    #[serde(default)]
    pub(crate) connections: Connections,
    #[serde(default)]
    pub(crate) bodies: HeldMax,
    #[serde(default)]
    pub(crate) asynchronous_reads: bool,
    #[serde(default)]
    pub(crate) local: BTreeMap<String, LocalServer>,
    #[serde(default)]
    pub(crate) registration: bool,
    #[serde(default)]
    pub(crate) dpop_nonces: bool,
    #[serde(default)]
    pub(crate) trusted_proxies: Proxies,
    #[serde(default)]
    pub(crate) egress: EgressRules,
    pub(crate) mail: Option<MailOptions>,
}

impl File {
    /// Reads a configuration file.
    pub(crate) fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        // The error's own rendering shows the line that is wrong, which may hold the database's password.
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("`{}`: {}", path.display(), error.message()))
    }
}

impl Options {
    /// Refuses what would put an unprotected server where others can reach it.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if let Some(url) = &self.public_url {
            if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
                bail!("`--public-url`: `{url}` is not an http or https address");
            }
            if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
                bail!("`--public-url`: `{url}` must be scheme, host and port, without a path");
            }
        }
        self.connections.check()?;
        self.bodies.check()?;
        for (name, server) in &self.local {
            server.check(name)?;
        }
        let encrypted =
            self.tls.is_some() || self.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
        if !self.listen.ip().is_loopback() && !encrypted {
            bail!(
                "`--listen {}` can be reached from other machines and is not encrypted\n\
                 give a certificate (--tls-cert, --tls-key), or --public-url https://... when a proxy encrypts",
                self.listen
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Connections, File, HeldMax, Options};

    fn options(listen: &str, public_url: Option<&str>) -> Options {
        Options {
            data: "data".into(),
            listen: listen.parse().unwrap(),
            public_url: public_url.map(|url| url.parse().unwrap()),
            tls: None,
            database: None,
            apply: Vec::new(),
            ready_file: None,
            connections: Connections::default(),
            bodies: HeldMax::default(),
            asynchronous_reads: false,
            local: BTreeMap::new(),
            registration: false,
            dpop_nonces: false,
            trusted_proxies: super::Proxies::default(),
            egress: super::EgressRules::default(),
            mail: None,
        }
    }

    #[test]
    fn an_open_address_needs_encryption() {
        assert!(options("127.0.0.1:0", None).check().is_ok());
        assert!(options("[::1]:8420", None).check().is_ok());
        assert!(options("0.0.0.0:8420", None).check().is_err());
        assert!(options("0.0.0.0:8420", Some("http://writ.example")).check().is_err());
        assert!(options("0.0.0.0:8420", Some("https://writ.example")).check().is_ok());
        assert!(options("127.0.0.1:0", Some("https://writ.example/path")).check().is_err());
    }

    #[test]
    fn unknown_keys_are_refused_and_values_are_not_shown() {
        let error = toml::from_str::<File>("databse = \"postgres://u:hunter2@h/db\"").unwrap_err();
        assert!(error.message().contains("databse"));
        assert!(!error.message().contains("hunter2"));
    }
}
