//! The lines of an export.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::Step;
use crate::tlog::{Hash, Tile};

/// The version of the format.
pub(super) const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    writ_log_export: u32,
    /// The log's name.
    pub origin: String,
    /// The log's verifier key. A verifier compares it with the one that it trusts.
    pub vkey: String,
    /// The first position of the export.
    pub from: u64,
    /// The last position of the export.
    pub to: u64,
}

impl Header {
    /// A header of this version.
    pub const fn new(origin: String, vkey: String, from: u64, to: u64) -> Self {
        Self { writ_log_export: VERSION, origin, vkey, from, to }
    }

    pub(super) const fn version(&self) -> u32 {
        self.writ_log_export
    }

    /// The line, with its newline.
    pub fn line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// The line of a signed checkpoint.
pub fn checkpoint_line(note: &str) -> String {
    format!("{{\"checkpoint\":{}}}\n", serde_json::Value::from(note))
}

/// The line of a tile. `None` for records, which have lines of their own.
pub fn tile_line(step: Step, hashes: &[Hash]) -> Option<String> {
    let (word, Tile { level, index }) = match step {
        Step::Edge(tile) => ("edge", tile),
        Step::Tile(tile) => ("tile", tile),
        Step::Records { .. } => return None,
    };
    let hashes = STANDARD.encode(hashes.as_flattened());
    Some(format!("{{\"{word}\":{{\"level\":{level},\"index\":{index},\"hashes\":\"{hashes}\"}}}}\n"))
}

/// The line of a record; `body` is the record's canonical JSON, verbatim.
pub fn record_line(position: u64, body: &str) -> String {
    format!("{{\"position\":{position},\"record\":{body}}}\n")
}
