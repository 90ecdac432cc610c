//! The log, for those who may read it: search, payloads, exports, proofs. Reads only.

mod store;

pub use store::Search;

use base::{Error, PayloadId, Position};
use serde::Serialize;

use crate::control::Control;

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
}

impl Control {
    /// Records that match, newest first.
    pub async fn search_records(&self, search: &Search) -> Result<Vec<RecordView>, Error> {
        Ok(store::search(&mut self.store().read().await?, search).await?)
    }

    /// One record, with the payload that it names, if that has not been erased.
    pub async fn show_record(
        &self,
        position: Position,
    ) -> Result<Option<(RecordView, Option<String>)>, Error> {
        let one = Search { from: Some(position.0), until: Some(position.0), limit: 1, ..Search::default() };
        let Some(view) = self.search_records(&one).await?.pop() else { return Ok(None) };
        let named = view
            .record
            .pointer("/data/arguments/payload")
            .and_then(|id| id.as_str()?.parse::<PayloadId>().ok());
        let payload = match named {
            Some(id) => match self.store().open_payload(&id).await? {
                Some(::store::Payload::Kept { content, .. }) => {
                    Some(String::from_utf8_lossy(&content).into_owned())
                }
                Some(::store::Payload::Erased) | None => None,
            },
            None => None,
        };
        Ok(Some((view, payload)))
    }

    /// The size of the log under the newest checkpoint.
    pub async fn checkpoint_size(&self) -> Result<Option<u64>, Error> {
        // A checkpoint's second line is its size (C2SP tlog-checkpoint).
        let note = self.store().checkpoint().await?;
        Ok(note.and_then(|note| note.lines().nth(1).and_then(|size| size.parse().ok())))
    }
}
