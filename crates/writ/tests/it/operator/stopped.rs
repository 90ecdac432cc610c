//! The stop button at the terminal, and the way back.

use serde_json::{Value, json};

use super::{Desk, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_everything_says_that_it_stops_the_operator_too() {
    let desk = Desk::new().await;
    let asked = desk.writ(&["kill", "all", "--reason", "drill"]);
    assert_eq!(asked.exit, 2, "{asked:?}");
    assert!(asked.said.contains("your own and every other API token"), "{asked:?}");

    let ran = desk.writ(&["kill", "all", "--reason", "drill", "--yes", "-o", "json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.said.contains("your own token is dead too; restart `writ up`"), "{ran:?}");

    let after = desk.writ(&["status"]);
    assert_eq!(after.exit, 4, "{after:?}");
    for told in ["`writ person token create NAME`", "restart `writ up`"] {
        assert!(after.said.contains(told), "{after:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_after_a_stop_is_told_that_old_keys_stay_dead() {
    let desk = Desk::new().await;
    let (old, new) = (desk.file("ada.pem"), desk.file("ada-2.pem"));
    text(desk.writ(&["agent", "keys", "add", "ada", "--label", "pem", "--generate-key", &old]));
    assert!(text(desk.writ(&["agent", "keys", "list", "ada"])).contains("active"));
    text(desk.writ(&["kill", "agent", "ada", "--reason", "drill", "--yes"]));

    let token = ["token", "--agent", "ada", "--key", &old, "--resource", "notes"];
    let refused = desk.writ(&token);
    assert_eq!(refused.exit, 4, "{refused:?}");
    assert!(refused.said.contains("`writ agent keys list ada`"), "{refused:?}");

    let back = desk.writ(&["agent", "resume", "ada"]);
    assert!(back.said.contains("stay dead") && back.said.contains("keys add ada --generate-key"), "{back:?}");
    let listed = text(desk.writ(&["agent", "keys", "list", "ada"]));
    assert_eq!(listed.matches("dead since position").count(), 2, "{listed}");
    let rows: Value =
        serde_json::from_slice(&desk.writ(&["agent", "keys", "list", "ada", "-o", "json"]).done()).unwrap();
    assert_eq!((&rows[0]["state"], &rows[0]["revoked"]), (&json!("dead"), &json!(false)), "{rows}");
    assert!(rows[0]["dead_since"].as_i64().unwrap() > 0, "{rows}");

    let own = desk.writ(&["agent", "keys", "add", "ada", "--key-file", &old]);
    assert_eq!(own.exit, 7, "{own:?}");
    assert!(own.said.contains("of `ada` itself, which is dead since position"), "{own:?}");
    let others = desk.writ(&["agent", "keys", "add", "eve", "--key-file", &old]);
    assert!(others.said.contains("in use already") && !others.said.contains("ada"), "{others:?}");

    text(desk.writ(&["agent", "keys", "add", "ada", "--generate-key", &new]));
    let lives = desk.writ(&["agent", "keys", "add", "ada", "--key-file", &new]);
    assert!(lives.said.contains("needs no second registration"), "{lives:?}");
    let id = rows[1]["id"].as_str().unwrap();
    text(desk.writ(&["agent", "keys", "revoke", id]));
    let listed = text(desk.writ(&["agent", "keys", "list", "ada"]));
    assert!(listed.contains("revoked"), "{listed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_agent_keeps_the_keys_that_it_was_given() {
    let desk = Desk::new().await;
    let key = desk.file("lin.pem");
    let create = ["agent", "create", "lin", "--owner", "maya", "--purpose", "waits", "--staged"];
    text(desk.writ(&[&create[..], &["--generate-key", &key]].concat()));
    let back = desk.writ(&["agent", "resume", "lin"]);
    assert!(back.exit == 0 && !back.said.contains("dead"), "{back:?}");
    assert!(text(desk.writ(&["agent", "keys", "list", "lin"])).contains("active"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workloads_and_people_come_back_the_same_way() {
    let desk = Desk::new().await;
    let key = desk.file("ci.jwk");
    text(desk.writ(&["workload", "keys", "add", "ci", "--generate-key", &key]));
    text(desk.writ(&["kill", "workload", "ci", "--reason", "drill", "--yes"]));
    let back = desk.writ(&["workload", "resume", "ci"]);
    assert!(back.said.contains("`writ workload token create ci`"), "{back:?}");
    text(desk.writ(&["kill", "person", "maya", "--reason", "drill", "--yes"]));
    let back = desk.writ(&["person", "enable", "maya"]);
    assert!(back.said.contains("`writ person token create maya`"), "{back:?}");
    let tokens = text(desk.writ(&["person", "token", "list", "maya"]));
    assert!(tokens.contains("dead since position"), "{tokens}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_person_owns_does_not_look_alive() {
    let desk = Desk::new().await;
    // Maya's agent works for Noah, who lives; the agent is dead with its owner all the same.
    let create = ["task", "create", "--agent", "ada", "--purpose", "p", "--tool", "notes/read_note"];
    text(desk.writ_as(&desk.world.noah, &[&create[..], &["--person", "noah"]].concat()));
    text(desk.writ(&create));
    assert_eq!(text(desk.writ(&["task", "list", "--agent", "ada"])).lines().count(), 3);
    let killed = text(desk.writ(&["kill", "person", "maya", "--reason", "left", "--yes"]));
    assert!(killed.contains("open tasks ended: 2"), "{killed}");
    assert_eq!(text(desk.writ(&["task", "list", "--agent", "ada"])).lines().count(), 1);
    let listed = text(desk.writ(&["agent", "list"]));
    let ada = listed.lines().find(|line| line.starts_with("ada ")).unwrap();
    assert!(ada.contains("active (owner disabled)"), "{listed}");
    let bob = listed.lines().find(|line| line.starts_with("bob ")).unwrap();
    assert!(!bob.contains("disabled"), "{listed}");
    assert!(text(desk.writ(&["workload", "list"])).contains("active (owner disabled)"));
}
