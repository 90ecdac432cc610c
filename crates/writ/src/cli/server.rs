//! `writ server`

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::Outcome;
use super::output::{Column, talk};
use super::setting::{DryRun, Setting};
use super::things::{Changed, Named, Noun, given, seconds};

const SERVER: Noun = Noun {
    word: "server",
    plural: "servers",
    columns: &[
        Column::new("NAME", "/name"),
        Column::new("STATE", "/spec/state"),
        Column::new("URL", "/spec/url"),
        Column::wide("SECRET", "/spec/credential/secret"),
        Column::wide("DESCRIPTION", "/spec/description"),
        Column::wide("ID", "/id"),
    ],
};

const FOUND_COLUMNS: &[Column] = &[
    Column::new("TOOL", "/tool"),
    Column::new("OUTCOME", "/outcome"),
    Column::new("EFFECT", "/effect"),
    Column::new("STATE", "/state"),
];

const TESTED_COLUMNS: &[Column] = &[
    Column::new("SPEAKS", "/revision"),
    Column::new("NAME", "/info/name"),
    Column::new("VERSION", "/info/version"),
    Column::new("TOOLS", "/tools"),
    Column::new("MS", "/milliseconds"),
];

/// Upstream MCP servers.
#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// Add a server to the catalogue
    #[command(before_help = "$ writ server add shop https://shop.example/mcp --secret shop-key --discover")]
    Add(Add),
    /// List the servers
    #[command(before_help = "$ writ server list")]
    List,
    /// Show one server
    #[command(before_help = "$ writ server show shop")]
    Show(Named),
    /// Ask a server for its tools: new ones are pinned, changed ones quarantined
    #[command(before_help = "$ writ server discover shop")]
    Discover(Named),
    /// Ask a server what it speaks and offers; changes nothing
    #[command(before_help = "$ writ server test shop")]
    Test(Named),
    /// Let calls go to a stopped server again
    #[command(before_help = "$ writ server start shop")]
    Start(Named),
    /// Let no call go to a server until it is started
    #[command(before_help = "$ writ server stop shop")]
    Stop(Changed),
    /// Remove a server that has no tools and grants left
    #[command(before_help = "$ writ server remove shop --yes")]
    Remove(Changed),
}

/// What is known about a server.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The server's name, as in /mcp/NAME
    name: String,
    /// The address of its MCP endpoint (streamable HTTP, or HTTP+SSE of 2024-11-05), or stdio://NAME for a server of `local.NAME` in the configuration file
    endpoint: String,
    /// What it is, in one line
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The secret that Writ proves itself with (`writ secret put`); agents never see it
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// The header that carries the secret
    #[arg(long, value_name = "NAME", default_value = "authorization", requires = "secret")]
    header: String,
    /// What stands before the secret in the header
    #[arg(long, value_name = "TEXT", default_value = "Bearer ", requires = "secret")]
    prefix: String,
    /// How long an answer may take to begin
    #[arg(long, value_name = "SPAN", value_parser = seconds)]
    timeout: Option<i64>,
    /// The certificates of its own authority (PEM): it is trusted by these alone
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<std::path::PathBuf>,
    /// Let this pass between the server and clients although it does not by itself
    #[arg(long = "pass", value_name = "WHAT", value_parser = ["sampling", "roots", "logging"])]
    passes: Vec<String>,
    /// Ask it for its tools at once
    #[arg(long, conflicts_with = "dry_run")]
    discover: bool,
    #[command(flatten)]
    how: DryRun,
}

impl ServerCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Add(add) => add.run(setting).await,
            Self::List => SERVER.list(setting).await,
            Self::Show(named) => SERVER.show(setting, &named).await,
            Self::Discover(named) => discover(setting, &named.name).await,
            Self::Test(named) => test(setting, &named.name).await,
            Self::Start(named) => SERVER.bring_back(setting, &named, "start").await,
            Self::Stop(changed) => SERVER.set_state(setting, &changed, "stopped").await,
            Self::Remove(changed) => SERVER.remove(setting, &changed).await,
        }
    }
}

impl Add {
    async fn run(self, setting: &Setting) -> Outcome {
        let credential = self
            .secret
            .map(|secret| json!({ "secret": secret, "header": self.header, "prefix": self.prefix }));
        let tls_ca = self.tls_ca.as_deref().map(super::file::text).transpose()?;
        let spec = given([
            ("url", Some(json!(self.endpoint))),
            ("description", self.description.map(|text| json!(text))),
            ("credential", credential),
            ("timeout_seconds", self.timeout.map(Into::into)),
            ("tls_ca", tls_ca.map(Into::into)),
            ("passes", (!self.passes.is_empty()).then(|| json!(self.passes))),
        ]);
        let made = SERVER.create(setting, &self.name, &spec, self.how).await?;
        let next = format!("`writ server discover {}`", self.name);
        if self.discover {
            return discover(setting, &self.name).await.map_err(|trouble| {
                let there = format!(
                    "server {} is in the catalogue, without its tools; when it answers: {next}",
                    self.name
                );
                let help =
                    trouble.help.as_ref().map_or_else(|| there.clone(), |help| format!("{there}\n{help}"));
                trouble.help(help)
            });
        }
        if !self.how.dry_run {
            talk(&format!("next: {next} asks it for its tools"));
        }
        Ok(made)
    }
}

async fn discover(setting: &Setting, name: &str) -> Outcome {
    let client = setting.client()?;
    setting.list(FOUND_COLUMNS, &client.act(&client.at(&[SERVER.plural, name, "discover"])).await?)
}

async fn test(setting: &Setting, name: &str) -> Outcome {
    let client = setting.client()?;
    let tested = client.act(&client.at(&[SERVER.plural, name, "test"])).await?;
    setting.list(TESTED_COLUMNS, &json!([tested]))
}
