//! The scripted agent: a key of its own, tokens for a task, MCP through the gate.

use std::sync::Arc;

use anyhow::Context as _;
use base::Secret;
use serde_json::{Value, json};
use wire::dpop::{TargetUri, make_proof};
use wire::jose::{Algorithm, SigningKey};

use super::client::{Client, Credential, Prove};
use crate::api_client::ApiClient;
use crate::cli::environment::{nonce, now};
use crate::cli::token::{Wish, request};

/// An agent with its key.
pub(super) struct Agent {
    name: &'static str,
    key: Arc<SigningKey>,
}

/// An access token and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    /// The token.
    pub(super) token: Secret,
    /// How long it lives, in seconds.
    pub(super) seconds: i64,
    /// `DPoP` or `Bearer`.
    pub(super) kind: String,
}

impl Agent {
    /// An agent whose key is made on the spot.
    pub(super) fn new(name: &'static str) -> anyhow::Result<Self> {
        let key = SigningKey::generate(Algorithm::Es256).map_err(|fault| anyhow::anyhow!("{fault}"))?;
        Ok(Self { name, key: Arc::new(key) })
    }

    /// The public half of its key.
    pub(super) fn jwk(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.key.public().required_members().to_text())?)
    }

    /// The key itself.
    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Asks for a token for `details`, bound to its key where `bound` says so.
    pub(super) async fn token(
        &self,
        client: &ApiClient,
        details: Value,
        bound: bool,
    ) -> anyhow::Result<Issued> {
        let wish = Wish {
            client_id: self.name,
            key: &self.key,
            dpop: bound.then_some(&*self.key),
            resource: "shop",
            details: Some(json!([details])),
            exchange: &[],
        };
        let answer = request(client, &wish).await?;
        let text =
            |name: &str| answer[name].as_str().map(str::to_owned).with_context(|| format!("no `{name}`"));
        Ok(Issued {
            token: Secret::new(text("access_token")?),
            seconds: answer["expires_in"].as_i64().context("no `expires_in`")?,
            kind: text("token_type")?,
        })
    }

    /// What the agent shows at the gate: a token, and proofs of its key.
    pub(super) fn credential(&self, token: Secret) -> Credential {
        Credential::Dpop { token, key: Box::new(Holder(self.key.clone())) }
    }

    /// A session at the gate.
    pub(super) async fn connect(&self, url: &str, token: Secret) -> anyhow::Result<Client> {
        Client::connect(url, self.credential(token)).await.context("opening a session")
    }
}

struct Holder(Arc<SigningKey>);

impl Prove for Holder {
    fn prove(&self, method: &str, url: &str, token: &Secret, wanted: Option<&str>) -> Result<String, String> {
        let target = TargetUri::parse(url).ok_or_else(|| format!("`{url}` is not a plain URL"))?;
        let proof = make_proof(&self.0, method, &target, Some(token.expose()), &nonce(), wanted, now());
        proof.map_err(|fault| fault.to_string())
    }
}
