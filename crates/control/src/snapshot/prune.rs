//! What ends by itself leaves no record by which the snapshot could hear of it.

use std::hash::Hash;

use rpds::HashTrieMapSync;

/// From how many on.
const KEPT_MIN: usize = 1024;

/// Takes out of a map what is over, each time that the map has doubled; answers with it. `over` is to ask the log's own time,
/// which never goes back.
pub(crate) fn prune<K: Clone + Eq + Hash, V: Clone>(
    map: &mut HashTrieMapSync<K, V>,
    over: impl Fn(&V) -> bool,
) -> Vec<(K, V)> {
    let kept = map.size();
    if kept < KEPT_MIN || !kept.is_power_of_two() {
        return Vec::new();
    }
    let gone: Vec<(K, V)> = map
        .iter()
        .filter(|(_, value)| over(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    for (key, _) in &gone {
        map.remove_mut(key);
    }
    gone
}

#[cfg(test)]
mod tests {
    use rpds::HashTrieMapSync;

    use super::{KEPT_MIN, prune};

    #[test]
    fn a_map_of_what_ends_by_itself_stays_small() {
        let mut map = HashTrieMapSync::new_sync();
        let (mut most, mut gone) = (0, 0);
        // Of many that come one after the other, a hundred are alive at a time.
        for instant in 0..50_000_u64 {
            map.insert_mut(instant, instant + 100);
            gone += prune(&mut map, |expires| *expires <= instant).len();
            most = most.max(map.size());
            assert!(
                (instant.saturating_sub(99)..=instant).all(|alive| map.contains_key(&alive)),
                "{instant}"
            );
        }
        assert!(most <= KEPT_MIN && gone + map.size() == 50_000, "{most}");
    }
}
