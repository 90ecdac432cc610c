//! Until when a transaction may take.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::PATIENCE;

/// The least time that a commit has.
const COMMIT_TIME: Duration = Duration::from_millis(300);
/// The further time that each statement or record gives: large changes take longer, and whatever is answered shows that
/// the database is at work.
const RECORD_TIME: Duration = Duration::from_millis(2);
/// How long one statement of a read may take: longer than the database itself lets a statement run, so that this ends
/// only what nobody else ends.
const READ_TIME: Duration = Duration::from_secs(35);

/// When the connection of a transaction counts as dead.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    /// All of it together: others wait for its end.
    Whole(Instant),
    /// Each of its statements, so many at a time: nobody waits for its end.
    Each(Duration),
}

impl Deadline {
    /// The patience that began when whoever writes began to wait.
    pub(crate) fn of_change(begun: Instant) -> Self {
        Self::Whole((begun + PATIENCE).max(Instant::now() + COMMIT_TIME))
    }

    /// What takes as long as its statements do: reads, and what is done before anybody is served.
    pub(crate) const fn of_read() -> Self {
        Self::Each(READ_TIME)
    }

    /// The same with the time that a commit of so many records has.
    pub(crate) fn to_commit(self, records: usize) -> Self {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        match self {
            Self::Whole(until) => {
                Self::Whole(until.max(Instant::now() + COMMIT_TIME) + RECORD_TIME.saturating_mul(records))
            }
            Self::Each(time) => Self::Each(time),
        }
    }

    /// After an answer.
    pub(crate) fn extend(&mut self) {
        if let Self::Whole(until) = self {
            *until += RECORD_TIME;
        }
    }

    /// When a statement that begins now must have its answer.
    pub(crate) fn until(self) -> Instant {
        match self {
            Self::Whole(until) => until,
            Self::Each(time) => Instant::now() + time,
        }
    }
}
