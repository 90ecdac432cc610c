//! Tiles at hand: growing them, and finding nodes in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Hash, Node, Tile, tile::perfect_root};

/// Some tiles of a tree. Enough of them are enough for proofs; the rightmost ones are enough for appending.
#[derive(Clone, Debug, Default)]
pub struct Tiles(BTreeMap<Tile, Vec<Hash>>);

impl Tiles {
    /// No tiles.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a tile.
    pub fn insert(&mut self, tile: Tile, hashes: Vec<Hash>) {
        self.0.insert(tile, hashes);
    }

    /// A tile's hashes.
    pub fn get(&self, tile: Tile) -> Option<&[Hash]> {
        self.0.get(&tile).map(Vec::as_slice)
    }

    /// A node's hash, if its tile is here and wide enough.
    pub fn node(&self, node: Node) -> Option<Hash> {
        let (tile, range) = Tile::of(node);
        self.0.get(&tile)?.get(range).map(perfect_root)
    }

    /// The rightmost tile of each level of a tree of `size` leaves, as far as they are not full: what appending
    /// goes on from.
    pub fn edge(size: u64) -> Vec<Tile> {
        (0..8)
            .map(|level| Tile {
                level,
                index: size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default(),
            })
            .filter(|tile| tile.width(size) > 0)
            .collect()
    }

    /// The tiles that a computation over nodes will ask for. `run` gets a source of worthless hashes; run it again
    /// on the tiles themselves.
    pub fn needed(run: impl FnOnce(&mut dyn FnMut(Node) -> Option<Hash>)) -> BTreeSet<Tile> {
        let mut tiles = BTreeSet::new();
        run(&mut |node| {
            tiles.insert(Tile::of(node).0);
            Some([0; 32])
        });
        tiles
    }

    /// Appends leaf hashes to a tree of `size` leaves whose edge is here; gives the tiles that changed.
    pub fn append(&mut self, size: u64, leaves: &[Hash]) -> BTreeSet<Tile> {
        let mut changed = BTreeSet::new();
        for (size, leaf) in (size..).zip(leaves) {
            let (mut hash, mut place) = (*leaf, size);
            for level in 0..8 {
                let tile = Tile { level, index: place / 256 };
                let hashes = self.0.entry(tile).or_default();
                hashes.push(hash);
                changed.insert(tile);
                if hashes.len() < 256 {
                    break;
                }
                hash = perfect_root(hashes);
                place /= 256;
            }
        }
        changed
    }
}
