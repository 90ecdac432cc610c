//! One transaction on either database.

use std::{sync::Arc, time::Duration};

use base::Fault;
use sqlx::{Arguments as _, Postgres, error::BoxDynError, pool::PoolConnection, postgres::PgArguments};
use tokio::{runtime::Handle, time::timeout_at};

use super::sqlite;
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

/// What is lent for one transaction.
pub(super) enum Lent {
    /// Begun already; dropping it rolls back.
    Sqlite(sqlite::Transaction),
    Postgres(PoolConnection<Postgres>),
}

/// Ends a connection without a word to the other side, which may not listen; the pool makes another one.
fn cut(conn: PoolConnection<Postgres>) {
    drop(conn.detach());
}

/// Gives a connection back.
///
/// SECURITY: no pool gets one back on which a transaction may be open: the next one's statements would be part of it.
async fn clear_up(mut conn: PoolConnection<Postgres>) {
    let rolling_back = script(&mut conn, "rollback");
    match tokio::time::timeout(CLEAR_TIME, rolling_back).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) | Err(_) => cut(conn),
    }
}

async fn script(conn: &mut PoolConnection<Postgres>, sql: &'static str) -> sqlx::Result<()> {
    sqlx::raw_sql(sql).execute(&mut **conn).await.map(drop)
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
    async fn wait<T, E>(&mut self, work: impl Future<Output = Result<T, E>>) -> Option<Result<T, E>> {
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
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        // Nothing of it is kept: the connection is cut, or rolled back, before it could be committed.
        self.wait(work).await.unwrap_or_else(|| Err(Fault::new(doing, SqlBusy::silent())))
    }
}

impl Conn {
    /// Begins a transaction; on PostgreSQL by this statement.
    pub(super) async fn begin(
        lent: Lent,
        sql: &'static str,
        deadline: Deadline,
        health: Option<Arc<Health>>,
    ) -> Result<Self, Fault> {
        let patience = Patience { deadline, is_over: false, health };
        let is_begun = matches!(lent, Lent::Sqlite(_));
        let mut conn = Self { lent: Some(lent), patience };
        if is_begun {
            return Ok(conn);
        }
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
            (Lent::Sqlite(tx), patience) => patience.bounded(DOING, tx.exec(sql, args)).await,
            (Lent::Postgres(conn), patience) => {
                let query = sqlx::query_with(sql, arguments(args)?);
                let work = async { query.execute(&mut **conn).await.map_err(|error| fault(DOING, error)) };
                patience.bounded(DOING, work).await.map(|done| done.rows_affected())
            }
        }
    }

    /// Runs a statement; gives all rows of its answer.
    pub(crate) async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Fault> {
        const DOING: &str = "reading from the database";
        match self.parts()? {
            (Lent::Sqlite(tx), patience) => patience.bounded(DOING, tx.rows(sql, args)).await,
            (Lent::Postgres(conn), patience) => {
                let query = sqlx::query_with(sql, arguments(args)?);
                let work = async { query.fetch_all(&mut **conn).await.map_err(|error| fault(DOING, error)) };
                let rows = patience.bounded(DOING, work).await?;
                Ok(rows.into_iter().map(|row| Row(Cells::Postgres(row))).collect())
            }
        }
    }

    pub(crate) async fn row(&mut self, sql: &'static str, args: &[Value]) -> Result<Option<Row>, Fault> {
        let mut rows = self.rows(sql, args).await?;
        if rows.len() > 1 {
            return Err(Fault::new("reading from the database", "more than one row where one was expected"));
        }
        Ok(rows.pop())
    }

    /// Runs a script of several statements without parameters.
    pub(crate) async fn script(&mut self, doing: &'static str, sql: &'static str) -> Result<(), Fault> {
        match self.parts()? {
            (Lent::Sqlite(tx), patience) => patience.bounded(doing, tx.script(doing, sql)).await,
            (Lent::Postgres(conn), patience) => {
                let work = async { script(conn, sql).await.map_err(|error| fault(doing, error)) };
                patience.bounded(doing, work).await
            }
        }
    }

    /// Keeps what was written. Only a "no" of the database itself means that it was not: of a connection that broke or
    /// went silent meanwhile nobody can tell, and the fault says so.
    pub(crate) async fn commit(mut self) -> Result<(), Fault> {
        const DOING: &str = "committing";
        let committed = match self.parts()? {
            (Lent::Sqlite(tx), patience) => patience.wait(tx.script(DOING, "commit")).await,
            (Lent::Postgres(conn), patience) => {
                let work = async { script(conn, "commit").await.map_err(|error| commit_fault(DOING, error)) };
                patience.wait(work).await
            }
        };
        match committed {
            Some(Ok(())) => {
                drop(self.lent.take());
                Ok(())
            }
            Some(Err(fault)) => {
                // Whether it left a transaction open depends on the database and on why.
                self.patience.is_over = true;
                Err(fault)
            }
            None => Err(Fault::new(DOING, SqlUndecided::because("the database does not answer"))),
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
        // A transaction of SQLite rolls back by itself, when the last of its statements has ended.
        let Some(Lent::Postgres(conn)) = self.lent.take() else { return };
        match Handle::try_current() {
            Ok(runtime) if !self.patience.is_over => drop(runtime.spawn(clear_up(conn))),
            Ok(_) | Err(_) => cut(conn),
        }
    }
}

fn arguments(args: &[Value]) -> Result<PgArguments, Fault> {
    fn add(out: &mut PgArguments, value: &Value) -> Result<(), BoxDynError> {
        match value {
            Value::Text(text) => out.add(text.as_deref()),
            Value::Int(number) => out.add(*number),
            Value::Bool(flag) => out.add(*flag),
            Value::Bytes(bytes) => out.add(bytes.as_deref()),
        }
    }
    let mut out = PgArguments::default();
    out.reserve(args.len(), 0);
    for value in args {
        add(&mut out, value).map_err(|error| Fault::new("binding a parameter", error))?;
    }
    Ok(out)
}
