//! Verifying an export: offline, in one pass, in constant memory.

use std::io::{BufRead, Read as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Header, Step, checkpoint_line, plan,
    write::{VERSION, tile_line},
};
use crate::tlog::{
    Checkpoint, Hash, TILE_WIDTH, Tile, Tiles, VerifierKey, leaf_hash, tile::perfect_root, tree_root,
};

/// The longest line: a record or a tile, with room. A longer one is not read further.
const LINE_BYTES_MAX: u64 = 128 * 1024;

/// What an export proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// The key that signed the checkpoint. Unless the caller gave it, compare it with the one known for the log.
    pub vkey: String,
    /// The first position.
    pub from: u64,
    /// The last position.
    pub to: u64,
    /// How many records, all verified.
    pub records: u64,
    /// How many records the log has by its checkpoint; the export is whole if it goes from 1 to this.
    pub size: u64,
    /// The checkpoint's root.
    pub root: Hash,
}

/// The first thing in an export that is wrong.
#[derive(Debug, thiserror::Error)]
#[error("line {line}{}: {reason}", at(*.position))]
pub struct ExportError {
    /// The line, from 1.
    pub line: u64,
    /// The record that is wrong or missing, or the first one that a wrong tile covers.
    pub position: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

fn at(position: Option<u64>) -> String {
    position.map(|position| format!(", record {position}")).unwrap_or_default()
}

/// Verifies an export. `trusted` is the log's key if the caller knows it; otherwise the export's own key is used,
/// and what is proved is that whoever holds that key signed this log.
pub fn verify_export(reader: impl BufRead, trusted: Option<&VerifierKey>) -> Result<Report, ExportError> {
    let mut lines = Lines { reader, buffer: Vec::new(), number: 0 };
    let (header, checkpoint) = opening(&mut lines, trusted)?;
    let mut walk = Walk::default();
    let mut rooted = false;
    for step in plan(header.from, header.to, checkpoint.size) {
        if !rooted && !matches!(step, Step::Edge(_)) {
            walk.check_root(&checkpoint).map_err(|reason| lines.error(None, reason))?;
            rooted = true;
        }
        match step {
            Step::Edge(tile) => {
                let hashes = read_tile(&mut lines, step, tile, usize::from(tile.width(checkpoint.size)))?;
                walk.edges.insert(tile, hashes);
            }
            Step::Tile(tile) => {
                let hashes = read_tile(&mut lines, step, tile, usize::from(TILE_WIDTH))?;
                walk.descend(tile, hashes).map_err(|reason| lines.error(Some(first_under(tile)), reason))?;
            }
            Step::Records { first, last } => {
                for position in first..=last {
                    read_record(&mut lines, &walk, position)?;
                }
            }
        }
    }
    if lines.next()? {
        return Err(lines.error(None, "there are lines behind the last record".into()));
    }
    Ok(Report {
        records: header.to - header.from + 1,
        from: header.from,
        to: header.to,
        origin: checkpoint.origin,
        vkey: header.vkey,
        size: checkpoint.size,
        root: checkpoint.root,
    })
}

/// Header and checkpoint.
fn opening<R: BufRead>(
    lines: &mut Lines<R>,
    trusted: Option<&VerifierKey>,
) -> Result<(Header, Checkpoint), ExportError> {
    lines.expect(None, "the header")?;
    let header: Header = serde_json::from_str(lines.text()?)
        .map_err(|_| lines.error(None, "not the header of a log export".into()))?;
    if header.version() != VERSION || header.line().trim_end() != lines.text()? {
        return Err(lines.error(None, "not the header of a log export of version 1".into()));
    }
    let key: VerifierKey =
        header.vkey.parse().map_err(|error| lines.error(None, format!("`vkey`: {error}")))?;
    if trusted.is_some_and(|trusted| *trusted != key) {
        return Err(lines.error(None, "the export is of another log: its key is not the trusted one".into()));
    }
    if header.origin != key.name() {
        return Err(lines.error(None, "the origin is not the name of the key".into()));
    }

    lines.expect(None, "the checkpoint")?;
    let malformed = "not the line of a checkpoint";
    let note = serde_json::from_str::<serde_json::Value>(lines.text()?)
        .ok()
        .and_then(|value| value.get("checkpoint")?.as_str().map(str::to_owned))
        .ok_or_else(|| lines.error(None, malformed.into()))?;
    if checkpoint_line(&note).trim_end_matches('\n') != lines.text()? {
        return Err(lines.error(None, malformed.into()));
    }
    // An export carries our signature alone; other lines would not be vouched for.
    let alone = crate::tlog::SignedNote::parse(&note).is_ok_and(|note| note.signature_count() == 1);
    let checkpoint = Checkpoint::verify(&note, &key)
        .map_err(|error| lines.error(None, format!("the checkpoint does not hold: {error}")))?;
    if !alone {
        return Err(lines.error(None, "the checkpoint has signatures by others".into()));
    }
    if header.from == 0 || header.from > header.to || header.to > checkpoint.size {
        let reason = format!("no positions {} to {} in a log of {}", header.from, header.to, checkpoint.size);
        return Err(lines.error(None, reason));
    }
    Ok((header, checkpoint))
}

/// The tiles that vouch for what comes next.
#[derive(Default)]
struct Walk {
    edges: Tiles,
    /// The present full tile of each level.
    present: [Option<(u64, Vec<Hash>)>; 8],
}

impl Walk {
    /// The edge must be what was signed.
    fn check_root(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        let root = tree_root(checkpoint.size, &mut |node| self.edges.node(node));
        match root {
            Ok(root) if root == checkpoint.root => Ok(()),
            _ => Err("the edge of the tree does not lead to the checkpoint's root".into()),
        }
    }

    /// The hashes of a tile that was vouched for.
    fn known(&self, tile: Tile) -> Option<&[Hash]> {
        match self.present.get(usize::from(tile.level))? {
            Some((index, hashes)) if *index == tile.index => Some(hashes),
            _ => self.edges.get(tile),
        }
    }

    /// Takes a full tile, if the tile above holds its root.
    fn descend(&mut self, tile: Tile, hashes: Vec<Hash>) -> Result<(), String> {
        let above = Tile { level: tile.level + 1, index: tile.index / 256 };
        let place = usize::try_from(tile.index % 256).unwrap_or_default();
        let expected = self.known(above).and_then(|hashes| hashes.get(place));
        if expected != Some(&perfect_root(&hashes)) {
            return Err(format!("tile {}/{} is not the one that the tree holds", tile.level, tile.index));
        }
        if let Some(slot) = self.present.get_mut(usize::from(tile.level)) {
            *slot = Some((tile.index, hashes));
        }
        Ok(())
    }
}

/// The first position under a tile.
fn first_under(tile: Tile) -> u64 {
    tile.index.checked_shl(8 * (u32::from(tile.level) + 1)).unwrap_or_default() + 1
}

fn read_tile<R: BufRead>(
    lines: &mut Lines<R>,
    step: Step,
    tile: Tile,
    width: usize,
) -> Result<Vec<Hash>, ExportError> {
    let position = Some(first_under(tile));
    let name = format!("tile {}/{}", tile.level, tile.index);
    lines.expect(position, &name)?;
    let malformed = format!("not the line of {name} with {width} hashes");
    let hashes = lines
        .text()?
        .strip_suffix("\"}}")
        .and_then(|line| line.rsplit_once('"'))
        .and_then(|(_, hashes)| STANDARD.decode(hashes).ok())
        .map(|bytes| bytes.as_chunks::<32>().0.to_vec())
        .filter(|hashes| hashes.len() == width)
        .ok_or_else(|| lines.error(position, malformed.clone()))?;
    let again = tile_line(step, &hashes).unwrap_or_default();
    if again.trim_end() == lines.text()? { Ok(hashes) } else { Err(lines.error(position, malformed)) }
}

fn read_record<R: BufRead>(lines: &mut Lines<R>, walk: &Walk, position: u64) -> Result<(), ExportError> {
    lines.expect(Some(position), "a record")?;
    let prefix = format!("{{\"position\":{position},\"record\":");
    let body =
        lines.text()?.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix('}')).ok_or_else(|| {
            lines.error(Some(position), not_the_line_of(position, lines.text().unwrap_or_default()))
        })?;
    let index = position - 1;
    let tile = Tile { level: 0, index: index / 256 };
    let place = usize::try_from(index % 256).unwrap_or_default();
    let expected = walk.known(tile).and_then(|hashes| hashes.get(place));
    if expected == Some(&leaf_hash(body.as_bytes())) {
        Ok(())
    } else {
        Err(lines.error(Some(position), "the record is not the one that the tree holds".into()))
    }
}

/// What stands where a record should be: another one tells which is missing.
fn not_the_line_of(position: u64, line: &str) -> String {
    let other =
        line.strip_prefix("{\"position\":").and_then(|rest| rest.split(',').next()?.parse::<u64>().ok());
    match other {
        Some(other) if other > position + 1 => {
            format!("records {position} to {} are missing: the line is that of record {other}", other - 1)
        }
        Some(other) if other > position => {
            format!("record {position} is missing: the line is that of record {other}")
        }
        Some(other) if other < position => format!("the line is that of record {other}, which stood before"),
        Some(_) | None => format!("not the line of record {position}"),
    }
}

/// Lines with their numbers.
struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Goes to the next line; says whether there is one.
    fn next(&mut self) -> Result<bool, ExportError> {
        self.buffer.clear();
        self.number += 1;
        let read = self.reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.buffer);
        match read {
            Err(error) => Err(self.error(None, format!("reading failed: {error}"))),
            Ok(0) => Ok(false),
            Ok(_) if self.buffer.pop() == Some(b'\n') => Ok(true),
            Ok(_) => Err(self.error(None, "the line is cut off or too long".into())),
        }
    }

    fn expect(&mut self, position: Option<u64>, what: &str) -> Result<(), ExportError> {
        match self.next() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.error(position, format!("the export ends where {what} should be"))),
            Err(error) => Err(ExportError { position, ..error }),
        }
    }

    fn text(&self) -> Result<&str, ExportError> {
        std::str::from_utf8(&self.buffer).map_err(|_| self.error(None, "the line is not UTF-8".into()))
    }

    fn error(&self, position: Option<u64>, reason: String) -> ExportError {
        ExportError { line: self.number, position, reason }
    }
}
