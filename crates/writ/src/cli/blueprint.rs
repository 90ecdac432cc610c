//! `writ blueprint`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::exit::Outcome;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};

const BLUEPRINT: Noun = Noun {
    word: "blueprint",
    plural: "blueprints",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("ORIGIN", "/spec/origin"),
        Column::new("DESCRIPTION", "/spec/description"),
        Column::wide("CALLS", "/spec/limits/calls_max"),
        Column::wide("TASK SECONDS", "/spec/limits/task_seconds_max"),
        Column::wide("TOKEN SECONDS", "/spec/limits/token_seconds"),
        Column::wide("DPOP", "/spec/dpop_required"),
        Column::wide("ID", "/id"),
    ],
};

/// Blueprints: templates of agents, with limits and lifetimes.
#[derive(Debug, Subcommand)]
pub(crate) enum BlueprintCommand {
    /// Make a blueprint
    #[command(
        before_help = "$ writ blueprint create support --description \"answers tickets\" --task-life 8h --dpop-required"
    )]
    Create(Create),
    /// List the blueprints
    #[command(before_help = "$ writ blueprint list")]
    List,
    /// Show one blueprint
    #[command(before_help = "$ writ blueprint show support")]
    Show(Named),
    /// Delete a blueprint that no agent is made from
    #[command(before_help = "$ writ blueprint delete support --yes")]
    Delete(Changed),
}

/// Whose agents a blueprint makes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Origin {
    /// The company's: for themselves or for whoever delegates to them
    Company,
    /// One person's: for their owner only
    Assistant,
    /// Made by another agent: in child tasks only
    Child,
}

/// What a blueprint is made of.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The blueprint's name
    name: String,
    /// What such agents are for, in one line
    #[arg(long, value_name = "TEXT")]
    description: String,
    /// Whose agents it makes
    #[arg(long, value_enum, default_value = "company")]
    origin: Origin,
    /// Calls per task
    #[arg(long, value_name = "N")]
    calls_max: Option<i64>,
    /// Bytes per task, in both directions
    #[arg(long, value_name = "N")]
    bytes_max: Option<i64>,
    /// The longest life of a task
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    task_life: Option<i64>,
    /// The life of an access token
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    token_life: Option<i64>,
    /// The deepest chain of tasks
    #[arg(long, value_name = "N")]
    depth_max: Option<i64>,
    /// Tokens must be bound to a key (DPoP)
    #[arg(long)]
    dpop_required: bool,
    #[command(flatten)]
    how: DryRun,
}

impl BlueprintCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create(create) => create.run(setting).await,
            Self::List => BLUEPRINT.list(setting).await,
            Self::Show(named) => BLUEPRINT.show(setting, &named).await,
            Self::Delete(changed) => BLUEPRINT.remove(setting, &changed).await,
        }
    }
}

impl Create {
    async fn run(self, setting: &Setting) -> Outcome {
        let limits = given([
            ("calls_max", self.calls_max.map(Into::into)),
            ("bytes_max", self.bytes_max.map(Into::into)),
            ("task_seconds_max", self.task_life.map(Into::into)),
            ("token_seconds", self.token_life.map(Into::into)),
            ("depth_max", self.depth_max.map(Into::into)),
        ]);
        let spec = json!({
            "origin": self.origin.to_possible_value().map(|value| value.get_name().to_owned()),
            "description": self.description,
            "limits": limits,
            "dpop_required": self.dpop_required,
        });
        BLUEPRINT.create(setting, &self.name, &spec, self.how).await
    }
}
