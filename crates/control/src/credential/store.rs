//! Credentials in the database.

use std::sync::Arc;

use base::{AnyId, Fault};
use store::{Read, Row};

use super::model::{ApiToken, Credential};
use crate::{row::parsed, snapshot::Snapshot};

/// Puts every credential and API token into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows("select doc, revoked from credential order by id", &[]).await? {
        snapshot.keep_credential(Arc::new(credential(&row)?));
    }
    for row in read.rows("select doc, revoked, digest from api_token order by id", &[]).await? {
        let (digest, token) = api_token(&row)?;
        snapshot.api_tokens.insert_mut(digest, Arc::new(token));
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
        snapshot.api_tokens.insert_mut(digest, Arc::new(token));
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
