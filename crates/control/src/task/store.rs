//! Tasks in the database.

use base::{AgentId, Event, EventKind, Fault, TaskId, Timestamp};
use store::{Read, Row, Tx};

use super::model::{Task, TaskState};
use crate::row::parsed;

const COLUMNS_ONE: &str = "select doc, state from task where id = $1";
const OPEN: &str = "select doc, state from task where state = 'open' order by depth, id";

/// All tasks that are open.
pub(crate) async fn open_tasks(read: &mut Read) -> Result<Vec<Task>, Fault> {
    read.rows(OPEN, &[]).await?.iter().map(task).collect()
}

/// One task, whatever its state.
pub(crate) async fn load_task(read: &mut Read, id: &TaskId) -> Result<Option<Task>, Fault> {
    read.row(COLUMNS_ONE, &[id.into()]).await?.as_ref().map(task).transpose()
}

/// Keeps a new task, with what it may use up.
pub(super) async fn insert(tx: &mut Tx, task: &Task) -> Result<(), Fault> {
    let doc = serde_json::to_string(task).map_err(|error| Fault::new("writing a task", error))?;
    let sql = "insert into task (id, agent, person, parent, root, depth, state, deadline, doc)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let args = [
        (&task.id).into(),
        (&task.agent).into(),
        task.person.as_ref().into(),
        task.parent.as_ref().into(),
        (&task.root).into(),
        task.depth.into(),
        task.state.as_str().into(),
        task.scope.deadline.into(),
        doc.into(),
    ];
    tx.exec(sql, &args).await?;
    let sql = "insert into task_usage (task, calls_used, calls_max, bytes_used, bytes_max) values ($1, 0, $2, 0, $3)";
    tx.exec(sql, &[(&task.id).into(), task.limits.calls_max.into(), task.limits.bytes_max.into()]).await?;
    Ok(())
}

/// Keeps what an open task covers now; false when it is not open any more.
pub(super) async fn rescope(tx: &mut Tx, task: &Task) -> Result<bool, Fault> {
    let doc = serde_json::to_string(task).map_err(|error| Fault::new("writing a task", error))?;
    let sql = "update task set doc = $1 where id = $2 and state = 'open'";
    Ok(tx.exec(sql, &[doc.into(), (&task.id).into()]).await? == 1)
}

/// Ends an open task and all its open descendants; answers with the record of each, the task's own first. Empty
/// when it was not open any more.
pub(crate) async fn end(
    tx: &mut Tx,
    id: &TaskId,
    state: TaskState,
    reason: &str,
) -> Result<Vec<Event>, Fault> {
    let sql = "with recursive tree (id) as (
                   select id from task where id = $1 and state = 'open'
                   union all
                   select task.id from task join tree on task.parent = tree.id where task.state = 'open')
               update task set state = $2 where id in (select id from tree) returning id, depth";
    let kind = match state {
        TaskState::Completed => EventKind::TaskCompleted,
        TaskState::Expired => EventKind::TaskExpired,
        TaskState::Killed | TaskState::Open => EventKind::TaskKilled,
    };
    let mut ended = Vec::new();
    for row in tx.rows(sql, &[id.into(), state.as_str().into()]).await? {
        ended.push((row.int(1)?, parsed(row.text(0)?.parse::<TaskId>())?));
    }
    ended.sort();
    Ok(ended
        .into_iter()
        .map(|(_, ended)| {
            let data = serde_json::json!({ "reason": reason, "with": (&ended != id).then_some(id) });
            Event::new(kind, &ended, data).within(ended.clone())
        })
        .collect())
}

/// Tasks whose deadline has passed and that nobody ended.
pub(super) async fn overdue(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<TaskId>, Fault> {
    let sql = "select id from task where state = 'open' and deadline <= $1 order by depth, id limit $2";
    tx.rows(sql, &[now.into(), limit.into()]).await?.iter().map(|row| parsed(row.text(0)?.parse())).collect()
}

/// Open tasks of an agent or on behalf of a person.
pub(crate) async fn open_of(tx: &mut Tx, principal: &str) -> Result<Vec<TaskId>, Fault> {
    let sql = "select id from task where state = 'open' and (agent = $1 or person = $1) order by depth, id";
    tx.rows(sql, &[principal.into()]).await?.iter().map(|row| parsed(row.text(0)?.parse())).collect()
}

/// All open tasks of an agent, oldest first.
pub(super) async fn open_of_agent(tx: &mut Tx, agent: &AgentId) -> Result<Vec<Task>, Fault> {
    let sql = "select doc, state from task where state = 'open' and agent = $1 order by id";
    tx.rows(sql, &[agent.into()]).await?.iter().map(task).collect()
}

/// What a task has used: calls and bytes.
pub(crate) async fn usage(read: &mut Read, id: &TaskId) -> Result<(i64, i64), Fault> {
    let sql = "select calls_used, bytes_used from task_usage where task = $1";
    match read.row(sql, &[id.into()]).await? {
        Some(row) => Ok((row.int(0)?, row.int(1)?)),
        None => Ok((0, 0)),
    }
}

fn task(row: &Row) -> Result<Task, Fault> {
    let mut task: Task = parsed(serde_json::from_str(&row.text(0)?))?;
    let state = row.text(1)?;
    task.state = parsed(TaskState::parse(&state).ok_or_else(|| format!("`{state}` is no state of a task")))?;
    Ok(task)
}

/// All open tasks.
pub(crate) async fn all_open(tx: &mut Tx) -> Result<Vec<TaskId>, Fault> {
    let sql = "select id from task where state = 'open' order by depth, id";
    tx.rows(sql, &[]).await?.iter().map(|row| parsed(row.text(0)?.parse())).collect()
}
