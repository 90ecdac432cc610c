//! The two databases behind one face.
//!
//! Everything that differs between them lies in this folder: opening, beginning a transaction, and the two
//! spots where the SQL text itself differs ([`Dialect`]).

mod conn;
mod postgres;
mod shape;
mod sqlite;

use std::{path::PathBuf, sync::Arc, time::Duration};

use base::{Fault, Secret};
use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout_at;

pub(crate) use conn::Conn;
pub(crate) use shape::{Shaped, list, values};

use crate::{
    deadline::Deadline,
    error::{SqlBusy, fault},
    health::Health,
};
use conn::Lent;
use sqlite::{Place, Sqlite};

/// How long closing may take.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// Which database.
#[derive(Clone, Debug)]
pub enum Database {
    /// A SQLite file; it is made when it is not there.
    Sqlite(PathBuf),
    /// A PostgreSQL URL, `postgres://user:password@host/database`.
    Postgres(Secret),
}

/// Which of the two, where the SQL text must differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Everything that is asked of the database goes through here.
pub(crate) struct Engine {
    pools: Pools,
    health: Arc<Health>,
}

enum Pools {
    Sqlite(Sqlite),
    Postgres(Lines),
}

/// The connections to PostgreSQL, apart by what waits for them. Those to SQLite are kept apart in the same way.
///
/// SECURITY: whoever fills one line with requests does not keep those of another waiting: changes, calls, and that this
/// node stays fresh.
struct Lines {
    /// Changes and upkeep, of which one goes on at a time.
    changes: PgPool,
    /// The batch writer.
    batches: PgPool,
    /// Following the log.
    follower: PgPool,
    /// Everybody else who reads.
    readers: PgPool,
}

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Whoever keeps this node fresh.
    Follower,
    /// Anybody who asked for something.
    Anyone,
}

impl Engine {
    pub(crate) async fn open(database: &Database, pages_max: Option<u32>) -> Result<Self, Fault> {
        let pools = match database {
            Database::Sqlite(path) => Pools::Sqlite(Sqlite::open(path, pages_max)?),
            Database::Postgres(url) => Pools::Postgres(postgres::open(url).await?),
        };
        Ok(Self { pools, health: Arc::default() })
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match &self.pools {
            Pools::Sqlite(_) => Dialect::Sqlite,
            Pools::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether the database takes writes.
    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    /// A write transaction that runs alone among its like.
    ///
    /// SQLite has one writer. On PostgreSQL the same law is kept by a row that every such transaction locks
    /// first: at READ COMMITTED each statement then sees all that earlier ones committed, so what was read is
    /// still true when it is acted on, without retries.
    pub(crate) async fn begin_alone(&self, deadline: Deadline) -> Result<Conn, Fault> {
        let lent = match &self.pools {
            Pools::Sqlite(sqlite) => Lent::Sqlite(sqlite.begin_write(Place::Aside, deadline).await?),
            Pools::Postgres(lines) => Lent::Postgres(lend(&lines.changes, deadline).await?),
        };
        let mut conn = self.begin_write(lent, deadline).await?;
        if self.dialect() == Dialect::Postgres {
            conn.rows("select id from writer_lock where id = 1 for update", &[]).await?;
        }
        Ok(conn)
    }

    /// A write transaction that takes row locks only. Whoever uses it takes them in the order: proofs by
    /// digest, task usage by task, log head.
    pub(crate) async fn begin_shared(&self) -> Result<Conn, Fault> {
        self.begin_rows(Place::Aside).await
    }

    /// The same, for the batch writer, which has a thread of its own where its statements may block.
    pub(crate) async fn begin_batch(&self) -> Result<Conn, Fault> {
        self.begin_rows(Place::Here).await
    }

    async fn begin_rows(&self, place: Place) -> Result<Conn, Fault> {
        let deadline = Deadline::of_read();
        let lent = match &self.pools {
            Pools::Sqlite(sqlite) => Lent::Sqlite(sqlite.begin_write(place, deadline).await?),
            Pools::Postgres(lines) => Lent::Postgres(lend(&lines.batches, deadline).await?),
        };
        self.begin_write(lent, deadline).await
    }

    async fn begin_write(&self, lent: Lent, deadline: Deadline) -> Result<Conn, Fault> {
        // Not `read write`: that would overrule an operator who made the database read-only.
        let sql = "begin isolation level read committed";
        Conn::begin(lent, sql, deadline, Some(Arc::clone(&self.health))).await
    }

    /// A read transaction whose statements all see one state.
    pub(crate) async fn begin_read(&self, reader: Reader) -> Result<Conn, Fault> {
        let deadline = Deadline::of_read();
        let lent = match &self.pools {
            Pools::Sqlite(sqlite) => Lent::Sqlite(sqlite.begin_read(reader, deadline).await?),
            Pools::Postgres(lines) => Lent::Postgres(lend(lines.of(reader), deadline).await?),
        };
        Conn::begin(lent, "begin isolation level repeatable read, read only", deadline, None).await
    }

    /// Takes care that what was overwritten does not stand in SQLite's write-ahead log any more; false where that has to be
    /// tried again. PostgreSQL has its own ways (`vacuum`, its archive of the log), which are the operator's.
    pub(crate) async fn empty_log(&self) -> Result<bool, Fault> {
        match &self.pools {
            Pools::Sqlite(sqlite) => sqlite.empty_log(Deadline::of_read()).await,
            Pools::Postgres(_) => Ok(true),
        }
    }

    /// Waits for the connections in use, but not for one that went silent.
    pub(crate) async fn close(&self) {
        let closing = async {
            match &self.pools {
                Pools::Sqlite(sqlite) => sqlite.close().await,
                Pools::Postgres(lines) => lines.close().await,
            }
        };
        if tokio::time::timeout(CLOSE_TIME, closing).await.is_err() {
            tracing::warn!("the database's connections did not close in time");
        }
    }
}

impl Lines {
    const fn of(&self, reader: Reader) -> &PgPool {
        match reader {
            Reader::Follower => &self.follower,
            Reader::Anyone => &self.readers,
        }
    }

    async fn close(&self) {
        for pool in [&self.readers, &self.follower, &self.batches, &self.changes] {
            pool.close().await;
        }
    }
}

/// Borrows a connection.
async fn lend(pool: &PgPool, deadline: Deadline) -> Result<PoolConnection<Postgres>, Fault> {
    const DOING: &str = "borrowing a connection";
    match timeout_at(deadline.until(), pool.acquire()).await {
        Ok(lent) => lent.map_err(|error| fault(DOING, error)),
        Err(_) => Err(Fault::new(DOING, SqlBusy::silent())),
    }
}
