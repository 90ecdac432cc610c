//! All things of one kind, findable by id and by name.

use std::sync::Arc;

use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use super::Snapshot;
use crate::kind::{Kind, Thing};

/// A kind that the snapshot has a shelf for.
pub trait Shelved: Sized {
    /// Where the snapshot keeps this kind.
    fn shelf(snapshot: &Snapshot) -> &Shelf<Self>
    where
        Self: Kind;
    /// Where the snapshot keeps this kind, to change it.
    fn shelf_mut(snapshot: &mut Snapshot) -> &mut Shelf<Self>
    where
        Self: Kind;
}

/// Says which member of the snapshot keeps which kind.
macro_rules! shelves {
    ($($kind:ty => $member:ident,)*) => {$(
        impl $crate::snapshot::Shelved for $kind {
            fn shelf(snapshot: &Snapshot) -> &Shelf<Self> {
                &snapshot.$member
            }

            fn shelf_mut(snapshot: &mut Snapshot) -> &mut Shelf<Self> {
                &mut snapshot.$member
            }
        }
    )*};
}
pub(super) use shelves;

/// All things of one kind. Cloning costs nothing: clones share what has not changed.
pub struct Shelf<K: Kind> {
    by_id: HashTrieMapSync<K::Id, Arc<Thing<K>>>,
    /// Ordered, so that lists and exports are stable.
    by_name: RedBlackTreeMapSync<Arc<str>, K::Id>,
}

impl<K: Kind> Default for Shelf<K> {
    fn default() -> Self {
        Self { by_id: HashTrieMapSync::new_sync(), by_name: RedBlackTreeMapSync::new_sync() }
    }
}

impl<K: Kind> Clone for Shelf<K> {
    fn clone(&self) -> Self {
        Self { by_id: self.by_id.clone(), by_name: self.by_name.clone() }
    }
}

impl<K: Kind> Shelf<K> {
    /// The thing with this id.
    pub fn get(&self, id: &K::Id) -> Option<&Arc<Thing<K>>> {
        self.by_id.get(id)
    }

    /// The thing with this name.
    pub fn named(&self, name: &str) -> Option<&Arc<Thing<K>>> {
        self.by_name.get(name).and_then(|id| self.by_id.get(id))
    }

    /// The thing with this name or id, as commands and URLs may give either.
    pub fn find(&self, name_or_id: &str) -> Option<&Arc<Thing<K>>> {
        self.named(name_or_id).or_else(|| name_or_id.parse().ok().and_then(|id| self.get(&id)))
    }

    /// The name of the thing with this id, or the id itself when there is none: for messages and exports.
    pub fn name_of(&self, id: &K::Id) -> String {
        self.get(id).map_or_else(|| id.to_string(), |thing| thing.name.to_string())
    }

    /// The name that somebody probably meant who asked for one that is not there.
    pub fn nearest(&self, name: &str) -> Option<String> {
        base::nearest(name, self.by_name.keys().map(AsRef::as_ref)).map(str::to_owned)
    }

    /// All things, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Thing<K>>> {
        self.by_name.values().filter_map(|id| self.by_id.get(id))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.size()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, thing: Arc<Thing<K>>) {
        self.by_name.insert_mut(thing.name.clone(), thing.id.clone());
        self.by_id.insert_mut(thing.id.clone(), thing);
    }

    pub(super) fn remove(&mut self, id: &K::Id) {
        if let Some(thing) = self.by_id.get(id) {
            let name = thing.name.clone();
            self.by_name.remove_mut(&name);
            self.by_id.remove_mut(id);
        }
    }
}
