//! The line in front of the batch writer.
//!
//! The writer is woken for what somebody waits for, and when a batch is full. What nobody waits for, outcomes and promised
//! intents, gathers company first: a commit costs about the same for one as for many.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base::Fault;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{Submitted, item::Item};

/// Entries of one commit.
pub(super) const BATCH: usize = 256;
/// Entries that may wait, each with somebody who waits for it.
const AWAITED_MAX: usize = 4096;
/// Outcomes that may wait with them. They have room of their own: what has happened is not put off for what wants to.
const OUTCOMES_MAX: usize = 16_384;
/// Promised intents that are not durable yet, and the bytes that their acts send.
const PROMISED_MAX: usize = 1024;
const PROMISED_BYTES_MAX: i64 = 16 * 1024 * 1024;
/// How long the oldest of them may have waited, if another one is to be promised.
const PROMISED_AGE_MAX: Duration = Duration::from_millis(50);
/// What is promised is durable after so long; longer is counted.
const PROMISED_LATE: Duration = Duration::from_millis(100);
/// How long what nobody waits for gathers company.
const GATHER: Duration = Duration::from_millis(10);
/// How long until what could not be written is tried again.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

pub(crate) type Reply = oneshot::Sender<Result<Submitted, Fault>>;

/// What travels through the line.
pub(super) enum Job {
    Item(Box<Item>),
    /// The last one; the reply is dropped when all that came before is done.
    Stop(Reply),
}

/// Why something is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too much waits.
    Full,
    /// The writer has stopped.
    Closed,
}

/// The line. The writer takes from one end, everybody else puts in at the other.
pub(crate) struct Queue {
    line: Mutex<Line>,
    bell: Notify,
}

struct Line {
    jobs: VecDeque<Job>,
    awaited: usize,
    outcomes: usize,
    /// Promises that are made or about to be, and the bytes that their acts send.
    promised: usize,
    promised_bytes: i64,
    /// Since when each promise that was made waits, oldest first, with its bytes.
    since: VecDeque<(Instant, i64)>,
    is_open: bool,
}

impl Line {
    fn push(&mut self, job: Job) {
        match &job {
            Job::Item(item) if item.is_awaited() => self.awaited += 1,
            Job::Item(item) if item.is_outcome() => self.outcomes += 1,
            Job::Item(_) => {}
            Job::Stop(_) => self.awaited += 1,
        }
        self.jobs.push_back(job);
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.jobs.pop_front()?;
        match &job {
            Job::Item(item) if item.is_awaited() => self.awaited -= 1,
            Job::Item(item) if item.is_outcome() => self.outcomes -= 1,
            Job::Item(_) => {}
            Job::Stop(_) => self.awaited -= 1,
        }
        Some(job)
    }
}

impl Queue {
    pub(super) fn new() -> Self {
        let line = Line {
            jobs: VecDeque::new(),
            awaited: 0,
            outcomes: 0,
            promised: 0,
            promised_bytes: 0,
            since: VecDeque::new(),
            is_open: true,
        };
        Self { line: Mutex::new(line), bell: Notify::new() }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Whole after each statement; nothing panics while it is held.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line, if it is open.
    fn open(&self) -> Result<MutexGuard<'_, Line>, Refused> {
        let line = self.line();
        if line.is_open { Ok(line) } else { Err(Refused::Closed) }
    }

    /// Takes what somebody waits for.
    pub(crate) fn put(&self, item: Item) -> Result<(), Refused> {
        let mut line = self.open()?;
        if line.awaited >= AWAITED_MAX {
            return Err(Refused::Full);
        }
        line.push(Job::Item(Box::new(item)));
        drop(line);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes an outcome that nobody waits for.
    pub(crate) fn leave(&self, item: Item) -> Result<(), Refused> {
        let line = self.open()?;
        if line.outcomes >= OUTCOMES_MAX {
            return Err(Refused::Full);
        }
        self.push_quietly(line, item);
        Ok(())
    }

    /// Whether one more intent can be promised, of an act that sends so many bytes: the log keeps up, and not much is
    /// promised already. It counts from here on.
    pub(crate) fn reserve(&self, bytes: i64) -> Result<(), Refused> {
        let mut line = self.open()?;
        let keeps_up = line.since.front().is_none_or(|(since, _)| since.elapsed() <= PROMISED_AGE_MAX);
        let bytes = line.promised_bytes.saturating_add(bytes);
        if !keeps_up || line.promised >= PROMISED_MAX || bytes > PROMISED_BYTES_MAX {
            return Err(Refused::Full);
        }
        line.promised += 1;
        line.promised_bytes = bytes;
        Ok(())
    }

    /// Takes back a reservation that no promise followed.
    pub(crate) fn release(&self, bytes: i64) {
        let mut line = self.line();
        line.promised -= 1;
        line.promised_bytes -= bytes;
    }

    /// Takes an intent for which there is a reservation. What is taken is written.
    pub(crate) fn promise(&self, item: Item, bytes: i64) -> Result<(), Refused> {
        let mut line = self.open()?;
        line.since.push_back((Instant::now(), bytes));
        self.push_quietly(line, item);
        Ok(())
    }

    fn push_quietly(&self, mut line: MutexGuard<'_, Line>, item: Item) {
        line.push(Job::Item(Box::new(item)));
        let count = line.jobs.len();
        drop(line);
        if count == 1 || count == BATCH {
            self.bell.notify_one();
        }
    }

    /// Asks the writer to stop after what waits; resolves when it has.
    pub(crate) async fn stop(&self) {
        let (reply, stopped) = oneshot::channel();
        if self.push_stop(reply).is_ok() {
            self.bell.notify_one();
            // The writer drops the reply when it stops.
            drop(stopped.await);
        }
    }

    /// SECURITY: nothing is taken behind it. A promise that were would be made and not kept.
    fn push_stop(&self, reply: Reply) -> Result<(), Refused> {
        let mut line = self.open()?;
        line.is_open = false;
        line.push(Job::Stop(reply));
        Ok(())
    }

    /// Nothing is taken any more; what waits is still written.
    pub(crate) fn close(&self) {
        self.line().is_open = false;
        self.bell.notify_one();
    }

    /// Nobody writes any more: what waits is dropped, and with it the replies, which are faults for the callers.
    pub(super) fn abandon(&self) {
        let mut line = self.line();
        line.is_open = false;
        let dropped = std::mem::take(&mut line.jobs);
        drop(line);
        drop(dropped);
    }

    /// Takes a batch; none when the line is closed and empty. Does not wait for long when something is to be tried again.
    pub(super) async fn take(&self, has_owed: bool) -> Option<Vec<Job>> {
        let again = tokio::time::sleep(AGAIN);
        tokio::pin!(again);
        loop {
            let bell = self.bell.notified();
            {
                let line = self.line();
                if !line.jobs.is_empty() {
                    break;
                }
                if !line.is_open {
                    return None;
                }
            }
            tokio::select! {
                () = bell => {}
                () = &mut again, if has_owed => return Some(Vec::new()),
            }
        }
        let gathered = tokio::time::sleep(GATHER);
        tokio::pin!(gathered);
        loop {
            let bell = self.bell.notified();
            let can_wait = {
                let line = self.line();
                line.is_open && line.awaited == 0 && line.jobs.len() < BATCH
            };
            if !can_wait {
                break;
            }
            tokio::select! {
                () = bell => {}
                () = &mut gathered => break,
            }
        }
        let mut line = self.line();
        let mut batch = Vec::with_capacity(line.jobs.len().min(BATCH));
        while batch.len() < BATCH
            && let Some(job) = line.pop()
        {
            batch.push(job);
        }
        Some(batch)
    }

    /// Takes note that the oldest promises are kept: so many. Says how many of them were kept late.
    pub(super) fn kept(&self, count: usize) -> usize {
        let mut line = self.line();
        let count = count.min(line.since.len());
        let kept: Vec<_> = line.since.drain(..count).collect();
        line.promised -= kept.len();
        line.promised_bytes -= kept.iter().map(|(_, bytes)| bytes).sum::<i64>();
        kept.iter().filter(|(since, _)| since.elapsed() > PROMISED_LATE).count()
    }
}
