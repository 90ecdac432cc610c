//! A client's file is read, and replaced as a whole.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::cli::exit::{Exit, Trouble};
use crate::cli::file;

/// Who may read a new file without a secret in it.
const MODE_NEW: u32 = 0o644;
/// Who may read a file with a token in it.
const MODE_PRIVATE: u32 = 0o600;

/// A file as it was found.
pub(super) struct Found {
    /// Where it is itself: settings are often links into a folder that is under version control.
    path: PathBuf,
    /// Its text, empty where there is none.
    pub(super) text: String,
    mode: Option<u32>,
}

impl Found {
    /// Reads the file. One that is not there is empty.
    pub(super) fn read(path: &Path) -> Result<Self, Trouble> {
        let trouble = |error: std::io::Error| Trouble::file(path, &error);
        if path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return Ok(Self { path: path.to_owned(), text: String::new(), mode: None });
        }
        let path = path.canonicalize().map_err(trouble)?;
        let metadata = path.metadata().map_err(trouble)?;
        if !metadata.is_file() {
            return Err(Trouble::new(Exit::Failed, format!("`{}` is no file", path.display())));
        }
        let text = file::text(&path)?;
        Ok(Self { path, text, mode: Some(metadata.permissions().mode() & 0o777) })
    }

    /// Replaces the file: whole or not at all, and not where somebody else has changed it since.
    pub(super) fn replace(&self, text: &str, private: bool) -> Result<(), Trouble> {
        let trouble = |error: std::io::Error| Trouble::file(&self.path, &error);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(trouble)?;
        }
        // SECURITY: a token in a file that others may read would be theirs.
        let mode = if private { MODE_PRIVATE } else { self.mode.unwrap_or(MODE_NEW) };
        let new = beside(&self.path, "writ-new");
        // What a crash left behind would keep its own mode.
        drop(std::fs::remove_file(&new));
        let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new);
        let mut file = opened.map_err(trouble)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(trouble)?;
        // The mode that a file is made with is narrowed by the process's mask.
        file.set_permissions(std::fs::Permissions::from_mode(mode)).map_err(trouble)?;
        if Self::read(&self.path)?.text != self.text {
            drop(std::fs::remove_file(&new));
            let what = format!("`{}` was changed at the same time; nothing was written", self.path.display());
            return Err(Trouble::new(Exit::Conflict, what).help("try again; close the client first"));
        }
        std::fs::rename(&new, &self.path).map_err(trouble)
    }

    /// Keeps the file as it was beside itself, and says where.
    pub(super) fn keep_copy(&self) -> Result<PathBuf, Trouble> {
        let copy = beside(&self.path, "bak");
        std::fs::copy(&self.path, &copy).map_err(|error| Trouble::file(&copy, &error))?;
        Ok(copy)
    }
}

/// The name of a file, with an ending more.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
