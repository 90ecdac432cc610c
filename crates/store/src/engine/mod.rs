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
use sqlx::{Pool, Postgres, Sqlite, pool::PoolConnection};
use tokio::time::timeout_at;

pub(crate) use conn::Conn;
pub(crate) use shape::{Shaped, list, values};

use crate::{
    deadline::Deadline,
    error::{SqlBusy, fault},
    health::Health,
};
use conn::Lent;

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
    Sqlite(Lines<Sqlite>),
    Postgres(Lines<Postgres>),
}

/// The connections, apart by what waits for them.
///
/// SECURITY: whoever fills one line with requests does not keep those of another waiting: changes, calls, and that this
/// node stays fresh.
struct Lines<DB: sqlx::Database> {
    /// Changes and upkeep, of which one goes on at a time.
    changes: Pool<DB>,
    /// The batch writer. On SQLite the one writer is that of changes, so that writers queue and never meet `SQLITE_BUSY`.
    batches: Pool<DB>,
    /// Following the log.
    follower: Pool<DB>,
    /// Everybody else who reads.
    readers: Pool<DB>,
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
            Database::Sqlite(path) => Pools::Sqlite(sqlite::open(path, pages_max).await?),
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
            Pools::Sqlite(lines) => lend(&lines.changes, deadline).await.map(Lent::Sqlite),
            Pools::Postgres(lines) => lend(&lines.changes, deadline).await.map(Lent::Postgres),
        };
        let mut conn = self.begin_write(lent?, deadline).await?;
        if self.dialect() == Dialect::Postgres {
            conn.rows("select id from writer_lock where id = 1 for update", &[]).await?;
        }
        Ok(conn)
    }

    /// A write transaction that takes row locks only. Whoever uses it takes them in the order: proofs by
    /// digest, task usage by task, log head.
    pub(crate) async fn begin_shared(&self) -> Result<Conn, Fault> {
        let deadline = Deadline::of_read();
        let lent = match &self.pools {
            Pools::Sqlite(lines) => lend(&lines.batches, deadline).await.map(Lent::Sqlite),
            Pools::Postgres(lines) => lend(&lines.batches, deadline).await.map(Lent::Postgres),
        };
        self.begin_write(lent?, deadline).await
    }

    async fn begin_write(&self, lent: Lent, deadline: Deadline) -> Result<Conn, Fault> {
        let sql = match lent {
            Lent::Sqlite(_) => "begin immediate",
            // Not `read write`: that would overrule an operator who made the database read-only.
            Lent::Postgres(_) => "begin isolation level read committed",
        };
        Conn::begin(lent, sql, deadline, Some(Arc::clone(&self.health))).await
    }

    /// A read transaction whose statements all see one state.
    pub(crate) async fn begin_read(&self, reader: Reader) -> Result<Conn, Fault> {
        let deadline = Deadline::of_read();
        let (lent, sql) = match &self.pools {
            Pools::Sqlite(lines) => (Lent::Sqlite(lend(lines.of(reader), deadline).await?), "begin deferred"),
            Pools::Postgres(lines) => (
                Lent::Postgres(lend(lines.of(reader), deadline).await?),
                "begin isolation level repeatable read, read only",
            ),
        };
        Conn::begin(lent, sql, deadline, None).await
    }

    /// Waits for the connections in use, but not for one that went silent.
    pub(crate) async fn close(&self) {
        let closing = async {
            match &self.pools {
                Pools::Sqlite(lines) => lines.close().await,
                Pools::Postgres(lines) => lines.close().await,
            }
        };
        if tokio::time::timeout(CLOSE_TIME, closing).await.is_err() {
            tracing::warn!("the database's connections did not close in time");
        }
    }
}

impl<DB: sqlx::Database> Lines<DB> {
    const fn of(&self, reader: Reader) -> &Pool<DB> {
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
async fn lend<DB: sqlx::Database>(pool: &Pool<DB>, deadline: Deadline) -> Result<PoolConnection<DB>, Fault> {
    const DOING: &str = "borrowing a connection";
    match timeout_at(deadline.until(), pool.acquire()).await {
        Ok(lent) => lent.map_err(|error| fault(DOING, error)),
        Err(_) => Err(Fault::new(DOING, SqlBusy::silent())),
    }
}
