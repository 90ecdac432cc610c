//! One attempt at writing a batch.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use base::{Fault, PlaceKey, Position};

use super::{
    item::{Item, Role, State},
    proof, usage,
};
use crate::{
    Value,
    engine::{Conn, Shaped, list, values},
    log::{append, lock_head},
    store::{Inner, refuse_older},
};

static INSERT_PAYLOADS: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        format!("insert into payload (position, id, salt, ciphertext) values {}", values(rows, 4))
    })
});
static INSERT_OPEN: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| format!("insert into open_intent (position, at, node) values {}", values(rows, 3)))
});
static DELETE_OPEN: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        format!("delete from open_intent where position in ({}) returning position", list(rows))
    })
});

/// How an attempt ended.
pub(super) enum Attempt {
    /// Every item has its answer, and what is written is durable.
    Committed,
    /// Authority moved while the batch was on its way: some items became `Moved`, nothing was kept.
    Moved,
}

/// Writes what can be written of the items, in one transaction. On a fault, and on `Moved`, nothing is kept.
///
/// Row locks are taken in the order proofs, task usage, head. The head's lock comes last, so the guards of
/// intents are tested twice: first against the head that this node knows, to keep those that are surely too late out, and
/// again under the lock.
pub(super) async fn attempt(inner: &Inner, items: &mut [Item]) -> Result<Attempt, Fault> {
    for item in items.iter_mut() {
        item.state = State::Good;
    }
    if let Some(known) = inner.keeper.known() {
        mark_moved(items, known.guard);
    }
    let mut conn = inner.engine.begin_batch().await?;
    proof::claim(&mut conn, items).await?;
    let used = usage::take(&mut conn, inner.engine.dialect(), items).await?;
    proof::release(&mut conn, items).await?;

    let head = lock_head(&mut conn).await?;
    refuse_older(inner.keeper.known().as_ref(), &head)?;
    // INVARIANT: no record that may take authority away stands between an intent's guard and its position.
    // Debits and proofs of items that moved only now are undone by giving everything up and beginning again.
    if mark_moved(items, head.guard) {
        conn.rollback().await?;
        return Ok(Attempt::Moved);
    }

    close_intents(&mut conn, items).await?;
    let ended = give_positions(items, head.position);
    let drafts: Vec<_> =
        items.iter().filter(|item| item.is_written()).filter_map(|item| item.draft.as_ref()).collect();
    let appended = append(&mut conn, head, &drafts).await?;
    open_intents(&mut conn, &inner.node, items, &ended).await?;
    write_payloads(&mut conn, items).await?;
    // What is late has no record, but its bytes have flowed and are counted.
    if items.iter().any(|item| matches!(item.state, State::Written(_) | State::Late)) {
        conn.commit().await?;
        // Nobody who follows the log is woken: nothing that they know has changed.
        inner.usages.committed(used.iter().map(usage::total));
        inner.usages.wrote(appended.before, appended.head.position);
        inner.appended(&appended);
    } else {
        conn.rollback().await?;
    }
    Ok(Attempt::Committed)
}

/// Marks good intents that were decided before `guard`; says whether there were any.
fn mark_moved(items: &mut [Item], guard: Position) -> bool {
    let mut any = false;
    for item in items.iter_mut().filter(|item| item.is_good()) {
        if item.guard().is_some_and(|decided| decided < guard) {
            item.state = State::Moved;
            any = true;
        }
    }
    any
}

/// Says where each good item will stand, in the order in which `append` places them, and tells outcomes of promised intents
/// of the same batch. Answers with where those intents stand: they are over.
fn give_positions(items: &mut [Item], before: Position) -> HashSet<Position> {
    let mut promised: HashMap<PlaceKey, Position> = HashMap::new();
    let mut ended = HashSet::new();
    let mut position = before;
    for item in items.iter_mut().filter(|item| item.is_good()) {
        let Some(draft) = &mut item.draft else {
            item.state = State::Written(None);
            continue;
        };
        if let Role::Outcome { intent } = &item.role {
            // Where its intent stands may not have been known yet when it was left.
            draft.intent = intent.position().or_else(|| promised.remove(&intent.key()));
            let Some(stands) = draft.intent else {
                // It came into the line behind its intent, which is written with the first batch that can be.
                tracing::error!("an outcome came without its intent");
                item.state = State::Late;
                continue;
            };
            if intent.position().is_none() {
                ended.insert(stands);
            }
        }
        position = position.plus(1);
        item.state = State::Written(Some(position));
        if let Role::Promised(pledge) = &item.role {
            promised.insert(pledge.place().key(), position);
        }
    }
    ended
}

async fn write_payloads(conn: &mut Conn, items: &[Item]) -> Result<(), Fault> {
    let written = items.iter().filter_map(|item| match &item.state {
        State::Written(Some(position)) => Some(item.payload.as_ref()?.values(*position)),
        _ => None,
    });
    let rows: Vec<[Value; 4]> = written.collect();
    for (sql, rows) in INSERT_PAYLOADS.split(&rows) {
        conn.exec(sql, rows.as_flattened()).await?;
    }
    Ok(())
}

/// Closes the intents that have their outcome now.
///
/// INVARIANT: an intent has one outcome. One that is closed already was ended by the sweeper, or its outcome came
/// twice: what comes later is late and is not written.
async fn close_intents(conn: &mut Conn, items: &mut [Item]) -> Result<(), Fault> {
    let ended = items.iter().filter(|item| item.is_good()).filter_map(Item::ends);
    let ended: Vec<Position> = ended.collect();
    let mut closed = HashSet::with_capacity(ended.len());
    for (sql, positions) in DELETE_OPEN.split(&ended) {
        let args: Vec<Value> = positions.iter().map(|&position| position.into()).collect();
        for row in conn.rows(sql, &args).await? {
            closed.insert(row.position(0)?);
        }
    }
    for item in items.iter_mut().filter(|item| item.is_good()) {
        if item.ends().is_some_and(|intent| !closed.remove(&intent)) {
            item.state = State::Late;
        }
    }
    Ok(())
}

async fn open_intents(
    conn: &mut Conn,
    node: &str,
    items: &[Item],
    ended: &HashSet<Position>,
) -> Result<(), Fault> {
    let opened = items.iter().filter_map(|item| match (&item.state, &item.draft, &item.role) {
        (State::Written(Some(position)), Some(draft), Role::Intent { .. } | Role::Promised(_)) => {
            (!ended.contains(position)).then(|| [(*position).into(), draft.now.into(), node.into()])
        }
        _ => None,
    });
    let rows: Vec<[Value; 3]> = opened.collect();
    for (sql, rows) in INSERT_OPEN.split(&rows) {
        conn.exec(sql, rows.as_flattened()).await?;
    }
    Ok(())
}
