//! Opening: migrations, keys, and the question whether this is the newest database.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use base::{Actor, Clock, Dice, Event, EventKind, Fault, SharedDice, TenantId, Timestamp, TraceId};
use serde_json::json;
use tokio::sync::watch;

use crate::{
    Database, Head, Origin, Sealed, Store, batch,
    deadline::Deadline,
    engine::{Conn, Engine, Reader},
    file,
    log::{Draft, append, lock_head},
    mark::{self, Keeper, Mark},
    migrate::migrate,
    payload,
    seal::Kek,
    store::Inner,
    sweep,
    tree::{RecentLeaves, newest_checkpoint, open_key},
};

/// How far the high-water mark may lag behind commits that take no authority away.
const MARK_LAG: Duration = Duration::from_millis(500);
/// The known text behind which the key-encryption key is checked.
const KEK_CHECK: &str = "kek_check";

/// How to open a store.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Which database.
    pub database: Database,
    /// The folder of this node's own files: key-encryption key, high-water mark, node name. Made if missing.
    pub data_dir: PathBuf,
    /// The name of the log in checkpoints, a URL without scheme, for example `writ.example.com/log`. Taken when
    /// the log's key is made; later starts keep the first name.
    pub origin: String,
    /// SQLite only: the database's largest size, in pages of 4 KiB. A full database refuses writes; it loses
    /// nothing.
    pub sqlite_pages_max: Option<u32>,
}

impl Store {
    /// Opens the database, makes it if it is not there, and brings it to this version.
    ///
    /// Faults, each naming its remedy: another process uses the data folder; a private file is open to others or
    /// damaged; the key-encryption key is missing or another one; the database is newer than this version.
    pub async fn open(config: StoreConfig, clock: Arc<dyn Clock>, dice: SharedDice) -> Result<Self, Fault> {
        let claim = file::claim(&config.data_dir)?;
        let mark = mark::read(&config.data_dir)?;
        let node = node_name(&config, &*dice)?;
        let engine = Engine::open(&config.database, config.sqlite_pages_max).await?;
        migrate(&engine).await?;
        let kek = open_kek(&engine, &config, &*dice).await?;
        let payload_root = payload::open_root(&engine, &kek, &*dice).await?;
        let signer = open_key(&engine, &kek, &config.origin, &*dice).await?;

        let floor = mark.as_ref().map_or(Timestamp::default(), |mark| mark.time);
        let now = clock.now().max(floor);
        let mut conn = engine.begin_alone(Deadline::of_read()).await?;
        let found = lock_or_make_head(&mut conn).await?;
        let time_floor = floor.max(found.time);
        let head = match reason_to_begin_anew(&mut conn, &found, mark.as_ref()).await? {
            Some(reason) => begin_generation(&mut conn, found, mark.as_ref(), reason, now).await?,
            None => found,
        };
        conn.commit().await?;

        let newest = newest_checkpoint(&mut engine.begin_read(Reader::Follower).await?).await?;

        let keeper = Keeper::new(&config.data_dir);
        keeper.note(head);
        keeper.reach(head.position).await?;
        let inner = Arc::new(Inner {
            engine,
            dice,
            kek,
            payload_root,
            signer,
            keeper,
            node,
            positions: watch::Sender::new(head.position),
            newest: watch::Sender::new(newest),
            time_floor,
            unrecorded: Default::default(),
            usages: Arc::default(),
            recent_leaves: RecentLeaves::default(),
            // The run before may have ended in the middle of it.
            has_erased: AtomicBool::new(true),
            left_to_the_sweeper: AtomicU64::default(),
            promises_late: AtomicU64::default(),
            claim: Mutex::new(Some(claim)),
        });
        inner.forget_erased().await;
        sweep::own_intents(&inner, now).await?;

        let queue = batch::start(&inner)?;
        tokio::spawn(keep_mark(Arc::downgrade(&inner)));
        Ok(Self::new(inner, queue))
    }
}

/// The node's name: random, made at the first start.
fn node_name(config: &StoreConfig, dice: &dyn Dice) -> Result<String, Fault> {
    let path = config.data_dir.join("node");
    if let Some(text) = file::read_private(&path)? {
        return String::from_utf8(text)
            .ok()
            .map(|name| name.trim().to_owned())
            .filter(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| {
                let reason = format!("`{}` does not hold 32 hexadecimal digits; remove it", path.display());
                Fault::new("reading the node's name", reason)
            });
    }
    let name = hex::encode(dice.bytes::<16>());
    file::create_private(&path, name.as_bytes())?;
    Ok(name)
}

/// Opens the KEK and proves that it is the one this database was sealed with.
async fn open_kek(engine: &Engine, config: &StoreConfig, dice: &dyn Dice) -> Result<Kek, Fault> {
    let mut conn = engine.begin_alone(Deadline::of_read()).await?;
    let row = conn.row("select sealed from kek_check where id = 1", &[]).await?;
    let kek = Kek::open(&config.data_dir, row.is_none(), dice)?;
    if let Some(row) = row {
        let sealed = Sealed::from_bytes(row.bytes(0)?);
        kek.open_sealed(KEK_CHECK, &sealed).map_err(|_| {
            let reason = format!(
                "the key in `{}` is not the one that this database was sealed with; put the right file back",
                config.data_dir.join("kek").display()
            );
            Fault::new("opening the key-encryption key", reason)
        })?;
        conn.rollback().await?;
    } else {
        let sealed = kek.seal(KEK_CHECK, b"writ", dice)?;
        conn.exec("insert into kek_check (id, sealed) values (1, $1)", &[sealed.as_bytes().into()]).await?;
        conn.commit().await?;
    }
    Ok(kek)
}

async fn lock_or_make_head(conn: &mut Conn) -> Result<Head, Fault> {
    const SQL: &str = "insert into log_head \
        (id, position, guard_position, state_position, time, generation, generation_started_at, \
        generation_position, leaf) values (1, 0, 0, 0, 0, 0, 0, 0, $1) on conflict (id) do nothing";
    conn.exec(SQL, &[[0_u8; 32].into()]).await?;
    lock_head(conn).await
}

/// Why the log must begin anew, if it must.
async fn reason_to_begin_anew(
    conn: &mut Conn,
    head: &Head,
    mark: Option<&Mark>,
) -> Result<Option<&'static str>, Fault> {
    let Some(mark) = mark else { return Ok((head.generation == 0).then_some("first start")) };
    if head.generation == 0 {
        return Ok(Some("the database is new and the data folder is not"));
    }
    if head.generation > mark.generation {
        // Another node met the restored database first.
        return Ok(None);
    }
    if head.generation < mark.generation || head.position < mark.position {
        return Ok(Some("the database is older than the high-water mark"));
    }
    let row = conn.row("select leaf from record where position = $1", &[mark.position.into()]).await?;
    let same = match row {
        Some(row) => hex::encode(row.bytes(0)?) == mark.leaf,
        None => false,
    };
    Ok((!same).then_some("the database has another history than the high-water mark"))
}

/// Begins a new generation: every credential from before is dead.
async fn begin_generation(
    conn: &mut Conn,
    mut head: Head,
    mark: Option<&Mark>,
    reason: &'static str,
    now: Timestamp,
) -> Result<Head, Fault> {
    head.generation = head.generation.max(mark.map_or(0, |mark| mark.generation)) + 1;
    if head.generation > 1 {
        tracing::warn!(generation = head.generation, reason, "every earlier credential is dead");
    }
    let data = json!({
        "generation": head.generation,
        "reason": reason,
        "database_position": head.position,
        "mark_generation": mark.map(|mark| mark.generation),
        "mark_position": mark.map(|mark| mark.position),
    });
    let origin = Origin {
        tenant: TenantId::first(),
        actor: Actor::System("start".into()),
        trace: TraceId([0; 16]),
        now,
    };
    let draft = Draft::new(&origin, Event::global(EventKind::GenerationStarted, data))?;
    Ok(append(conn, head, &[&draft]).await?.head)
}

/// Writes the mark behind commits that did not wait for it, as long as the store lives.
async fn keep_mark(inner: Weak<Inner>) {
    let mut tick = tokio::time::interval(MARK_LAG);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(fault) = inner.keeper.flush().await {
            tracing::error!(%fault, "the high-water mark cannot be written");
        }
    }
}
