//! The store's face.

use std::fs::File;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use base::{Ctx, Fault, Position, SharedDice, Timestamp};
use tokio::sync::{oneshot, watch};
use wire::tlog::NoteSigner;
use zeroize::Zeroizing;

use crate::{
    Entry, Head, Outcome, Read, Record, Sealed, Submitted, Tx, Unrecorded,
    batch::{Item, Queue, Refused},
    engine::{Engine, Reader},
    error::{PATIENCE, SqlUndecided, patiently},
    log::{Appended, read_head},
    mark::Keeper,
    payload::Root,
    promise::Reservation,
    seal::Kek,
    tree::{Newest, RecentLeaves},
    usage::Usages,
};

/// The most records that one [`Store::follow`] gives.
const FOLLOW_MAX: usize = 4096;

/// The store. Clones share everything.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    queue: Arc<Hold>,
}

/// The batch writer's line, as long as there is a store. Then it closes, and the writer ends.
struct Hold(Arc<Queue>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What the store's parts share.
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) dice: SharedDice,
    pub(crate) kek: Kek,
    pub(crate) payload_root: Root,
    pub(crate) signer: NoteSigner,
    pub(crate) keeper: Keeper,
    /// This node's name in the database, kept in the data folder.
    pub(crate) node: String,
    pub(crate) positions: watch::Sender<Position>,
    /// The newest checkpoint that this node made or found.
    pub(crate) newest: watch::Sender<Option<Newest>>,
    pub(crate) time_floor: Timestamp,
    pub(crate) unrecorded: [AtomicU64; Unrecorded::ALL.len()],
    /// What tasks have used.
    pub(crate) usages: Arc<Usages>,
    /// Leaves of the tree that need not be read again.
    pub(crate) recent_leaves: RecentLeaves,
    /// Whether something was erased that the write-ahead log may still hold.
    pub(crate) has_erased: AtomicBool,
    /// Outcomes that could not be kept.
    pub(crate) left_to_the_sweeper: AtomicU64,
    /// Promised intents that took longer than promised.
    pub(crate) promises_late: AtomicU64,
    /// Held as long as this process uses the data folder.
    pub(crate) claim: Mutex<Option<File>>,
}

impl Inner {
    /// After a commit: what this node knows of the log.
    pub(crate) fn appended(&self, appended: &Appended) {
        self.recent_leaves.committed(appended.before, &appended.leaves);
        self.keeper.note(appended.head);
    }

    /// After a commit: the mark, then those who follow the log.
    pub(crate) async fn committed(&self, head: Head, narrowed: bool) -> Result<(), Fault> {
        self.keeper.note(head);
        // The change stands, so followers learn of it even where the mark cannot be written.
        self.positions.send_if_modified(|known| {
            let later = *known < head.position;
            *known = head.position.max(*known);
            later
        });
        if narrowed {
            // INVARIANT: a revocation is acknowledged only when a restored older database would be noticed.
            let reached = self.keeper.reach(head.position).await;
            reached.map_err(|fault| Fault::new("committing", SqlUndecided::because(fault.to_string())))?;
        }
        Ok(())
    }

    /// Takes what was erased out of the write-ahead log too. What cannot be done now is left to the next sweep.
    pub(crate) async fn forget_erased(&self) {
        if !self.has_erased.swap(false, Ordering::SeqCst) {
            return;
        }
        let emptied = self.engine.empty_log().await;
        if !matches!(emptied, Ok(true)) {
            self.has_erased.store(true, Ordering::SeqCst);
            let error = emptied.err().map(|fault| fault.to_string());
            tracing::warn!(
                error,
                "what was erased may still stand in the write-ahead log; it is emptied later"
            );
        }
    }

    pub(crate) fn count_unrecorded(&self, reason: Unrecorded) {
        let place = Unrecorded::ALL.iter().position(|&each| each == reason).unwrap_or_default();
        self.unrecorded[place].fetch_add(1, Ordering::Relaxed);
    }
}

impl Store {
    pub(crate) fn new(inner: Arc<Inner>, queue: Arc<Queue>) -> Self {
        Self { inner, queue: Arc::new(Hold(queue)) }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue.0
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Begins a write transaction. It waits its turn; no two run at once.
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx, Fault> {
        Tx::begin(self.inner.clone(), ctx).await
    }

    /// Begins a consistent read.
    pub async fn read(&self) -> Result<Read, Fault> {
        self.read_as(Reader::Anyone).await
    }

    /// The same on connections that nobody else has, for those who keep this node fresh.
    pub async fn read_ahead(&self) -> Result<Read, Fault> {
        self.read_as(Reader::Follower).await
    }

    async fn read_as(&self, reader: Reader) -> Result<Read, Fault> {
        patiently("beginning a read", Read::begin(&self.inner, reader)).await
    }

    /// The records behind `after`, at most `limit` of them (and at most 4,096), in order.
    pub async fn follow(&self, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        const SQL: &str = "select position, time, kind, tenant, actor, subject, task, body, leaf from record \
                           where position > $1 order by position limit $2";
        let limit = i64::try_from(limit.min(FOLLOW_MAX)).unwrap_or(i64::MAX);
        let rows = self.read_ahead().await?.rows(SQL, &[after.into(), limit.into()]).await?;
        rows.iter().map(Record::from_row).collect()
    }

    /// The last position that this process committed or saw. Records of other nodes show in [`Store::head`].
    pub fn positions(&self) -> watch::Receiver<Position> {
        self.inner.positions.subscribe()
    }

    /// The last position that this node has written or seen, calls included.
    pub fn known_position(&self) -> Position {
        self.inner.keeper.known().map_or(Position::ZERO, |head| head.position)
    }

    /// Where the log stands, asked of the database: a node that has applied all records up to here is fresh.
    ///
    /// A database that has gone back since this node last looked is a fault, and stays one until the process is
    /// started again, which begins a new generation.
    pub async fn head(&self) -> Result<Head, Fault> {
        let known = self.inner.keeper.known();
        let head = patiently("reading the log's head", async {
            let mut conn = self.inner.engine.begin_read(Reader::Follower).await?;
            read_head(&mut conn).await
        })
        .await?;
        refuse_older(known.as_ref(), &head)?;
        self.inner.committed(head, false).await?;
        Ok(head)
    }

    /// Makes an entry durable together with others that wait; answers after the commit.
    ///
    /// A fault means that it is not known to be durable: no permit follows. Nobody waits for long: an intent whose
    /// caller has given up is left out, or recorded as never forwarded when it was written already.
    pub async fn submit(&self, entry: Entry) -> Result<Submitted, Fault> {
        let (reply, answer) = oneshot::channel();
        match self.queue().put(Item::new(entry, reply)?) {
            Ok(()) => {}
            Err(Refused::Full) => return Ok(Submitted::Busy),
            Err(Refused::Closed) => return Err(stopped()),
        }
        let Ok(answer) = tokio::time::timeout(PATIENCE, answer).await else {
            let late = Err(Fault::new("submitting to the log", SqlUndecided::late()));
            self.inner.engine.health().note(&late);
            return late;
        };
        answer.map_err(|_| stopped())?
    }

    /// Whether one more intent can be promised, of an act that sends so many bytes: to be durable together with what comes
    /// next, within 100 ms. None where the log does not keep up, or too much is promised already: then it is waited for.
    pub fn reserve(&self, bytes: i64) -> Option<Reservation<'_>> {
        let can_promise = self.takes_writes() && self.queue().reserve(bytes).is_ok();
        can_promise.then(|| Reservation { store: self, bytes, is_used: false })
    }

    /// How many promised intents took longer than promised, since the start.
    pub fn promises_late(&self) -> u64 {
        self.inner.promises_late.load(Ordering::Relaxed)
    }

    /// Leaves an outcome to be made durable together with others that wait. Nobody is told when it is: one that cannot be
    /// kept is counted, and its intent is left to the sweeper.
    pub fn leave(&self, outcome: Outcome) {
        let left = Item::outcome(outcome).map(|item| self.queue().leave(item));
        if let Err(fault) = &left {
            tracing::error!(%fault, "an outcome cannot be recorded");
        }
        if !matches!(left, Ok(Ok(()))) {
            self.inner.left_to_the_sweeper.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many outcomes could not be kept since the start.
    pub fn left_to_the_sweeper(&self) -> u64 {
        self.inner.left_to_the_sweeper.load(Ordering::Relaxed)
    }

    /// Seals a secret for the row named by `aad`, typically the row's id.
    pub fn seal(&self, aad: &str, plaintext: &[u8]) -> Result<Sealed, Fault> {
        self.inner.kek.seal(aad, plaintext, &*self.inner.dice)
    }

    /// Opens what [`Store::seal`] sealed for the same row.
    pub fn open_sealed(&self, aad: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, Fault> {
        self.inner.kek.open_sealed(aad, sealed)
    }

    /// Seals a value that a client keeps for us, for one purpose. The same for the same value, and on all nodes.
    pub fn seal_keepsake(&self, plain: &[u8], bound_to: &[u8]) -> Result<String, Fault> {
        self.inner.kek.keepsakes().seal(plain, bound_to)
    }

    /// What was sealed so for this purpose; `None` for everything else.
    pub fn open_keepsake(&self, sealed: &str, bound_to: &[u8]) -> Option<Vec<u8>> {
        self.inner.kek.keepsakes().open(sealed, bound_to)
    }

    /// The latest instant that the log or the mark knew at start. A clock that shows less was turned back; the
    /// present is never before this.
    pub fn time_floor(&self) -> Timestamp {
        self.inner.time_floor
    }

    /// When the present generation began; credentials from before are dead. See [`Head::generation`].
    pub fn generation_started_at(&self) -> Timestamp {
        self.inner.keeper.known().map_or(self.inner.time_floor, |head| head.generation_started_at)
    }

    /// This node's name in the database.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// How often writes were kept without a record, by reason.
    pub fn unrecorded(&self) -> [(Unrecorded, u64); Unrecorded::ALL.len()] {
        let mut place = 0;
        Unrecorded::ALL.map(|reason| {
            let count = self.inner.unrecorded[place].load(Ordering::Relaxed);
            place += 1;
            (reason, count)
        })
    }

    /// Stops the batch writer after what waits, writes the mark and closes the database. Later calls on any clone
    /// are faults.
    pub async fn close(&self) -> Result<(), Fault> {
        self.queue().stop().await;
        self.inner.keeper.flush().await?;
        self.inner.engine.close().await;
        drop(self.inner.claim.lock().unwrap_or_else(PoisonError::into_inner).take());
        Ok(())
    }
}

pub(crate) fn stopped() -> Fault {
    Fault::new("submitting to the log", "the batch writer has stopped")
}

/// SECURITY: a database that goes back under a running node would undo revocations that this node has enforced, and one
/// whose last record was replaced holds another history.
pub(crate) fn refuse_older(known: Option<&Head>, head: &Head) -> Result<(), Fault> {
    match known {
        Some(known) if (head.generation, head.position) < (known.generation, known.position) => {
            let reason = format!(
                "it stands at {}.{} and stood at {}.{}; it was replaced by an older one; start Writ again",
                head.generation, head.position, known.generation, known.position
            );
            Err(Fault::new("reading the log's head", reason))
        }
        Some(known)
            if (head.generation, head.position) == (known.generation, known.position)
                && head.leaf != known.leaf =>
        {
            let reason =
                format!("record {} is not the one that this node has seen; verify the log", head.position);
            Err(Fault::new("reading the log's head", reason))
        }
        _ => Ok(()),
    }
}
