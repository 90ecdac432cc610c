//! Making agents.

use std::path::Path;

use super::{Desk, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_kept_makes_no_agent() {
    let desk = Desk::new().await;
    let taken = desk.file("taken.pem");
    std::fs::write(&taken, "mine").unwrap();
    let nowhere = desk.file("no/such/folder/key.pem");
    for path in [&taken, &nowhere] {
        let ran = desk.writ(&[
            "agent",
            "create",
            "lin",
            "--owner",
            "maya",
            "--purpose",
            "p",
            "--generate-key",
            path,
        ]);
        assert_eq!(ran.exit, 1, "{ran:?}");
        assert!(ran.said.contains("nothing was changed"), "{ran:?}");
        assert_eq!(desk.writ(&["agent", "show", "lin"]).exit, 1, "the agent is there");
    }
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");

    // The other way round: no agent, no key.
    let stray = desk.file("stray.pem");
    let ran = desk.writ(&[
        "agent",
        "create",
        "lin",
        "--owner",
        "nobody",
        "--purpose",
        "p",
        "--generate-key",
        &stray,
    ]);
    assert_ne!(ran.exit, 0, "{ran:?}");
    assert!(!Path::new(&stray).exists(), "a key for nobody lies about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_without_a_key_is_told_how_to_get_one() {
    let desk = Desk::new().await;
    let ran = desk.writ(&["agent", "create", "lin", "--owner", "maya", "--purpose", "p"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.said.contains("`writ agent keys add lin --generate-key lin.pem`"), "{ran:?}");
    assert!(text(desk.writ(&["agent", "show", "lin"])).contains("company"), "the blueprint of a first start");

    text(desk.writ(&["agent", "retire", "lin", "--yes"]));
    let trial = desk.writ(&["agent", "create", "kim", "--owner", "maya", "--purpose", "p", "--dry-run"]);
    assert!(trial.exit == 0 && !trial.said.contains("keys add"), "{trial:?}");
}
