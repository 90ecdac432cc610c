//! The limits of tasks: counted under row locks, so no race goes beyond them.

use std::{collections::BTreeMap, sync::LazyLock};

use base::{Fault, TaskId};

use super::{
    Debit, Limit,
    item::{Item, Role, State},
};
use crate::engine::{Conn, Dialect, Shaped, list, values};

const COLUMNS: &str =
    "select task, calls_used, calls_max, bytes_used, bytes_max from task_usage where task in";

static READ_SQLITE: LazyLock<Shaped> =
    LazyLock::new(|| Shaped::new(|rows| format!("{COLUMNS} ({}) order by task", list(rows))));
/// PostgreSQL must lock what it reads. In the order of the ids, so that nodes do not wait for each other.
static READ_POSTGRES: LazyLock<Shaped> =
    LazyLock::new(|| Shaped::new(|rows| format!("{COLUMNS} ({}) order by task for update", list(rows))));

static WRITE: LazyLock<Shaped> = LazyLock::new(|| {
    Shaped::new(|rows| {
        let values = values(rows, 3);
        format!(
            "update task_usage set calls_used = v.column2, bytes_used = v.column3 \
             from (values {values}) as v where task_usage.task = v.column1"
        )
    })
});

/// One task's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    calls_used: i64,
    calls_max: Option<i64>,
    bytes_used: i64,
    bytes_max: Option<i64>,
}

impl Usage {
    /// Which limit does not admit the debit. A limit that is used up admits nothing, not even what costs nothing.
    fn refuses(&self, debit: &Debit) -> Option<Limit> {
        let full = |used: i64, more: i64, max: Option<i64>| {
            max.is_some_and(|max| used >= max || used.checked_add(more).is_none_or(|sum| sum > max))
        };
        if full(self.calls_used, debit.calls, self.calls_max) {
            Some(Limit::Calls)
        } else if full(self.bytes_used, debit.bytes, self.bytes_max) {
            Some(Limit::Bytes)
        } else {
            None
        }
    }

    fn take(&mut self, debit: &Debit) {
        self.calls_used = self.calls_used.saturating_add(debit.calls);
        self.bytes_used = self.bytes_used.saturating_add(debit.bytes);
    }
}

type Usages = BTreeMap<TaskId, Usage>;

/// What a task has used in all: calls and bytes.
pub(super) const fn total((task, usage): &(TaskId, Usage)) -> (&TaskId, i64, i64) {
    (task, usage.calls_used, usage.bytes_used)
}

/// Takes the debits of the good items, in their order; items that a limit does not admit become limited. Answers with
/// the usage of the tasks whose usage changed, which is true once the transaction is committed.
pub(super) async fn take(
    conn: &mut Conn,
    dialect: Dialect,
    items: &mut [Item],
) -> Result<Vec<(TaskId, Usage)>, Fault> {
    let mut usages = lock(conn, dialect, items).await?;
    let before = usages.clone();
    for item in items.iter_mut().filter(|item| item.is_good()) {
        match item.role {
            Role::Intent { .. } => {
                if let Err((task, limit)) = debit_all(&mut usages, &item.debits) {
                    item.state = State::Limited(task, limit);
                }
            }
            // What has flowed has flowed, and what was promised goes on.
            Role::Promised(_) | Role::Outcome { .. } | Role::Other => {
                for debit in &item.debits {
                    if let Some(usage) = usages.get_mut(&debit.task) {
                        usage.take(debit);
                    }
                }
            }
        }
    }
    let changed: Vec<_> =
        usages.into_iter().filter(|(task, usage)| before.get(task) != Some(usage)).collect();
    for (sql, rows) in WRITE.split(&changed) {
        let args: Vec<_> = rows
            .iter()
            .flat_map(|(task, usage)| [task.into(), usage.calls_used.into(), usage.bytes_used.into()])
            .collect();
        conn.exec(sql, &args).await?;
    }
    Ok(changed)
}

/// All of an entry's debits or none.
fn debit_all(usages: &mut Usages, debits: &[Debit]) -> Result<(), (TaskId, Limit)> {
    let mut taken: Vec<(&TaskId, Usage)> = Vec::with_capacity(debits.len());
    let mut refused = None;
    for debit in debits {
        let Some(usage) = usages.get_mut(&debit.task) else {
            refused = Some((debit.task.clone(), Limit::Absent));
            break;
        };
        if let Some(limit) = usage.refuses(debit) {
            refused = Some((debit.task.clone(), limit));
            break;
        }
        taken.push((&debit.task, usage.clone()));
        usage.take(debit);
    }
    let Some(refused) = refused else { return Ok(()) };
    for (task, before) in taken.into_iter().rev() {
        usages.insert(task.clone(), before);
    }
    Err(refused)
}

async fn lock(conn: &mut Conn, dialect: Dialect, items: &[Item]) -> Result<Usages, Fault> {
    let mut tasks: Vec<&TaskId> = items
        .iter()
        .filter(|item| item.is_good())
        .flat_map(|item| &item.debits)
        .map(|debit| &debit.task)
        .collect();
    tasks.sort_unstable();
    tasks.dedup();
    let read = match dialect {
        Dialect::Sqlite => &*READ_SQLITE,
        Dialect::Postgres => &*READ_POSTGRES,
    };
    let mut usages = Usages::new();
    for (sql, tasks) in read.split(&tasks) {
        let args: Vec<_> = tasks.iter().map(|&task| task.into()).collect();
        for row in conn.rows(sql, &args).await? {
            let usage = Usage {
                calls_used: row.int(1)?,
                calls_max: row.opt_int(2)?,
                bytes_used: row.int(3)?,
                bytes_max: row.opt_int(4)?,
            };
            usages.insert(row.parsed(0)?, usage);
        }
    }
    Ok(usages)
}
