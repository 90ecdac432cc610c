//! A store to work on.

use std::{path::Path, sync::Arc};

use base::{Actor, Clock as _, Ctx, Fault, SharedDice, TenantId, Timestamp, TraceId};
use store::{Database, Store, StoreConfig};
use tempfile::TempDir;

use crate::{FixedClock, Postgres, SeededDice};

/// A fresh store with its clock and dice.
#[derive(Clone)]
pub struct Bench {
    /// The store, open.
    pub store: Store,
    /// Its clock, and everybody's.
    pub clock: Arc<FixedClock>,
    /// Its dice, and everybody's.
    pub dice: Arc<SeededDice>,
    /// How it was opened.
    pub config: StoreConfig,
    folder: Arc<TempDir>,
}

impl Bench {
    /// On SQLite, in a temporary file.
    pub async fn sqlite() -> Self {
        let folder = TempDir::new().unwrap();
        let database = Database::Sqlite(folder.path().join("writ.db"));
        Self::with(folder, database).await
    }

    /// On PostgreSQL, in a database of its own.
    pub async fn postgres() -> Self {
        // Starting the server and making the database block; other tests run on.
        let url = tokio::task::spawn_blocking(|| Postgres::start().fresh_database()).await.unwrap();
        Self::with(TempDir::new().unwrap(), Database::Postgres(url)).await
    }

    async fn with(folder: TempDir, database: Database) -> Self {
        let config = StoreConfig {
            database,
            data_dir: folder.path().join("data"),
            origin: "writ.example/log".into(),
            sqlite_pages_max: None,
        };
        let clock = Arc::new(FixedClock::default());
        let dice = Arc::new(SeededDice::default());
        let store = Store::open(config.clone(), clock.clone(), dice.clone()).await.expect("an open store");
        Self { store, clock, dice, config, folder: Arc::new(folder) }
    }

    /// The circumstances of a request: the system acts, now.
    pub fn ctx(&self) -> Ctx {
        ctx(self.clock.now(), self.dice.clone())
    }

    /// The temporary folder, which goes with the bench.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Closes the store and opens it again, as a restart does.
    pub async fn reopen(&mut self) -> Result<(), Fault> {
        self.store.close().await?;
        self.store = self.open(self.config.clone()).await?;
        Ok(())
    }

    /// Opens a store of another configuration with this bench's clock and dice.
    pub async fn open(&self, config: StoreConfig) -> Result<Store, Fault> {
        Store::open(config, self.clock.clone(), self.dice.clone()).await
    }

    /// Another node on the same database: with a data folder of its own that holds the same key.
    pub async fn second_node(&self) -> Result<Store, Fault> {
        let data_dir = self.folder().join("second");
        std::fs::create_dir_all(&data_dir).unwrap();
        std::fs::copy(self.config.data_dir.join("kek"), data_dir.join("kek")).unwrap();
        self.open(StoreConfig { data_dir, ..self.config.clone() }).await
    }
}

/// The circumstances of a request by the system at `now`.
pub fn ctx(now: Timestamp, dice: SharedDice) -> Ctx {
    Ctx { actor: Actor::System("test".into()), tenant: TenantId::first(), now, dice, trace: TraceId([7; 16]) }
}

/// Runs a test on SQLite, then on PostgreSQL, each time on a fresh store.
pub async fn each_database<F, Fut>(test: F)
where
    F: Fn(Bench) -> Fut,
    Fut: Future<Output = ()>,
{
    test(Bench::sqlite().await).await;
    test(Bench::postgres().await).await;
}
