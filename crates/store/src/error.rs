//! What a database says "no" with, told apart where a caller can do something about it.

use std::{error::Error as _, future::Future, time::Duration};

use base::Fault;
use sqlx::error::DatabaseError;

/// A row with this key stands already. Travels as the source of a [`Fault`]; see [`conflict`].
#[derive(Debug, thiserror::Error)]
#[error("a unique value is taken: {0}")]
pub struct SqlConflict(String);

/// The database is there but cannot serve now: a lock was not given in time, or no connection was free.
#[derive(Debug, thiserror::Error)]
#[error("the database is busy: {0}")]
pub struct SqlBusy(String);

impl SqlBusy {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// The database is not there: no connection could be made, or one broke. What was asked of it was not kept, except by a
/// commit, which is [undecided](is_undecided) then.
#[derive(Debug, thiserror::Error)]
#[error("the database cannot be reached: {0}")]
pub struct SqlGone(String);

/// What PostgreSQL refused, in its words and with its code. The driver's own text names a line of the server's source.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
struct SqlRefused {
    message: String,
    code: String,
}

/// A commit whose end is not known, or that could not be acknowledged. Travels as the source of a [`Fault`]; see [`is_undecided`].
#[derive(Debug, thiserror::Error)]
#[error("the change may be kept all the same: {0}")]
pub(crate) struct SqlUndecided(String);

impl SqlUndecided {
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// Nobody waited for the end of it.
    pub(crate) fn late() -> Self {
        Self::because("it took too long")
    }
}

/// How long anybody waits for the database before they are told to come back. Half a second is left to answer in
/// two, whatever the database does.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);

/// Bounds a wait of which nothing is kept when it is given up.
pub(crate) async fn patiently<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    // On the heap: this would otherwise weigh on every future that waits for the database.
    match tokio::time::timeout(PATIENCE, Box::pin(work)).await {
        Ok(done) => done,
        Err(_) => Err(Fault::new(doing, SqlBusy::because("it did not answer in time"))),
    }
}

/// Whether the fault is a broken uniqueness, which a caller turns into a refusal.
///
/// The transaction is lost at this point (PostgreSQL aborts it), so a path on which the clash is expected reads
/// first or writes `on conflict do nothing` and counts; this is for the race that is left.
pub fn conflict(fault: &Fault) -> Option<&SqlConflict> {
    fault.source()?.downcast_ref()
}

/// Whether the fault is a database that is busy: the same request may succeed a moment later.
pub fn is_busy(fault: &Fault) -> bool {
    fault.source().is_some_and(<dyn std::error::Error>::is::<SqlBusy>)
}

/// Whether the fault is a database that cannot be reached.
pub fn is_gone(fault: &Fault) -> bool {
    // The batch writer hands its fault on inside of another.
    let mut cause = fault.source();
    while let Some(error) = cause {
        if error.is::<SqlGone>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the fault leaves it open if the change was kept.
pub fn is_undecided(fault: &Fault) -> bool {
    fault.source().is_some_and(<dyn std::error::Error>::is::<SqlUndecided>)
}

/// Another fault of the same kind, for another caller: a fault cannot be copied.
pub(crate) fn alike(doing: &'static str, fault: &Fault) -> Fault {
    let text = fault.to_string();
    match fault.source() {
        Some(source) if source.is::<SqlGone>() => Fault::new(doing, SqlGone(text)),
        Some(source) if source.is::<SqlUndecided>() => Fault::new(doing, SqlUndecided(text)),
        _ => Fault::new(doing, text),
    }
}

/// An error of SQLite as a fault.
pub(crate) fn sqlite_fault(doing: &'static str, error: rusqlite::Error) -> Fault {
    use rusqlite::ffi;
    match error.sqlite_error().map(|error| error.extended_code) {
        Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_UNIQUE) => {
            Fault::new(doing, SqlConflict(error.to_string()))
        }
        // Extended codes keep the primary code in the low byte.
        Some(code) if matches!(code & 0xff, ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED) => {
            Fault::new(doing, SqlBusy(error.to_string()))
        }
        _ => Fault::new(doing, error),
    }
}

/// An error of PostgreSQL as a fault.
pub(crate) fn fault(doing: &'static str, error: sqlx::Error) -> Fault {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => {
            Fault::new(doing, SqlConflict(database.message().to_owned()))
        }
        sqlx::Error::Database(database) if says_busy(database.as_ref()) => {
            Fault::new(doing, SqlBusy(database.message().to_owned()))
        }
        sqlx::Error::PoolTimedOut => Fault::new(doing, SqlBusy(error.to_string())),
        _ if let Some(why) = says_gone(&error) => Fault::new(doing, SqlGone(why)),
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            Fault::new(doing, SqlRefused { message: database.message().to_owned(), code })
        }
        _ => Fault::new(doing, error),
    }
}

/// PostgreSQL's error at a commit as a fault. Only a "no" of a database that goes on means that nothing was kept: where
/// the connection broke, the commit may have been kept before it did.
pub(crate) fn commit_fault(doing: &'static str, error: sqlx::Error) -> Fault {
    match (says_gone(&error), &error) {
        (Some(why), _) => Fault::new(doing, SqlUndecided::because(why)),
        (None, sqlx::Error::Database(_)) => fault(doing, error),
        (None, _) => Fault::new(doing, SqlUndecided::because(error.to_string())),
    }
}

/// Why the database cannot be reached, where the driver knows that it cannot.
fn says_gone(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Io(error) => Some(in_words(error)),
        // Connection exceptions; a server that is being shut down or has crashed; a database that lets nobody in, or is no
        // more.
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let ends =
                code.starts_with("08") || ["57P01", "57P02", "55000", "3D000"].contains(&code.as_ref());
            ends.then(|| database.message().to_owned())
        }
        _ => None,
    }
}

/// `connection refused` rather than `Connection refused (os error 111)`.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    if error.raw_os_error().is_some() { error.kind().to_string() } else { error.to_string() }
}

/// Serialization failure, deadlock, lock timeout, too many connections, starting up.
fn says_busy(error: &dyn DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    matches!(code.as_ref(), "40001" | "40P01" | "55P03" | "53300" | "57P03")
}
