//! `writ role`

use clap::Subcommand;
use serde_json::json;

use super::exit::Outcome;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun};
use super::tool::EFFECTS;

const ROLE: Noun = Noun {
    word: "role",
    plural: "roles",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("EFFECTS", "/spec/effects"),
        Column::new("TOOLS", "/spec/tools"),
        Column::new("PERMISSIONS", "/spec/permissions"),
        Column::new("DESCRIPTION", "/spec/description"),
        Column::wide("ID", "/id"),
    ],
};

/// Roles: what a grant gives.
#[derive(Debug, Subcommand)]
pub(crate) enum RoleCommand {
    /// Make a role
    #[command(
        before_help = "$ writ role create ticket-reader --description \"reads tickets\" --effect read --tool read_ticket"
    )]
    Create {
        /// The role's name
        name: String,
        /// What it is for, in one line
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// An effect that it covers; may be given several times
        #[arg(long = "effect", value_parser = EFFECTS)]
        effects: Vec<String>,
        /// Narrow it to this tool, by the name that its server gives it; may be given several times
        #[arg(long = "tool", value_name = "TOOL")]
        tools: Vec<String>,
        /// What it may do to Writ itself; may be given several times
        #[arg(long = "permission", value_parser = ["administer", "audit"])]
        permissions: Vec<String>,
        #[command(flatten)]
        how: DryRun,
    },
    /// List the roles
    #[command(before_help = "$ writ role list")]
    List,
    /// Show one role
    #[command(before_help = "$ writ role show ticket-reader")]
    Show(Named),
    /// Delete a role that no grant gives
    #[command(before_help = "$ writ role delete ticket-reader --yes")]
    Delete(Changed),
}

impl RoleCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create { name, description, effects, tools, permissions, how } => {
                let spec = json!({
                    "description": description, "effects": effects, "tools": tools, "permissions": permissions,
                });
                ROLE.create(setting, &name, &spec, how).await
            }
            Self::List => ROLE.list(setting).await,
            Self::Show(named) => ROLE.show(setting, &named).await,
            Self::Delete(changed) => ROLE.remove(setting, &changed).await,
        }
    }
}
