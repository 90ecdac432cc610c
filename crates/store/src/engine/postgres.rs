//! PostgreSQL, and databases that speak its protocol.

use std::{str::FromStr, time::Duration};

use base::{Fault, Secret};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use super::Engine;
use crate::error::{fault, in_words};

const CONNECTIONS: u32 = 16;
const TURN: Duration = Duration::from_secs(10);

/// Milliseconds. A holder of the writer's lock whose node has died must not stop the others for long.
const TIMEOUTS: [(&str, &str); 3] = [
    ("lock_timeout", "1500"),
    ("statement_timeout", "30000"),
    ("idle_in_transaction_session_timeout", "10000"),
];

pub(super) async fn open(url: &Secret) -> Result<Engine, Fault> {
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
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(TURN)
        .connect_with(options)
        .await
        .map_err(|error| fault("connecting to PostgreSQL", error))?;
    refuse_loose_commits(&pool).await?;
    Ok(Engine::Postgres(pool))
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
