//! PostgreSQL, and databases that speak its protocol.

use std::{str::FromStr, time::Duration};

use base::{Fault, Secret};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions},
};

use super::Lines;
use crate::error::{fault, in_words};

/// Connections for changes: one goes on, upkeep waits behind it, and one may be on its way back.
const CHANGES: u32 = 4;
/// Connections of the batch writer: the one at work, and one that is given up.
const BATCHES: u32 = 2;
/// Connections of those who follow the log.
const FOLLOWERS: u32 = 4;
/// Connections of those who read what somebody asked for.
const READERS: u32 = 5;
const TURN: Duration = Duration::from_secs(10);
/// How long an idle connection may take to show that it is alive.
const PING_TIME: Duration = Duration::from_millis(300);

/// Milliseconds. Whoever waits for a lock hears of it before they count the connection as dead.
const TIMEOUTS: [(&str, &str); 2] = [("lock_timeout", "1300"), ("statement_timeout", "30000")];
/// Milliseconds that a transaction may be open without a statement. One that writes holds locks: where its node has died
/// or went silent, the others must not stand still for long.
const IDLE_WRITING: (&str, &str) = ("idle_in_transaction_session_timeout", "2000");
/// The same of one that reads, which keeps nobody waiting.
const IDLE_READING: (&str, &str) = ("idle_in_transaction_session_timeout", "10000");

pub(super) async fn open(url: &Secret) -> Result<Lines, Fault> {
    // SECURITY: the URL holds a password; neither it nor the parser's words about it go into the fault.
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        return Err(Fault::new(
            "reading the database's URL",
            "only postgres:// URLs; without one, the database is SQLite in the data folder",
        ));
    }
    let options = PgConnectOptions::from_str(url.expose())
        .map_err(|_| {
            Fault::new(
                "reading the database's URL",
                "it is not of the form postgres://user:password@host:port/database; correct `--database`",
            )
        })?
        .application_name("writ")
        .statement_cache_capacity(512)
        .options(TIMEOUTS);
    probe(&options).await?;
    let (writing, reading) = (options.clone().options([IDLE_WRITING]), options.options([IDLE_READING]));
    let changes = pool(CHANGES, writing.clone()).await?;
    refuse_loose_commits(&changes).await?;
    Ok(Lines {
        changes,
        batches: pool(BATCHES, writing).await?,
        follower: pool(FOLLOWERS, reading.clone()).await?,
        readers: pool(READERS, reading).await?,
    })
}

async fn pool(connections: u32, options: PgConnectOptions) -> Result<PgPool, Fault> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN)
        .test_before_acquire(false)
        .before_acquire(|conn, _| Box::pin(answers(conn)))
        .connect_with(options)
        .await
        .map_err(|error| fault("connecting to PostgreSQL", error))
}

/// Whether a connection that lay idle still leads anywhere. Firewalls forget such connections without a word, and one of
/// them must not cost the patience of whoever gets it.
async fn answers(conn: &mut PgConnection) -> sqlx::Result<bool> {
    let pinged = tokio::time::timeout(PING_TIME, conn.ping()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
    Ok(pinged.is_ok())
}

/// Makes one connection before the pool would: the pool takes a server that refuses for one that starts, and tries again
/// until it can only say that it has waited.
async fn probe(options: &PgConnectOptions) -> Result<(), Fault> {
    let place = options.get_socket().map_or_else(
        || format!("{}:{}", options.get_host(), options.get_port()),
        |socket| format!("`{}`", socket.display()),
    );
    let unreachable = |why: String| {
        Fault::new("opening the database", format!("PostgreSQL at {place} cannot be reached: {why}"))
    };
    match tokio::time::timeout(TURN, options.connect()).await {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| fault("opening the database", error)),
        Ok(Err(sqlx::Error::Io(error))) => Err(unreachable(in_words(&error))),
        Ok(Err(sqlx::Error::Tls(error))) => Err(unreachable(error.to_string())),
        Ok(Err(error)) => Err(fault("opening the database", error)),
        Err(_) => Err(unreachable(format!("no answer within {} s", TURN.as_secs()))),
    }
}

/// INVARIANT: a commit that was answered is durable. `synchronous_commit = off` breaks that silently.
async fn refuse_loose_commits(pool: &PgPool) -> Result<(), Fault> {
    let row = sqlx::query("select current_setting('synchronous_commit')")
        .fetch_one(pool)
        .await
        .map_err(|error| fault("asking PostgreSQL for its settings", error))?;
    let setting: String =
        row.try_get(0).map_err(|error| fault("asking PostgreSQL for its settings", error))?;
    if setting == "off" {
        return Err(Fault::new(
            "opening PostgreSQL",
            "`synchronous_commit` is off, so acknowledged records could be lost; set it to on for Writ's role",
        ));
    }
    Ok(())
}
