//! Transparency log: the RFC 6962 Merkle tree, C2SP tiles, signed checkpoints and offline proofs.
//!
//! Pure: hashes in, hashes out. The store keeps the tiles; a verifier needs nothing but this module and a key.

mod hash;

pub use hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
