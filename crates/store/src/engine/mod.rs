//! The two databases behind one face.
//!
//! Everything that differs between them lies in this folder: opening, beginning a transaction, and the two
//! spots where the SQL text itself differs ([`Dialect`]).

mod conn;
mod postgres;
mod shape;
mod sqlite;

use std::{path::PathBuf, time::Duration};

use base::{Fault, Secret};
use sqlx::PgPool;

pub(crate) use conn::Conn;
pub(crate) use shape::{Shaped, list, values};

use crate::error::fault;
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

pub(crate) enum Engine {
    Sqlite(Sqlite),
    Postgres(PgPool),
}

impl Engine {
    pub(crate) async fn open(database: &Database, pages_max: Option<u32>) -> Result<Self, Fault> {
        match database {
            Database::Sqlite(path) => Sqlite::open(path, pages_max).map(Self::Sqlite),
            Database::Postgres(url) => postgres::open(url).await,
        }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// A write transaction that runs alone among its like.
    ///
    /// SQLite has one writer. On PostgreSQL the same law is kept by a row that every such transaction locks
    /// first: at READ COMMITTED each statement then sees all that earlier ones committed, so what was read is
    /// still true when it is acted on, without retries.
    pub(crate) async fn begin_alone(&self) -> Result<Conn, Fault> {
        let mut conn = self.begin_shared().await?;
        if self.dialect() == Dialect::Postgres {
            conn.rows("select id from writer_lock where id = 1 for update", &[]).await?;
        }
        Ok(conn)
    }

    /// A write transaction that takes row locks only. Whoever uses it takes them in the order: proofs by
    /// digest, task usage by task, log head.
    pub(crate) async fn begin_shared(&self) -> Result<Conn, Fault> {
        self.begin_write(Place::Aside).await
    }

    /// The same, for the batch writer, which has a thread of its own where its statements may block.
    pub(crate) async fn begin_batch(&self) -> Result<Conn, Fault> {
        self.begin_write(Place::Here).await
    }

    async fn begin_write(&self, place: Place) -> Result<Conn, Fault> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin_write(place).await.map(Conn::Sqlite),
            Self::Postgres(pool) => {
                let begun = pool.begin_with("begin isolation level read committed").await;
                begun.map(Conn::Postgres).map_err(|error| fault("beginning a write transaction", error))
            }
        }
    }

    /// A read transaction whose statements all see one state.
    pub(crate) async fn begin_read(&self) -> Result<Conn, Fault> {
        match self {
            Self::Sqlite(sqlite) => sqlite.begin_read().await.map(Conn::Sqlite),
            Self::Postgres(pool) => {
                let begun = pool.begin_with("begin isolation level repeatable read, read only").await;
                begun.map(Conn::Postgres).map_err(|error| fault("beginning a read", error))
            }
        }
    }

    /// Waits for the connections in use, but not for one that went silent.
    pub(crate) async fn close(&self) {
        let closing = async {
            match self {
                Self::Sqlite(sqlite) => sqlite.close().await,
                Self::Postgres(pool) => pool.close().await,
            }
        };
        if tokio::time::timeout(CLOSE_TIME, closing).await.is_err() {
            tracing::warn!("the database's connections did not close in time");
        }
    }
}
