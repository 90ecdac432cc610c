//! Records in words: who did what, and how it came out. Programs get the records as they are.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::cli::output::{Column, Format};

const COLUMNS: &[Column] = &[
    Column::new("POSITION", "/position"),
    Column::new("TIME", "/record/time"),
    Column::new("KIND", "/record/kind"),
    Column::new("WHO", "/who"),
    Column::new("WHAT", "/what"),
    Column::new("OUTCOME", "/outcome"),
    Column::wide("DECISION", "/record/data/decision"),
    Column::wide("TASK", "/record/task"),
    Column::wide("DATA", "/record/data"),
];

/// What a tenant is to somebody who has one.
const EVERYTHING: &str = "everything";

/// Records as a list.
pub(super) fn table(format: Format, records: &Value) -> String {
    let records = records.as_array().map_or(&[][..], Vec::as_slice);
    if format.is_for_programs() {
        return format.list(COLUMNS, records);
    }
    // An outcome names its intent by position; where that is on the same page, it says what was called.
    let calls: HashMap<i64, String> = records
        .iter()
        .filter_map(|row| Some((row["position"].as_i64()?, call(&row["record"]["data"])?)))
        .collect();
    let rows: Vec<Value> = records.iter().map(|row| in_words(row, &calls)).collect();
    format.list(COLUMNS, &rows)
}

fn in_words(row: &Value, calls: &HashMap<i64, String>) -> Value {
    let record = &row["record"];
    let words = Words { names: &row["names"], data: &record["data"] };
    json!({
        "position": row["position"], "record": record,
        "who": words.who(&record["actor"]), "what": words.what(&record["subject"], calls), "outcome": words.outcome(record),
    })
}

/// What a call was of.
fn call(data: &Value) -> Option<String> {
    let server = data["server"].as_str()?;
    match (data["what"].as_str()?, data["name"].as_str()) {
        ("tool", Some(tool)) => Some(format!("{server}/{tool}")),
        ("open", _) => Some(format!("{server} (open)")),
        ("list", _) => Some(format!("{server} (list)")),
        (what, Some(name)) => Some(format!("{server} {what} {name}")),
        (what, None) => Some(format!("{server} {what}")),
    }
}

/// One record with the names that came beside it.
struct Words<'a> {
    names: &'a Value,
    data: &'a Value,
}

impl Words<'_> {
    /// The name behind an id, or what stands there.
    fn name(&self, id: &Value) -> Option<String> {
        let id = id.as_str()?;
        Some(self.names[id].as_str().unwrap_or(id).to_owned())
    }

    fn who(&self, actor: &Value) -> Option<String> {
        let actor = self.name(actor)?;
        let whom = self
            .name(&self.data["person"])
            .filter(|person| self.data["server"].is_string() && *person != actor);
        Some(whom.map_or(actor.clone(), |person| format!("{actor} for {person}")))
    }

    fn what(&self, subject: &Value, calls: &HashMap<i64, String>) -> Option<String> {
        if let Some(call) = call(self.data) {
            return Some(call);
        }
        if let Some(intent) = self.data["intent"].as_i64() {
            return Some(calls.get(&intent).cloned().unwrap_or_else(|| format!("call {intent}")));
        }
        let name = self.name(subject)?;
        let word = kind_word(subject.as_str()?);
        if word == EVERYTHING {
            return Some(word.to_owned());
        }
        let whose = self.name(&self.data["principal"]).map(|whose| format!(" of {whose}"));
        let whose = whose.filter(|_| subject.as_str() == Some(name.as_str())).unwrap_or_default();
        Some(if word.is_empty() { name } else { format!("{word} {name}{whose}") })
    }

    fn outcome(&self, record: &Value) -> Option<String> {
        let text = |member: &str| self.data[member].as_str().map(str::to_owned);
        match record["kind"].as_str()? {
            "call.allowed" => Some("allow".to_owned()),
            "call.denied" => Some(self.refusal()),
            "call.ended" => {
                Some([text("result"), text("code")].into_iter().flatten().collect::<Vec<_>>().join(": "))
            }
            "token.refused" => text("code").map(|code| format!("refused: {code}")),
            "grant.created" => {
                let (role, to) = (self.name(&self.data["role"])?, self.name(&self.data["to"])?);
                Some(format!("{role} to {to}"))
            }
            "task.created" => self.name(&self.data["agent"]).map(|agent| format!("for {agent}")),
            _ => ["reason", "code", "state", "effect", "version"].into_iter().find_map(text),
        }
    }

    /// `deny: forbidden by large-refunds`
    fn refusal(&self) -> String {
        let verdict = self.data["verdict"].as_str().unwrap_or("deny");
        let code = self.data["code"].as_str().unwrap_or_default();
        let verdicts = self.data["reasons"].as_array().map_or(&[][..], Vec::as_slice);
        let mut policies: Vec<&str> = verdicts
            .iter()
            .flat_map(|verdict| verdict["forbids"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        policies.dedup();
        let by = if policies.is_empty() { String::new() } else { format!(" by {}", policies.join(", ")) };
        format!("{verdict}: {code}{by}")
    }
}

/// The word for what an id names.
fn kind_word(id: &str) -> &'static str {
    match id.split('_').next().unwrap_or_default() {
        "agt" => "agent",
        "blp" => "blueprint",
        "crd" => "credential",
        "gnt" => "grant",
        "grp" => "group",
        "key" => "signing key",
        "per" => "person",
        "pld" => "payload",
        "pol" => "policy",
        "rol" => "role",
        "sec" => "secret",
        "srv" => "server",
        "tnt" => EVERYTHING,
        "tok" => "token",
        "tol" => "tool",
        "tsk" => "task",
        "wkl" => "workload",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Format, table};

    #[test]
    fn a_page_of_the_log_in_words() {
        let names = json!({
            "agt_1": "ada", "per_1": "maya", "per_2": "admin", "rol_1": "support", "crd_1": "cli of ada",
            "tol_1": "shop/send_mail",
        });
        let row = |position: i64, kind: &str, actor: &str, subject: &str, data: serde_json::Value| {
            json!({
                "position": position, "names": names,
                "record": { "time": position * 1000, "kind": kind, "actor": actor, "subject": subject, "data": data },
            })
        };
        let call = |tool: &str, more: serde_json::Value| {
            let mut data = json!({ "server": "shop", "what": "tool", "name": tool, "person": "per_1", "agents": ["agt_1"] });
            data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            data
        };
        let forbidden = json!({
            "verdict": "deny", "code": "forbidden",
            "reasons": [{ "principal": "Person", "forbids": [] }, { "principal": "Agent", "forbids": ["large-refunds"] }],
        });
        let rows = json!([
            row(1, "node.started", "system:start", "", json!({ "version": "0.1.0" })),
            row(2, "credential.added", "per_2", "crd_1", json!({ "principal": "agt_1", "kind": "key" })),
            row(3, "api_token.issued", "per_2", "tok_1", json!({ "principal": "per_1" })),
            row(4, "grant.created", "per_2", "gnt_1", json!({ "role": "rol_1", "to": "agt_1" })),
            row(5, "call.allowed", "agt_1", "agt_1", call("read_ticket", json!({ "decision": "dec_1" }))),
            row(6, "call.ended", "agt_1", "agt_1", json!({ "intent": 5, "result": "done", "code": null })),
            row(
                7,
                "call.ended",
                "agt_1",
                "agt_1",
                json!({ "intent": 2, "result": "cut", "code": "task_ended" })
            ),
            row(8, "call.denied", "agt_1", "agt_1", call("issue_refund", forbidden)),
            row(
                9,
                "tool.quarantined",
                "per_2",
                "tol_1",
                json!({ "state": "quarantined", "server": "srv_1" })
            ),
            row(10, "authority.revoked", "per_2", "agt_1", json!({ "reason": "mails strangers" })),
        ]);
        insta::assert_snapshot!(table(Format::Table, &rows));
        assert!(table(Format::Json, &rows).contains("\"dec_1\""), "programs get the records");
    }
}
