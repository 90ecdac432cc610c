//! `writ policy`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::{Column, Format, emit};
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun};

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
    let printable: Vec<String> = text.lines().map(super::output::printable).collect();
    emit(&(printable.join("\n") + "\n"))
}
