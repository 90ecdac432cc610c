//! Access tokens that were revoked one by one.

use base::{AnyId, Error, Fault, Timestamp, TokenId};
use store::{Read, Row, Tx};

use crate::{
    authority::System,
    control::Control,
    row::parsed,
    snapshot::{Snapshot, prune},
};

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
    let now = read.head().time;
    drop(prune(&mut snapshot.revoked_tokens, |expires| *expires <= now));
    Ok(())
}

/// Revokes a token; false when it was revoked before.
pub(super) async fn insert(tx: &mut Tx, id: &TokenId, expires: Timestamp) -> Result<bool, Fault> {
    let sql = "insert into revoked_token (id, expires) values ($1, $2) on conflict (id) do nothing";
    Ok(tx.exec(sql, &[id.into(), expires.into()]).await? == 1)
}

impl Control {
    /// Forgets revocations of tokens that have expired; run from time to time. Answers with how many.
    pub async fn forget_revoked_tokens(&self, by: &System) -> Result<u64, Error> {
        self.forget(by, 0, &["delete from revoked_token where expires <= $1"]).await
    }
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    snapshot.revoked_tokens.insert_mut(parsed(row.text(0)?.parse())?, Timestamp::from_millis(row.int(1)?));
    Ok(())
}
