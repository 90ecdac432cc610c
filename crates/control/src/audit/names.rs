//! What the ids in a record are called.

use std::collections::BTreeMap;

use base::{AnyId, IdKind};
use serde_json::Value;

use crate::snapshot::Snapshot;

/// The names of the things whose ids stand in a record, by id. Bounded by the record's own size.
pub(super) fn in_record(record: &Value, known: &Snapshot) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    collect(record, known, &mut names);
    names
}

fn collect(value: &Value, known: &Snapshot, names: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.parse().ok().and_then(|id| name(&id, known)) {
                names.insert(text.clone(), name);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, known, names)),
        Value::Object(members) => members.values().for_each(|member| collect(member, known, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn name(id: &AnyId, known: &Snapshot) -> Option<String> {
    if id.kind() == IdKind::CredentialId {
        let credential = known.credentials.get(&id.as_str().parse().ok()?)?;
        return Some(format!("{} of {}", credential.label, known.name_of(&credential.principal)));
    }
    Some(known.name_of(id)).filter(|name| name != id.as_str())
}
