//! SQLite: write-ahead log, full sync, one writer connection.
//!
//! Called directly, without a thread per connection in between: a statement takes a few microseconds, and handing it to
//! another thread and back takes ten times as long.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base::Fault;
use rusqlite::{CachedStatement, Connection, OpenFlags, Statement, ToSql, ffi, types::ToSqlOutput};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::timeout_at,
};

use super::Reader;
use crate::{
    deadline::Deadline,
    error::{SqlBusy, sqlite_fault},
    value::{Cells, Row, Value},
};

/// Connections of those who read what somebody asked for.
const READERS: usize = 5;
/// Connections of those who follow the log.
const FOLLOWERS: usize = 2;
/// How long the file may be locked by another process, which only happens when somebody works on it by hand.
const BUSY: Duration = Duration::from_secs(1);
/// Prepared statements that each connection keeps.
const STATEMENTS: usize = 256;
/// Pages of the write-ahead log, 32 MiB, after which they go into the database. Most pages of a commit are written again
/// by the next one, and only their last version is copied.
const CHECKPOINT_PAGES: u32 = 8192;

/// Where the statements of a transaction run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the caller's own thread, which nobody else needs.
    Here,
    /// On a thread that may block, so that the runtime's threads do not.
    Aside,
}

/// All connections to one file.
pub(crate) struct Sqlite {
    /// One, so that writers queue here and never meet `SQLITE_BUSY`.
    writer: Pool,
    /// Apart from other readers, so that whoever keeps those busy does not make this node stale.
    followers: Pool,
    readers: Pool,
}

impl Sqlite {
    pub(super) fn open(path: &Path, pages_max: Option<u32>) -> Result<Self, Fault> {
        let writer = open_writer(path, pages_max)
            .map_err(|error| sqlite_fault("opening the SQLite database", error))?;
        let readers = |count| {
            let opened = std::iter::repeat_with(|| open_reader(path)).take(count).collect::<Result<_, _>>();
            opened.map_err(|error| sqlite_fault("opening the SQLite database for reading", error))
        };
        let (followers, readers) = (Pool::new(readers(FOLLOWERS)?), Pool::new(readers(READERS)?));
        Ok(Self { writer: Pool::new(vec![writer]), followers, readers })
    }

    pub(super) async fn begin_write(&self, place: Place, deadline: Deadline) -> Result<Transaction, Fault> {
        Transaction::begin(&self.writer, place, "begin immediate", deadline).await
    }

    pub(super) async fn begin_read(&self, reader: Reader, deadline: Deadline) -> Result<Transaction, Fault> {
        let pool = match reader {
            Reader::Follower => &self.followers,
            Reader::Anyone => &self.readers,
        };
        Transaction::begin(pool, Place::Aside, "begin deferred", deadline).await
    }

    /// Takes the whole write-ahead log into the database and empties it; false where somebody still reads what stands in it.
    pub(super) async fn empty_log(&self, deadline: Deadline) -> Result<bool, Fault> {
        const DOING: &str = "emptying the write-ahead log";
        let taken = self.writer.take(deadline).await?;
        let working = spawn_blocking(move || {
            let session = lock(&taken.session);
            session.end_transaction();
            session.connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, i64>(0))
        });
        let is_busy = working.await.map_err(|error| Fault::new(DOING, error))?;
        is_busy.map(|is_busy| is_busy == 0).map_err(|error| sqlite_fault(DOING, error))
    }

    /// Waits for the connections in use. The writer last: it takes the write-ahead log into the database.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.followers.close().await;
        self.writer.close().await;
    }
}

fn open_writer(path: &Path, pages_max: Option<u32>) -> rusqlite::Result<Connection> {
    let writer = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    writer.pragma_update(None, "journal_mode", "wal")?;
    // INVARIANT: full. A commit that was answered must survive the loss of power, not only of the process.
    writer.pragma_update(None, "synchronous", "full")?;
    // SECURITY: an erased payload's key is overwritten, not only unlinked.
    writer.pragma_update(None, "secure_delete", "on")?;
    writer.pragma_update(None, "foreign_keys", "on")?;
    writer.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    if let Some(pages) = pages_max {
        writer.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(writer)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time: whoever took it.
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Connections that are taken in turn. Clones share them.
#[derive(Clone)]
struct Pool {
    idle: Arc<Mutex<Vec<Shared>>>,
    turns: Arc<Semaphore>,
    size: u32,
}

type Shared = Arc<Mutex<Session>>;

impl Pool {
    fn new(connections: Vec<Connection>) -> Self {
        let size = connections.len();
        let idle = connections
            .into_iter()
            .map(|connection| Arc::new(Mutex::new(Session::new(connection))))
            .collect();
        Self {
            idle: Arc::new(Mutex::new(idle)),
            turns: Arc::new(Semaphore::new(size)),
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    async fn take(&self, deadline: Deadline) -> Result<Taken, Fault> {
        const DOING: &str = "waiting for a connection to the database";
        let turn = timeout_at(deadline.until(), Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Fault::new(DOING, SqlBusy::silent()))?;
        let turn = turn.map_err(|_| Fault::new(DOING, "the database is closed"))?;
        // There are as many connections as turns.
        let session = lock(&self.idle).pop().ok_or_else(|| Fault::new(DOING, "the database is closed"))?;
        Ok(Taken { session, pool: self.clone(), _turn: turn })
    }

    /// Waits for the connections in use, then closes all.
    async fn close(&self) {
        if let Ok(all) = self.turns.acquire_many(self.size).await {
            self.turns.close();
            lock(&self.idle).clear();
            drop(all);
        }
    }
}

/// A lock that nobody panics under: what it guards is whole after each statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that somebody has taken. Dropping it rolls back and gives it back.
struct Taken {
    session: Shared,
    pool: Pool,
    /// Dropped after the connection was given back, so that whoever gets the turn finds it.
    _turn: OwnedSemaphorePermit,
}

impl Drop for Taken {
    fn drop(&mut self) {
        lock(&self.session).end_transaction();
        lock(&self.pool.idle).push(Arc::clone(&self.session));
    }
}

/// An open transaction. Dropping it rolls back.
pub(crate) struct Transaction {
    taken: Arc<Taken>,
    place: Place,
}

impl Transaction {
    async fn begin(pool: &Pool, place: Place, how: &'static str, deadline: Deadline) -> Result<Self, Fault> {
        let begun = Self { taken: Arc::new(pool.take(deadline).await?), place };
        begun
            .run("beginning a transaction", move |session| {
                session.end_transaction();
                session.connection.execute_batch(how)
            })
            .await?;
        Ok(begun)
    }

    pub(super) async fn exec(&self, sql: &'static str, args: &[Value]) -> Result<u64, Fault> {
        const DOING: &str = "writing to the database";
        match self.place {
            Place::Here => self.here(DOING, |session| session.exec(sql, args)),
            Place::Aside => {
                let args = args.to_vec();
                self.aside(DOING, move |session| session.exec(sql, &args)).await
            }
        }
    }

    pub(super) async fn rows(&self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Fault> {
        const DOING: &str = "reading from the database";
        match self.place {
            Place::Here => self.here(DOING, |session| session.rows(sql, args)),
            Place::Aside => {
                let args = args.to_vec();
                self.aside(DOING, move |session| session.rows(sql, &args)).await
            }
        }
    }

    pub(super) async fn script(&self, doing: &'static str, sql: &'static str) -> Result<(), Fault> {
        self.run(doing, move |session| session.connection.execute_batch(sql)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Session) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        match self.place {
            Place::Here => self.here(doing, work),
            Place::Aside => self.aside(doing, work).await,
        }
    }

    fn here<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Session) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        work(&mut lock(&self.taken.session)).map_err(|error| sqlite_fault(doing, error))
    }

    /// Goes on to its end also when nobody waits for it any more; the connection stays taken as long.
    async fn aside<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Session) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let taken = Arc::clone(&self.taken);
        let working = spawn_blocking(move || work(&mut lock(&taken.session)));
        let done = working.await.map_err(|error| Fault::new(doing, error))?;
        done.map_err(|error| sqlite_fault(doing, error))
    }
}

/// A connection and what it knows of statements.
struct Session {
    connection: Connection,
    /// Of each statement which value belongs to each of its parameters. Statements are literals, so where one lies and how
    /// long it is tells it from all others.
    numbers: HashMap<(usize, usize), Box<[usize]>>,
}

impl Session {
    fn new(connection: Connection) -> Self {
        Self { connection, numbers: HashMap::new() }
    }

    /// Rolls back what is open. SQLite itself gives a transaction up when the disk is full or broken; where even rolling
    /// back fails, the next one to begin tries again.
    fn end_transaction(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("rollback")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn exec(&mut self, sql: &'static str, args: &[Value]) -> rusqlite::Result<u64> {
        let mut statement = self.prepare(sql, args)?;
        statement.raw_execute().map(|rows| rows as u64)
    }

    fn rows(&mut self, sql: &'static str, args: &[Value]) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self.prepare(sql, args)?;
        let columns = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?;
            found.push(Row(Cells::Sqlite(cells)));
        }
        Ok(found)
    }

    fn prepare(&mut self, sql: &'static str, args: &[Value]) -> rusqlite::Result<CachedStatement<'_>> {
        // INVARIANT: no statement runs outside of its transaction, not even after SQLite has given that up.
        if self.connection.is_autocommit() {
            let gone = ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK);
            let why = "the database has given the transaction up".to_owned();
            return Err(rusqlite::Error::SqliteFailure(gone, Some(why)));
        }
        let mut statement = self.connection.prepare_cached(sql)?;
        let place = (sql.as_ptr().addr(), sql.len());
        let numbers = self.numbers.entry(place).or_insert_with(|| numbers_of(&statement));
        for (index, number) in numbers.iter().enumerate() {
            let value = args.get(number.wrapping_sub(1));
            let value = value.ok_or(rusqlite::Error::InvalidParameterCount(args.len(), numbers.len()))?;
            statement.raw_bind_parameter(index + 1, value)?;
        }
        Ok(statement)
    }
}

/// The numbers in a statement's parameters: to SQLite `$7` is a name, and its index is where it stands first.
fn numbers_of(statement: &Statement<'_>) -> Box<[usize]> {
    let number = |index| statement.parameter_name(index).and_then(|name| name.get(1..)?.parse().ok());
    (1..=statement.parameter_count()).map(|index| number(index).unwrap_or_default()).collect()
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Int(number) => number.to_sql(),
            Self::Bool(flag) => flag.to_sql(),
            Self::Bytes(bytes) => bytes.to_sql(),
        }
    }
}
