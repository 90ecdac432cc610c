//! Searching records.

use base::{DecisionId, EventKind, Fault, Position, Timestamp};
use serde_json::{Value, json};
use store::Read;

use super::wanted::Search;
use crate::row::parsed;

/// The most records of one answer.
const LIMIT_MAX: i64 = 1000;
/// The most records that one search looks at. It says where it stopped, and the next goes on there.
const LOOKED_AT_MAX: i64 = 200_000;
/// Among how many records a decision is looked for, from the first of its instant on: it is recorded within
/// seconds or not at all.
const DECISION_WITHIN: i64 = 20_000;

/// A record as it is read.
pub(super) struct Row {
    pub(super) position: i64,
    pub(super) record: Value,
    pub(super) leaf: String,
}

/// Records that match, newest first, and where the search stopped looking.
pub(super) async fn search(
    read: &mut Read,
    search: &Search,
    head: Position,
) -> Result<(Vec<Row>, Option<i64>), Fault> {
    // What must stand in the body word for word is sought by taking it out: both databases compare exactly so, and
    // no sign in it has a meaning of its own.
    let sql = "select position, body, leaf from record
               where position >= $1 and position <= $2
                 and ($3 is null or kind = $3) and ($4 is null or subject = $4)
                 and ($5 is null or task = $5 or subject = $5) and ($6 is null or actor = $6)
                 and ($7 is null or replace(body, $7, '') <> body)
                 and ($8 is null or replace(body, $8, '') <> body)
                 and ($9 is null or subject = $10
                      or (replace(body, $9, '') <> body and replace(body, $11, '') <> body))
               order by position desc limit $12";
    let Window { from, until, is_cut } = Window::of(search.from, search.until, head);
    let limit = if search.limit <= 0 { 100 } else { search.limit.min(LIMIT_MAX) };
    let tool = search.tool.as_ref();
    let args = [
        from.into(),
        until.into(),
        search.kind.map(EventKind::as_str).map(str::to_owned).into(),
        search.subject.clone().into(),
        search.task.as_ref().map(ToString::to_string).into(),
        search.actor.clone().into(),
        search.agent.as_ref().map(|id| quoted(id.as_str())).into(),
        search.person.as_ref().map(|id| quoted(id.as_str())).into(),
        tool.map(|tool| format!("\"name\":{}", json!(tool.tool))).into(),
        tool.and_then(|tool| tool.id.as_ref().map(ToString::to_string)).into(),
        tool.map(|tool| format!("\"server\":{}", quoted(&tool.server))).into(),
        limit.into(),
    ];
    let rows: Vec<Row> = read.rows(sql, &args).await?.iter().map(row).collect::<Result<_, _>>()?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= limit);
    Ok((rows, (is_cut && !is_full).then_some(from)))
}

/// Which records one search looks at.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    from: i64,
    until: i64,
    /// Whether there are earlier ones that were asked for too.
    is_cut: bool,
}

impl Window {
    /// Positions have no gaps, so that their difference is how many records there are.
    fn of(from: Option<i64>, until: Option<i64>, head: Position) -> Self {
        let wanted = from.unwrap_or(1).max(1);
        let until = until.unwrap_or(i64::MAX);
        let from = wanted.max(until.min(head.0).saturating_sub(LOOKED_AT_MAX - 1));
        Self { from, until, is_cut: from > wanted }
    }
}

/// One record.
pub(super) async fn one(read: &mut Read, position: Position) -> Result<Option<Row>, Fault> {
    let sql = "select position, body, leaf from record where position = $1";
    read.row(sql, &[position.into()]).await?.as_ref().map(row).transpose()
}

/// The record of a decision, and before it the one of what became of the act, where there is one.
///
/// A record's time is never earlier than the instant of its request, and the decision's id holds that instant.
pub(super) async fn of_decision(read: &mut Read, decision: &DecisionId) -> Result<Vec<Row>, Fault> {
    let first = first_since(read, decision.time()).await?;
    let sql = "select position, body, leaf from record
               where position >= $1 and position < $2 and replace(body, $3, '') <> body
               order by position limit 1";
    let member = format!("\"decision\":{}", quoted(decision.as_str()));
    let args = [first.into(), first.saturating_add(DECISION_WITHIN).into(), member.into()];
    let Some(found) = read.row(sql, &args).await?.as_ref().map(row).transpose()? else {
        return Ok(Vec::new());
    };
    let ended = "select position, body, leaf from record where intent = $1";
    let outcome = read.row(ended, &[found.position.into()]).await?.as_ref().map(row).transpose()?;
    Ok(outcome.into_iter().chain([found]).collect())
}

/// The position of the first record that is not earlier than an instant; behind the log where there is none. Halves the
/// log until it is found: times never decrease along it.
async fn first_since(read: &mut Read, since: Timestamp) -> Result<i64, Fault> {
    let sql = "with recursive span (low, high) as (
                   select cast($1 as bigint), cast($2 as bigint)
                   union all
                   select case when (select time from record where position = (low + high) / 2) < $3
                               then (low + high) / 2 + 1 else low end,
                          case when (select time from record where position = (low + high) / 2) < $3
                               then high else (low + high) / 2 end
                   from span where low < high
               )
               select low from span where low = high";
    let head = read.head().position;
    let found = read.row(sql, &[1_i64.into(), head.plus(1).into(), since.into()]).await?;
    found.map_or(Ok(head.plus(1).0), |row| row.int(0))
}

/// An id or a name as it stands in canonical JSON: neither holds a sign that would be escaped.
fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn row(row: &store::Row) -> Result<Row, Fault> {
    let record = parsed(serde_json::from_str(&row.text(1)?))?;
    Ok(Row { position: row.int(0)?, record, leaf: hex::encode(row.bytes(2)?) })
}

#[cfg(test)]
mod tests {
    use base::Position;

    use super::{LOOKED_AT_MAX, Window};

    #[test]
    fn a_search_looks_at_no_more_than_it_may_and_goes_on_where_it_stopped() {
        let head = Position(2 * LOOKED_AT_MAX + 10);
        let first = Window::of(None, None, head);
        assert_eq!((first.from, first.is_cut), (LOOKED_AT_MAX + 11, true));
        let second = Window::of(None, Some(first.from - 1), head);
        assert_eq!((second.from, second.until, second.is_cut), (11, LOOKED_AT_MAX + 10, true));
        let third = Window::of(None, Some(second.from - 1), head);
        assert_eq!((third.from, third.until, third.is_cut), (1, 10, false));
        assert!(!Window::of(Some(50), Some(60), head).is_cut);
        assert!(!Window::of(None, None, Position(5)).is_cut);
        for odd in [i64::MIN, -1, 0, i64::MAX] {
            assert!(Window::of(Some(odd), Some(odd), head).from >= 1);
        }
    }
}
