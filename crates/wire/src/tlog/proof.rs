//! Inclusion and consistency proofs: making them from nodes (RFC 6962, sections 2.1.1 and 2.1.2), verifying them
//! (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

use super::{EMPTY_ROOT, Hash, hash::node_hash};

/// A perfect subtree: 2^level leaves, beginning with leaf `index * 2^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// The height above the leaves.
    pub level: u8,
    /// The place among the subtrees of this height, from 0.
    pub index: u64,
}

/// Why a proof is not one, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf or the smaller size lies outside the tree.
    #[error("leaf or size {at} lies outside a tree of {size}")]
    Outside {
        /// The leaf's index, or the smaller tree's size.
        at: u64,
        /// The tree's size.
        size: u64,
    },
    /// A node that the proof needs was not at hand.
    #[error("the node at level {0}, index {1} is not at hand")]
    Absent(u8, u64),
    /// The proof has more or fewer hashes than the tree asks for.
    #[error("the proof has a wrong number of hashes")]
    Length,
    /// The proof leads to another root than the given one.
    #[error("the proof leads to another root")]
    Root,
}

type Result<T> = std::result::Result<T, ProofError>;

/// The root of the first `size` leaves, from nodes.
pub fn tree_root(size: u64, nodes: &mut dyn FnMut(Node) -> Option<Hash>) -> Result<Hash> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range(0, size, nodes) }
}

/// The hashes that lead from leaf `index` to the root of the tree of `size` leaves, nearest first.
pub fn inclusion_proof(
    index: u64,
    size: u64,
    nodes: &mut dyn FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>> {
    if index >= size {
        return Err(ProofError::Outside { at: index, size });
    }
    let mut out = Vec::new();
    path(index, 0, size, nodes, &mut out)?;
    Ok(out)
}

/// The hashes that show that the tree of `old` leaves is the beginning of the tree of `size` leaves.
pub fn consistency_proof(
    old: u64,
    size: u64,
    nodes: &mut dyn FnMut(Node) -> Option<Hash>,
) -> Result<Vec<Hash>> {
    if old > size {
        return Err(ProofError::Outside { at: old, size });
    }
    let mut out = Vec::new();
    if old > 0 && old < size {
        subproof(old, 0, size, true, nodes, &mut out)?;
    }
    Ok(out)
}

/// PATH(m, D[n]) of RFC 6962, for the leaves `begin..begin + count`.
fn path(
    index: u64,
    begin: u64,
    count: u64,
    nodes: &mut dyn FnMut(Node) -> Option<Hash>,
    out: &mut Vec<Hash>,
) -> Result<()> {
    if count == 1 {
        return Ok(());
    }
    let left = split(count);
    if index < left {
        path(index, begin, left, nodes, out)?;
        out.push(range(begin + left, count - left, nodes)?);
    } else {
        path(index - left, begin + left, count - left, nodes, out)?;
        out.push(range(begin, left, nodes)?);
    }
    Ok(())
}

/// SUBPROOF(m, D[n], b) of RFC 6962.
fn subproof(
    old: u64,
    begin: u64,
    count: u64,
    whole: bool,
    nodes: &mut dyn FnMut(Node) -> Option<Hash>,
    out: &mut Vec<Hash>,
) -> Result<()> {
    if old == count {
        if !whole {
            out.push(range(begin, count, nodes)?);
        }
        return Ok(());
    }
    let left = split(count);
    if old <= left {
        subproof(old, begin, left, whole, nodes, out)?;
        out.push(range(begin + left, count - left, nodes)?);
    } else {
        subproof(old - left, begin + left, count - left, false, nodes, out)?;
        out.push(range(begin, left, nodes)?);
    }
    Ok(())
}

/// MTH of the leaves `begin..begin + count`. `begin` is a multiple of the largest power of two below or at `count`.
fn range(begin: u64, count: u64, nodes: &mut dyn FnMut(Node) -> Option<Hash>) -> Result<Hash> {
    if count.is_power_of_two() {
        let level = u8::try_from(count.trailing_zeros()).unwrap_or_default();
        let index = begin >> level;
        return nodes(Node { level, index }).ok_or(ProofError::Absent(level, index));
    }
    let left = split(count);
    Ok(node_hash(&range(begin, left, nodes)?, &range(begin + left, count - left, nodes)?))
}

/// The largest power of two below `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Checks that `leaf` is leaf `index` of the tree with `size` leaves and this `root`.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<()> {
    if index >= size {
        return Err(ProofError::Outside { at: index, size });
    }
    let (mut place, mut last) = (index, size - 1);
    let mut node = *leaf;
    for hash in proof {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            node = node_hash(hash, &node);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if node == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the tree of `old` leaves with root `old_root` is the beginning of the tree of `size` leaves with
/// root `root`.
pub fn verify_consistency(old: u64, size: u64, proof: &[Hash], old_root: &Hash, root: &Hash) -> Result<()> {
    if old > size {
        return Err(ProofError::Outside { at: old, size });
    }
    if old == size || old == 0 {
        // The empty tree is the beginning of every tree; equal sizes must have equal roots.
        let known = if old == 0 { old_root == &EMPTY_ROOT } else { true };
        let same = if old == size { old_root == root } else { true };
        return match (proof.is_empty(), known && same) {
            (false, _) => Err(ProofError::Length),
            (true, false) => Err(ProofError::Root),
            (true, true) => Ok(()),
        };
    }
    let mut hashes = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { hashes.next() };
    let first = *first.ok_or(ProofError::Length)?;
    let (mut place, mut last) = (old - 1, size - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (first, first);
    for hash in hashes {
        if last == 0 {
            return Err(ProofError::Length);
        }
        if place & 1 == 1 || place == last {
            before = node_hash(hash, &before);
            after = node_hash(hash, &after);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Length);
    }
    if before == *old_root && after == *root { Ok(()) } else { Err(ProofError::Root) }
}
