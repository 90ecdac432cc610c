//! A session of a client with a server.
//!
//! A session id is no credential: each request is authenticated by itself, and a session is found only by the
//! holder that opened it (threat class 18).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use base::Timestamp;
use tokio::sync::{Notify, watch};
use wire::mcp::{Envelope, Id, Revision};

use crate::{
    Holder, Upstream,
    asking::Asked,
    tasks::Made,
    tongue::{Offer, Tongue},
    upstream::Standing,
};

/// One session: ours with the client, and, where the server knows sessions, the server's with us.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) holder: Holder,
    /// The server as it was when the session was opened.
    pub(crate) upstream: Arc<Upstream>,
    /// Who the session is for.
    pub(crate) client: Client,
    /// How the server is spoken to.
    pub(crate) tongue: Tongue,
    pub(crate) offer: Offer,
    /// What the server was told of the client.
    pub(crate) envelope: Envelope,
    /// What the server asked and the client has not answered.
    pub(crate) asked: Asked,
    /// The resources that the client wants to hear of, where the server is told so only with each listening stream.
    pub(crate) subscribed: watch::Sender<BTreeSet<String>>,
    /// The tasks of the server that are known to be the client's.
    pub(crate) made: Made,
    log_level: Mutex<Option<String>>,
    standing: Mutex<Standing>,
    in_flight: Mutex<HashMap<Id, UnderWay>>,
    listeners: AtomicUsize,
    used: AtomicI64,
    announced: AtomicBool,
}

/// Who a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// A client that knows sessions; what was agreed on in `initialize`.
    Known(Revision),
    /// A client that knows sessions, and has one with all servers; what was agreed on there. It never learns this one's id.
    Part(Revision),
    /// Clients of one holder that know none, and can do the same. They never learn the session's id.
    Unaware,
    /// One stream of a client that knows none.
    Stream,
}

impl Client {
    /// Whether the client says the session's id, or forgets to.
    pub(crate) const fn is_aware(self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Whether the client can go on with a stream that it lost.
    pub(crate) fn resumes(self) -> bool {
        matches!(self, Self::Known(revision) | Self::Part(revision) if revision >= Revision::V20251125)
    }
}

/// An opened way to a server.
pub(crate) struct Opened {
    pub(crate) tongue: Tongue,
    pub(crate) offer: Offer,
    pub(crate) envelope: Envelope,
    pub(crate) standing: Standing,
}

impl Session {
    pub(crate) fn new(
        id: String,
        holder: Holder,
        client: Client,
        opened: Opened,
        upstream: Arc<Upstream>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            holder,
            upstream,
            client,
            tongue: opened.tongue,
            // The client has been told; nobody asks for them again.
            offer: Offer { instructions: None, ..opened.offer },
            envelope: opened.envelope,
            asked: Asked::default(),
            subscribed: watch::Sender::default(),
            made: Made::default(),
            log_level: Mutex::default(),
            standing: Mutex::new(opened.standing),
            in_flight: Mutex::new(HashMap::new()),
            listeners: AtomicUsize::new(0),
            used: AtomicI64::new(now.millis()),
            announced: AtomicBool::new(false),
        }
    }

    /// When the session was last used, in milliseconds.
    pub(crate) fn used(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn use_at(&self, now: Timestamp) {
        self.used.store(now.millis(), Ordering::Relaxed);
    }

    /// The smallest goes first when one must go: what nothing is under way in, then what was not used for longest.
    pub(crate) fn worth(&self) -> (bool, i64) {
        let is_busy = self.listeners.load(Ordering::Relaxed) > 0 || !lock(&self.in_flight).is_empty();
        (is_busy, self.used())
    }

    /// What upkeep of the session may send with.
    pub(crate) fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    /// Whether this is the first time that the client says that the session is open.
    pub(crate) fn is_announced_now(&self) -> bool {
        !self.announced.swap(true, Ordering::Relaxed)
    }

    /// Credentials are leased per act; upkeep goes with the latest.
    pub(crate) fn renew(&self, standing: Standing) {
        *lock(&self.standing) = standing;
    }

    /// Remembers a request under way; `None` when its id is in use or too many are.
    pub(crate) fn begin(self: &Arc<Self>, id: &Id, upstream_id: i64, limit: usize) -> Option<InFlight> {
        let mut in_flight = lock(&self.in_flight);
        if in_flight.len() >= limit || in_flight.contains_key(id) {
            return None;
        }
        let cancelled = Arc::new(Notify::new());
        in_flight.insert(id.clone(), UnderWay { upstream_id, cancelled: Arc::clone(&cancelled) });
        Some(InFlight { session: Arc::clone(self), id: id.clone(), cancelled })
    }

    /// A request that the client takes back: the id under which the server knows it, and what ends it here. A server need
    /// not answer what was taken back, so nobody waits for that.
    pub(crate) fn taken_back(&self, id: &Id) -> Option<(i64, Arc<Notify>)> {
        let in_flight = lock(&self.in_flight);
        let under_way = in_flight.get(id)?;
        Some((under_way.upstream_id, Arc::clone(&under_way.cancelled)))
    }

    /// Counts a listening stream; `None` when there are too many.
    pub(crate) fn listen(self: &Arc<Self>, limit: usize) -> Option<Listening> {
        let counted = self
            .listeners
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1));
        counted.ok().map(|_| Listening(Arc::clone(self)))
    }

    pub(crate) fn set_log_level(&self, level: &str) {
        *lock(&self.log_level) = Some(level.to_owned());
    }

    /// What a request to a server without sessions says about the client.
    pub(crate) fn envelope_now(&self) -> Envelope {
        Envelope { log_level: lock(&self.log_level).clone(), ..self.envelope.clone() }
    }

    /// Whether the server has a session of its own that should be ended with this one.
    pub(crate) const fn is_kept_by_server(&self) -> bool {
        matches!(self.tongue, Tongue::Session { id: Some(_), .. })
    }

    pub(crate) fn belongs_to(&self, holder: &Holder, upstream: &Upstream) -> bool {
        self.holder == *holder && self.is_with(upstream)
    }

    /// A server whose address was changed is another party: its sessions end.
    fn is_with(&self, upstream: &Upstream) -> bool {
        self.upstream.id == upstream.id && self.upstream.url == upstream.url
    }
}

struct UnderWay {
    upstream_id: i64,
    cancelled: Arc<Notify>,
}

/// A request under way; dropping it forgets the request.
pub(crate) struct InFlight {
    session: Arc<Session>,
    id: Id,
    /// Notified when the client takes the request back.
    pub(crate) cancelled: Arc<Notify>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.session.in_flight).remove(&self.id);
    }
}

/// A listening stream; dropping it uncounts the stream.
pub(crate) struct Listening(Arc<Session>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The maps stay whole at every step, so what a panicking thread left behind is usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
