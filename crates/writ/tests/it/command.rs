//! The command line, run as a person runs it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::node::{Api, WRIT};

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) said: String,
}

/// Runs a command against a server; `home` keeps it away from the person's own contexts.
pub(crate) fn writ(api: &Api, home: &Path, arguments: &[&str]) -> Ran {
    run(home, arguments, &[("WRIT_URL", &api.url), ("WRIT_TOKEN", &api.token)])
}

/// Runs a command that needs no server.
pub(crate) fn offline(home: &Path, arguments: &[&str]) -> Ran {
    run(home, arguments, &[])
}

/// Runs a command that needs no server, with these variables set.
pub(crate) fn run(home: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    fed(home, arguments, environment, Stdio::null())
}

/// Runs a command against a server with a file as its standard input.
pub(crate) fn reading(api: &Api, home: &Path, arguments: &[&str], input: &Path) -> Ran {
    let input = std::fs::File::open(input).unwrap();
    fed(home, arguments, &[("WRIT_URL", &api.url), ("WRIT_TOKEN", &api.token)], input.into())
}

fn fed(home: &Path, arguments: &[&str], environment: &[(&str, &str)], input: Stdio) -> Ran {
    let mut command = Command::new(WRIT);
    command.args(arguments).env_clear().env("HOME", home).envs(environment.iter().copied());
    let done = command.stdin(input).output().unwrap();
    Ran {
        exit: done.status.code().expect("the command ended by itself"),
        out: done.stdout,
        said: String::from_utf8(done.stderr).unwrap(),
    }
}

impl Ran {
    /// What a command that must go well printed.
    #[track_caller]
    pub(crate) fn done(self) -> Vec<u8> {
        assert_eq!(self.exit, 0, "{}{}", String::from_utf8_lossy(&self.out), self.said);
        self.out
    }
}
