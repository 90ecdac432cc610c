//! `writ person`

use clap::Subcommand;
use serde_json::json;

use super::exit::Outcome;
use super::keys::TokenCommand;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};

const PERSON: Noun = Noun {
    word: "person",
    plural: "people",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("STATE", "/spec/state"),
        Column::new("DISPLAY NAME", "/spec/display_name"),
        Column::new("EMAIL", "/spec/email"),
        Column::wide("ID", "/id"),
        Column::wide("CREATED", "/created"),
    ],
};

/// People: who owns agents, and on whose behalf they act.
#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Make a person
    #[command(
        before_help = "$ writ person create maya --display-name \"Maya Lind\" --email maya@example.com"
    )]
    Create {
        /// The person's name in commands and documents
        name: String,
        /// The name that others see; the name itself when not given
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Where they get mail
        #[arg(long)]
        email: Option<String>,
        #[command(flatten)]
        how: DryRun,
    },
    /// List the people that you may see
    #[command(before_help = "$ writ person list")]
    List,
    /// Show one person
    #[command(before_help = "$ writ person show maya")]
    Show(Named),
    /// Let a disabled person act again; their old credentials stay dead
    #[command(before_help = "$ writ person enable maya")]
    Enable(Named),
    /// Stop a person and everything they own
    #[command(before_help = "$ writ person disable maya --yes")]
    Disable(Changed),
    /// Make a link by which a person comes in: the first time, or after everything else was lost. It works once
    #[command(before_help = "$ writ person invite maya --expires-in 2d")]
    Invite {
        /// The person's name or id
        name: String,
        /// How long the link works
        #[arg(long, value_name = "SPAN", value_parser = seconds)]
        expires_in: Option<i64>,
        /// Send it to the person's e-mail address, and do not show it
        #[arg(long)]
        mail: bool,
    },
    /// Their API tokens
    #[command(subcommand)]
    Token(TokenCommand),
}

impl PersonCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create { name, display_name, email, how } => {
                let display_name = display_name.unwrap_or_else(|| name.clone());
                let spec = given([
                    ("display_name", Some(json!(display_name))),
                    ("email", email.map(|email| json!(email))),
                ]);
                PERSON.create(setting, &name, &spec, how).await
            }
            Self::List => PERSON.list(setting).await,
            Self::Show(named) => PERSON.show(setting, &named).await,
            Self::Enable(named) => PERSON.bring_back(setting, &named, "enable").await,
            Self::Disable(changed) => {
                if !changed.how.dry_run {
                    let what = format!("person `{}` and everything they own will be stopped", changed.name);
                    setting.confirm(&what, &changed.name)?;
                }
                PERSON.set_state(setting, &changed, "disabled").await
            }
            Self::Invite { name, expires_in, mail } => {
                let client = setting.client()?;
                let by_mail = mail.then(|| serde_json::Value::from(true));
                let body =
                    given([("expires_seconds", expires_in.map(serde_json::Value::from)), ("mail", by_mail)]);
                let answer = client.post(&client.at(&[PERSON.plural, &name, "invitations"]), &body).await?;
                if mail {
                    return setting.done(&format!("a link is on its way to {name}"), &answer);
                }
                setting.secret(
                    "url",
                    &answer,
                    "the link, shown this once; whoever opens it signs in as the person:",
                )
            }
            Self::Token(token) => token.run(setting, PERSON.plural).await,
        }
    }
}
