//! Reading the log at the terminal.

use serde_json::{Value, json};

use super::{Desk, text};
use crate::{mcp::is_done, node::On, world::rule};

/// The lines of a table, without its header.
fn rows(table: &str) -> Vec<&str> {
    table.lines().skip(1).collect()
}

/// The id of the decision that a refused agent was told.
fn decision_of(answer: &Value) -> String {
    let text = answer.to_string();
    let at = text.find("dec_").expect("a refusal names its decision");
    text[at..at + 30].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_agents_decision_is_found_by_what_it_was_told() {
    for on in [On::Sqlite, On::Postgres] {
        let desk = Desk::on(on).await;
        let task = desk.world.task(&[rule("read_note")]).await;
        let mcp = desk.world.session(&task).await;
        assert!(is_done(&mcp.called("read_note", &json!({ "id": "7" })).await));
        let refused = mcp.called("send_note", &json!({ "to": "a", "text": "hello" })).await;
        let decision = decision_of(&refused);

        let shown = text(desk.writ(&["audit", "show", &decision]));
        assert!(shown.contains("call.denied") && shown.contains("hello"), "{shown}");
        let found = text(desk.writ(&["audit", "search", "--decision", &decision]));
        assert!(rows(&found).len() == 1 && found.contains("deny: task_scope"), "{found}");
        assert!(found.contains("ada for maya") && found.contains("notes/send_note"), "{found}");

        // An allowed one comes with its outcome, whose record is written after the answer.
        let allowed = desk.world.admin.records("kind=call.allowed").await;
        let allowed = allowed.iter().find(|row| row["record"]["data"]["name"] == "read_note").unwrap();
        let id = allowed["record"]["data"]["decision"].as_str().unwrap();
        let both = loop {
            let found = text(desk.writ(&["audit", "search", "--decision", id]));
            if rows(&found).len() == 2 {
                break found;
            }
        };
        assert!(both.contains("done") && both.contains("allow"), "{both}");

        let nothing = "dec_01k9m3x8q2v4t6y8b0d2f4h6j8";
        assert_eq!(desk.writ(&["audit", "show", nothing]).exit, 1);
        assert!(rows(&text(desk.writ(&["audit", "search", "--decision", nothing]))).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_found_by_names() {
    for on in [On::Sqlite, On::Postgres] {
        let desk = Desk::on(on).await;
        let task = desk.world.task(&[rule("read_note")]).await;
        let mcp = desk.world.session(&task).await;
        assert!(is_done(&mcp.called("read_note", &json!({})).await));
        mcp.called("send_note", &json!({ "to": "a", "text": "b" })).await;
        let search = |arguments: &[&str]| text(desk.writ(&[&["audit", "search"], arguments].concat()));

        let of_tool = search(&["--tool", "notes/send_note", "--kind", "call.denied"]);
        assert!(rows(&of_tool).len() == 1 && of_tool.contains("send_note"), "{of_tool}");
        let pinned = search(&["--tool", "notes/send_note", "--kind", "tool.pinned"]);
        assert!(pinned.contains("tool notes/send_note"), "{pinned}");
        assert!(rows(&search(&["--tool", "notes/send_not"])).is_empty(), "a part of a name is no name");
        let of_agent = search(&["--agent", "ada"]);
        for kind in [
            "agent.created",
            "credential.added",
            "task.created",
            "token.issued",
            "call.allowed",
            "call.denied",
        ] {
            assert!(of_agent.contains(kind), "{kind}: {of_agent}");
        }
        assert!(!search(&["--agent", "bob"]).contains("call."), "another's calls");
        let of_maya = search(&["--person", "maya", "--kind", "call.allowed"]);
        assert!(of_maya.contains("ada for maya"), "{of_maya}");
        assert!(rows(&search(&["--person", "noah", "--kind", "call.allowed"])).is_empty());
        assert!(search(&["--actor", "ada"]).contains("call.denied"));
        assert!(search(&["--actor", "agent/ada"]).contains("call.denied"));
        assert!(search(&["--actor", "system:start"]).contains("node.started"));
        assert!(search(&["--subject", "server/notes"]).contains("server.created"));
        assert!(search(&["--task", &task]).contains("task.created"));

        // The names stand beside the record, whose bytes the tree proves.
        let found = desk.world.admin.records("actor=ada&kind=call.denied").await;
        let record = found[0]["record"].to_string();
        assert!(!record.contains("\"ada\"") && !record.contains("maya"), "{record}");
        let names = found[0]["names"].as_object().unwrap();
        assert!(names.values().any(|name| name == "ada") && names.values().any(|name| name == "maya"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_in_the_log_is_a_slip_of_the_asker() {
    let desk = Desk::new().await;
    let said = |arguments: &[&str], exit: i32| {
        let ran = desk.writ(&[&["audit"], arguments].concat());
        assert_eq!(ran.exit, exit, "{ran:?}");
        ran.said
    };
    let told = said(&["search", "--kind", "call.refused"], 2);
    assert!(told.contains("call.denied, ") && told.contains("authority.revoked"), "{told}");
    assert!(said(&["search", "--kind", "call.denid"], 2).contains("did you mean `call.denied`"));
    said(&["search", "--task", "ada"], 2);
    said(&["search", "--decision", "tsk_01k9m3x8q2v4t6y8b0d2f4h6j8"], 2);
    said(&["search", "--decision", "dec_01k9m3x8q2v4t6y8b0d2f4h6j8", "--agent", "ada"], 2);
    said(&["search", "--tool", "notes"], 2);
    said(&["show", "tsk_01k9m3x8q2v4t6y8b0d2f4h6j8"], 2);
    assert!(said(&["search", "--agent", "adda"], 2).contains("`adda`"));
    assert!(said(&["search", "--subject", "ada"], 2).contains("KIND/NAME"));

    // The same over the API, for those who come without the command line.
    for (query, named) in [
        ("kind=call.refused", "authority.revoked"),
        ("task=ada", "a task"),
        ("tool=x", "SERVER/TOOL"),
        ("decision=dec_01k9m3x8q2v4t6y8b0d2f4h6j8&agent=ada", "alone"),
    ] {
        let answer = desk.world.admin.get(&format!("audit/records?{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(named), "{}", answer.text());
    }
}
