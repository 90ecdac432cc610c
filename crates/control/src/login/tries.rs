//! How often somebody may try.
//!
//! A virtual schedule (GCRA) for each name and for each address: so many tries at once, and then one in a while. What is
//! asked first costs nothing, so that whoever tries a lot costs nothing either.

use base::Timestamp;
use moka::{ops::compute::Op, sync::Cache};

/// The most names, and the most addresses, that are remembered.
const REMEMBERED_MAX: u64 = 65_536;

/// So many at once, then one each so many milliseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    burst: i64,
    every_ms: i64,
}

/// For a name: few, since a password is tried by a person.
const NAME: Pace = Pace { burst: 10, every_ms: 20_000 };
/// For an address: more, since many people may share it.
const ADDRESS: Pace = Pace { burst: 60, every_ms: 2_000 };

/// Who tried how much lately.
pub(crate) struct Tries {
    names: Cache<String, i64>,
    addresses: Cache<String, i64>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { names: Cache::new(REMEMBERED_MAX), addresses: Cache::new(REMEMBERED_MAX) }
    }
}

impl Tries {
    /// Whether one more try from this address is admitted; it counts.
    pub(crate) fn admit_address(&self, address: &str, now: Timestamp) -> bool {
        admit(&self.addresses, address, ADDRESS, now)
    }

    /// Whether one more try of this name is admitted; it counts. `what` keeps passwords, codes and mail apart.
    ///
    /// SECURITY: whatever leads to the same person as a name does has to be counted as that name (threat class 13), so what
    /// people are found without is left out here.
    pub(crate) fn admit_name(&self, what: &str, name: &str, now: Timestamp) -> bool {
        admit(&self.names, &format!("{what} {}", name.trim().to_lowercase()), NAME, now)
    }
}

fn admit(kept: &Cache<String, i64>, key: &str, pace: Pace, now: Timestamp) -> bool {
    let now = now.millis();
    let mut admitted = false;
    kept.entry_by_ref(key).and_compute_with(|before| {
        let due = before.map_or(now, |before| before.into_value().max(now));
        admitted = due - now <= (pace.burst - 1) * pace.every_ms;
        if admitted { Op::Put(due + pace.every_ms) } else { Op::Nop }
    });
    admitted
}

#[cfg(test)]
mod tests {
    use base::Timestamp;

    use super::{NAME, Tries};

    #[test]
    fn a_burst_then_one_in_a_while_for_each_name_alone() {
        let tries = Tries::default();
        let at = |seconds| Timestamp::from_seconds(1_000_000 + seconds);
        let admitted = |name: &str, now| (0..100).filter(|_| tries.admit_name("password", name, now)).count();
        assert_eq!(admitted("maya", at(0)), 10);
        for spelled in ["MAYA", " maya", "maya\t", "\u{2003}maya\u{a0}"] {
            assert_eq!(admitted(spelled, at(0)), 0, "{spelled:?}");
        }
        assert_eq!(admitted("ben", at(0)), 10);
        assert_eq!(admitted("maya", at(NAME.every_ms / 1000)), 1);
        assert_eq!(admitted("maya", at(3600)), 10);
        assert!(tries.admit_name("code", "maya", at(0)));
    }

    #[test]
    fn a_clock_that_is_turned_back_opens_nothing() {
        let tries = Tries::default();
        let at = Timestamp::from_seconds;
        assert_eq!((0..100).filter(|_| tries.admit_address("a", at(1_000_000))).count(), 60);
        assert_eq!((0..100).filter(|_| tries.admit_address("a", at(900_000))).count(), 0);
    }
}
