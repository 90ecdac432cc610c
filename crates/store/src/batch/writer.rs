//! The task that takes entries from the line.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use base::Fault;
use tokio::{runtime::Handle, time::Instant};

use super::{
    apply::{Attempt, attempt},
    item::Item,
    queue::{AGAIN, Job, Queue},
};
use crate::{
    engine::Dialect,
    error::{PATIENCE, alike},
    is_busy,
    store::Inner,
};

/// How long one attempt may take. Beyond it the connection counts as dead: whether the batch was kept is not known.
const ATTEMPT_TIME: Duration = Duration::from_secs(10);
/// Attempts at a batch that meets a busy database: deadlocks with other nodes, lock timeouts.
const ATTEMPTS: usize = 3;
/// How often the writer tries to keep what was promised before it stops.
const LAST_ATTEMPTS: usize = 20;

/// Starts the writer: on a thread of its own where statements block it, as a task where they do not.
pub(crate) fn start(inner: &Arc<Inner>) -> Result<Arc<Queue>, Fault> {
    let queue = Arc::new(Queue::new());
    let writing = run(Arc::clone(inner), Line(Arc::clone(&queue)));
    match inner.engine.dialect() {
        Dialect::Sqlite => {
            let runtime = Handle::current();
            let started = thread::Builder::new()
                .name("batch writer".to_owned())
                .spawn(move || runtime.block_on(writing));
            started.map_err(|error| Fault::new("starting the batch writer", error))?;
        }
        Dialect::Postgres => drop(tokio::spawn(writing)),
    }
    Ok(queue)
}

/// The writer's end of the line. When the writer is gone, however it went, nobody waits for it.
struct Line(Arc<Queue>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Runs until told to stop or until all stores are gone.
async fn run(inner: Arc<Inner>, line: Line) {
    let queue = &line.0;
    let mut owed = Vec::new();
    while let Some(jobs) = queue.take(!owed.is_empty()).await {
        let mut items = owed;
        items.reserve(jobs.len());
        let mut stop = None;
        for job in jobs {
            match job {
                Job::Item(item) => items.push(*item),
                Job::Stop(reply) => stop = Some(reply),
            }
        }
        owed = write(&inner, queue, items).await;
        if stop.is_some() {
            break;
        }
    }
    for _ in 0..LAST_ATTEMPTS {
        if owed.is_empty() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
        owed = write(&inner, queue, owed).await;
    }
    let broken = owed.iter().filter(|item| item.is_promise()).count();
    tracing::error!(broken, "acts were forwarded whose records could not be written before the end");
}

/// Writes the items and answers each. What is owed and could not be written comes back.
async fn write(inner: &Inner, queue: &Queue, mut items: Vec<Item>) -> Vec<Item> {
    let mut attempts = 1;
    loop {
        items.retain(|item| !item.is_abandoned());
        if items.is_empty() {
            return items;
        }
        let began = Instant::now();
        let attempted = bounded_attempt(inner, &mut items).await;
        let health = inner.engine.health();
        if began.elapsed() > PATIENCE {
            // Kept, perhaps, and too late for everybody who waited: a database that is this slow takes no writes.
            health.fails();
        } else if attempted.is_err() || items.iter().any(Item::is_written) {
            health.note(&attempted);
        }
        match attempted {
            // What nobody waited for gets its end in the same way; that has no caller, so this ends.
            Ok(Attempt::Committed) => {
                count_lost(inner, items.iter().filter(|item| item.is_late()));
                let kept = items.iter().filter(|item| item.is_promise()).count();
                items = items.into_iter().filter_map(Item::answer).collect();
                inner.promises_late.fetch_add(queue.kept(kept) as u64, Ordering::Relaxed);
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
                let (owed, items): (Vec<_>, Vec<_>) = items.into_iter().partition(Item::is_owed);
                count_lost(inner, items.iter());
                fail(items, fault);
                return owed;
            }
        }
    }
}

/// Counts outcomes that nobody waits for and that were not kept.
fn count_lost<'a>(inner: &Inner, items: impl Iterator<Item = &'a Item>) {
    let lost = items.filter(|item| item.is_outcome()).count() as u64;
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
