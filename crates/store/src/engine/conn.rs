//! One transaction on either database.

use std::{sync::Arc, time::Duration};

use base::Fault;
use sqlx::{
    Arguments as _, Postgres, Sqlite, error::BoxDynError, pool::PoolConnection, postgres::PgArguments,
    sqlite::SqliteArguments,
};
use tokio::{runtime::Handle, time::timeout_at};

use crate::{
    deadline::Deadline,
    error::{SqlBusy, SqlUndecided, commit_fault, fault},
    health::Health,
    value::{Cells, Row, Value},
};

/// How long a connection whose transaction was left open may take to be of use again.
const CLEAR_TIME: Duration = Duration::from_secs(1);

/// An open transaction. Dropping it rolls back.
///
/// It is begun and ended by statements like any other: the driver's own count of transactions knows nothing of one whose
/// beginning nobody waited for.
pub(crate) struct Conn {
    /// There until the transaction is over.
    lent: Option<Lent>,
    patience: Patience,
}

/// What a pool lends for one transaction.
pub(super) enum Lent {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Lent {
    async fn script(&mut self, sql: &'static str) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop),
            Self::Postgres(conn) => sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop),
        }
    }

    /// Ends the connection without a word to the other side, which may not listen; the pool makes another one.
    fn cut(self) {
        match self {
            Self::Sqlite(conn) => drop(conn.detach()),
            Self::Postgres(conn) => drop(conn.detach()),
        }
    }

    /// Gives the connection back.
    ///
    /// SECURITY: no pool gets one back on which a transaction may be open: the next one's statements would be part of it.
    async fn clear_up(mut self) {
        match tokio::time::timeout(CLEAR_TIME, self.script("rollback")).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.cut(),
        }
    }
}

/// How long the answers may take, and whether one of them did not come in time.
struct Patience {
    deadline: Deadline,
    is_over: bool,
    /// Of a transaction that writes: that the database takes no writes is noted here.
    health: Option<Arc<Health>>,
}

impl Patience {
    /// `None` when there is no answer in time. The connection is of no more use then.
    async fn wait<T>(&mut self, work: impl Future<Output = sqlx::Result<T>>) -> Option<sqlx::Result<T>> {
        if let Ok(answer) = timeout_at(self.deadline.until(), work).await {
            self.deadline.extend();
            return Some(answer);
        }
        self.is_over = true;
        if let Some(health) = &self.health {
            health.fails();
        }
        None
    }

    async fn bounded<T>(
        &mut self,
        doing: &'static str,
        work: impl Future<Output = sqlx::Result<T>>,
    ) -> Result<T, Fault> {
        // Nothing of it is kept: the connection is cut before it could be committed.
        let silent = || Fault::new(doing, SqlBusy::silent());
        self.wait(work).await.ok_or_else(silent)?.map_err(|error| fault(doing, error))
    }
}

impl Conn {
    /// Begins a transaction by its first statement.
    pub(super) async fn begin(
        lent: Lent,
        sql: &'static str,
        deadline: Deadline,
        health: Option<Arc<Health>>,
    ) -> Result<Self, Fault> {
        let patience = Patience { deadline, is_over: false, health };
        let mut conn = Self { lent: Some(lent), patience };
        let begun = conn.script("beginning a transaction", sql).await;
        if begun.is_err() && !conn.patience.is_over {
            // A "no": there is nothing to be rolled back.
            drop(conn.lent.take());
        }
        begun.map(|()| conn)
    }

    /// Until when all of it may take.
    pub(crate) fn deadline(&mut self) -> &mut Deadline {
        &mut self.patience.deadline
    }

    fn parts(&mut self) -> Result<(&mut Lent, &mut Patience), Fault> {
        let over = || Fault::new("asking the database", "the transaction is over");
        Ok((self.lent.as_mut().ok_or_else(over)?, &mut self.patience))
    }

    /// Runs a statement; says how many rows it touched.
    pub(crate) async fn exec(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Fault> {
        const DOING: &str = "writing to the database";
        match self.parts()? {
            (Lent::Sqlite(conn), patience) => {
                let query = sqlx::query_with(sql, sqlite_arguments(args)?);
                patience.bounded(DOING, query.execute(&mut **conn)).await.map(|done| done.rows_affected())
            }
            (Lent::Postgres(conn), patience) => {
                let query = sqlx::query_with(sql, postgres_arguments(args)?);
                patience.bounded(DOING, query.execute(&mut **conn)).await.map(|done| done.rows_affected())
            }
        }
    }

    /// Runs a statement; gives all rows of its answer.
    pub(crate) async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Fault> {
        const DOING: &str = "reading from the database";
        match self.parts()? {
            (Lent::Sqlite(conn), patience) => {
                let query = sqlx::query_with(sql, sqlite_arguments(args)?);
                let rows = patience.bounded(DOING, query.fetch_all(&mut **conn)).await;
                rows.map(|rows| rows.into_iter().map(|row| Row(Cells::Sqlite(row))).collect())
            }
            (Lent::Postgres(conn), patience) => {
                let query = sqlx::query_with(sql, postgres_arguments(args)?);
                let rows = patience.bounded(DOING, query.fetch_all(&mut **conn)).await;
                rows.map(|rows| rows.into_iter().map(|row| Row(Cells::Postgres(row))).collect())
            }
        }
    }

    /// Runs a statement; gives its row, if there is one. More than one is a fault.
    pub(crate) async fn row(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, Fault> {
        let mut rows = self.rows(sql, args).await?;
        if rows.len() > 1 {
            return Err(Fault::new("reading from the database", "more than one row where one was expected"));
        }
        Ok(rows.pop())
    }

    /// Runs a script of several statements without parameters.
    pub(crate) async fn script(&mut self, doing: &'static str, sql: &'static str) -> Result<(), Fault> {
        let (lent, patience) = self.parts()?;
        patience.bounded(doing, lent.script(sql)).await
    }

    /// Keeps what was written. Only a "no" of the database itself means that it was not: of a connection that broke or
    /// went silent meanwhile nobody can tell, and the fault says so.
    pub(crate) async fn commit(mut self) -> Result<(), Fault> {
        let (lent, patience) = self.parts()?;
        match patience.wait(lent.script("commit")).await {
            Some(Ok(())) => {
                drop(self.lent.take());
                Ok(())
            }
            Some(Err(error)) => {
                // Whether it left a transaction open depends on the database and on why.
                patience.is_over = true;
                Err(commit_fault("committing", error))
            }
            None => Err(Fault::new("committing", SqlUndecided::because("the database does not answer"))),
        }
    }

    pub(crate) async fn rollback(mut self) -> Result<(), Fault> {
        self.script("rolling back", "rollback").await?;
        drop(self.lent.take());
        Ok(())
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if !self.patience.is_over => drop(runtime.spawn(lent.clear_up())),
            Ok(_) | Err(_) => lent.cut(),
        }
    }
}

macro_rules! arguments {
    ($name:ident, $arguments:ty) => {
        fn $name(args: &[Value]) -> Result<$arguments, Fault> {
            fn add(out: &mut $arguments, value: &Value) -> Result<(), BoxDynError> {
                match value {
                    Value::Text(text) => out.add(text.as_deref()),
                    Value::Int(number) => out.add(*number),
                    Value::Bool(flag) => out.add(*flag),
                    Value::Bytes(bytes) => out.add(bytes.as_deref()),
                }
            }
            let mut out = <$arguments>::default();
            out.reserve(args.len(), 0);
            for value in args {
                add(&mut out, value).map_err(|error| Fault::new("binding a parameter", error))?;
            }
            Ok(out)
        }
    };
}

arguments!(sqlite_arguments, SqliteArguments);
arguments!(postgres_arguments, PgArguments);
