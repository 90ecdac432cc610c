//! `writ key`

use clap::Subcommand;
use serde_json::json;

use super::exit::Outcome;
use super::output::Column;
use super::setting::Setting;

const COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("ALGORITHM", "/algorithm"),
    Column::new("STATE", "/state"),
    Column::new("CREATED", "/created"),
    Column::new("SIGNED UNTIL", "/signed_until"),
    Column::wide("KID", "/kid"),
];

/// Writ's own signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys with which tokens are signed and verified
    #[command(before_help = "$ writ key list")]
    List,
    /// Sign with a new key from now on; the one before verifies until what it signed has expired
    #[command(before_help = "$ writ key rotate ES256")]
    Rotate {
        /// The algorithm
        #[arg(value_parser = ["ES256", "RS256", "EdDSA"])]
        algorithm: String,
    },
    /// End a key that no longer signs: nothing that it signed is valid any more
    #[command(before_help = "$ writ key revoke key_01k9m3x8q2v4t6y8b0d2f4h6j8 --yes")]
    Revoke {
        /// Its id
        id: String,
    },
}

impl KeyCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        match self {
            Self::List => setting.list(COLUMNS, &client.get(&client.at(&["keys"])).await?),
            Self::Rotate { algorithm } => {
                let body = json!({ "algorithm": algorithm });
                let answer = client.post(&client.at(&["keys", "rotate"]), &body).await?;
                setting.done(&format!("{algorithm} tokens are signed with a new key"), &answer)
            }
            Self::Revoke { id } => {
                setting.confirm(&format!("every token that key `{id}` signed will be dead"), &id)?;
                let answer = client.delete(&client.at(&["keys", &id])).await?;
                setting.done(&format!("key {id} revoked"), &answer)
            }
        }
    }
}
