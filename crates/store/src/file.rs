//! Private files of the data folder.

use std::{fs, io, io::Write as _, path::Path};

use base::Fault;

/// Options that make files readable by their owner alone.
pub(crate) fn private() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

/// Reads a private file; `None` when there is none.
///
/// SECURITY: a file that others can read or write is refused, not repaired: its content may be known already.
pub(crate) fn read_private(path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let doing = "reading a private file of the data folder";
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Fault::new(doing, error)),
        Ok(metadata) => metadata,
    };
    if !metadata.is_file() {
        return Err(Fault::new(doing, format!("`{}` is not a plain file", path.display())));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.display();
            let reason = format!(
                "`{path}` is open to others (mode {mode:04o}); run `chmod 600 {path}`, or replace it"
            );
            return Err(Fault::new(doing, reason));
        }
    }
    fs::read(path).map(Some).map_err(|error| Fault::new(doing, error))
}

/// Makes a private file that must not exist yet, and waits until it is on disk.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> Result<(), Fault> {
    let write = || -> io::Result<()> {
        let mut out = private().write(true).create_new(true).open(path)?;
        out.write_all(content)?;
        out.sync_all()?;
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    };
    write().map_err(|error| Fault::new("making a private file of the data folder", error))
}

/// Makes the data folder if it is not there, and takes the lock that keeps other processes out of it.
///
/// INVARIANT: one process per data folder. Two would end each other's open intents as lost and write one mark.
pub(crate) fn claim(data_dir: &Path) -> Result<fs::File, Fault> {
    let doing = "opening the data folder";
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.recursive(true).create(data_dir).map_err(|error| Fault::new(doing, error))?;
    let lock = private()
        .write(true)
        .create(true)
        .truncate(false)
        .open(data_dir.join("lock"))
        .map_err(|error| Fault::new(doing, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            let reason = format!(
                "another Writ process uses `{}`; stop it, or choose another folder",
                data_dir.display()
            );
            Err(Fault::new(doing, reason))
        }
        Err(fs::TryLockError::Error(error)) => Err(Fault::new(doing, error)),
    }
}
