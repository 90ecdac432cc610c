//! Tiles and their paths (C2SP tlog-tiles).

use std::{fmt, str::FromStr};

use super::{Hash, Node};

/// Hashes of a full tile, and leaves per hash of the level above.
pub const TILE_WIDTH: u16 = 256;

/// Which tile of hashes: hash `i` of tile `index` at `level` is the root of the perfect subtree of 256^level
/// leaves at place `index * 256 + i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// 0 holds leaf hashes.
    pub level: u8,
    /// From 0.
    pub index: u64,
}

impl Tile {
    /// How many hashes this tile has in a tree of `size` leaves, 0 to 256.
    pub fn width(self, size: u64) -> u16 {
        let hashes = size.checked_shr(8 * u32::from(self.level)).unwrap_or_default();
        let before = self.index.saturating_mul(u64::from(TILE_WIDTH));
        u16::try_from(hashes.saturating_sub(before)).unwrap_or(TILE_WIDTH).min(TILE_WIDTH)
    }

    /// The tile that holds what a node is made of, and the hashes' range in it: a power of two of them.
    pub(super) const fn of(node: Node) -> (Self, std::ops::Range<usize>) {
        let within = node.level % 8;
        let begin = node.index << within;
        let offset = (begin % 256) as usize;
        (Self { level: node.level / 8, index: begin / 256 }, offset..offset + (1 << within))
    }
}

/// What a path below the log's prefix names: a tile of hashes or a bundle of entries, whole or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`.
    Hashes {
        /// Which tile.
        tile: Tile,
        /// How many hashes, 1 to 256.
        width: u16,
    },
    /// `tile/entries/<N>[.p/<W>]`.
    Entries {
        /// Which bundle.
        index: u64,
        /// How many entries, 1 to 256.
        width: u16,
    },
}

/// The text is not the path of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a tile's path: expected `tile/<level>/<index>`, `tile/entries/<index>`, each with an optional `.p/<width>`"
)]
pub struct PathError;

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match *self {
            Self::Hashes { tile, width } => {
                write!(f, "tile/{}/", tile.level)?;
                (tile.index, width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (index, width)
            }
        };
        write_index(f, index)?;
        if width < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

/// Groups of three digits, all but the last marked with `x`: 1234067 is `x001/x234/067`.
fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut groups = Vec::with_capacity(7);
    let mut rest = index;
    while rest >= 1000 {
        groups.push(rest % 1000);
        rest /= 1000;
    }
    groups.push(rest);
    while groups.len() > 1 {
        if let Some(group) = groups.pop() {
            write!(f, "x{group:03}/")?;
        }
    }
    write!(f, "{:03}", groups[0])
}

impl FromStr for TilePath {
    type Err = PathError;

    /// SECURITY: one path per tile. A text that would not be printed like this is refused, so caches cannot be
    /// filled with spellings.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let rest = text.strip_prefix("tile/").ok_or(PathError)?;
        let (kind, rest) = rest.split_once('/').ok_or(PathError)?;
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().map_err(|_| PathError)?),
            None => (rest, TILE_WIDTH),
        };
        let digits: String = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
        let index = digits.parse().map_err(|_| PathError)?;
        let path = if kind == "entries" {
            Self::Entries { index, width }
        } else {
            let level = kind.parse().map_err(|_| PathError)?;
            Self::Hashes { tile: Tile { level, index }, width }
        };
        let level_fits = !matches!(path, Self::Hashes { tile: Tile { level: 64.., .. }, .. });
        if width > 0 && level_fits && path.to_string() == text { Ok(path) } else { Err(PathError) }
    }
}

/// The root of a perfect subtree from its hashes, a power of two of them.
pub(super) fn perfect_root(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        many => {
            let (left, right) = many.split_at(many.len() / 2);
            super::node_hash(&perfect_root(left), &perfect_root(right))
        }
    }
}
