//! Signing keys in the database.

use std::sync::Arc;

use base::{AnyId, Fault, KeyId, Timestamp};
use store::{Read, Row, Sealed, Store, Tx};
use wire::jose::{Algorithm, SigningKey};

use super::{
    model::{KeyState, VerifyingKey},
    ring::Ring,
};
use crate::{row::parsed, snapshot::Snapshot};

/// Puts all keys into the snapshot.
pub(crate) async fn load_all(store: &Store, read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows("select doc, state, sealed from signing_key order by id", &[]).await? {
        keep(store, snapshot, &row)?;
    }
    string_ring(snapshot)
}

/// Reads one key again.
pub(crate) async fn reload(
    store: &Store,
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    let sql = "select doc, state, sealed from signing_key where id = $1";
    if let Some(row) = read.row(sql, &[id.into()]).await? {
        keep(store, snapshot, &row)?;
    }
    string_ring(snapshot)
}

fn string_ring(snapshot: &mut Snapshot) -> Result<(), Fault> {
    snapshot.ring = Arc::new(Ring::of(&snapshot.keys, &snapshot.private_keys)?);
    Ok(())
}

fn keep(store: &Store, snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    let key = verifying(row)?;
    // Only a key that signs is opened; when it stops, its private half leaves the memory, too.
    if key.state == KeyState::Signing {
        let algorithm =
            parsed(Algorithm::parse(&key.algorithm).ok_or("an algorithm that this version does not know"))?;
        let document = store.open_sealed(key.id.as_str(), &Sealed::from_bytes(row.bytes(2)?))?;
        let pair = SigningKey::from_pkcs8(algorithm, &document)?;
        snapshot.private_keys.insert_mut(key.id.clone(), Arc::new(pair));
    } else {
        snapshot.private_keys.remove_mut(&key.id);
    }
    snapshot.keys.insert_mut(key.id.clone(), Arc::new(key));
    Ok(())
}

fn verifying(row: &Row) -> Result<VerifyingKey, Fault> {
    let mut key: VerifyingKey = parsed(serde_json::from_str(&row.text(0)?))?;
    let state = row.text(1)?;
    key.state = parsed(KeyState::parse(&state).ok_or_else(|| format!("`{state}` is no state of a key")))?;
    Ok(key)
}

/// Keeps a new key.
pub(super) async fn insert(tx: &mut Tx, key: &VerifyingKey, sealed: &Sealed) -> Result<(), Fault> {
    let sql = "insert into signing_key (id, kid, state, doc, sealed) values ($1, $2, $3, $4, $5)";
    let args = [
        (&key.id).into(),
        (&key.kid).into(),
        key.state.as_str().into(),
        document(key)?.into(),
        sealed.as_bytes().into(),
    ];
    tx.exec(sql, &args).await.map(drop)
}

/// All keys in a state, as the transaction sees them.
pub(super) async fn in_state(tx: &mut Tx, state: KeyState) -> Result<Vec<VerifyingKey>, Fault> {
    let sql = "select doc, state from signing_key where state = $1 order by id";
    tx.rows(sql, &[state.as_str().into()]).await?.iter().map(verifying).collect()
}

/// Moves a key on. What does not sign needs no private half: it is destroyed here.
pub(super) async fn retire(
    tx: &mut Tx,
    mut key: VerifyingKey,
    state: KeyState,
    now: Timestamp,
) -> Result<KeyId, Fault> {
    let sql = "update signing_key set state = $2, doc = $3, sealed = $4 where id = $1";
    key.state = state;
    key.signed_until = key.signed_until.or(Some(now));
    let nothing: &[u8] = &[];
    let args = [(&key.id).into(), state.as_str().into(), document(&key)?.into(), nothing.into()];
    tx.exec(sql, &args).await?;
    Ok(key.id)
}

fn document(key: &VerifyingKey) -> Result<String, Fault> {
    serde_json::to_string(key).map_err(|error| Fault::new("writing a signing key", error))
}
