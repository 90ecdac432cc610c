//! Credentials in the database.

use std::sync::Arc;

use base::{AnyId, Fault};
use store::{Read, Row, Tx};

use super::model::{ApiToken, Credential};
use crate::{row::parsed, snapshot::Snapshot};

/// Puts every credential and API token into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows("select doc, revoked from credential order by id", &[]).await? {
        snapshot.keep_credential(Arc::new(credential(&row)?));
    }
    for row in read.rows("select doc, revoked, digest from api_token order by id", &[]).await? {
        let (digest, token) = api_token(&row)?;
        snapshot.keep_api_token(digest, Arc::new(token));
    }
    Ok(())
}

/// Reads one credential again.
pub(crate) async fn reload(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    if let Some(row) = read.row("select doc, revoked from credential where id = $1", &[id.into()]).await? {
        snapshot.keep_credential(Arc::new(credential(&row)?));
    }
    Ok(())
}

/// Reads one API token again, if the id is one's.
pub(crate) async fn reload_api_token(
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    if let Some(row) =
        read.row("select doc, revoked, digest from api_token where id = $1", &[id.into()]).await?
    {
        let (digest, token) = api_token(&row)?;
        snapshot.keep_api_token(digest, Arc::new(token));
    }
    Ok(())
}

fn credential(row: &Row) -> Result<Credential, Fault> {
    let mut credential: Credential = parsed(serde_json::from_str(&row.text(0)?))?;
    credential.revoked = row.bool(1)?;
    Ok(credential)
}

fn api_token(row: &Row) -> Result<([u8; 32], ApiToken), Fault> {
    let mut token: ApiToken = parsed(serde_json::from_str(&row.text(0)?))?;
    token.revoked = row.bool(1)?;
    let digest = row.bytes(2)?.try_into().map_err(|_| "the digest of an API token is not 32 bytes");
    Ok((parsed(digest)?, token))
}

/// Keeps a new credential.
pub(super) async fn insert_credential(tx: &mut Tx, credential: &Credential) -> Result<(), Fault> {
    let sql = "insert into credential (id, principal, revoked, doc) values ($1, $2, $3, $4)";
    let args =
        [(&credential.id).into(), (&credential.principal).into(), false.into(), document(credential)?.into()];
    tx.exec(sql, &args).await.map(drop)
}

/// Ends a credential.
pub(super) const REVOKE_CREDENTIAL: &str =
    "update credential set revoked = $2 where id = $1 and revoked = $3";
/// Ends an API token.
pub(super) const REVOKE_API_TOKEN: &str = "update api_token set revoked = $2 where id = $1 and revoked = $3";

/// Ends one of either sort by its statement; false when there is none that was not ended.
pub(super) async fn revoke(tx: &mut Tx, sql: &'static str, id: &AnyId) -> Result<bool, Fault> {
    Ok(tx.exec(sql, &[id.into(), true.into(), false.into()]).await? == 1)
}

/// Keeps a new API token.
pub(super) async fn insert_api_token(tx: &mut Tx, token: &ApiToken, digest: &[u8; 32]) -> Result<(), Fault> {
    let sql = "insert into api_token (id, principal, digest, revoked, doc) values ($1, $2, $3, $4, $5)";
    let args =
        [(&token.id).into(), (&token.principal).into(), digest.into(), false.into(), document(token)?.into()];
    tx.exec(sql, &args).await.map(drop)
}

fn document<T: serde::Serialize>(value: &T) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::new("writing a credential", error))
}
