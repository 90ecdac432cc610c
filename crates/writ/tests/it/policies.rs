//! Policies through the command line: what they are written against, and what is said about those that are probably not
//! meant.

use std::path::Path;

use crate::{
    command::{Ran, writ},
    node::On,
    world::World,
};

/// Tries to store a policy; nothing is kept.
fn tried(world: &World, home: &Path, text: &str) -> Ran {
    let file = home.join("tried.cedar");
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    writ(&world.admin, home, &["policy", "put", "tried", file, "--description", "test", "--dry-run"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_probably_not_meant_is_said() {
    let world = World::new(On::Sqlite).await;
    let home = world.node.beside("");
    for (text, warning) in [
        (
            "permit (principal is Agent, action, resource);",
            "this permits every act of every Agent, whatever is granted",
        ),
        (
            "forbid (principal == Agent::\"nobody\", action, resource);",
            "`Agent::\"nobody\"` does not exist today",
        ),
        (
            "forbid (principal is Agent in AgentGroup::\"nowhere\", action, resource);",
            "`AgentGroup::\"nowhere\"` does not exist today",
        ),
    ] {
        let ran = tried(&world, &home, text);
        assert!(ran.said.contains(warning), "{text}: {}", ran.said);
        ran.done();
    }
    let known = tried(
        &world,
        &home,
        "forbid (principal == Agent::\"ada\", action in Action::\"destroy\", resource);",
    );
    assert!(!known.said.contains("warning"), "{}", known.said);
    known.done();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_without_a_policy_is_refused() {
    let world = World::new(On::Sqlite).await;
    let home = world.node.beside("");
    for empty in ["", "// later\n"] {
        let ran = tried(&world, &home, empty);
        assert_eq!(ran.exit, 1, "{empty:?}: {}", ran.said);
        assert!(ran.said.contains("policy_empty"), "{empty:?}: {}", ran.said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_knows_the_catalogue() {
    let world = World::new(On::Sqlite).await;
    let home = world.node.beside("");
    let whole = String::from_utf8(writ(&world.admin, &home, &["policy", "schema"]).done()).unwrap();
    let one = writ(&world.admin, &home, &["policy", "schema", "--tool", "notes/send_note"]).done();
    let one = String::from_utf8(one).unwrap();
    for action in ["notes/send_note", "notes/read_note", "read", "open"] {
        assert!(whole.contains(&format!("action \"{action}\"")), "{action}: {whole}");
    }
    assert!(one.contains("action \"notes/send_note\"") && !one.contains("notes/read_note"), "{one}");
    assert!(one.contains("to?: String"), "{one}");
    let missing = writ(&world.admin, &home, &["policy", "schema", "--tool", "notes/nowhere"]);
    assert_eq!(missing.exit, 1, "{}", missing.said);
}
