//! What the configuration file says of a local server.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use base::{Name, Secret};
use serde::Deserialize;

use super::guard::{Limits, Orders};

/// How large the file of variables may be, in bytes.
const ENV_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The table `local.NAME`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalServer {
    /// The program, by its absolute path.
    command: PathBuf,
    /// SHA-256 of the program's file.
    sha256: String,
    #[serde(default)]
    args: Vec<String>,
    /// Further files that must be as they are, and SHA-256 of each.
    #[serde(default)]
    pins: BTreeMap<PathBuf, String>,
    /// All variables that it gets.
    #[serde(default)]
    env: BTreeMap<String, Secret>,
    /// More of them, as lines `NAME=VALUE`, read at each start of a process.
    env_file: Option<PathBuf>,
    /// Where it works.
    #[serde(default = "root")]
    pub(super) folder: PathBuf,
    /// How many processes of it there may be at once.
    #[serde(default = "processes_max")]
    pub(super) processes_max: usize,
    /// After how long without use a process is ended.
    #[serde(default = "idle_seconds")]
    pub(super) idle_seconds: u64,
    /// Of each process: private memory that it can write to.
    #[serde(default = "memory_mib")]
    memory_mib: u64,
    /// Of each process: processor time.
    #[serde(default = "cpu_seconds")]
    cpu_seconds: u64,
    /// Of each process: open files.
    #[serde(default = "files_max")]
    files_max: u64,
    /// Processes and threads of the user that Writ runs as, at which it can make no further one.
    tasks_max: Option<u64>,
}

fn root() -> PathBuf {
    "/".into()
}

const fn processes_max() -> usize {
    16
}

const fn idle_seconds() -> u64 {
    3600
}

const fn memory_mib() -> u64 {
    2048
}

const fn cpu_seconds() -> u64 {
    3600
}

const fn files_max() -> u64 {
    1024
}

impl LocalServer {
    /// Refuses what could not be started, or would not be what was meant.
    pub(crate) fn check(&self, name: &str) -> anyhow::Result<()> {
        let at = |key: &str| format!("`local.{name}.{key}`");
        name.parse::<Name>().with_context(|| format!("`local.{name}`"))?;
        for (key, path) in [
            ("command", Some(&self.command)),
            ("folder", Some(&self.folder)),
            ("env_file", self.env_file.as_ref()),
        ] {
            let is_absolute = path.is_none_or(|path| path.is_absolute());
            ensure!(is_absolute, "{}: give an absolute path", at(key));
        }
        for (path, digest) in &self.pins {
            ensure!(path.is_absolute(), "{}: `{}` is no absolute path", at("pins"), path.display());
            ensure!(
                is_digest(digest),
                "{}: of `{}` is no SHA-256 in 64 hexadecimal digits",
                at("pins"),
                path.display()
            );
        }
        ensure!(
            is_digest(&self.sha256),
            "{}: give SHA-256 of the command's file, as `sha256sum` prints it",
            at("sha256")
        );
        for variable in self.env.keys() {
            ensure!(is_variable(variable), "{}: `{variable}` is no name of a variable", at("env"));
        }
        let processes_max = u64::try_from(self.processes_max).unwrap_or(u64::MAX);
        for (key, value, max) in [
            ("processes_max", processes_max, 256),
            ("idle_seconds", self.idle_seconds, 7 * 24 * 3600),
            ("memory_mib", self.memory_mib, 1024 * 1024),
            ("cpu_seconds", self.cpu_seconds, 7 * 24 * 3600),
            ("files_max", self.files_max, 1_000_000),
            ("tasks_max", self.tasks_max.unwrap_or(1), 1_000_000),
        ] {
            ensure!((1..=max).contains(&value), "{}: {value} is outside 1 to {max}", at(key));
        }
        Ok(())
    }

    /// What the guard is told: no variable is among it, since arguments can be read by every local user.
    pub(super) fn orders(&self) -> Orders {
        let own = (self.command.clone(), self.sha256.to_ascii_lowercase());
        let further = self.pins.iter().map(|(path, digest)| (path.clone(), digest.to_ascii_lowercase()));
        Orders {
            command: self.command.clone(),
            args: self.args.clone(),
            // The command's own comes last: nothing is between its check and its start.
            pins: further.chain([own]).collect(),
            limits: Limits {
                memory_bytes: self.memory_mib * 1024 * 1024,
                cpu_seconds: self.cpu_seconds,
                files: self.files_max,
                tasks: self.tasks_max,
            },
        }
    }

    /// All variables that a process gets. Those of the file win.
    pub(super) fn environment(&self) -> anyhow::Result<BTreeMap<String, Secret>> {
        let mut all = self.env.clone();
        if let Some(path) = &self.env_file {
            all.extend(read_variables(path).with_context(|| format!("`{}`", path.display()))?);
        }
        Ok(all)
    }
}

fn read_variables(path: &Path) -> anyhow::Result<Vec<(String, Secret)>> {
    let about = std::fs::metadata(path)?;
    ensure!(about.is_file() && about.len() <= ENV_FILE_BYTES_MAX, "is no file, or larger than 64 KiB");
    let for_others = about.mode() & 0o077;
    ensure!(for_others == 0, "can be read by others than its owner; `chmod 600` it");
    let text = std::fs::read_to_string(path)?;
    let mut all = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // The line is not shown: it holds a secret.
        match line.split_once('=') {
            Some((name, value)) if is_variable(name) && !value.contains('\0') => {
                all.push((name.to_owned(), Secret::new(value.to_owned())));
            }
            _ => bail!("line {} is no `NAME=VALUE`", number + 1),
        }
    }
    Ok(all)
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::LocalServer;

    fn read(text: &str) -> anyhow::Result<LocalServer> {
        let digest = "a".repeat(64);
        let server: LocalServer = toml::from_str(&text.replace("DIGEST", &digest))?;
        server.check("files")?;
        Ok(server)
    }

    #[test]
    fn what_could_not_be_meant_is_refused() {
        assert!(read("command = '/bin/x'\nsha256 = 'DIGEST'").is_ok());
        for (wrong, why) in [
            ("command = '/bin/x'", "sha256"),
            ("command = 'x'\nsha256 = 'DIGEST'", "local.files.command"),
            ("command = '/bin/x'\nsha256 = 'abc'", "local.files.sha256"),
            ("command = '/bin/x'\nsha256 = 'DIGEST'\npins = { 'a' = 'DIGEST' }", "absolute"),
            ("command = '/bin/x'\nsha256 = 'DIGEST'\npins = { '/a' = 'DIGES' }", "SHA-256"),
            ("command = '/bin/x'\nsha256 = 'DIGEST'\nenv = { 'A=B' = '1' }", "no name of a variable"),
            ("command = '/bin/x'\nsha256 = 'DIGEST'\nprocesses_max = 0", "outside 1 to 256"),
            ("command = '/bin/x'\nsha256 = 'DIGEST'\nshell = true", "unknown field"),
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }

    #[test]
    fn variables_are_read_anew_and_from_a_private_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        let text = format!(
            "command = '/bin/x'\nsha256 = 'DIGEST'\nenv = {{ A = '1', B = '2' }}\nenv_file = '{}'",
            path.display()
        );
        let server = read(&text).unwrap();
        assert!(server.environment().is_err(), "it is not there");
        let write = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("# a comment\n\nB=x=y\nC=\n", 0o600);
        let all = server.environment().unwrap();
        let all: Vec<_> = all.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(all, [("A", "1"), ("B", "x=y"), ("C", "")]);
        write("B=3\n", 0o640);
        assert!(server.environment().unwrap_err().root_cause().to_string().contains("chmod"));
        write("hunter2\n", 0o600);
        let error = format!("{:#}", server.environment().unwrap_err());
        assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
    }
}
