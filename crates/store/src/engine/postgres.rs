//! PostgreSQL, and databases that speak its protocol.

use std::{str::FromStr, time::Duration};

use base::{Fault, Secret};
use sqlx::{
    Row as _,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use super::Engine;
use crate::error::fault;

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
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(TURN)
        .connect_with(options)
        .await
        .map_err(|error| fault("connecting to PostgreSQL", error))?;
    refuse_loose_commits(&pool).await?;
    Ok(Engine::Postgres(pool))
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
