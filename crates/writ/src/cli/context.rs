//! `writ context`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::contexts::{Context, Contexts};
use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::{Column, emit};
use super::setting::Setting;
use crate::api_client::ApiClient;

const COLUMNS: &[Column] = &[
    Column::new("CURRENT", "/current"),
    Column::new("NAME", "/name"),
    Column::new("URL", "/url"),
    Column::wide("TOKEN", "/token"),
    Column::wide("CA FILE", "/ca_file"),
];

/// The servers that you work with; kept in ~/.config/writ/contexts.toml, readable by you alone.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// Add a server, or change one; the first becomes the current one
    #[command(
        before_help = "$ writ context add home --server http://127.0.0.1:8420 --token-file .writ/admin.token"
    )]
    Add {
        /// What to call it
        name: String,
        /// The server's address
        #[arg(long, value_name = "URL")]
        server: String,
        /// The file with the API token; `-` is standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// Trust the certificates in this PEM file for it, and no others
        #[arg(long, value_name = "FILE")]
        trust: Option<PathBuf>,
    },
    /// Make one the current one
    #[command(before_help = "$ writ context use home")]
    Use {
        /// Its name
        name: String,
    },
    /// List them, without their tokens
    #[command(before_help = "$ writ context list")]
    List,
    /// Forget one
    #[command(before_help = "$ writ context remove home")]
    Remove {
        /// Its name
        name: String,
    },
}

impl ContextCommand {
    pub(crate) fn run(self, setting: &Setting) -> Outcome {
        let path = setting.contexts_file()?;
        let mut contexts = Contexts::read(&path)?;
        let sentence = match self {
            Self::Add { name, server, token_file, trust } => {
                let token =
                    token_file.as_deref().map(file::text).transpose()?.map(|text| text.trim().to_owned());
                // An address that no client could use is refused before it is kept.
                ApiClient::new(&server, None, trust.as_deref())?;
                let sentence = format!("context {name} added");
                contexts.contexts.insert(
                    name.clone(),
                    Context { url: server, token, ca_file: trust, refresh: None, expires: None },
                );
                contexts.current.get_or_insert(name);
                sentence
            }
            Self::Use { name } => {
                known(&contexts, &name)?;
                let sentence = format!("context {name} is the current one");
                contexts.current = Some(name);
                sentence
            }
            Self::List => {
                let rows = contexts.contexts.iter().map(|(name, context)| {
                    json!({
                        "name": name, "url": context.url, "ca_file": context.ca_file,
                        "current": if contexts.current.as_ref() == Some(name) { "*" } else { "" },
                        "token": if context.token.is_some() { "kept" } else { "none" },
                    })
                });
                return setting.list(COLUMNS, &rows.collect());
            }
            Self::Remove { name } => {
                known(&contexts, &name)?;
                contexts.contexts.remove(&name);
                contexts.current = contexts.current.filter(|current| *current != name);
                format!("context {name} removed")
            }
        };
        contexts.write(&path)?;
        emit(&(sentence + "\n"))
    }
}

fn known(contexts: &Contexts, name: &str) -> Result<(), Trouble> {
    if contexts.contexts.contains_key(name) {
        return Ok(());
    }
    Err(Trouble::new(Exit::Failed, format!("there is no context `{name}`")).help("see `writ context list`"))
}
