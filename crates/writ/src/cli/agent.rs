//! `writ agent`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::environment::now;
use super::exit::{Outcome, Trouble};
use super::keys::KeysCommand;
use super::output::{Column, talk};
use super::ready_key::KeyArgs;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};
use crate::api_client::{ApiClient, ApiError};

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

/// The blueprint that a first start makes.
const BLUEPRINT_DEFAULT: &str = "company";

/// Agents: who they are, who answers for them, how they prove themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Make an agent, and register its key
    #[command(
        before_help = "$ writ agent create ada --owner maya --purpose \"answers tickets\" --generate-key ada.pem"
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
    /// The blueprint that it is made from; `company` when not given
    #[arg(long)]
    blueprint: Option<String>,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Make it known, and let it work later
    #[arg(long)]
    staged: bool,
    /// When it ends by itself
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    expires_in: Option<i64>,
    #[command(flatten)]
    key: KeyArgs,
    #[command(flatten)]
    how: DryRun,
}

impl AgentCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create(create) => create.run(setting).await,
            Self::List => AGENT.list_owned(setting).await,
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
        if self.how.dry_run && self.key.generates() {
            return Err(Trouble::usage("`--dry-run` makes no key").help("leave `--generate-key` out"));
        }
        let client = setting.client()?;
        // Everything that can be wrong with the key's file is found out before there is an agent.
        let key = self.key.ready()?;
        let blueprint = match &self.blueprint {
            Some(name) => name.clone(),
            None => usual_blueprint(&client).await?,
        };
        let ends = self.expires_in.map(|seconds| json!(now().plus_seconds(seconds).to_string()));
        let spec = given([
            ("owner", Some(json!(self.owner))),
            ("blueprint", Some(json!(blueprint))),
            ("purpose", Some(json!(self.purpose))),
            ("state", self.staged.then(|| json!("staged"))),
            ("expires", ends),
        ]);
        let mut answer = AGENT.make(&client, &self.name, &spec, self.how).await?;
        let add = format!("`writ agent keys add {0} --generate-key {0}.pem`", self.name);
        match key.filter(|_| !self.how.dry_run) {
            Some(key) => {
                let target = client.at(&[AGENT.plural, &self.name, "credentials"]);
                let registered =
                    key.register(&client, &target, "first key", None).await.map_err(|trouble| {
                        trouble.help(format!(
                            "agent {} was created and has no key yet; add one: {add}",
                            self.name
                        ))
                    })?;
                if let (Some(members), id @ Value::String(_)) = (answer.as_object_mut(), &registered["id"]) {
                    members.insert("credential".to_owned(), id.clone());
                }
            }
            None if self.how.dry_run => {}
            None => talk(&format!("{} has no key and cannot get a token yet; add one: {add}", self.name)),
        }
        AGENT.say(setting, &self.name, &answer, self.how)
    }
}

/// The blueprint of those who did not ask for one.
async fn usual_blueprint(client: &ApiClient) -> Result<String, Trouble> {
    match client.get(&client.at(&["blueprints", BLUEPRINT_DEFAULT])).await {
        Ok(_) => Ok(BLUEPRINT_DEFAULT.to_owned()),
        Err(ApiError::Refused { status, .. }) if status == http::StatusCode::NOT_FOUND => {
            Err(Trouble::usage(format!("say which blueprint; there is none called `{BLUEPRINT_DEFAULT}`"))
                .help("add --blueprint NAME; see `writ blueprint list`"))
        }
        Err(error) => Err(error.into()),
    }
}
