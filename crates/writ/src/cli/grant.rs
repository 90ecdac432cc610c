//! `writ grant`

use clap::{Args, Subcommand};
use serde_json::json;

use super::environment::now;
use super::exit::Outcome;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};

const GRANT: Noun = Noun {
    word: "grant",
    plural: "grants",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("TO", "/spec/to"),
        Column::new("ROLE", "/spec/role"),
        Column::new("ON", "/spec/on"),
        Column::new("ENDS", "/spec/expires"),
        Column::wide("REASON", "/spec/reason"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// Grants: which principal has which role on what, why and until when.
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Give a role
    #[command(
        before_help = "$ writ grant create ada-reads --to agent/ada --role reader --on server/shop --reason \"answers tickets\" --expires-in 90d"
    )]
    Create(Create),
    /// List the grants that you may see
    #[command(before_help = "$ writ grant list -o wide")]
    List,
    /// Show one grant
    #[command(before_help = "$ writ grant show ada-reads")]
    Show(Named),
    /// Take a grant back
    #[command(before_help = "$ writ grant revoke ada-reads --yes")]
    Revoke(Changed),
}

/// What a grant is made of.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The grant's name
    name: String,
    /// To whom: person/NAME, agent/NAME, workload/NAME, group/NAME or blueprint/NAME
    #[arg(long, value_name = "WHOM")]
    to: String,
    /// The role
    #[arg(long)]
    role: String,
    /// On what: catalogue, server/NAME, tool/SERVER/TOOL or system
    #[arg(long, value_name = "WHAT")]
    on: String,
    /// Why, in one line
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// When it ends by itself
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    expires_in: Option<i64>,
    #[command(flatten)]
    how: DryRun,
}

impl GrantCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create(Create { name, to, role, on, reason, expires_in, how }) => {
                let ends = expires_in.map(|seconds| json!(now().plus_seconds(seconds).to_string()));
                let spec = given([
                    ("to", Some(json!(to))),
                    ("role", Some(json!(role))),
                    ("on", Some(json!(on))),
                    ("reason", Some(json!(reason))),
                    ("expires", ends),
                ]);
                GRANT.create(setting, &name, &spec, how).await
            }
            Self::List => GRANT.list(setting).await,
            Self::Show(named) => GRANT.show(setting, &named).await,
            Self::Revoke(changed) => GRANT.remove(setting, &changed).await,
        }
    }
}
