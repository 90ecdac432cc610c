//! What a command runs with: the global options, and the client that follows from them.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use base::Secret;
use clap::Args;
use serde_json::Value;

use super::contexts::{Context, Contexts};
use super::environment::{Environment, Homes};
use super::exit::{Exit, Outcome, Trouble};
use super::output::{Column, Format, emit, talk};
use crate::api_client::{ApiClient, Renewal};

/// The server of a person who has just typed `writ up`.
const URL_DEFAULT: &str = "http://127.0.0.1:8420";

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Globals {
    /// How to print answers
    #[arg(short, long, global = true, value_enum, value_name = "FORM", default_value = "table")]
    pub(crate) output: Format,
    /// The server; else WRIT_URL, else the context's, else http://127.0.0.1:8420
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The context to use; else WRIT_CONTEXT, else the current one
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    /// Trust the certificates in this PEM file, and no others
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Do not ask before what cannot be undone
    #[arg(short, long, global = true)]
    yes: bool,
    /// Never ask; fail where a question would come
    #[arg(long, global = true)]
    no_input: bool,
}

/// Says what would happen, and changes nothing.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DryRun {
    /// Say what would happen and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What a command runs with.
pub(crate) struct Setting {
    globals: Globals,
    environment: Environment,
}

/// Which server is meant, which certificates are trusted, and the context that is its own, with its name.
struct Reach {
    address: String,
    ca_file: Option<PathBuf>,
    its_own: Option<(String, Context)>,
}

impl Setting {
    pub(crate) const fn new(globals: Globals, environment: Environment) -> Self {
        Self { globals, environment }
    }

    /// How answers are printed.
    pub(crate) const fn format(&self) -> Format {
        self.globals.output
    }

    /// Where other programs keep what they are told.
    pub(crate) const fn homes(&self) -> &Homes {
        &self.environment.homes
    }

    /// The file of contexts.
    pub(crate) fn contexts_file(&self) -> Result<PathBuf, Trouble> {
        let folder = self.environment.config.as_ref().ok_or_else(|| {
            Trouble::usage("there is no place for contexts").help("set HOME or XDG_CONFIG_HOME")
        })?;
        Ok(folder.join("contexts.toml"))
    }

    /// A client with the token of the environment or of the context.
    pub(crate) fn client(&self) -> Result<ApiClient, Trouble> {
        let (client, has_token) = self.connect()?;
        if has_token {
            return Ok(client);
        }
        let help = "`writ login`; or set WRIT_TOKEN: the administrator's is in admin.token in the folder given to `writ up --data`";
        Err(Trouble::new(Exit::Login, format!("there is no token for `{}`", client.base())).help(help))
    }

    /// A client that may have no token, and whether it has one.
    pub(crate) fn connect(&self) -> Result<(ApiClient, bool), Trouble> {
        let Reach { address, ca_file, its_own } = self.reach(self.context()?);
        let token = self.environment.token.clone();
        let renewal = match its_own.as_ref().filter(|_| token.is_none()) {
            Some((name, context)) => Renewal::of(self.contexts_file()?, name, context),
            None => None,
        };
        let token = token.or_else(|| its_own.and_then(|(_, context)| context.token).map(Secret::new));
        let has_token = token.is_some();
        Ok((ApiClient::new(&address, token, ca_file.as_deref())?.renewing(renewal), has_token))
    }

    /// A client of the server that is named, without any token, and the certificates that it trusts.
    pub(crate) fn stranger(&self) -> Result<(ApiClient, Option<PathBuf>), Trouble> {
        // A context that is not there yet is what signing in makes.
        let Reach { address, ca_file, .. } = self.reach(self.context().ok().flatten());
        Ok((ApiClient::new(&address, None, ca_file.as_deref())?, ca_file))
    }

    /// SECURITY: a context's token goes to the context's server and to no other.
    fn reach(&self, chosen: Option<(String, Context)>) -> Reach {
        let named = self.globals.url.clone().or_else(|| self.environment.url.clone());
        let known = chosen.as_ref().map(|(_, context)| context.url.clone());
        let address = named.or(known).unwrap_or_else(|| URL_DEFAULT.to_owned());
        let its_own = chosen.filter(|(_, context)| context.url == address);
        let ca_file = self.globals.ca_file.clone();
        let ca_file = ca_file.or_else(|| its_own.as_ref().and_then(|(_, context)| context.ca_file.clone()));
        Reach { address, ca_file, its_own }
    }

    /// A client with what the context of this name holds, whatever the environment says.
    pub(crate) fn connect_to(&self, name: &str) -> Result<(ApiClient, bool), Trouble> {
        let file = self.contexts_file()?;
        let contexts = Contexts::read(&file)?;
        let Some((name, context)) = contexts.find(Some(name))? else {
            return Err(Trouble::usage(format!("there is no context `{name}`")));
        };
        let token = context.token.clone().map(Secret::new);
        let client = ApiClient::new(&context.url, token, context.ca_file.as_deref())?;
        Ok((client.renewing(Renewal::of(file, name, context)), context.token.is_some()))
    }

    /// The context that is named or the current one.
    pub(crate) fn chosen(&self, contexts: &Contexts) -> Result<Option<(String, Context)>, Trouble> {
        let named = self.globals.context.as_deref().or(self.environment.context.as_deref());
        Ok(contexts.find(named)?.map(|(name, context)| (name.to_owned(), context.clone())))
    }

    fn context(&self) -> Result<Option<(String, Context)>, Trouble> {
        let named = self.globals.context.is_some() || self.environment.context.is_some();
        let complete = self.environment.token.is_some()
            && (self.globals.url.is_some() || self.environment.url.is_some());
        if (!named && complete) || self.environment.config.is_none() {
            return Ok(None);
        }
        self.chosen(&Contexts::read(&self.contexts_file()?)?)
    }

    /// Prints a list.
    pub(crate) fn list(&self, columns: &[Column], rows: &Value) -> Outcome {
        self.list_as(columns, rows, |row| row)
    }

    /// Prints a list: programs get the rows as they are, people get them in these words.
    pub(crate) fn list_as(
        &self,
        columns: &[Column],
        rows: &Value,
        words: impl Fn(Value) -> Value,
    ) -> Outcome {
        let rows = rows
            .as_array()
            .ok_or_else(|| Trouble::new(Exit::Failed, "the server did not answer with a list"))?;
        if self.format().is_for_programs() {
            return emit(&self.format().list(columns, rows));
        }
        let rows: Vec<Value> = rows.iter().cloned().map(words).collect();
        emit(&self.format().list(columns, &rows))
    }

    /// Prints one thing.
    pub(crate) fn one(&self, value: &Value) -> Outcome {
        emit(&self.format().one(value))
    }

    /// Prints what was done: a sentence for people, the answer for programs.
    pub(crate) fn done(&self, sentence: &str, answer: &Value) -> Outcome {
        if self.format().is_for_programs() { self.one(answer) } else { emit(&format!("{sentence}\n")) }
    }

    /// Prints a secret that is shown once: alone on standard output, so that a script can take it.
    pub(crate) fn secret(&self, member: &str, answer: &Value, talk_of: &str) -> Outcome {
        if matches!(self.format(), Format::Json | Format::Yaml) {
            return self.one(answer);
        }
        let text = answer[member].as_str();
        let text =
            text.ok_or_else(|| Trouble::new(Exit::Failed, format!("the server sent no `{member}`")))?;
        talk(talk_of);
        emit(&format!("{text}\n"))
    }

    /// Asks before something that cannot be undone: the person types the name.
    pub(crate) fn confirm(&self, what: &str, name: &str) -> Result<(), Trouble> {
        if self.globals.yes {
            return Ok(());
        }
        if self.globals.no_input || !std::io::stdin().is_terminal() {
            return Err(Trouble::usage(format!("{what}: this needs a confirmation")).help("add --yes"));
        }
        talk(&format!("{what}\ntype `{name}` to go on:"));
        let mut typed = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut typed)
            .map_err(|error| Trouble::new(Exit::Failed, error.to_string()))?;
        if typed.trim() == name {
            Ok(())
        } else {
            Err(Trouble::new(Exit::Failed, "not confirmed; nothing was changed"))
        }
    }
}
