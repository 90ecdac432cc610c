//! The stop button at the terminal, and the way back.

use super::Desk;

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
