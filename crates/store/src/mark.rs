//! The high-water mark: what this node knows to have been committed, kept beside the database.
//!
//! A database that is older than the mark was restored from a backup, or is another one. Revocations could have
//! been lost with it, so the log begins a new generation and every earlier credential is dead.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Mutex as Lock,
};

use base::{Fault, Position, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{Head, file};

const FILE: &str = "high-water";

/// The mark as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mark {
    pub(crate) generation: i64,
    pub(crate) position: Position,
    pub(crate) guard: Position,
    pub(crate) time: Timestamp,
    /// The leaf hash of the record at `position`: a database that was restored and then grew past the mark on
    /// another node has another record there. In hexadecimal.
    pub(crate) leaf: String,
}

impl From<&Head> for Mark {
    fn from(head: &Head) -> Self {
        Self {
            generation: head.generation,
            position: head.position,
            guard: head.guard,
            time: head.time,
            leaf: hex::encode(head.leaf),
        }
    }
}

/// Reads the mark of a data folder, if there is one.
pub(crate) fn read(data_dir: &Path) -> Result<Option<Mark>, Fault> {
    let path = data_dir.join(FILE);
    let Some(text) = file::read_private(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let reason = format!(
            "`{}` is damaged ({error}); remove it only if the database is the newest one",
            path.display()
        );
        Fault::new("reading the high-water mark", reason)
    })
}

/// Keeps the mark up to date.
pub(crate) struct Keeper {
    data_dir: PathBuf,
    /// The newest head this node knows.
    known: Lock<Option<Head>>,
    /// The position of the mark on disk. Held while writing, so that waiting commits share one write.
    written: Mutex<Position>,
}

impl Keeper {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.to_owned(), known: Lock::new(None), written: Mutex::new(Position(-1)) }
    }

    /// Takes note of a committed head.
    pub(crate) fn note(&self, head: Head) {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.is_none_or(|known| known.position < head.position) {
            *known = Some(head);
        }
    }

    /// The newest head this node knows.
    pub(crate) fn known(&self) -> Option<Head> {
        *self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Answers when a mark at `position` or later is on disk.
    pub(crate) async fn reach(&self, position: Position) -> Result<(), Fault> {
        let mut written = self.written.lock().await;
        if *written >= position {
            return Ok(());
        }
        let Some(head) = self.known() else { return Ok(()) };
        let data_dir = self.data_dir.clone();
        let write = tokio::task::spawn_blocking(move || write(&data_dir, &Mark::from(&head)));
        write.await.map_err(|error| Fault::new("writing the high-water mark", error))??;
        *written = head.position;
        Ok(())
    }

    /// Writes what is known, if the mark is behind.
    pub(crate) async fn flush(&self) -> Result<(), Fault> {
        match self.known() {
            Some(head) => self.reach(head.position).await,
            None => Ok(()),
        }
    }
}

fn write(data_dir: &Path, mark: &Mark) -> Result<(), Fault> {
    let text = serde_json::to_vec(mark).map_err(|error| Fault::new("writing the high-water mark", error))?;
    replace(data_dir, &text).map_err(|error| Fault::new("writing the high-water mark", error))
}

/// The new content is on disk under another name before it takes the old one's place, and the change of names is
/// on disk before this returns.
fn replace(data_dir: &Path, text: &[u8]) -> std::io::Result<()> {
    let next = data_dir.join("high-water.next");
    let mut out = file::private().write(true).create(true).truncate(true).open(&next)?;
    out.write_all(text)?;
    out.sync_all()?;
    fs::rename(&next, data_dir.join(FILE))?;
    fs::File::open(data_dir)?.sync_all()
}
