//! Migrations: one series for both databases, from the folder `migrations/`, run at start.

use aws_lc_rs::digest;
use base::Fault;

use crate::engine::{Dialect, Engine};

/// One step of the series.
struct Migration {
    /// The file's number and words: `0001_log`.
    name: &'static str,
    /// Its text, the same for both but for the type of keys that are positions.
    sqlite: &'static str,
    postgres: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

impl Migration {
    const fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

const MIGRATING: &str = "changing the database's tables";

/// Brings the database to this version's tables, all steps in one transaction.
///
/// A step that ran before must be the one that is built in, and a database that knows more steps than this
/// version is refused: an older program must not write into newer tables.
pub(crate) async fn migrate(engine: &Engine) -> Result<(), Fault> {
    let mut conn = engine.begin_shared().await?;
    if engine.dialect() == Dialect::Postgres {
        // Nodes that start together must not race to create tables. The number is "writ" in ASCII.
        conn.rows("select 1 from (select pg_advisory_xact_lock(2003986804)) as held", &[]).await?;
    }
    conn.script(
        MIGRATING,
        "create table if not exists migration (name text not null primary key, digest text not null)",
    )
    .await?;
    let steps = MIGRATIONS.iter().map(|step| (step.name, step.text(engine.dialect())));
    let done = conn.rows("select name, digest from migration order by name", &[]).await?;
    if let Some(newer) = done.get(MIGRATIONS.len()) {
        let reason =
            format!("it has step `{}`, which this version does not know; use a newer Writ", newer.text(0)?);
        return Err(Fault::new("migrating the database", reason));
    }
    for (index, (name, text)) in steps.enumerate() {
        let digest = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
        if let Some(row) = done.get(index) {
            if row.text(0)? != name || row.text(1)? != digest {
                let reason = format!(
                    "step `{}` of the database is not step `{}` of this version; was a released migration edited?",
                    row.text(0)?,
                    name
                );
                return Err(Fault::new("migrating the database", reason));
            }
            continue;
        }
        tracing::info!(step = name, "migrating the database");
        conn.script(MIGRATING, text).await?;
        conn.exec("insert into migration (name, digest) values ($1, $2)", &[name.into(), digest.into()])
            .await?;
    }
    conn.commit().await
}
