//! The follower: keeps the snapshot true to the log.
//!
//! Records say what changed; the follower reads again what they are about and replaces the snapshot. It runs for
//! as long as the process does, is woken by commits of this process, and looks for those of others four times a
//! second. When it cannot see the log for three seconds, the node no longer counts as fresh: it denies, and what is
//! under way ends.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base::{AnyId, EventKind, Fault, Position, TaskId};
use store::Record;
use tokio::sync::watch;

use crate::{
    control::Control,
    judge::Judge,
    snapshot::{Snapshot, load, reload},
};

/// How often the log is asked for records of other nodes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long one step may take before its connection counts as dead.
const STEP_TIME: Duration = Duration::from_secs(10);
/// The most records read at once.
const RECORDS_MAX: usize = 1024;

/// Keeps the snapshot true to the log.
pub struct Follower {
    control: Control,
    committed: watch::Receiver<Position>,
}

impl Follower {
    pub(crate) fn new(control: Control) -> Self {
        let committed = control.store().positions();
        Self { control, committed }
    }

    /// Follows until the store closes. A log that cannot be read is tried again; meanwhile the node goes stale.
    pub async fn run(self) {
        let control = self.control.clone();
        tokio::select! {
            () = self.follow() => {}
            () = control.tell_while_stale() => {}
        }
    }

    async fn follow(mut self) {
        loop {
            if let Err(fault) = self.bounded_step().await {
                tracing::error!(error = %fault, "cannot follow the log; decisions are refused until it can be read");
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let woken = tokio::time::timeout(LOOK_EVERY, self.committed.changed()).await;
            if matches!(woken, Ok(Err(_))) {
                return;
            }
        }
    }

    /// A step on a connection that died without a word ends, too; what it had read is read again.
    async fn bounded_step(&mut self) -> Result<(), Fault> {
        match tokio::time::timeout(STEP_TIME, self.step()).await {
            Ok(done) => done,
            Err(_) => Err(Fault::new("following the log", "the database does not answer")),
        }
    }

    /// Applies everything that the log has and the snapshot has not.
    pub async fn step(&mut self) -> Result<(), Fault> {
        let inner = self.control.inner();
        loop {
            self.committed.mark_unchanged();
            let asked_at = inner.clock.now();
            let after = inner.store.own_until(inner.now_true.load().position);
            let records = inner.store.follow(after, RECORDS_MAX).await?;
            // What this node's batch writer wrote meanwhile is nothing new. Under load there is always some.
            let own = inner.store.own_until(after);
            let Some(last) = records.last().filter(|last| last.position > own) else {
                // INVARIANT: fresh means that the log was seen to hold nothing newer at that instant.
                inner.store.head().await?;
                inner.fresh.send_replace(asked_at);
                return Ok(());
            };
            self.apply(&records, last.position).await?;
        }
    }

    async fn apply(&self, records: &[Record], until: Position) -> Result<(), Fault> {
        let inner = self.control.inner();
        let before = inner.now_true.load_full();
        let mut after = Snapshot::clone(&before);
        if records.iter().all(|record| record.kind.is_quiet()) {
            after.keeps_what_was_found_on(&before);
        }
        if records.iter().any(|record| record.kind == EventKind::GenerationStarted) {
            after = load(&inner.store).await?;
        }
        let changed: BTreeSet<&AnyId> = records
            .iter()
            .filter(|record| !record.kind.is_quiet())
            .filter_map(|record| record.subject.as_ref())
            .collect();
        let mut read = None;
        for id in changed {
            let read = match &mut read {
                Some(read) => read,
                None => read.insert(inner.store.read_ahead().await?),
            };
            reload(&inner.store, read, &mut after, id).await?;
        }
        let used = self.used_elsewhere(records, &after);
        if !used.is_empty() {
            let mut read = match read {
                Some(read) => read,
                None => inner.store.read_ahead().await?,
            };
            inner.store.refresh_usage(&mut read, &used).await?;
        }
        if records.iter().any(|record| ends_tasks(record.kind)) {
            after.forget_ended_tasks();
        }
        let mut narrowed = None;
        for record in records {
            if record.kind == EventKind::AuthorityRevoked
                && let Some(subject) = &record.subject
            {
                after.revoked.insert_mut(subject.clone(), record.position);
            }
            narrowed = if record.kind.narrows() { Some(record.position) } else { narrowed };
        }
        after.position = after.position.max(until);
        // The engine first: a decision must never meet a new tool with an old engine that would not know it.
        if records.iter().any(|record| Judge::rests_on(record.kind)) {
            inner.judge.store(Arc::new(Judge::of(&after)));
        }
        let position = after.position;
        inner.now_true.store(after.published());
        inner.applied.send_replace(position);
        if records.iter().any(|record| !record.kind.is_quiet()) {
            inner.moved.send_replace(position);
        }
        if let Some(position) = narrowed {
            inner.narrowed.send_replace(position);
        }
        Ok(())
    }

    /// The tasks whose usage other nodes moved on, with their ancestors. Empty for records of this node: what it does
    /// itself costs it nothing here.
    fn used_elsewhere(&self, records: &[Record], after: &Snapshot) -> Vec<TaskId> {
        let store = &self.control.inner().store;
        let tasks: BTreeSet<&TaskId> = records
            .iter()
            .filter(|record| uses_up(record.kind) && !store.wrote(record.position))
            .filter_map(|record| record.task.as_ref())
            .flat_map(|task| after.counted_chain(task))
            .collect();
        tasks.into_iter().cloned().collect()
    }
}

impl Control {
    /// Wakes whoever waits for the end of authority while this node is not fresh: then nobody can say that it lasts.
    pub async fn tell_while_stale(&self) {
        loop {
            let left = u64::try_from(self.fresh_for(self.now()));
            if left.is_err() {
                self.inner().narrowed.send_modify(|_| {});
            }
            let pause = left.map_or(LOOK_EVERY, |left| Duration::from_millis(left + 1));
            tokio::time::sleep(pause).await;
        }
    }
}

/// Calls use up what policies may ask about; the node that made them has counted them already.
const fn uses_up(kind: EventKind) -> bool {
    matches!(kind, EventKind::CallAllowed | EventKind::CallEnded)
}

const fn ends_tasks(kind: EventKind) -> bool {
    matches!(kind, EventKind::TaskCompleted | EventKind::TaskKilled | EventKind::TaskExpired)
}
