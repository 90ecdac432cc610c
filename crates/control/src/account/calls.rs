//! What agents did in a person's name, lately.

use std::collections::BTreeMap;

use base::{Error, EventKind, PersonId, Position};
use pages::CallRow;
use serde_json::Value;

use crate::{control::Control, readers::Reader};

/// How far back in the log is looked, in records: a page is no search.
const RECORDS_BACK: i64 = 5_000;
/// The most rows.
const ROWS_MAX: usize = 25;

impl Control {
    /// The latest calls for this person, the newest first.
    pub(super) async fn calls_for(&self, person: &PersonId) -> Result<Vec<CallRow>, Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let mut read = self.store().read().await?;
        let after = Position(read.head().position.0 - RECORDS_BACK);
        let sql = "select position, time, kind, intent, body from record
                   where position > $1 and kind in ('call.allowed', 'call.denied', 'call.ended') order by position desc";
        let rows = read.rows(sql, &[after.into()]).await?;
        let known = self.snapshot();
        let mut outcomes: BTreeMap<i64, &'static str> = BTreeMap::new();
        let mut calls = Vec::new();
        for row in rows {
            let kind = row.text(2)?;
            let Ok(body) = serde_json::from_str::<Value>(&row.text(4)?) else { continue };
            let data = &body["data"];
            if kind == EventKind::CallEnded.as_str() {
                let outcome = match data["result"].as_str() {
                    Some("done") => "state-done",
                    Some("unknown") | None => "state-unknown",
                    Some(_) => "state-failed",
                };
                if let Some(intent) = row.opt_int(3)? {
                    outcomes.insert(intent, outcome);
                }
                continue;
            }
            if data["person"].as_str() != Some(person.as_str()) {
                continue;
            }
            let position = row.int(0)?;
            let outcome = if kind == EventKind::CallDenied.as_str() {
                "state-denied"
            } else {
                outcomes.get(&position).copied().unwrap_or("state-allowed")
            };
            let agent = data["agents"][0].as_str().and_then(|id| id.parse().ok());
            calls.push(CallRow {
                at: row.time(1)?,
                agent: agent.map_or_else(String::new, |agent| known.agents.name_of(&agent)),
                act: act_of(data),
                outcome,
                decision: data["decision"].as_str().unwrap_or_default().to_owned(),
            });
            if calls.len() == ROWS_MAX {
                break;
            }
        }
        Ok(calls)
    }
}

fn act_of(data: &Value) -> String {
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let (server, name) = (text("server"), text("name"));
    if name.is_empty() { format!("{server} {}", text("what")) } else { format!("{server}/{name}") }
}
