//! `writ group`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::exit::Outcome;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun};

const GROUP: Noun = Noun {
    word: "group",
    plural: "groups",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("OF", "/spec/of"),
        Column::new("DESCRIPTION", "/spec/description"),
        Column::wide("MEMBERS", "/spec/members"),
        Column::wide("ID", "/id"),
    ],
};

/// Groups of principals of one kind.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group
    #[command(
        before_help = "$ writ group create support --of person --description \"answers customers\" --member maya"
    )]
    Create {
        /// The group's name
        name: String,
        /// What its members are
        #[arg(long, value_enum)]
        of: Kind,
        /// What it is for, in one line
        #[arg(long, value_name = "TEXT")]
        description: String,
        /// A member; may be given several times
        #[arg(long = "member", value_name = "NAME")]
        members: Vec<String>,
        #[command(flatten)]
        how: DryRun,
    },
    /// List the groups that you may see
    #[command(before_help = "$ writ group list -o wide")]
    List,
    /// Show one group with its members
    #[command(before_help = "$ writ group show support")]
    Show(Named),
    /// Add members
    #[command(before_help = "$ writ group add support maya noor")]
    Add(Members),
    /// Remove members
    #[command(before_help = "$ writ group remove support noor")]
    Remove(Members),
    /// Delete a group that has no grants
    #[command(before_help = "$ writ group delete support --yes")]
    Delete(Changed),
}

/// What members are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// People
    Person,
    /// Agents
    Agent,
    /// Workloads
    Workload,
}

/// Which members of which group.
#[derive(Debug, Args)]
pub(crate) struct Members {
    /// The group's name or id
    name: String,
    /// The members
    #[arg(value_name = "MEMBER", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    how: DryRun,
}

impl GroupCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create { name, of, description, members, how } => {
                let of = of.to_possible_value().map(|value| value.get_name().to_owned());
                let spec = json!({ "of": of, "description": description, "members": members });
                GROUP.create(setting, &name, &spec, how).await
            }
            Self::List => GROUP.list(setting).await,
            Self::Show(named) => GROUP.show(setting, &named).await,
            Self::Add(Members { name, names, how }) => {
                let add = |spec: &mut Map<String, Value>| {
                    let mut all = members_of(spec);
                    all.extend(names.into_iter().map(Value::from));
                    spec.insert("members".to_owned(), all.into());
                };
                GROUP.change(setting, &name, how, add).await
            }
            Self::Remove(Members { name, names, how }) => {
                let remove = |spec: &mut Map<String, Value>| {
                    let mut all = members_of(spec);
                    all.retain(|member| !names.iter().any(|gone| member.as_str() == Some(gone)));
                    spec.insert("members".to_owned(), all.into());
                };
                GROUP.change(setting, &name, how, remove).await
            }
            Self::Delete(changed) => GROUP.remove(setting, &changed).await,
        }
    }
}

fn members_of(spec: &Map<String, Value>) -> Vec<Value> {
    spec.get("members").and_then(Value::as_array).cloned().unwrap_or_default()
}
