//! `writ tool`

use clap::{Args, Subcommand};
use serde_json::json;

use super::difference::difference;
use super::exit::Outcome;
use super::output::{Column, printable, talk};
use super::setting::Setting;
use super::things::server_and_tool;
use crate::api_client::ApiClient;

const COLUMNS: &[Column] = &[
    Column::new("NAME", "/name"),
    Column::new("EFFECT", "/spec/effect"),
    Column::new("SAID BY", "/spec/effect_source"),
    Column::new("STATE", "/spec/state"),
    Column::wide("ID", "/id"),
    Column::wide("CREATED", "/created"),
];

/// What a tool does to the world, from harmless to grave.
pub(crate) const EFFECTS: [&str; 6] = ["read", "fetch", "write", "send", "destroy", "admin"];

/// Tools of servers: pinned definitions and labels.
#[derive(Debug, Subcommand)]
pub(crate) enum ToolCommand {
    /// List the tools in the catalogue
    #[command(before_help = "$ writ tool list --server shop")]
    List {
        /// Only this server's
        #[arg(long, value_name = "NAME")]
        server: Option<String>,
    },
    /// Show one tool with its pinned definition and, while quarantined, the one that was seen instead
    #[command(before_help = "$ writ tool show shop/send_mail")]
    Show(OneTool),
    /// Confirm what calling a tool does
    #[command(before_help = "$ writ tool label shop/send_mail send")]
    Label {
        #[command(flatten)]
        tool: OneTool,
        /// What calling it does
        #[arg(value_parser = EFFECTS)]
        effect: String,
    },
    /// Accept the changed definition of a quarantined tool, after showing what changed
    #[command(before_help = "$ writ tool approve shop/send_mail --yes")]
    Approve(OneTool),
    /// Remove a tool from the catalogue: for agents it no longer exists
    #[command(before_help = "$ writ tool remove shop/send_mail --yes")]
    Remove(OneTool),
}

/// A tool by its name.
#[derive(Clone, Debug, Args)]
pub(crate) struct OneTool {
    /// SERVER/TOOL
    #[arg(id = "SERVER/TOOL", value_parser = server_and_tool)]
    name: (String, String),
}

impl ToolCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        match self {
            Self::List { server } => {
                setting.list(COLUMNS, &client.get(&client.at(&["tools"]).with("server", server)).await?)
            }
            Self::Show(tool) => setting.one(&client.get(&client.at(&tool.path())).await?),
            Self::Label { tool, effect } => {
                let target = client.at(&[&tool.path()[..], &["label"]].concat());
                let answer = client.put(&target, &json!({ "effect": effect })).await?;
                setting.done(&format!("tool {tool} labelled {effect}"), &answer)
            }
            Self::Approve(tool) => tool.approve(setting, &client).await,
            Self::Remove(tool) => {
                setting.confirm(&format!("tool `{tool}` will be removed"), &tool.to_string())?;
                let answer = client.delete(&client.at(&tool.path())).await?;
                setting.done(&format!("tool {tool} removed"), &answer)
            }
        }
    }
}

impl OneTool {
    /// Shows what changed, asks, and approves exactly that: the digest of what was shown goes with the request.
    async fn approve(&self, setting: &Setting, client: &ApiClient) -> Outcome {
        let shown = client.get(&client.at(&self.path())).await?;
        let text = |member: &str| shown["spec"][member].as_str().unwrap_or_default();
        let what = match shown["spec"]["seen"].as_str() {
            Some(seen) => {
                talk(difference(text("definition"), seen).trim_end());
                format!("tool `{self}` will be called by this definition")
            }
            None => format!("tool `{self}` will be called by the definition that was pinned"),
        };
        setting.confirm(&what, &self.to_string())?;
        let target = client.at(&[&self.path()[..], &["approve"]].concat());
        let answer = client.post(&target, &json!({ "digest": text("digest") })).await?;
        let said = setting.done(&format!("tool {self} approved"), &answer)?;
        let now = client.get(&client.at(&self.path())).await?;
        if now["spec"]["effect_source"] == "guessed" {
            let effect = printable(now["spec"]["effect"].as_str().unwrap_or_default());
            talk(&format!(
                "what it does was guessed again from the new definition: `{effect}`; confirm it: `writ tool label {self} {effect}`"
            ));
        }
        Ok(said)
    }

    fn path(&self) -> [&str; 3] {
        ["tools", &self.name.0, &self.name.1]
    }
}

impl std::fmt::Display for OneTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name.0, self.name.1)
    }
}
