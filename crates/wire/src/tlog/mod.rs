//! Transparency log: the RFC 6962 Merkle tree, C2SP tiles, signed checkpoints and offline proofs.
//!
//! Pure: hashes in, hashes out. The store keeps the tiles; a verifier needs nothing but this module and a key.
//!
//! Leaves count from 0, as in RFC 6962. A log whose records count from 1 subtracts.

mod bundle;
mod checkpoint;
pub mod export;
mod frontier;
mod hash;
mod note;
mod offline;
mod proof;
#[cfg(test)]
mod tests;
mod tile;
mod tiles;

pub use bundle::{BundleError, read_bundle, write_bundle};
pub use checkpoint::Checkpoint;
pub use export::{ExportError, Report, verify_export};
pub use frontier::Frontier;
pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
pub use note::{NoteError, NoteSigner, SignedNote, VerifierKey};
pub use offline::{OfflineError, OfflineProof};
pub use proof::{
    Node, ProofError, consistency_proof, inclusion_proof, tree_root, verify_consistency, verify_inclusion,
};
pub use tile::{PathError, TILE_WIDTH, Tile, TilePath};
pub use tiles::Tiles;
