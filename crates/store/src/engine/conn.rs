//! One transaction on either database.

use std::time::Duration;

use base::Fault;
use sqlx::{Arguments as _, Postgres, Transaction, error::BoxDynError, postgres::PgArguments};

use super::sqlite;
use crate::{
    error::{SqlUndecided, commit_fault, fault},
    value::{Cells, Row, Value},
};

/// How long one statement may take before its connection counts as dead: longer than the database itself lets a
/// statement run, so that this ends only what nobody else ends.
const STATEMENT_TIME: Duration = Duration::from_secs(35);

async fn bounded<T>(doing: &'static str, work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Fault> {
    match tokio::time::timeout(STATEMENT_TIME, work).await {
        Ok(done) => done.map_err(|error| fault(doing, error)),
        Err(_) => Err(Fault::new(doing, "the database does not answer")),
    }
}

/// An open transaction. Dropping it rolls back.
pub(crate) enum Conn {
    Sqlite(sqlite::Transaction),
    Postgres(Transaction<'static, Postgres>),
}

impl Conn {
    /// Runs a statement; says how many rows it touched.
    pub(crate) async fn exec(&mut self, sql: &'static str, args: &[Value]) -> Result<u64, Fault> {
        match self {
            Self::Sqlite(tx) => tx.exec(sql, args).await,
            Self::Postgres(tx) => {
                let query = sqlx::query_with(sql, arguments(args)?);
                let done = bounded("writing to the database", query.execute(&mut **tx)).await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// Runs a statement; gives its rows.
    pub(crate) async fn rows(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<Row>, Fault> {
        match self {
            Self::Sqlite(tx) => tx.rows(sql, args).await,
            Self::Postgres(tx) => {
                let query = sqlx::query_with(sql, arguments(args)?);
                let rows = bounded("reading from the database", query.fetch_all(&mut **tx)).await?;
                Ok(rows.into_iter().map(|row| Row(Cells::Postgres(row))).collect())
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
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), Fault> {
        match self {
            Self::Sqlite(tx) => tx.script(sql).await,
            Self::Postgres(tx) => {
                let done = sqlx::raw_sql(sql).execute(&mut **tx).await;
                done.map(drop).map_err(|error| fault("changing the database's tables", error))
            }
        }
    }

    /// Keeps what was written. Only a "no" of the database itself means that it was not: of a connection that broke or
    /// went silent meanwhile nobody can tell, and the fault says so.
    pub(crate) async fn commit(self) -> Result<(), Fault> {
        const DOING: &str = "committing";
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => match tokio::time::timeout(STATEMENT_TIME, tx.commit()).await {
                Ok(done) => done.map_err(|error| commit_fault(DOING, error)),
                Err(_) => Err(Fault::new(DOING, SqlUndecided::because("the database does not answer"))),
            },
        }
    }

    pub(crate) async fn rollback(self) -> Result<(), Fault> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => bounded("rolling back", tx.rollback()).await,
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
