//! `writ secret`

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::exit::{Outcome, Trouble};
use super::file;
use super::output::{Column, talk};
use super::setting::Setting;
use super::things::{Changed, Noun};

const SECRET: Noun = Noun {
    word: "secret",
    plural: "secrets",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("DESCRIPTION", "/spec/description"),
        Column::wide("VERSION", "/version"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// Credentials of upstream servers, kept sealed; nothing ever shows their values again.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Store a secret's value, from a file or standard input, never from an argument
    #[command(before_help = "$ writ secret put shop-key --description \"key of the shop\" --file key.txt")]
    Put {
        /// The secret's name
        name: String,
        /// The file with the value, without a last line end; standard input when not given
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// What it is for, in one line; needed for a new one
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// List the secrets, without their values
    #[command(before_help = "$ writ secret list")]
    List,
    /// Delete a secret that no server uses
    #[command(before_help = "$ writ secret delete shop-key --yes")]
    Delete(Changed),
}

impl SecretCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Put { name, file, description } => {
                let client = setting.client()?;
                if file.is_none() && std::io::stdin().is_terminal() {
                    talk(
                        "type the value and end it with Ctrl-D; it shows on this screen, so rather use a file",
                    );
                }
                let text = file::text(&file.unwrap_or_else(|| PathBuf::from("-")))?;
                let value =
                    text.strip_suffix('\n').map_or(&*text, |text| text.strip_suffix('\r').unwrap_or(text));
                if value.is_empty() {
                    return Err(Trouble::usage("the value is empty"));
                }
                if let Some(description) = description {
                    client
                        .put(&client.at(&["secrets", &name]), &json!({ "description": description }))
                        .await?;
                }
                let answer =
                    client.put(&client.at(&["secrets", &name, "value"]), &json!({ "value": value })).await?;
                setting.done(&format!("secret {name} stored"), &answer)
            }
            Self::List => SECRET.list(setting).await,
            Self::Delete(changed) => SECRET.remove(setting, &changed).await,
        }
    }
}
