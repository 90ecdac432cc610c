//! Integration: records become leaves, a checkpoint is signed.

use std::{collections::BTreeSet, sync::LazyLock};

use base::{Ctx, Fault, Timestamp};
use wire::tlog::{Checkpoint, Hash, Tile, Tiles, tree_root};

use super::{flat, load, signed, unsigned};
use crate::{
    Read, Store, Tx, Unrecorded, Value, View,
    engine::{Shaped, values},
};

/// Records of one step; bounds how long other writers wait.
const STEP: u64 = 8192;
/// Checkpoints kept. Older ones prove nothing that the tiles do not.
const CHECKPOINTS: i64 = 100;

static UPSERT_TILES: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        let values = values(rows, 3);
        format!(
            "insert into tile (level, idx, hashes) values {values} \
             on conflict (level, idx) do update set hashes = excluded.hashes"
        )
    })
});

impl Store {
    /// Takes all records that are not in the tree yet into it and signs a checkpoint; gives the tree's size.
    ///
    /// Safe to run on several nodes at once: each step goes on from the checkpoint that it finds. It is computed before
    /// its transaction begins, so that nobody who writes waits for more than its rows.
    pub async fn integrate(&self, ctx: &Ctx) -> Result<u64, Fault> {
        loop {
            let mut read = self.read().await?;
            let size = size(&mut read).await?;
            let head = unsigned(read.head().position.0);
            if head <= size {
                return Ok(size);
            }
            let next = head.min(size + STEP);
            let step = self.step(&mut read, size, next).await?;
            drop(read);
            let mut tx = self.begin(ctx).await?;
            if self::size(&mut tx).await? != size {
                // Another node was quicker.
                tx.rollback().await?;
                continue;
            }
            step.write(&mut tx, ctx.now).await?;
            tx.commit_unrecorded(Unrecorded::Derived).await?;
            if next == head {
                return Ok(next);
            }
        }
    }

    async fn step(&self, read: &mut Read, size: u64, next: u64) -> Result<Step, Fault> {
        let leaves = match self.inner().recent_leaves.between(signed(size), signed(next)) {
            Some(leaves) => leaves,
            None => leaves(read, size, next).await?,
        };
        let mut tiles = load(read, size, Tiles::edge(size)).await?;
        let changed = tiles.append(size, &leaves);
        let root = tree_root(next, &mut |node| tiles.node(node))
            .map_err(|error| Fault::new("computing the tree's root", error))?;
        let signer = &self.inner().signer;
        let checkpoint = Checkpoint { origin: signer.verifier().name().to_owned(), size: next, root };
        let note = checkpoint.sign(signer).map_err(|error| Fault::new("signing a checkpoint", error))?;
        Ok(Step { tiles, changed, size: next, root, note })
    }
}

/// What one step writes.
struct Step {
    tiles: Tiles,
    changed: BTreeSet<Tile>,
    size: u64,
    root: Hash,
    note: String,
}

impl Step {
    async fn write(self, tx: &mut Tx, now: Timestamp) -> Result<(), Fault> {
        const INSERT: &str = "insert into checkpoint (size, root, note, time) values ($1, $2, $3, $4)";
        const PRUNE: &str = "delete from checkpoint where size <= \
                             (select size from checkpoint order by size desc limit 1 offset $1)";
        write(tx, &self.tiles, &self.changed).await?;
        let args = [signed(self.size).into(), self.root.into(), self.note.into(), now.into()];
        tx.exec(INSERT, &args).await?;
        tx.exec(PRUNE, &[CHECKPOINTS.into()]).await?;
        Ok(())
    }
}

/// The size of the newest checkpoint.
async fn size(view: &mut View) -> Result<u64, Fault> {
    let row = view.row("select size from checkpoint order by size desc limit 1", &[]).await?;
    row.map_or(Ok(0), |row| row.int(0).map(unsigned))
}

async fn leaves(read: &mut Read, size: u64, next: u64) -> Result<Vec<Hash>, Fault> {
    const SQL: &str = "select leaf from record where position > $1 and position <= $2 order by position";
    let rows = read.rows(SQL, &[signed(size).into(), signed(next).into()]).await?;
    if rows.len() as u64 != next - size {
        let reason = format!("{} records between {size} and {next}", rows.len());
        return Err(Fault::new("computing the tree", reason));
    }
    rows.iter().map(|row| row.array(0)).collect()
}

async fn write(tx: &mut Tx, tiles: &Tiles, changed: &BTreeSet<Tile>) -> Result<(), Fault> {
    let rows: Vec<_> = changed.iter().filter_map(|&tile| Some((tile, tiles.get(tile)?))).collect();
    for (sql, rows) in UPSERT_TILES.split(&rows) {
        let args: Vec<Value> = rows
            .iter()
            .flat_map(|(tile, hashes)| {
                [i64::from(tile.level).into(), signed(tile.index).into(), flat(hashes).into()]
            })
            .collect();
        tx.exec(sql, &args).await?;
    }
    Ok(())
}
