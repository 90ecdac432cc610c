//! The task that takes entries from the queue.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use base::Fault;
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use super::{
    Entry, Submitted,
    apply::{Attempt, attempt},
    item::Item,
};
use crate::{engine::Dialect, error::alike, is_busy, store::Inner};

/// Entries of one commit.
const BATCH: usize = 256;
/// How long one attempt may take. Beyond it the connection counts as dead: whether the batch was kept is not known.
const ATTEMPT_TIME: Duration = Duration::from_secs(10);
/// Attempts at a batch that meets a busy database: deadlocks with other nodes, lock timeouts.
const ATTEMPTS: usize = 3;

pub(crate) type Reply = oneshot::Sender<Result<Submitted, Fault>>;

/// What travels through the queue.
pub(crate) enum Job {
    /// An entry, and who waits for it; nobody waits for an outcome that was left.
    Entry(Entry, Option<Reply>),
    /// Stop after what came before; the reply is dropped when that is done.
    Stop(Reply),
}

/// Starts the writer: on a thread of its own where statements block it, as a task where they do not.
pub(crate) fn start(inner: Arc<Inner>, queue: mpsc::Receiver<Job>) -> Result<(), Fault> {
    match inner.engine.dialect() {
        Dialect::Sqlite => {
            let runtime = Handle::current();
            let started = thread::Builder::new()
                .name("batch writer".to_owned())
                .spawn(move || runtime.block_on(run(inner, queue)));
            started.map(drop).map_err(|error| Fault::new("starting the batch writer", error))
        }
        Dialect::Postgres => {
            tokio::spawn(run(inner, queue));
            Ok(())
        }
    }
}

/// Runs until told to stop or until all stores are gone.
async fn run(inner: Arc<Inner>, mut queue: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut jobs, BATCH).await > 0 {
        let mut items = Vec::with_capacity(jobs.len());
        let mut stop = None;
        for job in jobs.drain(..) {
            match job {
                // What came after a stop is dropped, and with it its reply: a fault for the caller.
                Job::Entry(entry, reply) if stop.is_none() => {
                    items.extend(Item::new(entry, reply));
                }
                Job::Entry(..) => {}
                Job::Stop(reply) => stop = Some(reply),
            }
        }
        write(&inner, items).await;
        if stop.is_some() {
            queue.close();
            return;
        }
    }
}

/// Writes the items and answers each.
async fn write(inner: &Inner, mut items: Vec<Item>) {
    let mut attempts = 1;
    loop {
        items.retain(|item| !item.is_abandoned());
        if items.is_empty() {
            return;
        }
        let attempted = bounded_attempt(inner, &mut items).await;
        if attempted.is_err() || items.iter().any(Item::is_written) {
            inner.health.note(&attempted);
        }
        match attempted {
            // What nobody waited for gets its end in the same way; that has no caller, so this ends.
            Ok(Attempt::Committed) => {
                count_lost(inner, items.iter().filter(|item| item.is_late()));
                items = items.into_iter().filter_map(Item::answer).collect();
                attempts = 1;
            }
            // At least one item has its answer now, so this ends.
            Ok(Attempt::Moved) => {
                let (moved, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(Item::is_moved);
                items = rest;
                for item in moved {
                    drop(item.answer());
                }
            }
            Err(fault) if is_busy(&fault) && attempts < ATTEMPTS => attempts += 1,
            Err(fault) => {
                tracing::error!(%fault, entries = items.len(), "a batch could not be written");
                count_lost(inner, items.iter());
                fail(items, fault);
                return;
            }
        }
    }
}

/// Counts outcomes that nobody waits for and that were not kept.
fn count_lost<'a>(inner: &Inner, items: impl Iterator<Item = &'a Item>) {
    let lost = items.filter(|item| item.was_left()).count() as u64;
    inner.left_to_the_sweeper.fetch_add(lost, Ordering::Relaxed);
}

async fn bounded_attempt(inner: &Inner, items: &mut [Item]) -> Result<Attempt, Fault> {
    match tokio::time::timeout(ATTEMPT_TIME, attempt(inner, items)).await {
        Ok(attempted) => attempted,
        Err(_) => Err(Fault::new("writing a batch", "the database does not answer")),
    }
}

/// Answers items that could not be written. Nothing of them was kept where the database was busy; of any other
/// fault the callers learn that it is not known to be durable.
fn fail(mut items: Vec<Item>, fault: Fault) {
    if is_busy(&fault) {
        items.into_iter().for_each(Item::put_off);
        return;
    }
    let others: Vec<Fault> = (1..items.len()).map(|_| alike("writing a batch", &fault)).collect();
    if let Some(first) = items.pop() {
        first.fail(fault);
    }
    for (item, fault) in items.into_iter().zip(others) {
        item.fail(fault);
    }
}
