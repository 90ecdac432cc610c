//! Asking why, and doing what the answer says.

use serde_json::{Value, json};

use super::{Desk, text};
use crate::world::document;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_explanation_names_grants_and_policies_and_what_to_type() {
    let desk = Desk::new().await;
    let forbid =
        "@id(\"no-reading\") forbid (principal is Agent, action == Action::\"notes/read_note\", resource);";
    let policy = document("Policy", "quiet-hours", &json!({ "description": "not now", "text": forbid }));
    desk.world.admin.post("apply", &json!({ "documents": [policy] })).await.done();
    let check = ["check", "ada", "notes/read_note", "--person", "maya", "--explain"];
    let ran = desk.writ(&check);
    assert_eq!(ran.exit, 3, "{ran:?}");
    let said = String::from_utf8(ran.out).unwrap();
    for line in [
        "person maya: permitted by role notes on server/notes (grant maya-notes)",
        "agent ada: forbidden by policy no-reading",
        "to change it: writ policy show quiet-hours",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("blind") && !said.contains(" -\n"), "empty members are left out: {said}");
    let answer: Value =
        serde_json::from_slice(&desk.writ(&[&check[..], &["-o", "json"]].concat()).out).unwrap();
    assert_eq!(answer["reasons"]["verdicts"][1]["forbids"], json!(["no-reading"]), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_a_command_that_works() {
    let desk = Desk::new().await;
    text(desk.writ(&["person", "create", "lena"]));
    let check = ["check", "ada", "notes/read_note", "--person", "lena", "--explain"];
    let ran = desk.writ(&check);
    let said = String::from_utf8(ran.out).unwrap();
    assert_eq!(ran.exit, 3, "{said}");
    let line =
        said.lines().find_map(|line| line.trim().strip_prefix("to change it: writ ")).expect("a command");
    assert!(line.contains("--to person/lena") && line.contains("--on server/notes"), "{line}");
    let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('"')).collect();
    text(desk.writ(&words));
    let allowed = text(desk.writ(&check));
    assert!(allowed.starts_with("allow") && !allowed.contains("to change it"), "{allowed}");
    assert!(allowed.contains("(grant lena-"), "{allowed}");
}
