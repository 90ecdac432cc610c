//! From rows to the snapshot: whole at start, thing by thing as records come.

use std::sync::Arc;

use base::{AnyId, Fault, IdKind, Position, Secret, SecretId, TaskId, Timestamp};
use store::{Read, Row, Sealed, Store};

use super::Snapshot;
use crate::{
    catalogue::{Server, Tool},
    client::{self, Client},
    credential, delegation,
    grant::{Grant, Role},
    key,
    kind::{Kind, Thing},
    oauth,
    principal::{Agent, Blueprint, Group, Person, Workload},
    row::parsed,
    rule::Rule,
    secret::KeptSecret,
    session,
    task::{self, TaskState},
};

/// Reads everything, in one state of the database.
pub(crate) async fn load(store: &Store) -> Result<Snapshot, Fault> {
    let mut read = store.read_ahead().await?;
    let head = read.head();
    let mut snapshot =
        Snapshot { position: head.position, generation: head.generation, ..Snapshot::default() };
    // Each kind after those that it refers to.
    all::<Person>(&mut read, &mut snapshot).await?;
    all::<Blueprint>(&mut read, &mut snapshot).await?;
    all::<Agent>(&mut read, &mut snapshot).await?;
    all::<Workload>(&mut read, &mut snapshot).await?;
    all::<Group>(&mut read, &mut snapshot).await?;
    all::<KeptSecret>(&mut read, &mut snapshot).await?;
    all::<Client>(&mut read, &mut snapshot).await?;
    all::<Server>(&mut read, &mut snapshot).await?;
    all::<Tool>(&mut read, &mut snapshot).await?;
    all::<Role>(&mut read, &mut snapshot).await?;
    all::<Grant>(&mut read, &mut snapshot).await?;
    all::<Rule>(&mut read, &mut snapshot).await?;
    for row in read.rows("select id, sealed from secret_value", &[]).await? {
        open_secret(store, &mut snapshot, &row)?;
    }
    for task in task::open_tasks(&mut read).await? {
        snapshot.used.insert_mut(task.id.clone(), store.count_usage(&task.id));
        snapshot.keep_task(Arc::new(task));
    }
    let open: Vec<TaskId> = snapshot.used.keys().cloned().collect();
    store.refresh_usage(&mut read, &open).await?;
    credential::load_all(&mut read, &mut snapshot).await?;
    key::load_all(store, &mut read, &mut snapshot).await?;
    client::load_all(&mut read, &mut snapshot).await?;
    delegation::load_all(&mut read, &mut snapshot, head.time).await?;
    session::load_all(&mut read, &mut snapshot, head.time).await?;
    oauth::load_revoked_tokens(&mut read, &mut snapshot, head.time).await?;
    // The kind stands in the text, for an index of these few records to be found by it.
    let revoked = "select subject, max(position) from record
                   where kind = 'authority.revoked' and subject is not null group by subject";
    for row in read.rows(revoked, &[]).await? {
        snapshot.revoked.insert_mut(parsed(row.text(0)?.parse::<AnyId>())?, Position(row.int(1)?));
    }
    Ok(snapshot)
}

/// Reads again what one record is about. Whatever the record says, the database says what is true now; `read` is
/// at least as new as the record.
pub(crate) async fn reload(
    store: &Store,
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    match id.kind() {
        IdKind::PersonId => one::<Person>(read, snapshot, id).await,
        IdKind::BlueprintId => one::<Blueprint>(read, snapshot, id).await,
        IdKind::AgentId => one::<Agent>(read, snapshot, id).await,
        IdKind::WorkloadId => one::<Workload>(read, snapshot, id).await,
        IdKind::GroupId => one::<Group>(read, snapshot, id).await,
        IdKind::ServerId => one::<Server>(read, snapshot, id).await,
        IdKind::ToolId => one::<Tool>(read, snapshot, id).await,
        IdKind::RoleId => one::<Role>(read, snapshot, id).await,
        IdKind::GrantId => one::<Grant>(read, snapshot, id).await,
        IdKind::PolicyId => one::<Rule>(read, snapshot, id).await,
        IdKind::SecretId => {
            one::<KeptSecret>(read, snapshot, id).await?;
            secret_value(store, read, snapshot, id).await
        }
        IdKind::TaskId => reload_task(store, read, snapshot, id).await,
        IdKind::CredentialId => credential::reload(read, snapshot, id).await,
        IdKind::KeyId => key::reload(store, read, snapshot, id).await,
        IdKind::TokenId => {
            credential::reload_api_token(read, snapshot, id).await?;
            oauth::reload_revoked_token(read, snapshot, id).await
        }
        IdKind::SessionId => session::reload(read, snapshot, id).await,
        IdKind::ClientId => {
            one::<Client>(read, snapshot, id).await?;
            client::reload(read, snapshot, id).await
        }
        IdKind::DelegationId => delegation::reload(read, snapshot, id).await,
        IdKind::AuthenticatorId | IdKind::TenantId | IdKind::DecisionId | IdKind::PayloadId => Ok(()),
    }
}

async fn all<K: Kind>(read: &mut Read, snapshot: &mut Snapshot) -> Result<(), Fault> {
    for row in read.rows(K::SQL.all, &[]).await? {
        snapshot.keep(Arc::new(thing::<K>(&row)?));
    }
    Ok(())
}

async fn one<K: Kind>(read: &mut Read, snapshot: &mut Snapshot, id: &AnyId) -> Result<(), Fault> {
    match read.row(K::SQL.one, &[id.into()]).await? {
        Some(row) => snapshot.keep(Arc::new(thing::<K>(&row)?)),
        None => {
            if let Ok(id) = id.as_str().parse() {
                snapshot.forget::<K>(&id);
            }
        }
    }
    Ok(())
}

fn thing<K: Kind>(row: &Row) -> Result<Thing<K>, Fault> {
    Ok(Thing {
        id: parsed(row.text(0)?.parse())?,
        name: row.text(1)?.into(),
        version: row.int(2)?,
        created: Timestamp::from_millis(row.int(3)?),
        body: parsed(serde_json::from_str(&row.text(4)?))?,
    })
}

async fn secret_value(
    store: &Store,
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    if let Some(row) = read.row("select id, sealed from secret_value where id = $1", &[id.into()]).await? {
        return open_secret(store, snapshot, &row);
    }
    if let Ok(id) = id.as_str().parse::<SecretId>() {
        snapshot.vault.remove_mut(&id);
    }
    Ok(())
}

fn open_secret(store: &Store, snapshot: &mut Snapshot, row: &Row) -> Result<(), Fault> {
    let id: SecretId = parsed(row.text(0)?.parse())?;
    let value = store.open_sealed(id.as_str(), &Sealed::from_bytes(row.bytes(1)?))?;
    let value = Secret::new(parsed(String::from_utf8(value.to_vec()))?);
    snapshot.vault.insert_mut(id, Arc::new(value));
    Ok(())
}

async fn reload_task(
    store: &Store,
    read: &mut Read,
    snapshot: &mut Snapshot,
    id: &AnyId,
) -> Result<(), Fault> {
    let id: TaskId = parsed(id.as_str().parse())?;
    if let Some(task) = task::load_task(read, &id).await? {
        if task.state == TaskState::Open && !snapshot.used.contains_key(&id) {
            snapshot.used.insert_mut(id.clone(), store.count_usage(&id));
            store.refresh_usage(read, std::slice::from_ref(&id)).await?;
        }
        snapshot.keep_task(Arc::new(task));
    }
    Ok(())
}
