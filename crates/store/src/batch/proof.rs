//! Proofs are good once, on all nodes and across restarts: each use is a unique row.

use std::{collections::HashSet, sync::LazyLock};

use base::Fault;

use super::{
    ProofUse,
    item::{Item, State},
};
use crate::engine::{Conn, Shaped, list, values};

static INSERT: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        let values = values(rows, 2);
        format!(
            "insert into proof (digest, expires) values {values} on conflict (digest) do nothing returning digest"
        )
    })
});
static DELETE: LazyLock<Shaped> =
    LazyLock::new(|| Shaped::new(|rows| format!("delete from proof where digest in ({})", list(rows))));

/// Writes the proofs of the good items. Of two items with one proof the first wins.
pub(super) async fn claim(conn: &mut Conn, items: &mut [Item]) -> Result<(), Fault> {
    let mut wanted: Vec<ProofUse> =
        items.iter().filter(|item| item.is_good()).filter_map(|item| item.proof.clone()).collect();
    // Two nodes that insert the same keys do so in the same order, or they would wait for each other.
    wanted.sort_by_key(|proof| proof.digest);
    wanted.dedup_by_key(|proof| proof.digest);

    let mut fresh = HashSet::with_capacity(wanted.len());
    for (sql, proofs) in INSERT.split(&wanted) {
        let args: Vec<_> =
            proofs.iter().flat_map(|proof| [proof.digest.into(), proof.expires.into()]).collect();
        for row in conn.rows(sql, &args).await? {
            fresh.insert(row.array::<32>(0)?);
        }
    }
    for item in items.iter_mut().filter(|item| item.is_good()) {
        if item.proof.as_ref().is_some_and(|proof| !fresh.remove(&proof.digest)) {
            item.state = State::Replayed;
        }
    }
    Ok(())
}

/// Gives the proofs of limited items back: nothing of such an entry is kept.
pub(super) async fn release(conn: &mut Conn, items: &[Item]) -> Result<(), Fault> {
    let limited = |item: &&Item| matches!(item.state, State::Limited(..));
    let digests: Vec<_> = items
        .iter()
        .filter(limited)
        .filter_map(|item| item.proof.as_ref())
        .map(|proof| proof.digest)
        .collect();
    for (sql, digests) in DELETE.split(&digests) {
        let args: Vec<_> = digests.iter().map(Into::into).collect();
        conn.exec(sql, &args).await?;
    }
    Ok(())
}
