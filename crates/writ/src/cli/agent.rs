//! `writ agent`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::environment::now;
use super::exit::Outcome;
use super::file;
use super::keys::{KeysCommand, public_jwk, registration};
use super::output::{Column, talk};
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};

const AGENT: Noun = Noun {
    word: "agent",
    plural: "agents",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("STATE", "/spec/state"),
        Column::new("OWNER", "/spec/owner"),
        Column::new("BLUEPRINT", "/spec/blueprint"),
        Column::new("PURPOSE", "/spec/purpose"),
        Column::wide("ENDS", "/spec/expires"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// Agents: who they are, who answers for them, how they prove themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Make an agent, and register its key
    #[command(
        before_help = "$ writ agent create ada --owner maya --blueprint support --purpose \"answers tickets\" --generate-key ada.pem"
    )]
    Create(Create),
    /// List the agents that you may see
    #[command(before_help = "$ writ agent list -o wide")]
    List,
    /// Show one agent
    #[command(before_help = "$ writ agent show ada")]
    Show(Named),
    /// Stop an agent until it is resumed; to end what it is doing as well, use `writ kill agent`
    #[command(before_help = "$ writ agent suspend ada")]
    Suspend(Changed),
    /// Let a suspended agent work again; its old credentials stay dead
    #[command(before_help = "$ writ agent resume ada")]
    Resume(Named),
    /// End an agent for good
    #[command(before_help = "$ writ agent retire ada --yes")]
    Retire(Changed),
    /// The keys by which an agent proves itself
    #[command(subcommand)]
    Keys(KeysCommand),
}

/// What an agent is made of.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The agent's name
    name: String,
    /// The person who answers for it
    #[arg(long, value_name = "PERSON")]
    owner: String,
    /// The blueprint that it is made from
    #[arg(long)]
    blueprint: String,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Make it known, and let it work later
    #[arg(long)]
    staged: bool,
    /// When it ends by itself
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    expires_in: Option<i64>,
    /// Register this public key (JWK), or the public half of this private one (PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "generate_key")]
    key_file: Option<PathBuf>,
    /// Make an ES256 key, keep its private half in this new file, and register the public half
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    generate_key: Option<PathBuf>,
    #[command(flatten)]
    how: DryRun,
}

impl AgentCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create(create) => create.run(setting).await,
            Self::List => AGENT.list(setting).await,
            Self::Show(named) => AGENT.show(setting, &named).await,
            Self::Suspend(changed) => AGENT.set_state(setting, &changed, "suspended").await,
            Self::Resume(named) => AGENT.bring_back(setting, &named, "resume").await,
            Self::Retire(changed) => {
                if !changed.how.dry_run {
                    setting.confirm(
                        &format!("agent `{}` will be ended for good", changed.name),
                        &changed.name,
                    )?;
                }
                AGENT.set_state(setting, &changed, "retired").await
            }
            Self::Keys(keys) => keys.run(setting, AGENT.plural).await,
        }
    }
}

impl Create {
    async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let given_key = self.key_file.as_deref().map(public_jwk).transpose()?;
        let ends = self.expires_in.map(|seconds| json!(now().plus_seconds(seconds).millis()));
        let spec = given([
            ("owner", Some(json!(self.owner))),
            ("blueprint", Some(json!(self.blueprint))),
            ("purpose", Some(json!(self.purpose))),
            ("state", self.staged.then(|| json!("staged"))),
            ("expires_ms", ends),
        ]);
        let mut answer = AGENT.make(&client, &self.name, &spec, self.how).await?;
        // The key comes after the agent: without an agent it would be a stray secret on a disk.
        let key = match &self.generate_key {
            Some(path) => {
                let key = file::new_private_key(path)?;
                talk(&format!("the private key is in {} (mode 0600); key id {}", path.display(), key.kid()));
                Some(public_jwk(path)?)
            }
            None => given_key.filter(|_| !self.how.dry_run),
        };
        if let Some(jwk) = key {
            let body = registration("first key", Some(jwk), None);
            let registered =
                client.post(&client.at(&[AGENT.plural, &self.name, "credentials"]), &body).await?;
            if let (Some(members), id @ Value::String(_)) = (answer.as_object_mut(), &registered["id"]) {
                members.insert("credential".to_owned(), id.clone());
            }
        }
        AGENT.say(setting, &self.name, &answer, self.how)
    }
}
