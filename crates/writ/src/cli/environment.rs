//! What the process is given: environment, clock and chance. Read here, and handed down as values.

use std::path::PathBuf;

use base::{Clock, Dice, Secret, Timestamp};

use crate::edge::{SystemClock, SystemDice};

/// The environment variables that the command line knows. Secrets other than the first two are never among them.
pub(crate) struct Environment {
    /// `WRIT_TOKEN`: the API token.
    pub(crate) token: Option<Secret>,
    /// `WRIT_DATABASE`: the URL of the server's database, which may hold a password.
    pub(crate) database: Option<Secret>,
    /// `WRIT_URL`: the server.
    pub(crate) url: Option<String>,
    /// `WRIT_CONTEXT`: the name of a context.
    pub(crate) context: Option<String>,
    /// `WRIT_LOG`: what the server logs of its operation, in the form of `RUST_LOG`.
    pub(crate) log: Option<String>,
    /// Unless `NO_COLOR` is set: colours, where a person looks on.
    pub(crate) colour: bool,
    /// Where contexts are kept: `$XDG_CONFIG_HOME/writ` or `$HOME/.config/writ`.
    pub(crate) config: Option<PathBuf>,
    /// `HOME`, and what MCP clients let a person say of where their settings are.
    pub(crate) homes: Homes,
}

/// Where other programs keep what they are told.
#[derive(Clone, Default)]
pub(crate) struct Homes {
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`, or `$HOME/.config`.
    pub(crate) config: Option<PathBuf>,
    /// `CODEX_HOME`, which Codex CLI reads instead of `$HOME/.codex`.
    pub(crate) codex: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment. A variable that is set to nothing counts as not set.
    pub(crate) fn read() -> Self {
        let home = variable("HOME").map(PathBuf::from);
        let config = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let config = config.or_else(|| home.as_ref().map(|home| home.join(".config")));
        Self {
            url: variable("WRIT_URL"),
            token: variable("WRIT_TOKEN").map(|token| Secret::new(token.trim().to_owned())),
            database: variable("WRIT_DATABASE").map(Secret::new),
            context: variable("WRIT_CONTEXT"),
            log: variable("WRIT_LOG"),
            colour: variable("NO_COLOR").is_none(),
            config: config.as_ref().map(|config| config.join("writ")),
            homes: Homes { home, config, codex: variable("CODEX_HOME").map(PathBuf::from) },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place of the command line that reads the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A secret that the person put into a variable of their own choice.
pub(crate) fn secret(name: &str) -> Option<Secret> {
    variable(name).map(|value| Secret::new(value.trim().to_owned()))
}

/// The present, for proofs that a client makes.
pub(crate) fn now() -> Timestamp {
    SystemClock::new().now()
}

/// A stopwatch that runs from now on.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is an edge: it measures what a person waits for"
)]
pub(crate) fn stopwatch() -> std::time::Instant {
    std::time::Instant::now()
}

/// A fresh identifier for a proof: 128 bits of chance.
pub(crate) fn nonce() -> String {
    let dice: &dyn Dice = &SystemDice;
    wire::jose::base64url(dice.bytes::<16>())
}
