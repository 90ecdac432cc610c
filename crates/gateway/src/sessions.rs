//! All sessions: bounded per holder, per agent and in all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use base::{Actor, SharedDice, TaskId, Timestamp};
use wire::json::Object;

use crate::{
    Holder, Upstream,
    config::Limits,
    session::{Client, Opened, Session, lock},
};

/// How long after a sweep there is none again, in milliseconds: a sweep looks at everything.
const SWEEP_PAUSE_MS: i64 = 1000;

/// All sessions.
pub(crate) struct Sessions {
    ledger: Mutex<Ledger>,
    dice: SharedDice,
    limits: Limits,
}

/// What came of opening a session.
pub(crate) struct Opening {
    /// The session; none when there is no room for one.
    pub(crate) session: Option<Arc<Session>>,
    /// What made room, and what found none: to be ended on the servers' side.
    pub(crate) dropped: Vec<Arc<Session>>,
}

impl Sessions {
    pub(crate) fn new(dice: SharedDice, limits: Limits) -> Self {
        Self { ledger: Mutex::default(), dice, limits }
    }

    /// Opens a session. A holder's own oldest makes room for its newest, an agent's for the agent's. When all places
    /// are taken, somebody who has more than the one who comes gives one.
    pub(crate) fn open(
        &self,
        holder: &Holder,
        client: Client,
        opened: Opened,
        upstream: &Arc<Upstream>,
        now: Timestamp,
    ) -> Opening {
        // 128 bits of chance (MCP 2025-06-18, transports: "globally unique and cryptographically secure").
        let id = format!("{:032x}", u128::from_be_bytes(self.dice.bytes()));
        let session = Session::new(id, holder.clone(), client, opened, Arc::clone(upstream), now);
        let session = Arc::new(session);
        let mut ledger = lock(&self.ledger);
        let mut dropped = Vec::new();
        while ledger.count_of_holder(holder) >= self.limits.sessions_per_holder_max.max(1)
            && let Some(oldest) = ledger.least_of_holder(holder)
        {
            dropped.extend(ledger.remove(&oldest));
        }
        while ledger.count_of_agent(&holder.actor) >= self.limits.sessions_per_agent_max.max(1)
            && let Some(oldest) = ledger.least_of_agent(&holder.actor)
        {
            dropped.extend(ledger.remove(&oldest));
        }
        if ledger.by_id.len() >= self.limits.sessions_max {
            dropped.extend(ledger.give_way(&holder.actor));
        }
        if ledger.by_id.len() >= self.limits.sessions_max {
            dropped.push(session);
            return Opening { session: None, dropped };
        }
        ledger.insert(Arc::clone(&session));
        Opening { session: Some(session), dropped }
    }

    /// All sessions when every place is taken and nobody has looked for those that are over just now.
    pub(crate) fn to_sweep(&self, now: Timestamp) -> Vec<Arc<Session>> {
        let mut ledger = lock(&self.ledger);
        let is_due = ledger.by_id.len() >= self.limits.sessions_max
            && ledger.swept.is_none_or(|swept| now.millis_since(swept) >= SWEEP_PAUSE_MS);
        if !is_due {
            return Vec::new();
        }
        ledger.swept = Some(now);
        ledger.by_id.values().cloned().collect()
    }

    /// All sessions.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.ledger).by_id.values().cloned().collect()
    }

    /// Whether a session was not used for so long that it may be forgotten when room is needed.
    pub(crate) fn is_idle(&self, session: &Session, now: Timestamp) -> bool {
        session.used() <= now.plus_seconds(-self.limits.session_idle_seconds).millis()
    }

    /// The holder's session of this id with this server.
    pub(crate) fn find(
        &self,
        id: &str,
        holder: &Holder,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let ledger = lock(&self.ledger);
        let is_its =
            |session: &&Arc<Session>| session.belongs_to(holder, upstream) && session.client.is_aware();
        let session = ledger.by_id.get(id).filter(is_its).cloned()?;
        session.use_at(now);
        Some(session)
    }

    /// The session that is kept with this server for the holder's clients that know none and can do just this.
    pub(crate) fn kept(
        &self,
        holder: &Holder,
        upstream: &Upstream,
        capabilities: &Object,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let ledger = lock(&self.ledger);
        let is_it = |session: &&Arc<Session>| {
            session.client == Client::Unaware
                && session.belongs_to(holder, upstream)
                && session.envelope.capabilities == *capabilities
        };
        let session = ledger.of_holder(holder).iter().rfind(is_it).cloned()?;
        session.use_at(now);
        Some(session)
    }

    /// The holder's most recent session with this server, for clients that forget to send the id.
    pub(crate) fn latest(
        &self,
        holder: &Holder,
        upstream: &Upstream,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let ledger = lock(&self.ledger);
        let own = ledger
            .of_holder(holder)
            .iter()
            .filter(|session| session.client.is_aware() && session.belongs_to(holder, upstream));
        let session = own.max_by_key(|session| session.used()).cloned()?;
        session.use_at(now);
        Some(session)
    }

    /// Whether a session is still there.
    pub(crate) fn has(&self, session: &Arc<Session>) -> bool {
        lock(&self.ledger).by_id.get(&session.id).is_some_and(|known| Arc::ptr_eq(known, session))
    }

    /// Forgets a session; whether it was there.
    pub(crate) fn close(&self, session: &Session) -> bool {
        lock(&self.ledger).remove(&session.id).is_some()
    }
}

/// The sessions, by what they are looked up by.
///
/// INVARIANT: a session is in both maps or in none, and nobody without sessions has an entry.
#[derive(Default)]
struct Ledger {
    by_id: HashMap<String, Arc<Session>>,
    by_agent: HashMap<Actor, OfAgent>,
    swept: Option<Timestamp>,
}

/// The sessions of one agent.
#[derive(Default)]
struct OfAgent {
    count: usize,
    by_task: HashMap<TaskId, Vec<Arc<Session>>>,
}

impl Ledger {
    fn insert(&mut self, session: Arc<Session>) {
        let Holder { actor, task } = &session.holder;
        let agent = self.by_agent.entry(actor.clone()).or_default();
        agent.count += 1;
        agent.by_task.entry(task.clone()).or_default().push(Arc::clone(&session));
        self.by_id.insert(session.id.clone(), session);
        self.show();
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Session>> {
        let session = self.by_id.remove(id)?;
        let Holder { actor, task } = &session.holder;
        if let Some(agent) = self.by_agent.get_mut(actor) {
            agent.count = agent.count.saturating_sub(1);
            if let Some(own) = agent.by_task.get_mut(task) {
                own.retain(|other| other.id != id);
                if own.is_empty() {
                    agent.by_task.remove(task);
                }
            }
            if agent.count == 0 {
                self.by_agent.remove(actor);
            }
        }
        self.show();
        Some(session)
    }

    fn show(&self) {
        let count = u32::try_from(self.by_id.len()).unwrap_or(u32::MAX);
        metrics::gauge!("writ_mcp_sessions").set(f64::from(count));
    }

    fn of_holder(&self, holder: &Holder) -> &[Arc<Session>] {
        let agent = self.by_agent.get(&holder.actor);
        agent.and_then(|agent| agent.by_task.get(&holder.task)).map_or(&[], Vec::as_slice)
    }

    fn count_of_holder(&self, holder: &Holder) -> usize {
        self.of_holder(holder).len()
    }

    fn count_of_agent(&self, actor: &Actor) -> usize {
        self.by_agent.get(actor).map_or(0, |agent| agent.count)
    }

    fn least_of_holder(&self, holder: &Holder) -> Option<String> {
        least(self.of_holder(holder).iter())
    }

    fn least_of_agent(&self, actor: &Actor) -> Option<String> {
        least(self.by_agent.get(actor)?.by_task.values().flatten())
    }

    /// Takes a session from the agent that has the most, for one that has fewer; from an agent that has the most
    /// itself, its own. Nobody gives their only one.
    fn give_way(&mut self, comer: &Actor) -> Option<Arc<Session>> {
        let (most, of_most) = self.by_agent.iter().max_by_key(|(_, agent)| agent.count)?;
        let own = self.count_of_agent(comer);
        let least = if own >= of_most.count {
            self.least_of_agent(comer)
        } else if of_most.count > 1 {
            self.least_of_agent(most)
        } else {
            None
        };
        self.remove(&least?)
    }
}

fn least<'a>(sessions: impl Iterator<Item = &'a Arc<Session>>) -> Option<String> {
    sessions.min_by_key(|session| session.worth()).map(|session| session.id.clone())
}
