//! The slice of a snapshot around some principals and one target: what decisions of the same kind have in common.
//!
//! Kept with its snapshot, as soon as that is published, and never beyond it. A slice holds for a span of time, since grants and agents expire; limits,
//! arguments and the task are no part of it and are asked at each decision.

use std::{
    cell::Cell,
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use base::{AgentId, Name, PersonId, Timestamp};
use policy::{Act, ActKind, Engine, EntityRef, Prepared, SubjectError};

use super::facts::{Held, Target, agent, person};
use crate::{snapshot::Snapshot, task::Task};

/// Slices that one snapshot keeps. One more than that, and it begins anew.
const KEPT_MAX: usize = 4096;

/// The slices of one snapshot.
#[derive(Default)]
pub(crate) struct Slices {
    kept: Mutex<HashMap<u64, Arc<Slice>>>,
    hasher: RandomState,
}

/// An instant, and until when what was found at it stays true.
pub(super) struct Moment {
    pub(super) now: Timestamp,
    until: Cell<Timestamp>,
}

impl Moment {
    pub(super) const fn of(now: Timestamp) -> Self {
        Self { now, until: Cell::new(Timestamp::from_millis(i64::MAX)) }
    }

    /// Takes note of something that ends by itself.
    pub(super) fn note(&self, ends: Option<Timestamp>) {
        if let Some(ends) = ends.filter(|&ends| ends > self.now) {
            self.until.set(self.until.get().min(ends));
        }
    }
}

/// Principals with what they hold on one target.
pub(super) struct Slice {
    of: Key,
    from: Timestamp,
    until: Timestamp,
    pub(super) person: Option<Held>,
    /// Every agent of the chain, the acting one last.
    pub(super) agents: Vec<Seat>,
}

/// One agent of a chain, with the person behind it.
pub(super) struct Seat {
    pub(super) agent: Held,
    /// The roles on the target that the agent or the person holds.
    pub(super) roles: Vec<EntityRef>,
    prepared: OnceLock<Option<Prepared>>,
}

/// What a slice is of.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    person: Option<PersonId>,
    agents: Vec<AgentId>,
    server: Name,
    kind: ActKind,
}

impl Key {
    fn of(chain: &[&Task], act: &Act) -> Self {
        // SECURITY: each agent of the chain is a principal. A task handed down to an agent with more grants must not
        // do what the agent that handed it down may not. The acting agent comes last: its decision is the one that
        // is acted on.
        let mut agents: Vec<AgentId> = Vec::with_capacity(chain.len());
        for task in chain.iter().rev() {
            agents.retain(|known| *known != task.agent);
            agents.push(task.agent.clone());
        }
        let person = chain.first().and_then(|task| task.person.clone());
        Self { person, agents, server: act.server.clone(), kind: act.kind.clone() }
    }
}

impl Snapshot {
    /// The slice around the principals of a chain and the target of an act.
    pub(super) fn slice(
        &self,
        chain: &[&Task],
        act: &Act,
        now: Timestamp,
    ) -> Result<Arc<Slice>, SubjectError> {
        let key = Key::of(chain, act);
        let Some(slices) = &self.found.0 else { return Slice::gather(self, key, act, now).map(Arc::new) };
        let place = slices.hasher.hash_one(&key);
        if let Some(slice) = slices.kept().get(&place)
            && slice.of == key
            && slice.from <= now
            && now < slice.until
        {
            return Ok(Arc::clone(slice));
        }
        let slice = Arc::new(Slice::gather(self, key, act, now)?);
        let mut kept = slices.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(place, Arc::clone(&slice));
        Ok(slice)
    }
}

impl Slices {
    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Arc<Slice>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slice {
    fn gather(snapshot: &Snapshot, of: Key, act: &Act, now: Timestamp) -> Result<Self, SubjectError> {
        let (target, moment) = (Target::of(act, snapshot), Moment::of(now));
        let person = of.person.as_ref().map(|id| person(id, &target, snapshot, &moment)).transpose()?;
        let seat = |id| {
            let agent = agent(id, &target, snapshot, &moment)?;
            let of_person = person.iter().flat_map(|person| &person.roles);
            let roles = agent.roles.iter().chain(of_person).cloned().collect();
            Ok(Seat { agent, roles, prepared: OnceLock::new() })
        };
        let agents = of.agents.iter().map(seat).collect::<Result<_, _>>()?;
        Ok(Self { of, from: now, until: moment.until.get(), person, agents })
    }
}

impl Seat {
    /// What the engine needs of this seat's decisions, however often they are made.
    pub(super) fn prepared(&self, engine: &Engine, act: &Act, person: Option<&Held>) -> Option<&Prepared> {
        let prepare =
            || engine.prepare(act, person.map(|person| &person.subject), &self.agent.subject, &self.roles);
        self.prepared.get_or_init(prepare).as_ref()
    }
}
