//! What verifiers ask for: checkpoints, tiles, entries, proofs.

use base::{Fault, Position};
use wire::tlog::{
    Hash, OfflineProof, TILE_WIDTH, Tile, Tiles, VerifierKey, consistency_proof, inclusion_proof,
    write_bundle,
};

use super::{flat, load, signed, unsigned};
use crate::{Store, tx::View};

/// The newest checkpoint: size and note.
pub(super) async fn newest(view: &mut View) -> Result<Option<(u64, String)>, Fault> {
    let row = view.row("select size, note from checkpoint order by size desc limit 1", &[]).await?;
    row.map(|row| Ok((unsigned(row.int(0)?), row.text(1)?))).transpose()
}

impl Store {
    /// The key that verifies this log's checkpoints.
    pub fn log_key(&self) -> &VerifierKey {
        self.inner().signer.verifier()
    }

    /// The newest signed checkpoint; `None` before the first [`Store::integrate`].
    pub async fn checkpoint(&self) -> Result<Option<String>, Fault> {
        Ok(newest(&mut *self.read().await?).await?.map(|(_, note)| note))
    }

    /// The first `width` hashes of a tile, one after another; `None` where the newest checkpoint does not cover
    /// them.
    pub async fn tile(&self, tile: Tile, width: u16) -> Result<Option<Vec<u8>>, Fault> {
        let mut read = self.read().await?;
        let size = newest(&mut read).await?.map_or(0, |(size, _)| size);
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
        let size = newest(&mut read).await?.map_or(0, |(size, _)| size);
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
        let Some((size, checkpoint)) = newest(&mut read).await? else { return Ok(None) };
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
        let Some((size, checkpoint)) = newest(&mut read).await? else { return Ok(None) };
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
