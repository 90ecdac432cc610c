//! `writ client`

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::exit::Outcome;
use super::keys::KeysCommand;
use super::output::Column;
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given};

const CLIENT: Noun = Noun {
    word: "client",
    plural: "clients",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("USE", "/spec/use"),
        Column::new("DISPLAY NAME", "/spec/display_name"),
        Column::new("REDIRECTS TO", "/spec/redirect_uris"),
        Column::wide("CONFIDENTIAL", "/spec/confidential"),
        Column::wide("ID", "/id"),
    ],
};

/// Clients: programs that ask people for something, registered by an administrator.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Register a client
    #[command(
        before_help = "$ writ client create helpdesk --redirect-uri https://helpdesk.example/callback --use sign-in"
    )]
    Create(Create),
    /// List the registered clients
    #[command(before_help = "$ writ client list")]
    List,
    /// Show one client
    #[command(before_help = "$ writ client show helpdesk")]
    Show(Named),
    /// Delete a client; what people let it do is refused from then on
    #[command(before_help = "$ writ client delete helpdesk --yes")]
    Delete(Changed),
    /// The keys and secrets by which a confidential client proves itself
    #[command(subcommand, mut_subcommands(example_of_client))]
    Keys(KeysCommand),
}

fn example_of_client(command: clap::Command) -> clap::Command {
    let example = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    command.before_help(example.replace("writ agent", "writ client").replace(" ada", " helpdesk"))
}

/// What a client is for.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Use {
    /// To act for people as an agent, within tasks that they agree to
    Agent,
    /// To learn who somebody is, and nothing more (OpenID Connect)
    SignIn,
    /// To act as the person at the API: a command line, a console
    Person,
}

/// What a client is made of.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The client's id in requests
    name: String,
    /// What people read; the name itself when not given
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// What it is for
    #[arg(long = "use", value_enum, default_value = "agent")]
    purpose: Use,
    /// Where answers may go; may be given several times
    #[arg(long, value_name = "URI", required = true)]
    redirect_uri: Vec<String>,
    /// Where people may go on after they signed out; may be given several times
    #[arg(long, value_name = "URI")]
    post_logout_redirect_uri: Vec<String>,
    /// Where it hears that somebody signed out (OpenID Connect Back-Channel Logout)
    #[arg(long, value_name = "URI")]
    backchannel_logout_uri: Option<String>,
    /// It proves itself by a key or secret: see `writ client keys add`
    #[arg(long)]
    confidential: bool,
    /// Its tokens must be bound to a key (DPoP)
    #[arg(long)]
    dpop_required: bool,
    /// Its requests must be pushed (RFC 9126)
    #[arg(long)]
    par_required: bool,
    #[command(flatten)]
    how: DryRun,
}

impl ClientCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Create(create) => {
                let flag = |set: bool| set.then(|| Value::from(true));
                let after = (!create.post_logout_redirect_uri.is_empty())
                    .then(|| json!(create.post_logout_redirect_uri));
                let spec = given([
                    ("display_name", Some(json!(create.display_name.unwrap_or_else(|| create.name.clone())))),
                    (
                        "use",
                        Some(json!(match create.purpose {
                            Use::Agent => "agent",
                            Use::SignIn => "sign_in",
                            Use::Person => "person",
                        })),
                    ),
                    ("redirect_uris", Some(json!(create.redirect_uri))),
                    ("post_logout_redirect_uris", after),
                    ("backchannel_logout_uri", create.backchannel_logout_uri.map(Value::from)),
                    ("confidential", flag(create.confidential)),
                    ("dpop_required", flag(create.dpop_required)),
                    ("par_required", flag(create.par_required)),
                ]);
                CLIENT.create(setting, &create.name, &spec, create.how).await
            }
            Self::List => CLIENT.list(setting).await,
            Self::Show(named) => CLIENT.show(setting, &named).await,
            Self::Delete(changed) => CLIENT.remove(setting, &changed).await,
            Self::Keys(keys) => keys.run(setting, CLIENT.plural).await,
        }
    }
}
