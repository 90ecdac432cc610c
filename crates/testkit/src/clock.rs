//! A clock that moves when told.

use std::sync::atomic::{AtomicI64, Ordering};

use base::{Clock, Timestamp};

/// A clock that stands still until it is set. Unlike the real one it can be turned back, as a machine's can
/// between two starts.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// 2026-11-22T15:04:05.678Z, where tests begin unless they say otherwise.
    pub const BEGIN: Timestamp = Timestamp::from_millis(1_795_359_845_678);

    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()))
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.millis(), Ordering::SeqCst);
    }

    /// Moves the clock by `seconds`; negative turns it back.
    pub fn advance_seconds(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Self::BEGIN)
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
