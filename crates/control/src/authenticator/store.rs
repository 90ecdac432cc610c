//! Authenticators in the database.

use base::{AuthenticatorId, Fault, PersonId, Timestamp};
use store::{Row, Sealed, Tx, View};

use super::model::{Authenticator, AuthenticatorKind};
use crate::row::parsed;

/// An authenticator with what is kept apart from its document.
pub(super) struct Kept {
    pub(super) authenticator: Authenticator,
    pub(super) used: i64,
    pub(super) sealed: Option<Sealed>,
}

/// All of a person, the oldest first.
pub(super) async fn of_person(view: &mut View, person: &PersonId) -> Result<Vec<Kept>, Fault> {
    let sql = "select doc, used, sealed from authenticator where person = $1 order by id";
    view.rows(sql, &[person.into()]).await?.iter().map(kept).collect()
}

/// The password of a person, or nobody's.
pub(super) async fn password_of(
    view: &mut View,
    person: &PersonId,
    nobodys: &Authenticator,
) -> Result<Authenticator, Fault> {
    let sql =
        "select coalesce((select doc from authenticator where person = $1 and kind = 'password' limit 1),
                               cast($2 as text))";
    let row = view.row(sql, &[person.into(), document(nobodys)?.into()]).await?;
    let row = row.ok_or_else(|| Fault::new("reading a password", "not even nobody's is there"))?;
    parsed(serde_json::from_str(&row.text(0)?))
}

/// The passkey with this credential id.
pub(super) async fn by_handle(view: &mut View, handle: &[u8]) -> Result<Option<Kept>, Fault> {
    let sql = "select doc, used, sealed from authenticator where handle = $1";
    view.row(sql, &[handle.into()]).await?.as_ref().map(kept).transpose()
}

/// Keeps a new one. False when a passkey with the same credential id is there.
pub(super) async fn insert(
    tx: &mut Tx,
    new: &Authenticator,
    handle: Option<&[u8]>,
    sealed: Option<&Sealed>,
    used: i64,
) -> Result<bool, Fault> {
    let sql = "insert into authenticator (id, person, kind, handle, used, doc, sealed)
               values ($1, $2, $3, $4, $5, $6, $7) on conflict (handle) do nothing";
    let args = [
        (&new.id).into(),
        (&new.person).into(),
        new.kind.as_str().into(),
        handle.into(),
        used.into(),
        document(new)?.into(),
        sealed.map(Sealed::as_bytes).into(),
    ];
    Ok(tx.exec(sql, &args).await? == 1)
}

/// Replaces the document of one; false when it is gone.
pub(super) async fn update(tx: &mut Tx, changed: &Authenticator) -> Result<bool, Fault> {
    let sql = "update authenticator set doc = $2 where id = $1";
    Ok(tx.exec(sql, &[(&changed.id).into(), document(changed)?.into()]).await? == 1)
}

/// INVARIANT: one statement says whether the step is used for the first time.
pub(super) async fn use_step(tx: &mut Tx, id: &AuthenticatorId, step: i64) -> Result<bool, Fault> {
    let sql = "update authenticator set used = $2 where id = $1 and used < $2";
    Ok(tx.exec(sql, &[id.into(), step.into()]).await? == 1)
}

/// Ends one of a person's; false when they have no such.
pub(super) async fn delete(tx: &mut Tx, person: &PersonId, id: &AuthenticatorId) -> Result<bool, Fault> {
    let sql = "delete from authenticator where id = $1 and person = $2";
    Ok(tx.exec(sql, &[id.into(), person.into()]).await? == 1)
}

/// Ends all of a kind.
pub(super) async fn delete_kind(
    tx: &mut Tx,
    person: &PersonId,
    kind: AuthenticatorKind,
) -> Result<(), Fault> {
    let sql = "delete from authenticator where person = $1 and kind = $2";
    tx.exec(sql, &[person.into(), kind.as_str().into()]).await.map(drop)
}

/// Replaces the recovery codes of a person.
pub(super) async fn replace_codes(tx: &mut Tx, person: &PersonId, digests: &[[u8; 32]]) -> Result<(), Fault> {
    tx.exec("delete from recovery_code where person = $1", &[person.into()]).await?;
    for digest in digests {
        let sql = "insert into recovery_code (digest, person) values ($1, $2)";
        tx.exec(sql, &[digest.into(), person.into()]).await?;
    }
    Ok(())
}

/// INVARIANT: one statement says whether the code is spent for the first time.
pub(super) async fn spend_code(tx: &mut Tx, person: &PersonId, digest: &[u8; 32]) -> Result<bool, Fault> {
    let sql = "delete from recovery_code where digest = $1 and person = $2";
    Ok(tx.exec(sql, &[digest.into(), person.into()]).await? == 1)
}

/// How many recovery codes a person has left.
pub(super) async fn codes_left(view: &mut View, person: &PersonId) -> Result<i64, Fault> {
    let row = view.row("select count(*) from recovery_code where person = $1", &[person.into()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Keeps a link.
pub(super) async fn insert_invitation(
    tx: &mut Tx,
    digest: &[u8; 32],
    person: &PersonId,
    expires: Timestamp,
    address: Option<&str>,
) -> Result<(), Fault> {
    let sql = "insert into invitation (digest, person, expires, doc) values ($1, $2, $3, $4)";
    let args = [digest.into(), person.into(), expires.into(), address.unwrap_or_default().into()];
    tx.exec(sql, &args).await.map(drop)
}

/// Whose link this is, if it still works.
pub(super) async fn invitation(
    view: &mut View,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<PersonId>, Fault> {
    let sql = "select person from invitation where digest = $1 and expires > $2";
    view.row(sql, &[digest.into(), now.into()]).await?.map(|row| row.parsed(0)).transpose()
}

/// Spends a link; answers with the address that it was sent to, empty where it was handed over, or nothing when it was
/// spent before.
///
/// INVARIANT: one statement says whether it is spent for the first time.
pub(super) async fn spend_invitation(
    tx: &mut Tx,
    digest: &[u8; 32],
    now: Timestamp,
) -> Result<Option<String>, Fault> {
    let sql = "delete from invitation where digest = $1 and expires > $2 returning doc";
    tx.row(sql, &[digest.into(), now.into()]).await?.map(|row| row.text(0)).transpose()
}

/// Forgets links whose time is over.
pub(super) const FORGET_INVITATIONS: &str = "delete from invitation where expires <= $1";

fn document(authenticator: &Authenticator) -> Result<String, Fault> {
    serde_json::to_string(authenticator).map_err(|error| Fault::new("writing an authenticator", error))
}

fn kept(row: &Row) -> Result<Kept, Fault> {
    Ok(Kept {
        authenticator: parsed(serde_json::from_str(&row.text(0)?))?,
        used: row.int(1)?,
        sealed: row.opt_bytes(2)?.map(Sealed::from_bytes),
    })
}
