//! Contexts: the servers that a person works with, and by which token.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::exit::{Exit, Trouble};

/// The largest file of contexts, in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// The file of contexts, mode 0600. No `Debug`: it holds tokens.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contexts {
    /// The one that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// All of them, by name.
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// A server and how to reach it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    /// Its address.
    pub(crate) url: String,
    /// The API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    /// The only certificates to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    /// What renews the token, of whoever signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh: Option<String>,
    /// When the token ends, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
}

impl Contexts {
    /// Reads the file; without one there are no contexts.
    ///
    /// SECURITY: a file that others can read is refused, as its tokens are theirs then.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let metadata = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            other => other.map_err(|error| Trouble::file(path, &error))?,
        };
        let shown = path.display();
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(Trouble::new(Exit::Failed, format!("`{shown}` holds tokens and others can read it"))
                .help(format!("chmod 600 {shown}")));
        }
        if metadata.len() > BYTES_MAX {
            return Err(Trouble::new(Exit::Failed, format!("`{shown}` is larger than 1 MiB")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| Trouble::file(path, &error))?;
        // The error of the parser would show the line, and with it a token.
        toml::from_str(&text)
            .map_err(|error| Trouble::new(Exit::Failed, format!("`{shown}`: {}", error.message())))
    }

    /// Writes the file: whole or not at all, readable by its owner only.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Trouble> {
        let text = toml::to_string(self).map_err(|error| Trouble::new(Exit::Failed, error.to_string()))?;
        let trouble = |error| Trouble::file(path, &error);
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(trouble)?;
        }
        let new = path.with_extension("new");
        // What a crash left behind would keep its own mode.
        drop(std::fs::remove_file(&new));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)
            .map_err(trouble)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(trouble)?;
        std::fs::rename(&new, path).map_err(trouble)
    }

    /// The context of this name, or the current one, with its name.
    pub(crate) fn find(&self, name: Option<&str>) -> Result<Option<(&str, &Context)>, Trouble> {
        let Some(wanted) = name.or(self.current.as_deref()) else { return Ok(None) };
        let found = self.contexts.get_key_value(wanted);
        found.map(|(name, context)| Some((name.as_str(), context))).ok_or_else(|| {
            Trouble::usage(format!("there is no context `{wanted}`")).help("see `writ context list`")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Context, Contexts};

    #[test]
    fn a_file_round_trips_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/contexts.toml");
        assert!(Contexts::read(&path).unwrap().contexts.is_empty(), "no file is no context");

        let mut contexts = Contexts::default();
        let context = Context {
            url: "https://w.example".into(),
            token: Some("t".into()),
            ca_file: None,
            refresh: None,
            expires: None,
        };
        contexts.contexts.insert("home".into(), context);
        contexts.current = Some("home".into());
        contexts.write(&path).unwrap();
        contexts.write(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let read = Contexts::read(&path).unwrap();
        assert_eq!(read.find(None).unwrap().unwrap().1.url, "https://w.example");
        assert!(read.find(Some("work")).is_err());

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Contexts::read(&path).err().unwrap().what.contains("others can read"));
    }

    #[test]
    fn a_broken_file_does_not_show_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("contexts.toml");
        std::fs::write(&path, "[contexts.a]\nurl = \"https://w\"\ntoken = \"s3cret\nx").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(!Contexts::read(&path).err().unwrap().what.contains("s3cret"));
    }
}
