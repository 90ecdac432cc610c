//! Exporting the log, piece by piece.

use base::{Fault, Position};
use wire::tlog::export::{Header, Step, checkpoint_line, plan, record_line, tile_line};

use super::{
    load,
    serve::{Newest, newest},
    signed, unsigned,
};
use crate::Store;

/// An export under way: JSON lines in pieces of at most 256 records. See [`wire::tlog::export`] for the form and
/// [`wire::tlog::verify_export`] for the check.
pub struct Export {
    store: Store,
    size: u64,
    opening: Option<String>,
    steps: Box<dyn Iterator<Item = Step> + Send>,
}

impl Store {
    /// Begins an export of `from..=to`, as far as the newest checkpoint covers it; `None` when it covers nothing
    /// of the range. Ask [`Store::covers`] before, for the newest records to be covered.
    pub async fn export(&self, from: Position, to: Position) -> Result<Option<Export>, Fault> {
        let Some(Newest { size, note }) = newest(&mut *self.read().await?).await? else { return Ok(None) };
        let (from, to) = (unsigned(from.0.max(1)), unsigned(to.0).min(size));
        if from > to {
            return Ok(None);
        }
        let key = self.log_key();
        let mut opening = Header::new(key.name().to_owned(), key.to_string(), from, to).line();
        opening.push_str(&checkpoint_line(&note));
        let steps = Box::new(plan(from, to, size));
        Ok(Some(Export { store: self.clone(), size, opening: Some(opening), steps }))
    }
}

impl Export {
    /// The next piece: one or more whole lines. `None` at the end. Between pieces nothing is held open.
    pub async fn next(&mut self) -> Result<Option<String>, Fault> {
        if let Some(opening) = self.opening.take() {
            return Ok(Some(opening));
        }
        let Some(step) = self.steps.next() else { return Ok(None) };
        let mut read = self.store.read().await?;
        match step {
            Step::Edge(tile) | Step::Tile(tile) => {
                let tiles = load(&mut read, self.size, [tile]).await?;
                Ok(tile_line(step, tiles.get(tile).unwrap_or_default()))
            }
            Step::Records { first, last } => {
                const SQL: &str = "select position, body from record where position >= $1 and position <= $2 \
                                   order by position";
                let rows = read.rows(SQL, &[signed(first).into(), signed(last).into()]).await?;
                let mut out = String::new();
                for row in rows {
                    out.push_str(&record_line(unsigned(row.int(0)?), &row.text(1)?));
                }
                Ok(Some(out))
            }
        }
    }
}
