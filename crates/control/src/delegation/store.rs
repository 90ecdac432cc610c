//! Delegations, codes and refresh tokens in the database.

use std::sync::Arc;

use base::{AnyId, DelegationId, Fault, PersonId, Timestamp};
use store::{Read, Row, Tx, View};

use super::model::{CodeTerms, Delegation};
use crate::{
    row::parsed,
    snapshot::{Snapshot, prune},
};

/// Puts the delegations that have not ended into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot, now: Timestamp) -> Result<(), Fault> {
    let sql = "select doc, ended from delegation where not ended and expires > $1";
    for row in read.rows(sql, &[now.into()]).await? {
        keep(snapshot, &row)?;
    }
    Ok(())
}

/// Reads one delegation again.
pub(crate) async fn reload(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    snapshot.delegations.remove_mut(&parsed(id.as_str().parse::<DelegationId>())?);
    match read.row("select doc, ended from delegation where id = $1", &[id.into()]).await? {
        Some(row) => keep(snapshot, &row)?,
        None => return Ok(()),
    }
    let now = read.head().time;
    drop(prune(&mut snapshot.delegations, |delegation| delegation.expires <= now));
    Ok(())
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    if !row.bool(1)? {
        let delegation: Delegation = parsed(serde_json::from_str(&row.text(0)?))?;
        snapshot.delegations.insert_mut(delegation.id.clone(), Arc::new(delegation));
    }
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, new: &Delegation) -> Result<(), Fault> {
    let sql =
        "insert into delegation (id, person, client, ended, expires, doc) values ($1, $2, $3, $4, $5, $6)";
    let args = [
        (&new.id).into(),
        (&new.person).into(),
        (&new.client).into(),
        false.into(),
        new.expires.into(),
        written(new)?.into(),
    ];
    tx.exec(sql, &args).await.map(drop)
}

/// Ends a delegation; false when it had ended.
pub(super) async fn end(tx: &mut Tx, id: &DelegationId) -> Result<bool, Fault> {
    let sql = "update delegation set ended = true where id = $1 and not ended";
    Ok(tx.exec(sql, &[id.into()]).await? == 1)
}

/// Changes a delegation; what it is then, or nothing where the change changes nothing, or it ended.
pub(super) async fn change(
    tx: &mut Tx,
    id: &DelegationId,
    change: impl FnOnce(&mut Delegation),
) -> Result<Option<Delegation>, Fault> {
    let sql = "select doc from delegation where id = $1 and not ended";
    let Some(row) = tx.row(sql, &[id.into()]).await? else { return Ok(None) };
    let before = row.text(0)?;
    let mut delegation: Delegation = parsed(serde_json::from_str(&before))?;
    change(&mut delegation);
    let after = written(&delegation)?;
    if after == before {
        return Ok(None);
    }
    // INVARIANT: of two nodes that read the same, one writes.
    let sql = "update delegation set doc = $1 where id = $2 and doc = $3 and not ended";
    let changed = tx.exec(sql, &[after.into(), id.into(), before.into()]).await?;
    Ok((changed == 1).then_some(delegation))
}

/// What a person let clients do and has not ended, whatever became of what it rests on.
pub(super) async fn of_person(view: &mut View, person: &PersonId) -> Result<Vec<Delegation>, Fault> {
    let sql = "select doc from delegation where person = $1 and not ended order by id";
    let rows = view.rows(sql, &[person.into()]).await?;
    rows.iter().map(|row| parsed(serde_json::from_str(&row.text(0)?))).collect()
}

pub(super) async fn insert_code(
    tx: &mut Tx,
    digest: &[u8; 32],
    delegation: &DelegationId,
    expires: Timestamp,
    terms: &CodeTerms,
) -> Result<(), Fault> {
    let sql = "insert into authorization_code (digest, delegation, spent, expires, doc) values ($1, $2, $3, $4, $5)";
    let args = [digest.into(), delegation.into(), false.into(), expires.into(), written(terms)?.into()];
    tx.exec(sql, &args).await.map(drop)
}

/// A device's person agreed; false when it does not wait any more.
pub(super) async fn agree_device(
    tx: &mut Tx,
    digest: &[u8; 32],
    delegation: &DelegationId,
    now: Timestamp,
) -> Result<bool, Fault> {
    let sql = "update device_code set state = 'agreed', delegation = $2
               where digest = $1 and state = 'waiting' and expires > $3";
    Ok(tx.exec(sql, &[digest.into(), delegation.into(), now.into()]).await? == 1)
}

pub(super) async fn insert_refresh(
    tx: &mut Tx,
    digest: &[u8; 32],
    delegation: &DelegationId,
    expires: Timestamp,
    jkt: Option<&str>,
) -> Result<(), Fault> {
    let sql =
        "insert into refresh_token (digest, delegation, spent, expires, jkt) values ($1, $2, $3, $4, $5)";
    let args = [digest.into(), delegation.into(), false.into(), expires.into(), jkt.into()];
    tx.exec(sql, &args).await.map(drop)
}

/// What became of spending something.
#[derive(Debug)]
pub(crate) enum Spent<T> {
    /// It is spent now, for the first time.
    First(T),
    /// It was spent before.
    Again(DelegationId),
    /// There is no such thing, or its time is over.
    Unknown,
}

/// Spends a code.
pub(crate) async fn spend_code(
    tx: &mut Tx,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Spent<CodeTerms>, Fault> {
    let sql = "update authorization_code set spent = true where digest = $1 and not spent and expires > $2
               returning doc";
    if let Some(row) = tx.row(sql, &[digest.into(), now.into()]).await? {
        return Ok(Spent::First(parsed(serde_json::from_str(&row.text(0)?))?));
    }
    let sql = "select delegation from authorization_code where digest = $1 and spent";
    again(tx.row(sql, &[digest.into()]).await?.as_ref())
}

/// Spends a refresh token; what it was bound to comes with it.
pub(crate) async fn spend_refresh(
    tx: &mut Tx,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Spent<Option<String>>, Fault> {
    let sql = "update refresh_token set spent = true where digest = $1 and not spent and expires > $2
               returning jkt";
    if let Some(row) = tx.row(sql, &[digest.into(), now.into()]).await? {
        return Ok(Spent::First(row.opt_text(0)?));
    }
    let sql = "select delegation from refresh_token where digest = $1 and spent";
    again(tx.row(sql, &[digest.into()]).await?.as_ref())
}

fn again<T>(row: Option<&Row>) -> Result<Spent<T>, Fault> {
    row.map_or(Ok(Spent::Unknown), |row| Ok(Spent::Again(row.parsed(0)?)))
}

/// Whose delegation a refresh token is of, spent or not.
pub(super) async fn delegation_of_refresh(
    view: &mut View,
    digest: &[u8; 32],
) -> Result<Option<DelegationId>, Fault> {
    let sql = "select delegation from refresh_token where digest = $1";
    view.row(sql, &[digest.into()]).await?.map(|row| row.parsed(0)).transpose()
}

/// What is forgotten once its time is over.
pub(super) const FORGET_AT_ONCE: [&str; 2] =
    ["delete from pushed_request where expires <= $1", "delete from device_code where expires <= $1"];
/// What is forgotten a while after.
pub(super) const FORGET_LATER: [&str; 3] = [
    "delete from authorization_code where expires <= $1",
    "delete from refresh_token where expires <= $1",
    "delete from delegation where expires <= $1",
];

fn written(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| Fault::new("writing a delegation", error))
}
