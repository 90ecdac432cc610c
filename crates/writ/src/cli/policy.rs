//! `writ policy`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::{Column, Format, emit};
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, server_and_tool};

const POLICY: Noun = Noun {
    word: "policy",
    plural: "policies",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("DESCRIPTION", "/spec/description"),
        Column::new("VERSION", "/version"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// Policies in Cedar, beside what grants give.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Store a policy; the whole set must compile with it
    #[command(
        before_help = "$ writ policy put no-mail-at-night night.cedar --description \"mail waits for the morning\""
    )]
    Put {
        /// The policy's name
        name: String,
        /// Cedar text; `-` is standard input
        file: PathBuf,
        /// What it is for, in one line
        #[arg(long, value_name = "TEXT")]
        description: String,
        #[command(flatten)]
        how: DryRun,
    },
    /// List the policies
    #[command(before_help = "$ writ policy list")]
    List,
    /// Show the text of one policy
    #[command(before_help = "$ writ policy show no-mail-at-night")]
    Show(Named),
    /// Print the Cedar schema that policies are checked against: what principals, resources and context have
    #[command(before_help = "$ writ policy schema --tool shop/refund")]
    Schema {
        /// Leave out the other tools
        #[arg(long, value_name = "SERVER/TOOL", value_parser = server_and_tool)]
        tool: Option<(String, String)>,
    },
    /// Delete a policy
    #[command(before_help = "$ writ policy delete no-mail-at-night --yes")]
    Delete(Changed),
}

impl PolicyCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Put { name, file, description, how } => {
                let spec = json!({ "description": description, "text": file::text(&file)? });
                POLICY.put(setting, &name, &spec, how).await
            }
            Self::List => POLICY.list(setting).await,
            Self::Show(named) => show(setting, &named).await,
            Self::Schema { tool } => schema(setting, tool).await,
            Self::Delete(changed) => POLICY.remove(setting, &changed).await,
        }
    }
}

/// For people the text itself, as it can be edited and put again.
async fn show(setting: &Setting, named: &Named) -> Outcome {
    if setting.format() != Format::Table {
        return POLICY.show(setting, named).await;
    }
    let client = setting.client()?;
    let policy = client.get(&client.at(&[POLICY.plural, &named.name])).await?;
    let text = policy["spec"]["text"].as_str();
    let text = text.ok_or_else(|| Trouble::new(Exit::Failed, "the answer has no `spec.text`"))?;
    emit(&shown(text))
}

async fn schema(setting: &Setting, tool: Option<(String, String)>) -> Outcome {
    let client = setting.client()?;
    let tool = tool.map(|(server, tool)| format!("{server}/{tool}"));
    let answer = client.get(&client.at(&["policy-schema"]).with("tool", tool)).await?;
    if setting.format() != Format::Table {
        return setting.one(&answer);
    }
    let text = answer["schema"].as_str();
    let text = text.ok_or_else(|| Trouble::new(Exit::Failed, "the answer has no `schema`"))?;
    emit(&shown(text))
}

/// A text of several lines, without what a terminal would take for commands.
fn shown(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(super::output::printable).collect();
    lines.join("\n") + "\n"
}
