//! Where time and chance enter: the system's clock and the system's random numbers.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use base::{Clock, Dice, Timestamp};

/// The system's clock, that never goes back: one that was turned back stands still until it has caught up.
#[derive(Debug, Default)]
pub(crate) struct SystemClock {
    latest: AtomicI64,
}

impl SystemClock {
    /// From here on the present is not before `floor`: the latest instant that the log knows.
    pub(crate) fn not_before(&self, floor: Timestamp) {
        self.latest.fetch_max(floor.millis(), Ordering::SeqCst);
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.latest.fetch_max(now, Ordering::SeqCst).max(now))
    }
}

/// The operating system's random numbers, by way of the one cryptographic library.
#[derive(Debug)]
pub(crate) struct SystemDice;

impl Dice for SystemDice {
    #[expect(clippy::expect_used, reason = "a system without random numbers must not go on")]
    fn fill(&self, out: &mut [u8]) {
        aws_lc_rs::rand::fill(out).expect("the system gives random numbers");
    }
}

#[cfg(test)]
mod tests {
    use base::{Clock, Timestamp};

    use super::SystemClock;

    #[test]
    fn the_clock_does_not_go_back() {
        let clock = SystemClock::default();
        let now = clock.now();
        clock.not_before(now.plus_seconds(3600));
        assert_eq!(clock.now(), now.plus_seconds(3600));
        clock.not_before(Timestamp::from_millis(0));
        assert_eq!(clock.now(), now.plus_seconds(3600));
    }
}
