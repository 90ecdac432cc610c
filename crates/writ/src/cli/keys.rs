//! Credentials and API tokens: `keys` of agents and workloads, `token` of people and workloads.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Outcome;
use super::output::Column;
use super::ready_key::{KeyArgs, registration};
use super::setting::Setting;
use super::things::{Named, given, seconds};

const KEY_COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("LABEL", "/label"),
    Column::new("KIND", "/kind"),
    Column::new("CREATED", "/created"),
    Column::new("EXPIRES", "/expires"),
    Column::new("STATE", "/state"),
    Column::wide("THUMBPRINT", "/thumbprint"),
];

const TOKEN_COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("LABEL", "/label"),
    Column::new("CREATED", "/created"),
    Column::new("EXPIRES", "/expires"),
    Column::new("STATE", "/state"),
];

/// The keys and secrets by which a principal proves itself at the token endpoint.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Register a public key, make a new one, or have a client secret made
    #[command(before_help = "$ writ agent keys add ada --generate-key ada-2.pem --expires-in 90d")]
    Add(AddKey),
    /// List them with their state; what is dead after a stop stays dead
    #[command(before_help = "$ writ agent keys list ada")]
    List(Named),
    /// End one; what was issued for it dies too
    #[command(before_help = "$ writ agent keys revoke crd_01k9m3x8q2v4t6y8b0d2f4h6j8")]
    Revoke {
        /// Its id
        id: String,
    },
}

/// What to register.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["key_file", "generate_key", "secret"]).required(true))]
pub(crate) struct AddKey {
    /// The principal's name or id
    name: String,
    /// What to call it
    #[arg(long, default_value = "cli")]
    label: String,
    #[command(flatten)]
    key: KeyArgs,
    /// Have a shared secret made instead; discouraged, shown once
    #[arg(long)]
    secret: bool,
    /// When it ends by itself
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    expires_in: Option<i64>,
}

impl KeysCommand {
    pub(crate) async fn run(self, setting: &Setting, plural: &str) -> Outcome {
        let client = setting.client()?;
        match self {
            Self::Add(add) => {
                let target = client.at(&[plural, &add.name, "credentials"]);
                let Some(key) = add.key.ready()? else {
                    let answer =
                        client.post(&target, &registration(&add.label, None, add.expires_in)).await?;
                    return setting.secret("secret", &answer, "the client secret, shown this once:");
                };
                let answer = key.register(&client, &target, &add.label, add.expires_in).await?;
                let id = answer["id"].as_str().unwrap_or_default();
                setting.done(&format!("key {id} registered for {}", add.name), &answer)
            }
            Self::List(named) => {
                let keys = client.get(&client.at(&[plural, &named.name, "credentials"])).await?;
                setting.list_as(KEY_COLUMNS, &keys, state_in_words)
            }
            Self::Revoke { id } => {
                let answer = client.delete(&client.at(&["credentials", &id])).await?;
                setting.done(&format!("key {id} revoked"), &answer)
            }
        }
    }
}

/// A row for people: what is dead says since when.
fn state_in_words(mut row: Value) -> Value {
    if row["state"] == "dead" {
        row["state"] = match row["dead_since"].as_i64() {
            Some(position) => json!(format!("dead since position {position}")),
            None => json!("dead: from before the database was restored"),
        };
    }
    row
}

/// The API tokens of a person or a workload.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make one; it is shown once
    #[command(before_help = "$ writ person token create maya --label laptop --expires-in 30d")]
    Create {
        /// The principal's name or id
        name: String,
        /// What to call it
        #[arg(long, default_value = "cli")]
        label: String,
        /// When it ends by itself
        #[arg(long, value_name = "SPAN", value_parser = seconds)]
        expires_in: Option<i64>,
    },
    /// List them, without their text
    #[command(before_help = "$ writ person token list maya")]
    List(Named),
    /// End one
    #[command(before_help = "$ writ person token revoke tok_01k9m3x8q2v4t6y8b0d2f4h6j8")]
    Revoke {
        /// Its id
        id: String,
    },
}

impl TokenCommand {
    pub(crate) async fn run(self, setting: &Setting, plural: &str) -> Outcome {
        let client = setting.client()?;
        match self {
            Self::Create { name, label, expires_in } => {
                let expires = expires_in.map(Value::from);
                let body = given([("label", Some(json!(label))), ("expires_seconds", expires)]);
                let answer = client.post(&client.at(&[plural, &name, "tokens"]), &body).await?;
                setting.secret("token", &answer, "the token, shown this once:")
            }
            Self::List(named) => {
                let tokens = client.get(&client.at(&[plural, &named.name, "tokens"])).await?;
                setting.list_as(TOKEN_COLUMNS, &tokens, state_in_words)
            }
            Self::Revoke { id } => {
                let answer = client.delete(&client.at(&["tokens", &id])).await?;
                setting.done(&format!("token {id} revoked"), &answer)
            }
        }
    }
}
