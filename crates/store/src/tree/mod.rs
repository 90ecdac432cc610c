//! The log's Merkle tree: computed behind the log, signed, served, exported.
//!
//! Tiles are derived from the records' leaf hashes by [`crate::Store::integrate`], so appending never waits for
//! the tree. Everything is computed from rows, so any node can do the next step.

mod export;
mod integrate;
mod key;
mod recent;
mod serve;

use base::Fault;
use wire::tlog::{Hash, Tile, Tiles};

pub(crate) use key::open_key;
pub(crate) use recent::RecentLeaves;

pub use export::Export;

use crate::tx::View;

/// Reads tiles as they are in a tree of `size` leaves. A tile that is missing or too narrow is a fault: the
/// checkpoint says that it was there.
async fn load(view: &mut View, size: u64, wanted: impl IntoIterator<Item = Tile>) -> Result<Tiles, Fault> {
    const SQL: &str = "select hashes from tile where level = $1 and idx = $2";
    let mut tiles = Tiles::new();
    for tile in wanted {
        let missing =
            || Fault::new("reading the tree", format!("tile {}/{} is missing", tile.level, tile.index));
        let index = i64::try_from(tile.index).map_err(|_| missing())?;
        let row = view.row(SQL, &[i64::from(tile.level).into(), index.into()]).await?.ok_or_else(missing)?;
        let bytes = row.bytes(0)?;
        let hashes = bytes.as_chunks::<32>().0.get(..usize::from(tile.width(size))).ok_or_else(missing)?;
        tiles.insert(tile, hashes.to_vec());
    }
    Ok(tiles)
}

/// Hashes as bytes, for a row or an answer.
fn flat(hashes: &[Hash]) -> Vec<u8> {
    hashes.as_flattened().to_vec()
}

/// A count of records as a number of the database.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A number of the database as a count of records. Negative numbers do not occur.
fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
