//! In which order an export tells what.

use crate::tlog::{TILE_WIDTH, Tile, Tiles};

/// One part of an export after the header and the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A tile of the right edge, with fewer than 256 hashes.
    Edge(Tile),
    /// A full tile.
    Tile(Tile),
    /// The records of these positions, all behind one tile of leaf hashes.
    Records {
        /// The first position.
        first: u64,
        /// The last position.
        last: u64,
    },
}

/// The steps of an export of the positions `from..=to` of a log of `size` records; `1 <= from <= to <= size`.
pub fn plan(from: u64, to: u64, size: u64) -> impl Iterator<Item = Step> {
    let width = u64::from(TILE_WIDTH);
    let edges = Tiles::edge(size).into_iter().rev().map(Step::Edge);
    let first_bundle = from.saturating_sub(1) / width;
    let bundles = first_bundle..to.div_ceil(width);
    let rest = bundles.flat_map(move |bundle| {
        let above = (0..8_u8).rev().filter_map(move |level| {
            let tile = Tile { level, index: bundle.checked_shr(8 * u32::from(level)).unwrap_or_default() };
            let begins = bundle == first_bundle || (bundle.trailing_zeros() >= 8 * u32::from(level));
            (begins && tile.width(size) == TILE_WIDTH).then_some(Step::Tile(tile))
        });
        let first = from.max(bundle * width + 1);
        let last = to.min((bundle + 1) * width);
        above.chain(std::iter::once(Step::Records { first, last }))
    });
    edges.chain(rest)
}
