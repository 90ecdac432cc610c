//! What tasks have used, as this node knows it: in memory, for decisions, which wait for no database.
//!
//! INVARIANT: nothing here admits anything. Limits hold because the batch writer counts under row locks; this says
//! what it counted last, so that a policy can ask how much is left. Calls of this node are seen from their commit on,
//! calls of other nodes when somebody who follows the log has [`Store::refresh_usage`] read them.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
};

use base::{Fault, Position, TaskId};

use crate::{
    Read, Store,
    engine::{Shaped, list},
};

/// Stretches of own records that are remembered. Forgetting one costs a read, nothing else.
const STRETCHES_MAX: usize = 256;

static READ: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        format!("select task, calls_used, bytes_used from task_usage where task in ({})", list(rows))
    })
});

/// What one task has used. It only grows.
#[derive(Debug)]
pub struct Used {
    task: TaskId,
    calls: AtomicI64,
    bytes: AtomicI64,
    of: Weak<Usages>,
}

impl Used {
    /// Calls, its own and its descendants'.
    pub fn calls(&self) -> i64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Bytes in both directions, its own and its descendants'.
    pub fn bytes(&self) -> i64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Usage that is read and usage that is committed may arrive in either order.
    fn reach(&self, calls: i64, bytes: i64) {
        self.calls.fetch_max(calls, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        let Some(usages) = self.of.upgrade() else { return };
        let mut known = usages.known();
        // Another may be counted under the same id by now.
        if known.counted.get(&self.task).is_some_and(|counted| counted.strong_count() == 0) {
            known.counted.remove(&self.task);
        }
    }
}

/// The tasks that somebody wants to be counted: as many as are held, so whoever holds them bounds this.
#[derive(Debug, Default)]
pub(crate) struct Usages(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    counted: HashMap<TaskId, Weak<Used>>,
    /// Which records this node's batch writer wrote: first and last position of each stretch, in order.
    own: VecDeque<(Position, Position)>,
}

impl Usages {
    fn known(&self) -> MutexGuard<'_, Known> {
        // Whole after each statement; nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(self: &Arc<Self>, task: &TaskId) -> Arc<Used> {
        let (calls, bytes) = (AtomicI64::new(0), AtomicI64::new(0));
        let used = Arc::new(Used { task: task.clone(), calls, bytes, of: Arc::downgrade(self) });
        self.known().counted.insert(task.clone(), Arc::downgrade(&used));
        used
    }

    /// After a commit: what the tasks that it touched have used now.
    pub(crate) fn committed<'a>(&self, used: impl IntoIterator<Item = (&'a TaskId, i64, i64)>) {
        // A cell that is dropped takes the lock: none may be dropped under it.
        let mut reached = Vec::new();
        let known = self.known();
        for (task, calls, bytes) in used {
            reached.extend(known.counted.get(task).and_then(Weak::upgrade).map(|cell| (cell, calls, bytes)));
        }
        drop(known);
        for (cell, calls, bytes) in reached {
            cell.reach(calls, bytes);
        }
    }

    /// After a commit of the batch writer: which records were its own.
    pub(crate) fn wrote(&self, before: Position, last: Position) {
        if last <= before {
            return;
        }
        let own = &mut self.known().own;
        match own.back_mut() {
            Some((_, end)) if *end == before => *end = last,
            // Positions went back: another generation.
            Some((_, end)) if *end > before => *own = VecDeque::from([(before.plus(1), last)]),
            Some(_) | None => own.push_back((before.plus(1), last)),
        }
        if own.len() > STRETCHES_MAX {
            own.pop_front();
        }
    }

    /// The last of the own records that follow `after` without a gap; `after` itself when another's is next.
    fn own_until(&self, after: Position) -> Position {
        let own = &self.known().own;
        let next = own.partition_point(|&(_, last)| last <= after);
        match own.get(next) {
            Some(&(first, last)) if first <= after.plus(1) => last,
            _ => after,
        }
    }

    fn is_own(&self, position: Position) -> bool {
        let own = &self.known().own;
        let next = own.partition_point(|&(_, last)| last < position);
        own.get(next).is_some_and(|&(first, _)| first <= position)
    }
}

impl Store {
    /// Counts what a task uses for as long as the answer is held. It begins at nothing: [`Store::refresh_usage`] brings
    /// it up to date.
    pub fn count_usage(&self, task: &TaskId) -> Arc<Used> {
        self.inner().usages.count(task)
    }

    /// Reads what tasks have used, for those that are counted.
    pub async fn refresh_usage(&self, read: &mut Read, tasks: &[TaskId]) -> Result<(), Fault> {
        for (sql, tasks) in READ.split(tasks) {
            let args: Vec<_> = tasks.iter().map(Into::into).collect();
            let mut used = Vec::new();
            for row in read.rows(sql, &args).await? {
                used.push((row.parsed::<TaskId>(0)?, row.int(1)?, row.int(2)?));
            }
            self.inner().usages.committed(used.iter().map(|(task, calls, bytes)| (task, *calls, *bytes)));
        }
        Ok(())
    }

    /// Up to where this node's batch writer alone wrote on behind `after`. Its records are quiet, so whoever follows the
    /// log has missed nothing when it goes on from there.
    pub fn own_until(&self, after: Position) -> Position {
        self.inner().usages.own_until(after)
    }

    /// Whether the record at this position was written by this node's batch writer, as far as it remembers: what such a
    /// record used is counted already.
    pub fn wrote(&self, position: Position) -> bool {
        self.inner().usages.is_own(position)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use base::{Position, TaskId};
    use proptest::prelude::*;

    use super::{STRETCHES_MAX, Usages};

    proptest! {
        #[test]
        fn own_records_are_known_and_no_others(
            batches in proptest::collection::vec((0_i64..3, 0_i64..4), 0..100),
        ) {
            let usages = Usages::default();
            let (mut own, mut at) = (BTreeSet::new(), 0);
            for (of_others, of_own) in batches {
                at += of_others;
                usages.wrote(Position(at), Position(at + of_own));
                own.extend(at + 1..=at + of_own);
                at += of_own;
            }
            for position in 0..=at + 2 {
                prop_assert_eq!(usages.is_own(Position(position)), own.contains(&position));
                let until = (position + 1..=at).take_while(|next| own.contains(next)).last().unwrap_or(position);
                prop_assert_eq!(usages.own_until(Position(position)), Position(until));
            }
        }
    }

    #[test]
    fn only_what_is_held_is_counted_and_it_never_goes_back() {
        let usages = Arc::new(Usages::default());
        let task: TaskId = "tsk_01hzzzzzzzzzzzzzzzzzzzzzzz".parse().unwrap();
        let first = usages.count(&task);
        usages.committed([(&task, 3, 30)]);
        usages.committed([(&task, 2, 40)]);
        assert_eq!((first.calls(), first.bytes()), (3, 40));
        let second = usages.count(&task);
        drop(first);
        usages.committed([(&task, 5, 50)]);
        assert_eq!(second.calls(), 5, "the end of one count ended the other");
        drop(second);
        assert!(usages.known().counted.is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_ends_with_the_generation() {
        let usages = Usages::default();
        for round in 0..1000 {
            usages.wrote(Position(round * 3), Position(round * 3 + 1));
        }
        assert_eq!(usages.known().own.len(), STRETCHES_MAX);
        assert!(usages.is_own(Position(2998)) && !usages.is_own(Position(1)));
        usages.wrote(Position(10), Position(11));
        assert!(usages.is_own(Position(11)) && !usages.is_own(Position(2998)));
    }
}
