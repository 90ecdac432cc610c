//! Integration: records become leaves, a checkpoint is signed.

use std::{collections::BTreeSet, sync::LazyLock};

use base::{Ctx, Fault};
use wire::tlog::{Checkpoint, Hash, Tile, Tiles, tree_root};

use super::{
    flat, load,
    serve::{Newest, newest},
    signed, unsigned,
};
use crate::{
    Store, Tx, Unrecorded, Value,
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
    /// Safe to run on several nodes at once: each step goes on from the checkpoint that it finds.
    pub async fn integrate(&self, ctx: &Ctx) -> Result<u64, Fault> {
        loop {
            let mut tx = self.begin(ctx).await?;
            let found = newest(&mut tx).await?;
            let size = found.as_ref().map_or(0, |found| found.size);
            let head = unsigned(tx.head().await?.position.0);
            if head <= size {
                self.knows(found);
                return Ok(size);
            }
            let next = head.min(size + STEP);
            let made = self.step(&mut tx, ctx, size, next).await?;
            tx.commit_unrecorded(Unrecorded::Derived).await?;
            self.knows(Some(made));
            if next == head {
                return Ok(next);
            }
        }
    }

    /// A checkpoint that is durable; an older database may have come back with a smaller one.
    fn knows(&self, newest: Option<Newest>) {
        self.inner().newest.send_replace(newest);
    }

    async fn step(&self, tx: &mut Tx, ctx: &Ctx, size: u64, next: u64) -> Result<Newest, Fault> {
        const INSERT: &str = "insert into checkpoint (size, root, note, time) values ($1, $2, $3, $4)";
        const PRUNE: &str = "delete from checkpoint where size <= \
                             (select size from checkpoint order by size desc limit 1 offset $1)";
        let leaves = leaves(tx, size, next).await?;
        let mut tiles = load(tx, size, Tiles::edge(size)).await?;
        let changed = tiles.append(size, &leaves);
        write(tx, &tiles, &changed).await?;

        let root = tree_root(next, &mut |node| tiles.node(node))
            .map_err(|error| Fault::new("computing the tree's root", error))?;
        let signer = &self.inner().signer;
        let checkpoint = Checkpoint { origin: signer.verifier().name().to_owned(), size: next, root };
        let note = checkpoint.sign(signer).map_err(|error| Fault::new("signing a checkpoint", error))?;
        tx.exec(INSERT, &[signed(next).into(), root.into(), note.as_str().into(), ctx.now.into()]).await?;
        tx.exec(PRUNE, &[CHECKPOINTS.into()]).await?;
        Ok(Newest { size: next, note })
    }
}

async fn leaves(tx: &mut Tx, size: u64, next: u64) -> Result<Vec<Hash>, Fault> {
    const SQL: &str = "select leaf from record where position > $1 and position <= $2 order by position";
    let rows = tx.rows(SQL, &[signed(size).into(), signed(next).into()]).await?;
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
