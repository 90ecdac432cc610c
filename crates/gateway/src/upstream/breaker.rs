//! Servers that cannot be reached are left alone for a while.
//!
//! Only connections that never came about count: how a server behaves once it is reached is a matter of the one call, and
//! nobody can make a server look absent to others by calling it badly.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use base::ServerId;
use tokio::time::Instant;

use crate::session::lock;

/// After how many failures in a row a server is left alone.
const FAILURES: u32 = 5;
/// How long at first, and at most: each further failure doubles it.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);

/// What is known about connections to servers. Those that are reached have no entry.
#[derive(Default)]
pub(super) struct Breaker(Mutex<HashMap<ServerId, Failing>>);

struct Failing {
    in_a_row: u32,
    /// Until then nobody tries.
    until: Instant,
}

impl Breaker {
    /// Whether a connection may be tried now. One that may, after a rest, is the only one until its end is known.
    pub(super) fn admits(&self, server: &ServerId, now: Instant) -> bool {
        let mut all = lock(&self.0);
        let Some(failing) = all.get_mut(server).filter(|failing| failing.in_a_row >= FAILURES) else {
            return true;
        };
        let is_rested = failing.until <= now;
        if is_rested {
            failing.until = now + rest(failing.in_a_row);
        }
        is_rested
    }

    /// Takes note of whether a server was reached.
    pub(super) fn note(&self, server: &ServerId, was_reached: bool, now: Instant) {
        let mut all = lock(&self.0);
        if was_reached {
            all.remove(server);
            return;
        }
        let failing = all.entry(server.clone()).or_insert(Failing { in_a_row: 0, until: now });
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        failing.until = now + rest(failing.in_a_row);
    }
}

fn rest(in_a_row: u32) -> Duration {
    let doublings = in_a_row.saturating_sub(FAILURES).min(5);
    (REST * 2_u32.pow(doublings)).min(REST_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base::{Dice, ServerId, Timestamp};
    use tokio::time::Instant;

    use super::{Breaker, FAILURES, REST, REST_MAX};

    struct Byte(u8);

    impl Dice for Byte {
        fn fill(&self, out: &mut [u8]) {
            out.fill(self.0);
        }
    }

    fn server(byte: u8) -> ServerId {
        ServerId::new(Timestamp::from_seconds(1), &Byte(byte))
    }

    #[test]
    fn a_server_that_is_not_there_is_tried_now_and_then() {
        let (breaker, server, other, mut now) = (Breaker::default(), server(1), server(2), Instant::now());
        for _ in 0..FAILURES {
            assert!(breaker.admits(&server, now));
            breaker.note(&server, false, now);
        }
        assert!(!breaker.admits(&server, now) && breaker.admits(&other, now));
        now += REST;
        assert!(breaker.admits(&server, now), "one tries");
        assert!(!breaker.admits(&server, now), "and only one");
        breaker.note(&server, false, now);
        now += REST;
        assert!(!breaker.admits(&server, now), "twice as long");
        for _ in 0..20 {
            now += REST_MAX;
            assert!(breaker.admits(&server, now));
            breaker.note(&server, false, now);
        }
        now += Duration::from_millis(29_999);
        assert!(!breaker.admits(&server, now));
        now += REST;
        assert!(breaker.admits(&server, now));
        breaker.note(&server, true, now);
        assert!(breaker.admits(&server, now) && breaker.admits(&server, now));
    }
}
