//! The session of a client with all servers: a part for each server that something was asked of.
//!
//! The client knows the whole by its id; each part is a session of the gate with one server, of which the client knows
//! nothing. A part that is lost is opened anew, the whole stays.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use base::{ServerId, Timestamp};
use tokio::sync::watch;
use wire::mcp::{Envelope, Id, Revision};

use crate::{
    Gateway, Holder, Plane,
    config::Limits,
    gateway::Visit,
    opening::{self, NoWay},
    session::{Session, lock},
    stateless::passing,
};

/// One client's session with all servers.
pub(crate) struct Whole {
    pub(crate) id: String,
    pub(crate) holder: Holder,
    pub(crate) revision: Revision,
    /// What the client says of itself; each server learns as much of it as passes there.
    envelope: Envelope,
    places: Mutex<HashMap<ServerId, Arc<Place>>>,
    /// Moves when a part was opened.
    opened: watch::Sender<u64>,
    listeners: AtomicUsize,
    used: AtomicI64,
}

/// The place of one server's part.
#[derive(Default)]
struct Place {
    session: Mutex<Option<Arc<Session>>>,
    /// Held while it is opened: requests that come at once share a part.
    opening: tokio::sync::Mutex<()>,
}

impl Whole {
    pub(super) fn new(id: String, holder: Holder, revision: Revision, envelope: Envelope) -> Self {
        Self {
            id,
            holder,
            revision,
            envelope,
            places: Mutex::default(),
            opened: watch::Sender::new(0),
            listeners: AtomicUsize::new(0),
            used: AtomicI64::new(0),
        }
    }

    /// All parts that were opened and not yet found to be lost.
    pub(super) fn parts(&self) -> Vec<Arc<Session>> {
        let places: Vec<Arc<Place>> = lock(&self.places).values().cloned().collect();
        places.into_iter().filter_map(|place| lock(&place.session).clone()).collect()
    }

    /// The part in which the client's request of this id is under way.
    pub(super) fn part_of(&self, id: &Id) -> Option<Arc<Session>> {
        self.parts().into_iter().find(|part| part.taken_back(id).is_some())
    }

    /// Moves when a part was opened.
    pub(super) fn opened(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// The part for a visit's server, opened if it is not.
    pub(super) async fn part<P: Plane>(&self, visit: &Visit<P>) -> Result<Arc<Session>, NoWay> {
        let place = Arc::clone(lock(&self.places).entry(visit.upstream.id.clone()).or_default());
        let here = || {
            let session = lock(&place.session).clone()?;
            let gate = &visit.gate;
            session.use_at(gate.config.clock.now());
            // A server that has moved is another party.
            let is_its = session.belongs_to(&visit.holder, &visit.upstream) && gate.sessions.has(&session);
            is_its.then_some(session)
        };
        if let Some(session) = here() {
            return Ok(session);
        }
        let _turn = place.opening.lock().await;
        if let Some(session) = here() {
            return Ok(session);
        }
        let envelope = passing(self.envelope.clone(), visit.upstream.passes);
        let session = opening::part(visit, &envelope, self.revision).await?;
        *lock(&place.session) = Some(Arc::clone(&session));
        self.opened.send_modify(|count| *count += 1);
        Ok(session)
    }

    /// Counts a listening stream; `None` when there are too many.
    pub(super) fn listen(self: &Arc<Self>, limit: usize) -> Option<WholeListening> {
        let counted = self
            .listeners
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1));
        counted.ok().map(|_| WholeListening(Arc::clone(self)))
    }

    /// The smallest goes first when one must go.
    fn worth(&self) -> (bool, i64) {
        (self.listeners.load(Ordering::Relaxed) > 0, self.used.load(Ordering::Relaxed))
    }
}

/// A listening stream; dropping it uncounts the stream.
pub(super) struct WholeListening(Arc<Whole>);

impl Drop for WholeListening {
    fn drop(&mut self) {
        self.0.listeners.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All such sessions, within the bounds of sessions with one server: per holder, per agent and in all.
pub(crate) struct Wholes {
    by_id: Mutex<HashMap<String, Arc<Whole>>>,
    limits: Limits,
}

impl Wholes {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { by_id: Mutex::default(), limits }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Whole>> {
        lock(&self.by_id).values().cloned().collect()
    }

    /// Keeps a session. Gives those that made room for it; itself when there is none.
    fn open(&self, whole: &Arc<Whole>, now: Timestamp) -> Vec<Arc<Whole>> {
        whole.used.store(now.millis(), Ordering::Relaxed);
        let mut all = lock(&self.by_id);
        let mut dropped = Vec::new();
        let is_of_holder = |other: &&Arc<Whole>| other.holder == whole.holder;
        let is_of_agent = |other: &&Arc<Whole>| other.holder.actor == whole.holder.actor;
        let idle_since = now.plus_seconds(-self.limits.session_idle_seconds).millis();
        let full = |all: &HashMap<_, _>| all.len() >= self.limits.sessions_max;
        for (most, own) in [
            (self.limits.sessions_per_holder_max, &is_of_holder as &dyn Fn(&&Arc<Whole>) -> bool),
            (self.limits.sessions_per_agent_max, &is_of_agent),
        ] {
            while all.values().filter(own).count() >= most.max(1) {
                let least = all.values().filter(own).min_by_key(|other| other.worth());
                let Some(id) = least.map(|least| least.id.clone()) else { break };
                dropped.extend(all.remove(&id));
            }
        }
        if full(&all) {
            let idle = all.values().filter(|other| other.worth() <= (false, idle_since));
            let ids: Vec<String> = idle.map(|idle| idle.id.clone()).collect();
            dropped.extend(ids.iter().filter_map(|id| all.remove(id)));
        }
        if full(&all) {
            dropped.push(Arc::clone(whole));
        } else {
            all.insert(whole.id.clone(), Arc::clone(whole));
        }
        dropped
    }

    /// The holder's session of this id.
    pub(super) fn find(&self, id: &str, holder: &Holder, now: Timestamp) -> Option<Arc<Whole>> {
        let whole = lock(&self.by_id).get(id).filter(|whole| whole.holder == *holder).cloned()?;
        whole.used.store(now.millis(), Ordering::Relaxed);
        Some(whole)
    }

    /// The holder's most recent session, for clients that forget to send the id.
    pub(super) fn latest(&self, holder: &Holder, now: Timestamp) -> Option<Arc<Whole>> {
        let all = lock(&self.by_id);
        let own = all.values().filter(|whole| whole.holder == *holder);
        let whole = own.max_by_key(|whole| whole.used.load(Ordering::Relaxed)).cloned()?;
        whole.used.store(now.millis(), Ordering::Relaxed);
        Some(whole)
    }
}

impl<P: Plane> Gateway<P> {
    /// Keeps a client's session with all servers; `None` when there is no room.
    pub(super) fn open_whole(self: &Arc<Self>, whole: Whole) -> Option<Arc<Whole>> {
        let whole = Arc::new(whole);
        let dropped = self.wholes.open(&whole, self.config.clock.now());
        let is_kept = !dropped.iter().any(|other| Arc::ptr_eq(other, &whole));
        for other in dropped {
            self.close_whole(&other);
        }
        is_kept.then_some(whole)
    }

    /// Ends a session with all servers, and its parts.
    pub(crate) fn close_whole(self: &Arc<Self>, whole: &Whole) {
        lock(&self.wholes.by_id).remove(&whole.id);
        self.forget(whole.parts());
    }
}
