//! One attempt at writing a batch.

use std::{collections::HashSet, sync::LazyLock};

use base::{Fault, Position};

use super::{
    item::{Item, Role, State},
    proof, usage,
};
use crate::{
    Value,
    engine::{Conn, Shaped, list, values},
    log::{append, lock_head, read_head},
    store::{Inner, refuse_older},
};

static INSERT_PAYLOADS: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        format!("insert into payload (id, task, at, key_sealed, ciphertext) values {}", values(rows, 5))
    })
});
static INSERT_OPEN: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        format!("insert into open_intent (position, task, server, at, node) values {}", values(rows, 5))
    })
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
/// intents are tested twice: before the others, to keep those that are surely too late out, and under the lock.
pub(super) async fn attempt(inner: &Inner, items: &mut [Item]) -> Result<Attempt, Fault> {
    for item in items.iter_mut() {
        item.state = State::Good;
    }
    let mut conn = inner.engine.begin_batch().await?;
    let seen = read_head(&mut conn).await?;
    mark_moved(items, seen.guard);

    proof::claim(&mut conn, items).await?;
    let used = usage::take(&mut conn, inner.engine.dialect(), items).await?;
    proof::release(&mut conn, items).await?;
    write_payloads(&mut conn, items).await?;

    let head = lock_head(&mut conn).await?;
    refuse_older(inner.keeper.known().as_ref(), &head)?;
    // INVARIANT: no record that may take authority away stands between an intent's guard and its position.
    // Debits and proofs of items that moved only now are undone by giving everything up and beginning again.
    if head.guard != seen.guard && mark_moved(items, head.guard) {
        conn.rollback().await?;
        return Ok(Attempt::Moved);
    }

    close_intents(&mut conn, items).await?;
    let drafts: Vec<_> =
        items.iter().filter(|item| item.is_good()).filter_map(|item| item.draft.as_ref()).collect();
    let after = append(&mut conn, head, &drafts).await?;
    give_positions(items, head.position);
    open_intents(&mut conn, &inner.node, items).await?;
    // What is late has no record, but its bytes have flowed and are counted.
    if items.iter().any(|item| matches!(item.state, State::Written(_) | State::Late)) {
        conn.commit().await?;
        // Nobody who follows the log is woken: nothing that they know has changed.
        inner.usages.committed(used.iter().map(usage::total));
        inner.usages.wrote(head.position, after.position);
        inner.keeper.note(after);
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

/// Says where each written item stands, as `append` placed them.
fn give_positions(items: &mut [Item], before: Position) {
    let mut position = before;
    for item in items.iter_mut().filter(|item| item.is_good()) {
        item.state = State::Written(item.draft.as_ref().map(|_| {
            position = position.plus(1);
            position
        }));
    }
}

async fn write_payloads(conn: &mut Conn, items: &[Item]) -> Result<(), Fault> {
    let payloads: Vec<_> =
        items.iter().filter(|item| item.is_good()).filter_map(|item| item.payload.as_ref()).collect();
    for (sql, payloads) in INSERT_PAYLOADS.split(&payloads) {
        let args: Vec<Value> = payloads.iter().flat_map(|payload| payload.values()).collect();
        conn.exec(sql, &args).await?;
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

async fn open_intents(conn: &mut Conn, node: &str, items: &[Item]) -> Result<(), Fault> {
    let mut opened: Vec<[Value; 5]> = Vec::new();
    for item in items {
        let (State::Written(Some(position)), Some(draft)) = (&item.state, &item.draft) else { continue };
        if let Role::Intent { server, .. } = &item.role {
            opened.push([
                (*position).into(),
                draft.task.as_ref().into(),
                server.as_ref().into(),
                draft.now.into(),
                node.into(),
            ]);
        }
    }
    for (sql, rows) in INSERT_OPEN.split(&opened) {
        conn.exec(sql, &rows.concat()).await?;
    }
    Ok(())
}
