//! Small slips, and what they are answered with.

use std::path::Path;

use serde_json::json;

use super::{Desk, text};
use crate::command::offline;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_name_is_answered_with_the_right_one() {
    let desk = Desk::new().await;
    let grant = |more: &[&str]| {
        let ran = desk.writ(&[&["grant", "create", "g1", "--reason", "r"], more].concat());
        assert_eq!(ran.exit, 1, "{ran:?}");
        ran.said
    };
    for (arguments, meant) in [
        (["--to", "ada", "--role", "notes", "--on", "server/notes"], "`agent/ada`"),
        (["--to", "agent/adda", "--role", "notes", "--on", "server/notes"], "`agent/ada`"),
        (["--to", "agent/ada", "--role", "nots", "--on", "server/notes"], "`notes`"),
        (["--to", "agent/ada", "--role", "notes", "--on", "server/note"], "`server/notes`"),
        (["--to", "agent/ada", "--role", "notes", "--on", "notes"], "`server/notes`"),
        (["--to", "agent/ada", "--role", "notes", "--on", "tool/notes/read_not"], "`tool/notes/read_note`"),
    ] {
        let said = grant(&arguments);
        assert!(said.contains(&format!("did you mean {meant}?")), "{arguments:?}: {said}");
    }
    for (arguments, meant) in [
        (["server", "show", "note"], "notes"),
        (["agent", "show", "aad"], "ada"),
        (["check", "ada", "notes/red_note"], "notes/read_note"),
    ] {
        let ran = desk.writ(&arguments);
        assert!(ran.exit == 1 && ran.said.contains(&format!("did you mean `{meant}`?")), "{ran:?}");
    }
    let create = ["agent", "create", "lin", "--purpose", "p", "--owner", "mya"];
    assert!(desk.writ(&create).said.contains("did you mean `maya`?"));
    // Nobody is told a name that they may not know.
    let hers = desk.writ_as(&desk.world.maya, &["agent", "show", "bbo"]);
    assert!(hers.exit == 1 && !hers.said.contains("bob"), "{hers:?}");
    let hers = desk.writ_as(&desk.world.maya, &["agent", "show", "aad"]);
    assert!(hers.said.contains("did you mean `ada`?"), "{hers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_added_with_the_next_step() {
    let desk = Desk::new().await;
    let added = desk.writ(&["server", "add", "more", &desk.world.upstream.url]);
    assert!(added.exit == 0 && added.said.contains("`writ server discover more`"), "{added:?}");
    let failed = desk.writ(&["server", "add", "gone", "http://127.0.0.1:1/mcp", "--discover"]);
    assert_ne!(failed.exit, 0, "{failed:?}");
    assert!(failed.said.contains("server gone is in the catalogue"), "{failed:?}");
    assert!(text(desk.writ(&["server", "list"])).contains("gone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approved_tool_wants_its_label_confirmed() {
    let desk = Desk::new().await;
    desk.world.upstream.describe("drop_note", "drops a note, and more");
    text(desk.writ(&["server", "discover", "notes"]));
    let approved = desk.writ(&["tool", "approve", "notes/drop_note", "--yes"]);
    assert_eq!(approved.exit, 0, "{approved:?}");
    assert!(approved.said.contains("guessed again"), "{approved:?}");
    let command = approved.said.split("confirm it: `writ ").nth(1).and_then(|rest| rest.split('`').next());
    text(desk.writ(&command.expect("a command").split(' ').collect::<Vec<_>>()));
    assert!(text(desk.writ(&["tool", "list", "-o", "wide"])).contains("confirmed"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_known_by_its_address() {
    let desk = Desk::new().await;
    assert_eq!(text(desk.writ(&["status", "-o", "name"])).trim(), desk.world.node.url());
    let https = desk.world.node.url().replacen("http", "https", 1);
    let ran = desk.writ(&["--url", &https, "status"]);
    assert_eq!(ran.exit, 8, "{ran:?}");
    let told = format!("the server there does not speak TLS; {}?", desk.world.node.url());
    assert!(ran.said.contains(&told), "{ran:?}");
}

#[test]
fn the_demonstration_leaves_a_folder_alone_that_is_not_empty() {
    let folder = tempfile::TempDir::new().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("thesis.tex"), "mine").unwrap();
    let ran = offline(folder.path(), &["demo", "--data", data.to_str().unwrap()]);
    assert!(ran.exit == 2 && ran.said.contains("not an empty folder"), "{ran:?}");
    assert!(ran.out.is_empty(), "nothing was played");
    let kept: Vec<_> = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["thesis.tex"], "{}", Path::new(&data).display());
}

#[test]
fn every_page_of_help_begins_with_an_example() {
    let folder = tempfile::TempDir::new().unwrap();
    for (words, first) in [
        (&["--help"][..], "$ writ demo"),
        (&["agent", "--help"], "$ writ agent create "),
        (&["agent", "keys", "--help"], "$ writ agent keys add ada "),
        (&["workload", "token", "-h"], "$ writ workload token create ci "),
        (&["audit", "show", "-h"], "$ writ audit show "),
    ] {
        let said = text(offline(folder.path(), words));
        assert!(said.starts_with(first), "{words:?}: {said}");
        let (own, every) = said.split_once("Options of every command:").expect("a heading of their own");
        assert!(!own.contains("--no-input") && every.contains("--no-input"), "{words:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_task_was_killed_is_told_to_stop() {
    let desk = Desk::new().await;
    let task = desk.world.wide_task().await;
    let mcp = desk.world.session(&task).await;
    text(desk.writ(&["task", "kill", &task, "--reason", "wrong customer", "--yes"]));
    let refused = mcp.call("read_note", &json!({})).send().await;
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("the task was ended by a person; stop"), "{}", refused.text());
    assert!(!refused.text().contains("get a new token"), "{}", refused.text());
}
