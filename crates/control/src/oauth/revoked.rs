//! Access tokens that were revoked one by one.

use base::{AnyId, Error, Fault, Timestamp, TokenId};
use store::{Read, Row, Tx, Unrecorded};

use crate::{
    authority::{Authority, System},
    control::Control,
    row::parsed,
    snapshot::Snapshot,
};

/// From how many on expired ones are looked for in the snapshot.
const KEPT_MIN: usize = 1024;

/// Puts the revoked tokens that have not expired into the snapshot.
pub(crate) async fn load_revoked_tokens(
    read: &mut Read,
    snapshot: &mut Snapshot,
    now: Timestamp,
) -> Result<(), Fault> {
    for row in read.rows("select id, expires from revoked_token where expires > $1", &[now.into()]).await? {
        keep(snapshot, &row)?;
    }
    Ok(())
}

/// Reads one revoked token, if the id is one's.
pub(crate) async fn reload_revoked_token(
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    let Some(row) = read.row("select id, expires from revoked_token where id = $1", &[id.into()]).await?
    else {
        return Ok(());
    };
    keep(snapshot, &row)?;
    let kept = snapshot.revoked_tokens.size();
    if kept >= KEPT_MIN && kept.is_power_of_two() {
        // Expired by the log's own time, which never goes back.
        let now = read.head().time;
        let over: Vec<TokenId> = snapshot
            .revoked_tokens
            .iter()
            .filter(|(_, expires)| **expires <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            snapshot.revoked_tokens.remove_mut(&id);
        }
    }
    Ok(())
}

/// Revokes a token; false when it was revoked before.
pub(super) async fn insert(tx: &mut Tx, id: &TokenId, expires: Timestamp) -> Result<bool, Fault> {
    let sql = "insert into revoked_token (id, expires) values ($1, $2) on conflict (id) do nothing";
    Ok(tx.exec(sql, &[id.into(), expires.into()]).await? == 1)
}

impl Control {
    /// Forgets revocations of tokens that have expired; run from time to time. Answers with how many.
    ///
    /// SECURITY: expired by the time of the log's last record, not by the clock: a clock that is later turned back must
    /// not find a token alive whose revocation is forgotten.
    pub async fn forget_revoked_tokens(&self, by: &System) -> Result<u64, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let now = tx.head().await?.time.min(by.ctx().now);
        let forgotten = tx.exec("delete from revoked_token where expires <= $1", &[now.into()]).await?;
        if forgotten == 0 {
            tx.rollback().await?;
        } else {
            tx.commit_unrecorded(Unrecorded::Expired).await?;
        }
        Ok(forgotten)
    }
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    snapshot.revoked_tokens.insert_mut(parsed(row.text(0)?.parse())?, Timestamp::from_millis(row.int(1)?));
    Ok(())
}
