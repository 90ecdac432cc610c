//! What a task may still use up, for policies.

use base::Fault;

use crate::{snapshot::Snapshot, task::Task};

/// What is left of the tightest limits along a chain.
pub(super) struct Left {
    /// Calls, the one that is being decided included.
    pub(super) calls: u64,
    /// Bytes in both directions.
    pub(super) bytes: u64,
}

impl Left {
    /// What is left to a task: the least that it or any of its ancestors has.
    ///
    /// As this node knows it, from memory: its own calls up to the last commit, those of other nodes up to where it has
    /// followed the log. Calls that are decided at the same moment see the same number. The limits themselves are held
    /// by the batch writer under row locks.
    pub(super) fn of(chain: &[&Task], snapshot: &Snapshot) -> Result<Self, Fault> {
        let mut left = Self { calls: u64::MAX, bytes: u64::MAX };
        for task in chain {
            let (calls, bytes) = match snapshot.used.get(&task.id) {
                Some(used) => (used.calls(), used.bytes()),
                // A task that is only imagined, by a check, has used nothing.
                None if !snapshot.tasks.contains_key(&task.id) => (0, 0),
                None => return Err(Fault::new("deciding", "nobody counts what an open task uses")),
            };
            left.calls = left.calls.min(rest(task.limits.calls_max, calls));
            left.bytes = left.bytes.min(rest(task.limits.bytes_max, bytes));
        }
        Ok(left)
    }
}

fn rest(max: i64, used: i64) -> u64 {
    u64::try_from(max.saturating_sub(used)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::rest;

    #[test]
    fn what_flowed_beyond_a_limit_leaves_nothing() {
        assert_eq!((rest(3, 1), rest(3, 3), rest(3, 4), rest(i64::MIN, i64::MAX)), (2, 0, 0, 0));
    }
}
