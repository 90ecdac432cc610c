//! Sessions of clients with servers.
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

use base::{ServerId, SharedDice, Timestamp};
use http::{HeaderValue, Uri};
use wire::mcp::{Id, Revision};

use crate::{Holder, Upstream, config::Limits, upstream::Standing};

/// One session: ours with the client, and the server's with us.
pub(crate) struct Session {
    pub(crate) id: String,
    holder: Holder,
    server: ServerId,
    url: Uri,
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

    fn belongs_to(&self, holder: &Holder, upstream: &Upstream) -> bool {
        // A server whose address was changed is another party: its sessions end.
        self.holder == *holder && self.server == upstream.id && self.url == upstream.url
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

/// All sessions, bounded.
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<String, Arc<Session>>>,
    dice: SharedDice,
    limits: Limits,
}

impl Sessions {
    pub(crate) fn new(dice: SharedDice, limits: Limits) -> Self {
        Self { by_id: Mutex::new(HashMap::new()), dice, limits }
    }

    /// Opens a session. A holder's own oldest makes room for its newest; nobody's session makes room for another
    /// holder's unless it has long been idle. `None` when there is no room.
    pub(crate) fn open(&self, opened: Opened, upstream: &Upstream, now: Timestamp) -> Option<Arc<Session>> {
        let mut by_id = lock(&self.by_id);
        let mut own: Vec<_> = by_id
            .values()
            .filter(|session| session.holder == opened.holder)
            .map(|session| (session.used.load(Ordering::Relaxed), session.id.clone()))
            .collect();
        own.sort_unstable();
        let surplus = (own.len() + 1).saturating_sub(self.limits.sessions_per_holder_max);
        for (_, id) in own.into_iter().take(surplus) {
            by_id.remove(&id);
        }
        if by_id.len() >= self.limits.sessions_max {
            let idle_since = now.plus_seconds(-self.limits.session_idle_seconds).millis();
            by_id.retain(|_, session| session.used.load(Ordering::Relaxed) > idle_since);
        }
        if by_id.len() >= self.limits.sessions_max {
            return None;
        }
        let session = Arc::new(Session {
            // 128 bits of chance (MCP 2025-06-18, transports: "globally unique and cryptographically secure").
            id: format!("{:032x}", u128::from_be_bytes(self.dice.bytes())),
            holder: opened.holder,
            server: upstream.id.clone(),
            url: upstream.url.clone(),
            revision: opened.revision,
            upstream_id: opened.upstream_id,
            standing: Mutex::new(opened.standing),
            in_flight: Mutex::new(HashMap::new()),
            listeners: AtomicUsize::new(0),
            used: AtomicI64::new(now.millis()),
            announced: AtomicBool::new(false),
        });
        by_id.insert(session.id.clone(), Arc::clone(&session));
        Some(session)
    }

    /// The holder's session of this id with this server.
    pub(crate) fn find(
        &self,
        id: &str,
        holder: &Holder,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let session =
            lock(&self.by_id).get(id).filter(|session| session.belongs_to(holder, upstream)).cloned()?;
        session.used.store(now.millis(), Ordering::Relaxed);
        Some(session)
    }

    /// The holder's most recent session with this server, for clients that forget to send the id.
    pub(crate) fn latest(
        &self,
        holder: &Holder,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let by_id = lock(&self.by_id);
        let own = by_id.values().filter(|session| session.belongs_to(holder, upstream));
        let session = own.max_by_key(|session| session.used.load(Ordering::Relaxed)).cloned()?;
        session.used.store(now.millis(), Ordering::Relaxed);
        Some(session)
    }

    /// Forgets a session.
    pub(crate) fn close(&self, session: &Session) {
        lock(&self.by_id).remove(&session.id);
    }
}

/// The maps stay whole at every step, so what a panicking thread left behind is usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
