//! Sessions in the database.

use std::sync::Arc;

use base::{AnyId, Fault, PersonId, SessionId, Timestamp};
use store::{Read, Row, Tx, View};

use super::model::Session;
use crate::{
    row::parsed,
    snapshot::{Snapshot, prune},
};

/// Puts the sessions that have not ended into the snapshot.
pub(crate) async fn load_all(read: &mut Read, snapshot: &mut Snapshot, now: Timestamp) -> Result<(), Fault> {
    let sql = "select doc, digest, ended from session where not ended and expires > $1";
    for row in read.rows(sql, &[now.into()]).await? {
        keep(snapshot, &row)?;
    }
    Ok(())
}

/// Reads one session again.
pub(crate) async fn reload(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    let id: SessionId = parsed(id.as_str().parse())?;
    snapshot.forget_session(&id);
    match read.row("select doc, digest, ended from session where id = $1", &[(&id).into()]).await? {
        Some(row) => keep(snapshot, &row)?,
        None => return Ok(()),
    }
    let now = read.head().time;
    for (_, over) in prune(&mut snapshot.sessions, |session| session.expires <= now) {
        snapshot.session_digests.remove_mut(&over.id);
    }
    Ok(())
}

fn keep(snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    if !row.bool(2)? {
        let session: Session = parsed(serde_json::from_str(&row.text(0)?))?;
        snapshot.keep_session(row.array(1)?, Arc::new(session));
    }
    Ok(())
}

pub(super) async fn insert(tx: &mut Tx, session: &Session, digest: &[u8; 32]) -> Result<(), Fault> {
    let sql = "insert into session (id, digest, person, ended, seen, expires, doc) values ($1, $2, $3, $4, $5, $6, $7)";
    let args = [
        (&session.id).into(),
        digest.into(),
        (&session.proof.person).into(),
        false.into(),
        session.began.into(),
        session.expires.into(),
        document(session)?.into(),
    ];
    tx.exec(sql, &args).await.map(drop)
}

/// Gives a session another secret and another proof; false when it ended or its secret was replaced already.
///
/// INVARIANT: the old secret is worthless from this statement on.
pub(super) async fn replace(
    tx: &mut Tx,
    session: &Session,
    before: &[u8; 32],
    after: &[u8; 32],
) -> Result<bool, Fault> {
    let sql =
        "update session set digest = $3, doc = $4, expires = $5 where id = $1 and digest = $2 and not ended";
    let args = [
        (&session.id).into(),
        before.into(),
        after.into(),
        document(session)?.into(),
        session.expires.into(),
    ];
    Ok(tx.exec(sql, &args).await? == 1)
}

/// Ends a person's session; false when they have no such.
pub(super) async fn end(tx: &mut Tx, person: &PersonId, id: &SessionId) -> Result<bool, Fault> {
    let sql = "update session set ended = true where id = $1 and person = $2 and not ended";
    Ok(tx.exec(sql, &[id.into(), person.into()]).await? == 1)
}

/// The ids of a person's sessions that have not ended, the oldest first, with when each was last used.
pub(super) async fn of_person(
    view: &mut View,
    person: &PersonId,
) -> Result<Vec<(SessionId, Timestamp)>, Fault> {
    let sql = "select id, seen from session where person = $1 and not ended order by id";
    let rows = view.rows(sql, &[person.into()]).await?;
    rows.iter().map(|row| Ok((row.parsed(0)?, row.time(1)?))).collect()
}

/// When a session was last used.
pub(super) async fn seen(view: &mut View, id: &SessionId) -> Result<Option<Timestamp>, Fault> {
    view.row("select seen from session where id = $1 and not ended", &[id.into()])
        .await?
        .map(|row| row.time(0))
        .transpose()
}

pub(super) async fn touch(tx: &mut Tx, id: &SessionId, now: Timestamp) -> Result<(), Fault> {
    let sql = "update session set seen = $2 where id = $1 and seen < $2";
    tx.exec(sql, &[id.into(), now.into()]).await.map(drop)
}

/// Forgets sessions whose time is over.
pub(super) const FORGET: &str = "delete from session where expires <= $1";

fn document(session: &Session) -> Result<String, Fault> {
    serde_json::to_string(session).map_err(|error| Fault::new("writing a session", error))
}
