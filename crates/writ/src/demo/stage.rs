//! The stage: a shop, a server in front of it, one person and one agent. All of it through the public API.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use base::{Dice as _, Secret};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use wire::tlog::VerifierKey;

use super::agent::Agent;
use super::sample::{self, NAMES, Sample};
use crate::api_client::ApiClient;
use crate::edge::SystemDice;
use crate::up::{Connections, EgressRules, HeldMax, Options, Proxies, Server};

/// The configuration; the shop's address is filled in.
const DOCUMENTS: &str = include_str!("shop.yaml");
const POLICY: &str = include_str!("large-refunds.cedar");

/// Everything that the steps work with.
pub(super) struct Stage {
    pub(super) server: Server,
    pub(super) shop: Sample,
    /// The shop's own key, which the agent never sees.
    pub(super) shop_key: Secret,
    pub(super) data: PathBuf,
    /// The administrator.
    pub(super) admin: ApiClient,
    /// Maya, the person.
    pub(super) maya: ApiClient,
    /// Ada, the agent.
    pub(super) ada: Agent,
    /// The log's key as it was on the first day.
    pub(super) log_key: VerifierKey,
}

impl Stage {
    /// Starts the shop and the server, with an empty data folder.
    pub(super) async fn set(data: &Path) -> anyhow::Result<Self> {
        let shop_key = Secret::new(random());
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a port for the shop")?;
        let shop = sample::serve(listener, Some(shop_key.clone()))?;
        let options = Options {
            data: data.to_owned(),
            listen: "127.0.0.1:0".parse()?,
            public_url: None,
            tls: None,
            database: None,
            apply: Vec::new(),
            ready_file: None,
            connections: Connections::default(),
            bodies: HeldMax::default(),
            asynchronous_reads: false,
            local: std::collections::BTreeMap::new(),
            registration: false,
            dpop_nonces: false,
            trusted_proxies: Proxies::default(),
            egress: EgressRules::default(),
            mail: None,
        };
        let mut server = Server::start(&options).await.context("starting the server")?;
        let admin_token = server
            .admin_token
            .take()
            .context("the data folder is not empty: there is a server's data in it")?;
        let admin = ApiClient::new(server.url.as_str(), Some(admin_token), None)?;
        configure(&admin, &shop, &shop_key).await?;

        let made = admin.post(&admin.at(&["people", "maya", "tokens"]), &json!({ "label": "demo" })).await?;
        let token = made["token"].as_str().context("no token for maya")?;
        let maya = ApiClient::new(server.url.as_str(), Some(Secret::new(token.to_owned())), None)?;
        let log_key = log_key(&admin).await?;
        let ada = Agent::new("ada")?;
        Ok(Self { server, shop, shop_key, data: data.to_owned(), admin, maya, ada, log_key })
    }

    /// The shop behind the gate.
    pub(super) fn gate(&self) -> String {
        format!("{}/mcp/shop", self.server.url.as_str().trim_end_matches('/'))
    }

    /// Registers the agent's key.
    pub(super) async fn register(&self, agent: &Agent) -> anyhow::Result<()> {
        let body = json!({ "label": "demo", "jwk": agent.jwk()? });
        self.admin.post(&self.admin.at(&["agents", "ada", "credentials"]), &body).await?;
        Ok(())
    }

    /// Maya's task for Ada: one ticket, one recipient, one hour.
    pub(super) async fn task(&self, tools: Value) -> anyhow::Result<String> {
        let body = json!({
            "agent": "ada", "person": "maya", "purpose": "answer ticket 4712",
            "instruction": "Answer ticket 4712: send the customer the invoice again.",
            "tools": tools, "seconds": 3600,
        });
        let made = self.maya.post(&self.maya.at(&["tasks"]), &body).await?;
        ensure!(made["person"] == "maya" && made["agent"] == "ada", "the task is another: {made}");
        Ok(made["id"].as_str().context("the task has no id")?.to_owned())
    }
}

async fn configure(admin: &ApiClient, shop: &Sample, shop_key: &Secret) -> anyhow::Result<()> {
    let text = DOCUMENTS.replace("SHOP_URL", shop.url());
    let documents: Result<Vec<Value>, _> =
        serde_norway::Deserializer::from_str(&text).map(serde::Deserialize::deserialize).collect();
    admin.post(&admin.at(&["apply"]), &json!({ "documents": documents? })).await?;
    let value = json!({ "value": shop_key.expose() });
    admin.put(&admin.at(&["secrets", "shop-key", "value"]), &value).await?;

    let found = admin.act(&admin.at(&["servers", "shop", "discover"])).await?;
    let found = found.as_array().context("discovery answers with a list")?;
    ensure!(found.len() == NAMES.len(), "the shop has {} tools, {} were found", NAMES.len(), found.len());
    for tool in found {
        let name = tool["tool"].as_str().context("a tool without a name")?;
        // A person confirms what Writ guessed from the shop's annotations.
        admin.put(&admin.at(&["tools", "shop", name, "label"]), &json!({ "effect": tool["effect"] })).await?;
    }
    let policy = json!({ "description": "agents give back 1,000 euros at most", "text": POLICY });
    admin.put(&admin.at(&["policies", "large-refunds"]), &policy).await?;
    Ok(())
}

/// The key by which the log signs, noted before anything happens.
async fn log_key(admin: &ApiClient) -> anyhow::Result<VerifierKey> {
    let export = super::evidence::export(admin).await?;
    let header: Value =
        serde_json::from_slice(export.split(|&byte| byte == b'\n').next().unwrap_or_default())?;
    Ok(header["vkey"].as_str().context("the export names no key")?.parse()?)
}

fn random() -> String {
    let mut bytes = [0; 32];
    SystemDice.fill(&mut bytes);
    wire::jose::base64url(bytes)
}
