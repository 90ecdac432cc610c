//! `writ tool`

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Outcome;
use super::output::Column;
use super::setting::Setting;
use super::things::server_and_tool;

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
    /// Accept the changed definition of a quarantined tool
    #[command(before_help = "$ writ tool approve shop/send_mail")]
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
            Self::Approve(tool) => {
                let answer = client.act(&client.at(&[&tool.path()[..], &["approve"]].concat())).await?;
                setting.done(&format!("tool {tool} approved as it is now"), &answer)
            }
            Self::Remove(tool) => {
                setting.confirm(&format!("tool `{tool}` will be removed"), &tool.to_string())?;
                let answer = client.delete(&client.at(&tool.path())).await?;
                setting.done(&format!("tool {tool} removed"), &answer)
            }
        }
    }
}

impl OneTool {
    fn path(&self) -> [&str; 3] {
        ["tools", &self.name.0, &self.name.1]
    }
}

impl std::fmt::Display for OneTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.name.0, self.name.1)
    }
}
