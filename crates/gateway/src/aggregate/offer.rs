//! What Writ says of all servers together, without asking any of them.

use wire::{
    json::{Json, Object},
    mcp::{Revision, TASKS_EXTENSION, meta},
};

use crate::{Plane, aggregate::Aggregate, request::Generation, tongue::spoken_versions};

const INSTRUCTIONS: &str = "Tools and prompts are named SERVER__NAME, resources writ:SERVER:URI.";

/// What is offered. Whether a server has it shows in its lists.
fn capabilities<P: Plane>(all: &Aggregate<P>, generation: Generation) -> Object {
    let changes = || Json::object([("listChanged", Json::from(true))]);
    let mut offered = Object::new();
    offered.insert("tools", changes());
    offered.insert(
        "resources",
        Json::object([("subscribe", Json::from(true)), ("listChanged", Json::from(true))]),
    );
    offered.insert("prompts", changes());
    offered.insert("completions", Object::new());
    if all.servers().iter().any(|visit| visit.upstream.passes.logging) {
        offered.insert("logging", Object::new());
    }
    let nothing = || Json::Object(Object::new());
    match generation {
        // Which tools can become tasks is said by each of them. The tasks of all servers are not listed.
        Generation::Sessions => {
            let requests = Json::object([("tools", Json::object([("call", nothing())]))]);
            offered.insert("tasks", Json::object([("cancel", nothing()), ("requests", requests)]));
        }
        Generation::Stateless => {
            offered.insert("extensions", Json::object([(TASKS_EXTENSION, nothing())]));
        }
    }
    offered
}

fn info() -> Json {
    Json::object([("name", Json::from("writ")), ("version", Json::from(env!("CARGO_PKG_VERSION")))])
}

/// The result of `initialize`.
pub(super) fn initialized<P: Plane>(all: &Aggregate<P>, revision: Revision) -> Json {
    Json::object([
        ("protocolVersion", Json::from(revision.as_str())),
        ("capabilities", Json::Object(capabilities(all, Generation::Sessions))),
        ("serverInfo", info()),
        ("instructions", Json::from(INSTRUCTIONS)),
    ])
}

/// The result of `server/discover`.
pub(super) fn discovered<P: Plane>(all: &Aggregate<P>) -> Json {
    Json::object([
        ("supportedVersions", spoken_versions()),
        ("capabilities", Json::Object(capabilities(all, Generation::Stateless))),
        ("instructions", Json::from(INSTRUCTIONS)),
        ("_meta", Json::object([(meta::SERVER_INFO, info())])),
    ])
}
