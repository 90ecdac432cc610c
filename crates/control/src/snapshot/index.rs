//! From one key to many values.

use std::hash::Hash;

use rpds::{HashTrieMapSync, HashTrieSetSync};

/// An index from a key to a set of values. Cloning costs nothing: clones share what has not changed.
pub struct Index<K: Eq + Hash + Clone, T: Eq + Hash + Clone>(HashTrieMapSync<K, HashTrieSetSync<T>>);

impl<K: Eq + Hash + Clone, T: Eq + Hash + Clone> Clone for Index<K, T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Eq + Hash + Clone, T: Eq + Hash + Clone> Default for Index<K, T> {
    fn default() -> Self {
        Self(HashTrieMapSync::new_sync())
    }
}

impl<K: Eq + Hash + Clone, T: Eq + Hash + Clone> Index<K, T> {
    /// What stands under `key`.
    pub fn of(&self, key: &K) -> impl Iterator<Item = &T> + use<'_, K, T> {
        self.0.get(key).into_iter().flat_map(HashTrieSetSync::iter)
    }

    pub(crate) fn add(&mut self, key: &K, value: &T) {
        let set = self.0.get(key).cloned().unwrap_or_else(HashTrieSetSync::new_sync);
        self.0.insert_mut(key.clone(), set.insert(value.clone()));
    }

    pub(crate) fn remove(&mut self, key: &K, value: &T) {
        let Some(set) = self.0.get(key) else { return };
        let rest = set.remove(value);
        if rest.is_empty() {
            self.0.remove_mut(key);
        } else {
            self.0.insert_mut(key.clone(), rest);
        }
    }
}
