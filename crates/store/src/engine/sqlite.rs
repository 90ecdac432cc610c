//! SQLite: write-ahead log, full sync, one writer connection.

use std::{path::Path, time::Duration};

use base::Fault;
use sqlx::{
    Pool, Sqlite,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::Lines;
use crate::error::fault;

/// Connections of those who read what somebody asked for; each is a thread.
const READERS: u32 = 5;
/// Connections of those who follow the log.
const FOLLOWERS: u32 = 2;
/// How long the file may be locked by another process, which only happens when somebody works on it by hand.
const BUSY: Duration = Duration::from_secs(1);
/// How long a writer waits for its turn.
const TURN: Duration = Duration::from_secs(10);

pub(super) async fn open(path: &Path, pages_max: Option<u32>) -> Result<Lines<Sqlite>, Fault> {
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
    let writer = pool(1, writing).await?;
    let reading = options.read_only(true);
    Ok(Lines {
        changes: writer.clone(),
        batches: writer,
        follower: pool(FOLLOWERS, reading.clone()).await?,
        readers: pool(READERS, reading).await?,
    })
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> Result<Pool<Sqlite>, Fault> {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await
        .map_err(|error| fault("opening the SQLite database", error))
}
