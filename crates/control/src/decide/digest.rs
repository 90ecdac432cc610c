//! The digest of one exact act.

use policy::{Act, ActKind};
use wire::json::Json;

use crate::task::Task;

/// SHA-256 over the canonical JSON of everything that makes an act this one and no other: server, kind, name,
/// definition, arguments, the chain of principals and the task.
///
/// The decision, the record's receipt, a confirmation and the permit all carry it.
pub fn act_digest(act: &Act, chain: &[&Task]) -> [u8; 32] {
    let (what, name, definition) = match &act.kind {
        ActKind::Tool { name, definition_hash, .. } => ("tool", name.as_str(), hex::encode(definition_hash)),
        ActKind::Resource { uri } => ("resource", uri.as_str(), String::new()),
        ActKind::Prompt { name } => ("prompt", name.as_str(), String::new()),
        ActKind::Open => ("open", "", String::new()),
        ActKind::List => ("list", "", String::new()),
    };
    let tasks = chain.iter().map(|task| Json::from(task.id.as_str()));
    let agents = chain.iter().map(|task| Json::from(task.agent.as_str()));
    let person = chain
        .first()
        .and_then(|task| task.person.as_ref())
        .map_or(Json::Null, |person| Json::from(person.as_str()));
    let exact = Json::object([
        ("server", Json::from(act.server.as_str())),
        ("what", Json::from(what)),
        ("name", Json::from(name)),
        ("definition", Json::from(definition.as_str())),
        ("arguments", act.arguments.clone()),
        ("person", person),
        ("agents", Json::array(agents)),
        ("tasks", Json::array(tasks)),
    ]);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &exact.canonical());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}
