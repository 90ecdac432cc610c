//! Exports of the log: one file that proves itself, line by line.
//!
//! JSON lines, in an order in which everything is vouched for by what came before it:
//!
//! 1. a header: `{"writ_log_export":1,"origin":..,"vkey":..,"from":..,"to":..}`, positions inclusive, from 1;
//! 2. the signed checkpoint: `{"checkpoint":".."}`;
//! 3. the right edge of the tree, highest level first: `{"edge":{"level":..,"index":..,"hashes":".."}}`. Their root
//!    is the checkpoint's;
//! 4. then, for the range, each full tile before what it covers: `{"tile":{..}}`, whose root stands in the tile
//!    above it, and after a tile of leaf hashes its records: `{"position":..,"record":{..}}`, verbatim, whose hash
//!    stands in that tile.
//!
//! So a change is found at its own line: a record that was changed together with its leaf hash does not fit the
//! tile above, and nothing fits the signature but what was signed. Writer and verifier walk the same [`plan`] and
//! hold one tile per level.

mod plan;
mod verify;
mod write;

pub use plan::{Step, plan};
pub use verify::{ExportError, Report, verify_export};
pub use write::{Header, checkpoint_line, record_line, tile_line};
