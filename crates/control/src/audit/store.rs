//! Searching records.

use base::Fault;
use serde::Deserialize;
use store::Read;

use super::RecordView;
use crate::row::parsed;

/// The most records of one answer.
const LIMIT_MAX: i64 = 1000;

/// Which records. Everything that is given must match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// From this position on.
    pub from: Option<i64>,
    /// Up to this position.
    pub until: Option<i64>,
    /// Of this kind.
    pub kind: Option<String>,
    /// About this id.
    pub subject: Option<String>,
    /// Within this task.
    pub task: Option<String>,
    /// Caused by this actor.
    pub actor: Option<String>,
    /// At most so many; 100 when absent, 1,000 at most.
    pub limit: i64,
}

/// Records that match, newest first.
pub(super) async fn search(read: &mut Read, search: &Search) -> Result<Vec<RecordView>, Fault> {
    let sql = "select position, body, leaf from record
               where position >= $1 and position <= $2
                 and ($3 is null or kind = $3) and ($4 is null or subject = $4)
                 and ($5 is null or task = $5) and ($6 is null or actor = $6)
               order by position desc limit $7";
    let limit = if search.limit <= 0 { 100 } else { search.limit.min(LIMIT_MAX) };
    let args = [
        search.from.unwrap_or(0).into(),
        search.until.unwrap_or(i64::MAX).into(),
        search.kind.clone().into(),
        search.subject.clone().into(),
        search.task.clone().into(),
        search.actor.clone().into(),
        limit.into(),
    ];
    let rows = read.rows(sql, &args).await?;
    rows.iter()
        .map(|row| {
            let record = parsed(serde_json::from_str(&row.text(1)?))?;
            Ok(RecordView { position: row.int(0)?, record, leaf: hex::encode(row.bytes(2)?) })
        })
        .collect()
}
