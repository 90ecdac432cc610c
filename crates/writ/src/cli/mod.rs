//! The command line: noun, then verb. One file per noun; what nouns share is in [`things`] and [`setting`].

mod agent;
mod audit;
mod blueprint;
mod check;
mod client;
mod completion;
mod connect;
mod context;
pub(crate) mod contexts;
mod coverage;
mod difference;
mod discovery;
mod doctor;
mod documents;
pub(crate) mod environment;
pub(crate) mod exit;
mod explain;
mod file;
mod grant;
mod group;
mod key;
mod keys;
mod kill;
mod login;
pub(crate) mod output;
mod owned;
mod person;
mod policy;
mod ready_key;
mod role;
mod secret;
mod server;
mod setting;
mod status;
mod task;
#[cfg(test)]
mod tests;
mod things;
pub(crate) mod token;
mod tool;
mod up;
mod workload;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use environment::Environment;
use exit::{Exit, Outcome, Trouble};
use output::{emit, printable, talk};
use setting::{Globals, Setting};

/// Identity and access management for AI agents
#[derive(Debug, Parser)]
#[command(
    name = "writ",
    version,
    max_term_width = 110,
    propagate_version = false,
    arg_required_else_help = true,
    before_help = "$ writ demo",
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 denied, 4 login needed, 5 approval pending, 6 verification failed, 7 conflict, 8 unavailable."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(Box<up::Up>),
    Demo(crate::demo::Demo),
    Status(status::Status),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Context(context::ContextCommand),
    #[command(subcommand)]
    Person(person::PersonCommand),
    #[command(subcommand)]
    Group(group::GroupCommand),
    #[command(subcommand)]
    Workload(workload::WorkloadCommand),
    #[command(subcommand)]
    Blueprint(blueprint::BlueprintCommand),
    #[command(subcommand)]
    Agent(agent::AgentCommand),
    #[command(subcommand)]
    Client(client::ClientCommand),
    #[command(subcommand)]
    Server(server::ServerCommand),
    #[command(subcommand)]
    Tool(tool::ToolCommand),
    #[command(subcommand)]
    Role(role::RoleCommand),
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    #[command(subcommand)]
    Task(Box<task::TaskCommand>),
    Token(Box<token::Token>),
    Login(login::Login),
    Logout(login::Logout),
    #[command(name = "whoami")]
    WhoAmI(login::WhoAmI),
    Connect(connect::Connect),
    Check(check::Check),
    Kill(kill::Kill),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    Apply(documents::Apply),
    Diff(documents::Diff),
    Export(documents::Export),
    Completion(completion::Completion),
    #[command(hide = true)]
    Complete(completion::Complete),
    /// Prints the version
    #[command(before_help = "$ writ version")]
    Version,
}

/// The tree of commands. A page about a noun begins with the example of its first verb: every page shows how.
fn tree() -> clap::Command {
    with_examples(Cli::command())
}

fn with_examples(command: clap::Command) -> clap::Command {
    let command = command.mut_subcommands(with_examples);
    let first = command.get_subcommands().next().and_then(|first| first.get_before_help().cloned());
    match first {
        Some(example) if command.get_before_help().is_none() => command.before_help(example),
        Some(_) | None => command,
    }
}

/// Runs what the process was asked for.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&tree().get_matches()).unwrap_or_else(|error| error.exit());
    let environment = Environment::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(cli, environment)),
        Err(error) => Err(Trouble::new(Exit::Failed, format!("no threads: {error}"))),
    };
    let exit = outcome.unwrap_or_else(|trouble| {
        complain(&trouble);
        trouble.exit
    });
    exit.into()
}

/// What happened and why, then what to do next. The words may be a server's, so they are made safe to print.
fn complain(trouble: &Trouble) {
    let mut prefix = "writ: ";
    for line in trouble.what.lines() {
        talk(&format!("{prefix}{}", printable(line)));
        prefix = "      ";
    }
    for line in trouble.help.iter().flat_map(|help| help.lines()) {
        talk(&format!("  {}", printable(line)));
    }
}

async fn run(cli: Cli, environment: Environment) -> Outcome {
    let (log, colour, database) = (environment.log.clone(), environment.colour, environment.database.clone());
    let setting = &Setting::new(cli.globals, environment);
    match cli.command {
        // The server whole is much larger than any other command.
        Command::Up(up) => Box::pin(up.run(log.as_deref(), database)).await,
        Command::Demo(demo) => Box::pin(demo.run(log.as_deref(), colour)).await,
        Command::Status(status) => status.run(setting).await,
        Command::Doctor(doctor) => doctor.run(setting).await,
        Command::Context(context) => context.run(setting),
        Command::Person(person) => person.run(setting).await,
        Command::Group(group) => group.run(setting).await,
        Command::Workload(workload) => workload.run(setting).await,
        Command::Blueprint(blueprint) => blueprint.run(setting).await,
        Command::Agent(agent) => agent.run(setting).await,
        Command::Client(client) => client.run(setting).await,
        Command::Server(server) => server.run(setting).await,
        Command::Tool(tool) => tool.run(setting).await,
        Command::Role(role) => role.run(setting).await,
        Command::Grant(grant) => grant.run(setting).await,
        Command::Policy(policy) => policy.run(setting).await,
        Command::Secret(secret) => secret.run(setting).await,
        Command::Task(task) => task.run(setting).await,
        Command::Token(token) => token.run(setting).await,
        Command::Login(login) => Box::pin(login.run(setting)).await,
        Command::Logout(logout) => logout.run(setting).await,
        Command::WhoAmI(who) => who.run(setting).await,
        Command::Connect(connect) => connect.run(setting).await,
        Command::Check(check) => check.run(setting).await,
        Command::Kill(kill) => kill.run(setting).await,
        Command::Audit(audit) => audit.run(setting).await,
        Command::Key(key) => key.run(setting).await,
        Command::Apply(apply) => apply.run(setting).await,
        Command::Diff(diff) => diff.run(setting).await,
        Command::Export(export) => export.run(setting).await,
        Command::Completion(completion) => completion.run(),
        Command::Complete(complete) => complete.run(),
        Command::Version => emit(&format!("writ {}\n", env!("CARGO_PKG_VERSION"))),
    }
}
