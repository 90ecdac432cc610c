//! The log, for those who may read it: search, payloads, exports, proofs. Reads only.

mod names;
mod store;
mod wanted;

pub use wanted::{AuditRefusal, Wanted};

use std::collections::BTreeMap;

use base::{DecisionId, Error, Fault, PayloadId, Position};
use serde::Serialize;

use crate::control::Control;
use store::Row;

/// A record as the API shows it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct RecordView {
    /// Its number.
    pub position: i64,
    /// The record itself: canonical JSON, parsed.
    #[schema(value_type = Object)]
    pub record: serde_json::Value,
    /// The hash of its leaf in the Merkle tree (RFC 6962), hexadecimal.
    pub leaf: String,
    /// What the ids in the record are called now. Names have no place in what is never erased, so they are added
    /// when somebody reads, and are no part of what the tree proves.
    #[schema(value_type = Object)]
    pub names: BTreeMap<String, String>,
}

/// What a search found.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Records {
    /// Newest first.
    pub records: Vec<RecordView>,
    /// Where the search stopped looking although there are earlier records; absent when it went through all that
    /// was asked for, or is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searched_from: Option<i64>,
}

impl Control {
    /// Records that match, newest first.
    pub async fn search_records(&self, wanted: Wanted) -> Result<Records, Error> {
        let (search, head) = {
            let known = self.snapshot();
            (wanted.resolved(&known)?, known.position)
        };
        let mut read = self.store().read().await?;
        let (rows, searched_from) = match &search.decision {
            Some(decision) => (store::of_decision(&mut read, decision).await?, None),
            None => store::search(&mut read, &search, head).await?,
        };
        drop(read);
        Ok(Records { records: rows.into_iter().map(|row| self.view(row)).collect(), searched_from })
    }

    /// One record, with the payload that it names, if that has not been erased.
    pub async fn show_record(
        &self,
        position: Position,
    ) -> Result<Option<(RecordView, Option<String>)>, Error> {
        let row = store::one(&mut self.store().read().await?, position).await?;
        Ok(self.shown(row).await?)
    }

    /// The record of a decision in the same way: what was allowed or refused under this id.
    pub async fn show_decision(
        &self,
        decision: &DecisionId,
    ) -> Result<Option<(RecordView, Option<String>)>, Error> {
        let row = store::of_decision(&mut self.store().read().await?, decision).await?.pop();
        Ok(self.shown(row).await?)
    }

    async fn shown(&self, row: Option<Row>) -> Result<Option<(RecordView, Option<String>)>, Fault> {
        let Some(row) = row else { return Ok(None) };
        let named = row
            .record
            .pointer("/data/arguments/payload")
            .and_then(|id| id.as_str()?.parse::<PayloadId>().ok());
        let payload = match named {
            Some(id) => match self.store().open_payload(Position(row.position), &id).await? {
                Some(::store::Payload::Kept { content, .. }) => {
                    Some(String::from_utf8_lossy(&content).into_owned())
                }
                Some(::store::Payload::Erased) | None => None,
            },
            None => None,
        };
        Ok(Some((self.view(row), payload)))
    }

    fn view(&self, row: Row) -> RecordView {
        let names = names::in_record(&row.record, &self.snapshot());
        RecordView { position: row.position, record: row.record, leaf: row.leaf, names }
    }

    /// The size of the log under the newest checkpoint.
    pub async fn checkpoint_size(&self) -> Result<Option<u64>, Error> {
        // A checkpoint's second line is its size (C2SP tlog-checkpoint).
        let note = self.store().checkpoint().await?;
        Ok(note.and_then(|note| note.lines().nth(1).and_then(|size| size.parse().ok())))
    }
}
