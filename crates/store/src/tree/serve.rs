//! What verifiers ask for: checkpoints, tiles, entries, proofs.

use base::{Fault, Position};
use wire::tlog::{
    Hash, OfflineProof, TILE_WIDTH, Tile, Tiles, VerifierKey, consistency_proof, inclusion_proof,
    write_bundle,
};

use super::{flat, load, signed, unsigned};
use crate::{Store, engine::Conn, error::PATIENCE, tx::View};

/// A checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    /// How many records it covers.
    pub(crate) size: u64,
    /// What is signed.
    pub(crate) note: String,
}

/// The newest checkpoint in the database.
pub(crate) async fn newest_checkpoint(conn: &mut Conn) -> Result<Option<Newest>, Fault> {
    let row = conn.row("select size, note from checkpoint order by size desc limit 1", &[]).await?;
    row.map(|row| Ok(Newest { size: unsigned(row.int(0)?), note: row.text(1)? })).transpose()
}

/// The same as a view sees it.
pub(super) async fn newest(view: &mut View) -> Result<Option<Newest>, Fault> {
    newest_checkpoint(view.conn()).await
}

impl Store {
    /// The key that verifies this log's checkpoints.
    pub fn log_key(&self) -> &VerifierKey {
        self.inner().signer.verifier()
    }

    /// The newest signed checkpoint that this node knows, from memory: each [`Store::integrate`] brings it up to date.
    /// `None` before the first.
    pub fn checkpoint(&self) -> Option<String> {
        self.inner().newest.borrow().as_ref().map(|newest| newest.note.clone())
    }

    /// How many records that checkpoint covers.
    pub fn checkpoint_size(&self) -> Option<u64> {
        self.inner().newest.borrow().as_ref().map(|newest| newest.size)
    }

    /// Waits until a checkpoint that this node knows covers the record at `position`, but not for long; whether one
    /// does. Nobody who waits here brings it about: [`Store::integrate`] does, for all of them at once.
    pub async fn covers(&self, position: Position) -> bool {
        let mut newest = self.inner().newest.subscribe();
        let covering = newest
            .wait_for(|newest| newest.as_ref().is_some_and(|newest| newest.size >= unsigned(position.0)));
        tokio::time::timeout(PATIENCE, covering).await.is_ok_and(|found| found.is_ok())
    }

    /// The first `width` hashes of a tile, one after another; `None` where the newest checkpoint does not cover
    /// them.
    pub async fn tile(&self, tile: Tile, width: u16) -> Result<Option<Vec<u8>>, Fault> {
        let mut read = self.read().await?;
        let size = newest(&mut read).await?.map_or(0, |newest| newest.size);
        if width == 0 || width > tile.width(size) {
            return Ok(None);
        }
        let tiles = load(&mut read, size, [tile]).await?;
        Ok(tiles.get(tile).and_then(|hashes| hashes.get(..usize::from(width))).map(flat))
    }

    /// The bundle of the first `width` records behind tile `index` of level 0; `None` where the newest checkpoint
    /// does not cover them. The caller has checked that the asker may read records.
    pub async fn entries(&self, index: u64, width: u16) -> Result<Option<Vec<u8>>, Fault> {
        const SQL: &str = "select body from record where position > $1 and position <= $2 order by position";
        let mut read = self.read().await?;
        let size = newest(&mut read).await?.map_or(0, |newest| newest.size);
        if width == 0 || width > (Tile { level: 0, index }).width(size) {
            return Ok(None);
        }
        let begin = index * u64::from(TILE_WIDTH);
        let rows = read.rows(SQL, &[signed(begin).into(), signed(begin + u64::from(width)).into()]).await?;
        let bodies = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        if bodies.len() != usize::from(width) {
            return Err(Fault::new("reading records", "records are missing that the checkpoint covers"));
        }
        write_bundle(bodies.iter().map(String::as_bytes))
            .map(Some)
            .map_err(|error| Fault::new("bundling records", error))
    }

    /// A proof, verifiable offline, that the record at `position` is in the log; `None` where the newest
    /// checkpoint does not cover it.
    pub async fn inclusion_proof(&self, position: Position) -> Result<Option<OfflineProof>, Fault> {
        let mut read = self.read().await?;
        let Some(Newest { size, note: checkpoint }) = newest(&mut read).await? else { return Ok(None) };
        let index = unsigned(position.0.saturating_sub(1));
        if position.0 < 1 || index >= size {
            return Ok(None);
        }
        let wanted = Tiles::needed(|nodes| drop(inclusion_proof(index, size, nodes)));
        let tiles = load(&mut read, size, wanted).await?;
        let path = inclusion_proof(index, size, &mut |node| tiles.node(node))
            .map_err(|error| Fault::new("proving inclusion", error))?;
        Ok(Some(OfflineProof { index, path, checkpoint }))
    }

    /// A proof that the log of `old` records is the beginning of the log of the newest checkpoint, with that
    /// checkpoint; `None` where there is no such checkpoint.
    pub async fn consistency_proof(&self, old: u64) -> Result<Option<(Vec<Hash>, String)>, Fault> {
        let mut read = self.read().await?;
        let Some(Newest { size, note: checkpoint }) = newest(&mut read).await? else { return Ok(None) };
        if old > size {
            return Ok(None);
        }
        let wanted = Tiles::needed(|nodes| drop(consistency_proof(old, size, nodes)));
        let tiles = load(&mut read, size, wanted).await?;
        let proof = consistency_proof(old, size, &mut |node| tiles.node(node))
            .map_err(|error| Fault::new("proving consistency", error))?;
        Ok(Some((proof, checkpoint)))
    }
}
