//! SQLite: write-ahead log, full sync, one writer connection.

use std::{path::Path, time::Duration};

use base::Fault;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::Engine;
use crate::error::fault;

/// Reader connections; each is a thread.
const READERS: u32 = 4;
/// How long the file may be locked by another process, which only happens when somebody works on it by hand.
const BUSY: Duration = Duration::from_secs(1);
/// How long a writer waits for its turn.
const TURN: Duration = Duration::from_secs(10);

pub(super) async fn open(path: &Path, pages_max: Option<u32>) -> Result<Engine, Fault> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .statement_cache_capacity(512);

    // INVARIANT: FULL. A commit that was answered must survive the loss of power, not only of the process.
    let mut writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // SECURITY: an erased payload's key is overwritten, not only unlinked.
        .pragma("secure_delete", "on")
        .synchronous(SqliteSynchronous::Full);
    if let Some(pages) = pages_max {
        writing = writing.pragma("max_page_count", pages.to_string());
    }
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(TURN)
            .test_before_acquire(false)
            // SQLite gives a transaction up by itself when the disk is full or broken. The driver still counts it as
            // open then, and would refuse every later one: such a connection makes way for a new one.
            .before_acquire(|conn, _| Box::pin(std::future::ready(Ok(!conn.is_in_transaction()))))
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let writer = pool()
        .max_connections(1)
        .connect_with(writing)
        .await
        .map_err(|error| fault("opening the SQLite database", error))?;
    let readers = pool()
        .max_connections(READERS)
        .connect_with(options.read_only(true))
        .await
        .map_err(|error| fault("opening the SQLite database for reading", error))?;
    Ok(Engine::Sqlite { writer, readers })
}
