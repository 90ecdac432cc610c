//! The key that a principal is registered with: read from a file, or made into a new one.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use wire::jose::SigningKey;
use wire::json::Json;

use super::exit::{Exit, Trouble};
use super::file::{self, NewKeyFile};
use super::output::talk;
use super::things::given;
use crate::api_client::{ApiClient, Target};

/// The key that a principal shall prove itself with: given, or made on the spot.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Register this public key (JWK), or the public half of this private one (PKCS#8 PEM)
    #[arg(long, value_name = "FILE", conflicts_with = "generate_key")]
    key_file: Option<PathBuf>,
    /// Make an ES256 key, keep its private half in this new file, and register the public half
    #[arg(long, value_name = "FILE")]
    generate_key: Option<PathBuf>,
}

/// A key that can be registered: everything that can be wrong with its file was found out.
pub(crate) enum ReadyKey<'a> {
    /// The public key that was given.
    Given(Value),
    /// The file that a new key goes into.
    New(NewKeyFile<'a>),
}

impl KeyArgs {
    /// Reads or makes the file, before the server is asked for anything.
    pub(crate) fn ready(&self) -> Result<Option<ReadyKey<'_>>, Trouble> {
        match (&self.key_file, &self.generate_key) {
            (Some(path), _) => Ok(Some(ReadyKey::Given(public_jwk(path)?))),
            (None, Some(path)) => Ok(Some(ReadyKey::New(NewKeyFile::reserve(path)?))),
            (None, None) => Ok(None),
        }
    }

    /// Whether a key shall be made, which no trial run does.
    pub(crate) const fn generates(&self) -> bool {
        self.generate_key.is_some()
    }
}

impl ReadyKey<'_> {
    /// Registers it. A private half is in its file before the public one is sent: a key that is registered and lost
    /// would be worse than a file too many, and that one is removed.
    pub(crate) async fn register(
        self,
        client: &ApiClient,
        target: &Target,
        label: &str,
        expires_seconds: Option<i64>,
    ) -> Result<Value, Trouble> {
        match self {
            Self::Given(jwk) => {
                Ok(client.post(target, &registration(label, Some(jwk), expires_seconds)).await?)
            }
            Self::New(mut file) => {
                let key = file.write()?;
                let body = registration(label, Some(public_half(&key)?), expires_seconds);
                let answer = client.post(target, &body).await?;
                talk(&format!(
                    "the private key is in {} (mode 0600); key id {}",
                    file.path().display(),
                    key.kid()
                ));
                file.keep();
                Ok(answer)
            }
        }
    }
}

/// The body that registers a key, or asks for a secret when there is none.
pub(super) fn registration(label: &str, jwk: Option<Value>, expires_seconds: Option<i64>) -> Value {
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
fn public_jwk(path: &Path) -> Result<Value, Trouble> {
    let text = file::text(path)?;
    let shown = path.display();
    let jwk = if text.contains("-----BEGIN") {
        return public_half(&file::private_key(path)?);
    } else {
        let jwk =
            Json::parse(text.as_bytes()).map_err(|error| Trouble::usage(format!("`{shown}`: {error}")))?;
        wire::jose::PublicJwk::parse(&jwk).map_err(|error| Trouble::usage(format!("`{shown}`: {error}")))?;
        jwk
    };
    as_value(&jwk)
}

fn public_half(key: &SigningKey) -> Result<Value, Trouble> {
    as_value(key.public().required_members())
}

fn as_value(jwk: &Json) -> Result<Value, Trouble> {
    serde_json::from_str(&jwk.to_text()).map_err(|error| Trouble::new(Exit::Failed, error.to_string()))
}
