//! Credentials and API tokens: `keys` of agents and workloads, `token` of people and workloads.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use wire::json::Json;

use super::exit::{Exit, Outcome, Trouble};
use super::file;
use super::output::Column;
use super::setting::Setting;
use super::things::{Named, given, seconds};

const KEY_COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("LABEL", "/label"),
    Column::new("KIND", "/kind"),
    Column::new("CREATED", "/created"),
    Column::new("EXPIRES", "/expires"),
    Column::new("REVOKED", "/revoked"),
    Column::wide("THUMBPRINT", "/thumbprint"),
];

const TOKEN_COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("LABEL", "/label"),
    Column::new("CREATED", "/created"),
    Column::new("EXPIRES", "/expires"),
    Column::new("REVOKED", "/revoked"),
];

/// The keys and secrets by which a principal proves itself at the token endpoint.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Register a public key, or have a client secret made
    #[command(before_help = "$ writ agent keys add ada --key-file ada.jwk --expires-in 90d")]
    Add(AddKey),
    /// List them
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
pub(crate) struct AddKey {
    /// The principal's name or id
    name: String,
    /// What to call it
    #[arg(long, default_value = "cli")]
    label: String,
    /// A public key as JWK, or a private one as PKCS#8 PEM, of which only the public half is sent
    #[arg(long, value_name = "FILE", required_unless_present = "secret")]
    key_file: Option<PathBuf>,
    /// Have a shared secret made instead; discouraged, shown once
    #[arg(long, conflicts_with = "key_file")]
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
                let jwk = add.key_file.as_deref().map(public_jwk).transpose()?;
                let body = registration(&add.label, jwk, add.expires_in);
                let answer = client.post(&client.at(&[plural, &add.name, "credentials"]), &body).await?;
                if add.secret {
                    return setting.secret("secret", &answer, "the client secret, shown this once:");
                }
                let id = answer["id"].as_str().unwrap_or_default();
                setting.done(&format!("key {id} registered for {}", add.name), &answer)
            }
            Self::List(named) => setting
                .list(KEY_COLUMNS, &client.get(&client.at(&[plural, &named.name, "credentials"])).await?),
            Self::Revoke { id } => {
                let answer = client.delete(&client.at(&["credentials", &id])).await?;
                setting.done(&format!("key {id} revoked"), &answer)
            }
        }
    }
}

/// The body that registers a key, or asks for a secret when there is none.
pub(crate) fn registration(label: &str, jwk: Option<Value>, expires_seconds: Option<i64>) -> Value {
    let secret = jwk.is_none().then_some(json!(true));
    given([
        ("label", Some(json!(label))),
        ("jwk", jwk),
        ("secret", secret),
        ("expires_seconds", expires_seconds.map(Value::from)),
    ])
}

/// The public key in a file.
///
/// SECURITY: a private key never leaves this machine: of a PEM only the public half is sent, and a JWK with private
/// members is refused.
pub(crate) fn public_jwk(path: &Path) -> Result<Value, Trouble> {
    let text = file::text(path)?;
    let shown = path.display();
    let jwk = if text.contains("-----BEGIN") {
        file::private_key(path)?.public().required_members().clone()
    } else {
        let jwk =
            Json::parse(text.as_bytes()).map_err(|error| Trouble::usage(format!("`{shown}`: {error}")))?;
        wire::jose::PublicJwk::parse(&jwk).map_err(|error| Trouble::usage(format!("`{shown}`: {error}")))?;
        jwk
    };
    serde_json::from_str(&jwk.to_text()).map_err(|error| Trouble::new(Exit::Failed, error.to_string()))
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
                setting.list(TOKEN_COLUMNS, &client.get(&client.at(&[plural, &named.name, "tokens"])).await?)
            }
            Self::Revoke { id } => {
                let answer = client.delete(&client.at(&["tokens", &id])).await?;
                setting.done(&format!("token {id} revoked"), &answer)
            }
        }
    }
}
