//! A session of a client with a server.
//!
//! A session id is no credential: each request is authenticated by itself, and a session is found only by the
//! holder that opened it (threat class 18).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use base::Timestamp;
use http::HeaderValue;
use wire::mcp::{Id, Revision};

use crate::{Holder, Upstream, upstream::Standing};

/// One session: ours with the client, and the server's with us.
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) holder: Holder,
    /// The server as it was when the session was opened.
    pub(crate) upstream: Arc<Upstream>,
    /// What was agreed on in `initialize`.
    pub(crate) revision: Revision,
    /// The server's own session id, if it keeps sessions.
    pub(crate) upstream_id: Option<HeaderValue>,
    standing: Mutex<Standing>,
    in_flight: Mutex<HashMap<Id, i64>>,
    listeners: AtomicUsize,
    used: AtomicI64,
    announced: AtomicBool,
}

/// What `initialize` agreed on.
pub(crate) struct Opened {
    pub(crate) holder: Holder,
    pub(crate) revision: Revision,
    pub(crate) upstream_id: Option<HeaderValue>,
    pub(crate) standing: Standing,
}

impl Session {
    pub(crate) fn new(id: String, opened: Opened, upstream: Arc<Upstream>, now: Timestamp) -> Self {
        Self {
            id,
            holder: opened.holder,
            upstream,
            revision: opened.revision,
            upstream_id: opened.upstream_id,
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
        in_flight.insert(id.clone(), upstream_id);
        Some(InFlight { session: Arc::clone(self), id: id.clone() })
    }

    /// The id under which the server knows a request that is under way.
    pub(crate) fn upstream_id_of(&self, id: &Id) -> Option<i64> {
        lock(&self.in_flight).get(id).copied()
    }

    /// Counts a listening stream; `None` when there are too many.
    pub(crate) fn listen(self: &Arc<Self>, limit: usize) -> Option<Listening> {
        let counted = self
            .listeners
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1));
        counted.ok().map(|_| Listening(Arc::clone(self)))
    }

    pub(crate) fn belongs_to(&self, holder: &Holder, upstream: &Upstream) -> bool {
        self.holder == *holder && self.is_with(upstream)
    }

    /// A server whose address was changed is another party: its sessions end.
    fn is_with(&self, upstream: &Upstream) -> bool {
        self.upstream.id == upstream.id && self.upstream.url == upstream.url
    }
}

/// A request under way; dropping it forgets the request.
pub(crate) struct InFlight {
    session: Arc<Session>,
    id: Id,
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
