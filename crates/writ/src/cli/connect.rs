//! `writ connect`: tells an MCP client where a server behind Writ is.

mod client;
mod edit;
mod place;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use base::{Name, Secret};
use clap::Args;
use serde_json::json;

use self::client::{Client, Entry, Scope, Token};
use self::edit::{Edited, Place, Refused};
use self::place::Found;
use super::discovery::discover;
use super::environment::secret;
use super::exit::{Exit, Outcome, Trouble};
use super::output::{emit, talk};
use super::setting::Setting;

/// What is printed where a token is to stand.
const TOKEN_SHOWN: &str = "THE-TOKEN";

/// Prints, or writes, what an MCP client must be told to use a server behind Writ.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ connect claude-code --server shop --write",
    after_help = "Examples:\n  $ writ connect cursor --server shop                      print it, and where it belongs\n  $ writ connect vscode --server shop --scope project --write\n  $ writ connect codex --server shop --remove              undo\n\nThe token stays outside of the file: the client takes it from the environment variable WRIT_MCP_TOKEN.\nThat is not WRIT_TOKEN, which is a person's."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Connect {
    /// The client
    #[arg(value_enum)]
    client: Client,
    /// The server; without it, all that the agent may use, at /mcp
    #[arg(long, value_name = "NAME")]
    server: Option<Name>,
    /// What the client calls it; else `writ-NAME`, or `writ`
    #[arg(long = "as", value_name = "NAME", value_parser = entry_name)]
    name: Option<String>,
    /// Whose settings: yours for all projects, or those of the project in the current folder
    #[arg(long, value_enum, default_value = "user")]
    scope: Scope,
    /// The client's file, where it is not at its usual place
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The environment variable that the client takes the access token from
    #[arg(long, value_name = "NAME", default_value = "WRIT_MCP_TOKEN", value_parser = variable_name)]
    token_variable: String,
    /// Write the token that is in the variable now into the file, which becomes readable by you alone
    #[arg(long, conflicts_with = "remove")]
    token_in_file: bool,
    /// Write it into the client's file; all else in there stays as it is
    #[arg(long, conflicts_with = "remove")]
    write: bool,
    /// Take it out of the client's file again
    #[arg(long)]
    remove: bool,
    /// Let go of an entry of this name that is of another server; the file as it was is kept as FILE.bak
    #[arg(long)]
    force: bool,
}

/// SECURITY: names are written into files whose readers put values in the place of `${...}` and the like.
fn entry_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let well_formed = (1..=64).contains(&text.len()) && text.bytes().all(plain);
    well_formed.then(|| text.to_owned()).ok_or_else(|| "use 1 to 64 letters, digits, `-` or `_`".to_owned())
}

fn variable_name(text: &str) -> Result<String, String> {
    let well_formed = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|first: char| first.is_ascii_digit());
    if text == "WRIT_TOKEN" {
        return Err("WRIT_TOKEN is a person's token; an agent's needs a variable of its own".to_owned());
    }
    well_formed.then(|| text.to_owned()).ok_or_else(|| "use letters, digits and `_`".to_owned())
}

/// The address, if it means the same to every client.
///
/// SECURITY: a server says its address itself, and clients put the values of variables, and opencode even files, into
/// what is written with `$` or `{`.
fn plain_url(url: String) -> Result<String, Trouble> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte);
    if url.bytes().all(plain) && url.len() <= 2048 {
        return Ok(url);
    }
    Err(Trouble::new(Exit::Unverified, format!("`{url}` is no plain address; it is written into no file")))
}

impl Connect {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let path = self.path(setting)?;
        let url = self.url(setting).await?;
        self.act(setting, &path, &url)
    }

    /// The client's file.
    fn path(&self, setting: &Setting) -> Result<PathBuf, Trouble> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        self.client.file(self.scope, setting.homes(), cfg!(target_os = "macos")).ok_or_else(|| {
            match self.scope {
                Scope::Project => {
                    Trouble::usage(format!("{} has no file of servers for a project", self.client.word()))
                        .help("leave out --scope")
                }
                Scope::User => Trouble::usage("nothing says where your files are")
                    .help("set HOME, or name the file with --file"),
            }
        })
    }

    /// The server's address, as the server says it itself: tokens are for exactly that.
    async fn url(&self, setting: &Setting) -> Result<String, Trouble> {
        let (client, _) = setting.connect()?;
        let base = client.base().as_str().trim_end_matches('/').to_owned();
        let guessed =
            self.server.as_ref().map_or_else(|| format!("{base}/mcp"), |name| format!("{base}/mcp/{name}"));
        let asked = self.server.as_ref().map_or(guessed.as_str(), Name::as_str);
        match discover(&client, asked).await {
            Ok(found) => plain_url(found.resource),
            // What was written is taken out also where the server is gone.
            Err(_) if self.remove => plain_url(guessed),
            Err(trouble) => Err(trouble),
        }
    }

    /// What the client calls the server. Not all of them take a dot.
    fn name(&self) -> String {
        let named = self.server.as_ref().map(|server| format!("writ-{}", server.as_str().replace('.', "-")));
        self.name.clone().or(named).unwrap_or_else(|| "writ".to_owned())
    }

    fn place<'a>(&self, name: &'a str) -> Place<'a> {
        Place { language: self.client.language(), list: self.client.list(), name, force: self.force }
    }

    fn act(&self, setting: &Setting, path: &Path, url: &str) -> Outcome {
        let name = self.name();
        let kept = self.token()?;
        let by_variable = Token::Variable(&self.token_variable);
        let is_told = self.client.reads_environment() && !self.token_in_file;
        let shown = if is_told { by_variable } else { Token::Text(TOKEN_SHOWN) };
        let shown = self.client.entry(url, &shown);
        let snippet = snippet(&self.place(&name), &shown)?;
        if self.remove {
            return self.taken(setting, path, &name, &shown);
        }
        if !self.write {
            talk(&format!("nothing is written; this belongs into `{}`:", path.display()));
            self.answer(setting, path, &name, url, "printed", &snippet)?;
            self.next();
            return Ok(Exit::Done);
        }
        if !is_told && kept.is_none() {
            let what =
                format!("{} takes no token from its environment, only from the file", self.client.word());
            return Err(Trouble::usage(what).help(format!(
                "if it may stand there, put it into {} and add --token-in-file; a token lives for minutes",
                self.token_variable
            )));
        }
        let entry = kept.as_ref().map_or_else(
            || self.client.entry(url, &Token::Variable(&self.token_variable)),
            |kept| self.client.entry(url, &Token::Text(kept.expose())),
        );
        let found = Found::read(path)?;
        let edited = edit::put(&found.text, &self.place(&name), &entry);
        let edited = edited.map_err(|why| refused(path, &why, &snippet))?;
        let done = match edited {
            Edited::Same => "unchanged",
            Edited::Text(text) => {
                found.replace(&text, kept.is_some())?;
                "written"
            }
            Edited::Instead(text) => {
                let copy = found.keep_copy()?;
                talk(&format!("the file as it was is in `{}`", copy.display()));
                found.replace(&text, kept.is_some())?;
                "written"
            }
        };
        self.answer(setting, path, &name, url, done, &snippet)?;
        self.next();
        Ok(Exit::Done)
    }

    fn taken(&self, setting: &Setting, path: &Path, name: &str, entry: &Entry) -> Outcome {
        let found = Found::read(path)?;
        let edited = edit::take(&found.text, &self.place(name), entry);
        let done = match edited.map_err(|why| refused(path, &why, ""))? {
            Edited::Same => "unchanged",
            Edited::Text(text) | Edited::Instead(text) => {
                if self.force {
                    found.keep_copy()?;
                }
                found.replace(&text, false)?;
                "removed"
            }
        };
        self.answer(setting, path, name, &entry.url, done, "")
    }

    /// The token that is to stand in the file.
    fn token(&self) -> Result<Option<Secret>, Trouble> {
        if !self.token_in_file {
            return Ok(None);
        }
        if self.scope == Scope::Project {
            let what = "a token in a project's file goes wherever the project goes";
            return Err(Trouble::usage(what).help("leave out --token-in-file, or --scope"));
        }
        let found = secret(&self.token_variable);
        // It goes into a file of another program's language, so only what every one of them takes as it is.
        let plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
        match found {
            Some(found) if plain(found.expose()) => Ok(Some(found)),
            Some(_) => Err(Trouble::usage(format!("what is in {} is no access token", self.token_variable))),
            None => Err(Trouble::usage(format!("{} is not set", self.token_variable)).help(self.export())),
        }
    }

    /// How the variable comes by a token.
    fn export(&self) -> String {
        let resource =
            self.server.as_ref().map_or_else(String::new, |server| format!(" --resource {server}"));
        format!("export {}=$(writ token --agent AGENT --key FILE{resource})", self.token_variable)
    }

    /// What to do now, without the client's environment where it does not look there.
    fn next(&self) {
        let export = if self.token_in_file { String::new() } else { format!("next: {}\n", self.export()) };
        talk(&format!("{export}then: {}", self.client.look()));
    }

    fn answer(
        &self,
        setting: &Setting,
        path: &Path,
        name: &str,
        url: &str,
        done: &str,
        content: &str,
    ) -> Outcome {
        let scope = if self.file.is_some() {
            "file"
        } else if self.scope == Scope::User {
            "user"
        } else {
            "project"
        };
        let answer = json!({
            "client": self.client.word(), "path": path.display().to_string(), "scope": scope, "name": name,
            "url": url, "outcome": done, "content": content,
        });
        if setting.format().is_for_programs() {
            return setting.one(&answer);
        }
        match done {
            "printed" => emit(content),
            _ => emit(&format!("{done}: {name}, {url}, in {}\n", path.display())),
        }
    }
}

/// Why the file is left alone, and what can be done by hand.
fn refused(path: &Path, refused: &Refused, snippet: &str) -> Trouble {
    let shown = path.display();
    match refused {
        Refused::Form(_) => Trouble::new(Exit::Failed, format!("`{shown}` is left as it is: {refused}"))
            .help(if snippet.is_empty() {
                "take the entry out by hand".to_owned()
            } else {
                format!("add this by hand:\n{snippet}")
            }),
        Refused::Other { .. } => {
            Trouble::new(Exit::Conflict, format!("`{shown}` is left as it is: {refused}"))
                .help("give another name with --as, or let the other one go with --force")
        }
    }
}

/// The entry alone, as a file of its own would hold it.
fn snippet(place: &Place<'_>, entry: &Entry) -> Result<String, Trouble> {
    match edit::put("", place, entry) {
        Ok(Edited::Text(text)) => Ok(text),
        Ok(_) | Err(_) => Err(Trouble::new(Exit::Failed, "the entry cannot be written")),
    }
}
