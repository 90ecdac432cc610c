//! Signing keys in the database.

use std::sync::Arc;

use base::{AnyId, Fault};
use store::{Read, Row};

use super::model::{KeyState, VerifyingKey};
use crate::{row::parsed, snapshot::Snapshot};

/// Puts the public halves of all keys into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows("select doc, state from signing_key order by id", &[]).await? {
        keep(snapshot, &row)?;
    }
    Ok(())
}

/// Reads one key again.
pub(crate) async fn reload(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    match read.row("select doc, state from signing_key where id = $1", &[id.into()]).await? {
        Some(row) => keep(snapshot, &row),
        None => Ok(()),
    }
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    let mut key: VerifyingKey = parsed(serde_json::from_str(&row.text(0)?))?;
    let state = row.text(1)?;
    key.state = parsed(KeyState::parse(&state).ok_or_else(|| format!("`{state}` is no state of a key")))?;
    snapshot.keys.insert_mut(key.id.clone(), Arc::new(key));
    Ok(())
}
