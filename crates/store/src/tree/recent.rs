//! The newest leaves, in memory: a node that integrates what it wrote itself need not read it back.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base::Position;
use wire::tlog::Hash;

/// Leaves that are remembered: half a megabyte. Forgetting one costs a read, nothing else.
const KEPT_MAX: usize = 16_384;

/// Leaf hashes of committed records, without a gap.
#[derive(Debug, Default)]
pub(crate) struct RecentLeaves(Mutex<Stretch>);

#[derive(Debug, Default)]
struct Stretch {
    /// The position before the first.
    before: i64,
    leaves: VecDeque<Hash>,
}

impl RecentLeaves {
    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        // Whole after each statement; nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After a commit: the leaves of the records behind `before`.
    pub(crate) fn committed(&self, before: Position, leaves: &[Hash]) {
        let mut stretch = self.stretch();
        let end = stretch.before.saturating_add(i64::try_from(stretch.leaves.len()).unwrap_or(i64::MAX));
        if end != before.0 {
            // Somebody else wrote in between, or another generation began.
            *stretch = Stretch { before: before.0, leaves: VecDeque::new() };
        }
        stretch.leaves.extend(leaves);
        while stretch.leaves.len() > KEPT_MAX {
            stretch.leaves.pop_front();
            stretch.before += 1;
        }
    }

    /// The leaves of the records behind `after` up to `until`, if all of them are here.
    pub(super) fn between(&self, after: i64, until: i64) -> Option<Vec<Hash>> {
        let stretch = self.stretch();
        let place = |position: i64| usize::try_from(position.checked_sub(stretch.before)?).ok();
        let (from, to) = (place(after)?, place(until)?);
        (from <= to && to <= stretch.leaves.len()).then(|| stretch.leaves.range(from..to).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use base::Position;

    use super::{KEPT_MAX, RecentLeaves};

    #[test]
    fn what_is_given_is_whole_and_in_its_place() {
        let recent = RecentLeaves::default();
        let leaf = |number: u8| [number; 32];
        recent.committed(Position(0), &[leaf(1), leaf(2)]);
        recent.committed(Position(2), &[leaf(3)]);
        assert_eq!(recent.between(0, 3), Some(vec![leaf(1), leaf(2), leaf(3)]));
        assert_eq!(recent.between(1, 2), Some(vec![leaf(2)]));
        assert_eq!(recent.between(1, 4), None, "not there yet");
        // A record of another node lies in between: what is from before it is not given as a part of what follows.
        recent.committed(Position(4), &[leaf(5)]);
        assert_eq!(recent.between(2, 5), None);
        assert_eq!(recent.between(4, 5), Some(vec![leaf(5)]));
        // Positions began again.
        recent.committed(Position(1), &[leaf(9)]);
        assert_eq!((recent.between(4, 5), recent.between(1, 2)), (None, Some(vec![leaf(9)])));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recent = RecentLeaves::default();
        let count = i64::try_from(KEPT_MAX).unwrap();
        for round in 0..3 {
            recent.committed(Position(round * count), &vec![[0; 32]; KEPT_MAX]);
        }
        assert!(recent.between(2 * count, 3 * count).is_some());
        assert!(recent.between(2 * count - 1, 3 * count).is_none());
    }
}
