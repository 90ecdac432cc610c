//! Access tokens that were revoked one by one.

use base::{AnyId, Fault, Timestamp};
use store::{Read, Row};

use crate::{row::parsed, snapshot::Snapshot};

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
    match read.row("select id, expires from revoked_token where id = $1", &[id.into()]).await? {
        Some(row) => keep(snapshot, &row),
        None => Ok(()),
    }
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    snapshot.revoked_tokens.insert_mut(parsed(row.text(0)?.parse())?, Timestamp::from_millis(row.int(1)?));
    Ok(())
}
