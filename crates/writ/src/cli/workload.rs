//! `writ workload`

use clap::{Command, Subcommand};
use serde_json::json;

use super::exit::Outcome;
use super::keys::{KeysCommand, TokenCommand};
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun};

const WORKLOAD: Noun = Noun {
    word: "workload",
    plural: "workloads",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("STATE", "/spec/state"),
        Column::new("OWNER", "/spec/owner"),
        Column::new("PURPOSE", "/spec/purpose"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// Workloads: services, bots and scripts that call Writ itself.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkloadCommand {
    /// Make a workload
    #[command(before_help = "$ writ workload create ci --owner maya --purpose \"applies the configuration\"")]
    Create {
        /// The workload's name
        name: String,
        /// The person who answers for it
        #[arg(long, value_name = "PERSON")]
        owner: String,
        /// What it is for, in one line
        #[arg(long, value_name = "TEXT")]
        purpose: String,
        #[command(flatten)]
        how: DryRun,
    },
    /// List the workloads that you may see
    #[command(before_help = "$ writ workload list")]
    List,
    /// Show one workload
    #[command(before_help = "$ writ workload show ci")]
    Show(Named),
    /// Stop a workload until it is resumed
    #[command(before_help = "$ writ workload suspend ci")]
    Suspend(Changed),
    /// Let a suspended workload act again
    #[command(before_help = "$ writ workload resume ci")]
    Resume(Named),
    /// The keys by which a workload proves itself
    #[command(subcommand, mut_subcommands(example_of_workload))]
    Keys(KeysCommand),
    /// Its API tokens
    #[command(subcommand, mut_subcommands(example_of_workload))]
    Token(TokenCommand),
}

/// The commands that workloads share with agents and people, with examples of their own.
fn example_of_workload(command: Command) -> Command {
    let example = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    let own = example.replace("writ agent", "writ workload").replace("writ person", "writ workload");
    command.before_help(own.replace(" ada", " ci").replace(" maya", " ci"))
}

impl WorkloadCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create { name, owner, purpose, how } => {
                WORKLOAD.create(setting, &name, &json!({ "owner": owner, "purpose": purpose }), how).await
            }
            Self::List => WORKLOAD.list_owned(setting).await,
            Self::Show(named) => WORKLOAD.show(setting, &named).await,
            Self::Suspend(changed) => WORKLOAD.set_state(setting, &changed, "suspended").await,
            Self::Resume(named) => WORKLOAD.bring_back(setting, &named, "resume").await,
            Self::Keys(keys) => keys.run(setting, WORKLOAD.plural).await,
            Self::Token(token) => token.run(setting, WORKLOAD.plural).await,
        }
    }
}
