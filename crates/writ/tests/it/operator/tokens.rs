//! Asking for tokens at the terminal.

use super::{Desk, text};
use crate::node::{On, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_comes_with_what_it_is_good_for() {
    let desk = Desk::new().await;
    let key = desk.file("ada.pem");
    text(desk.writ(&["agent", "keys", "add", "ada", "--generate-key", &key]));
    let token = ["token", "--agent", "ada", "--key", &key, "--resource", "notes"];
    let ask = |more: &[&str]| desk.writ(&[&token[..], more].concat());

    let wide = ask(&[]);
    assert!(
        wide.said.contains("task tsk_") && wide.said.contains("everything that ada was granted"),
        "{wide:?}"
    );
    assert_eq!(text(wide).lines().count(), 1, "standard output holds the token alone");

    let narrow = ask(&["--purpose", "read", "--tool", "notes/read_note"]);
    assert!(narrow.said.contains("covers notes/read_note") && !narrow.said.contains("warning"), "{narrow:?}");
    let slip = ask(&["--purpose", "read", "--tool", "notes/reed_note"]);
    assert!(slip.exit == 0 && slip.said.contains("did you mean `notes/read_note`?"), "{slip:?}");
    let nothing = ask(&["--purpose", "read"]);
    assert!(
        nothing.exit == 2 && nothing.said.contains("add --tool SERVER/TOOL, or --scope FILE"),
        "{nothing:?}"
    );

    // Who may not see the catalogue learns nothing of it.
    let task = ["task", "create", "--agent", "ada", "--purpose", "read", "--tool", "notes/reed_note"];
    let hers = desk.writ_as(&desk.world.maya, &[&task[..], &["--person", "maya"]].concat());
    assert!(hers.exit == 0 && !hers.said.contains("read_note"), "{hers:?}");
    let admins = desk.writ(&task);
    assert!(admins.said.contains("did you mean `notes/read_note`?"), "{admins:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_bound_where_proofs_need_a_nonce_of_the_server() {
    let config = Some("dpop_nonces = true\n".to_owned());
    let desk = Desk::with(On::Sqlite, Setup { config, ..Setup::default() }).await;
    let key = desk.file("ada.pem");
    text(desk.writ(&["agent", "keys", "add", "ada", "--generate-key", &key]));
    let bound =
        desk.writ(&["token", "--agent", "ada", "--key", &key, "--resource", "notes", "--dpop-key", &key]);
    assert!(bound.said.contains("(DPoP)"), "{bound:?}");
    assert_eq!(text(bound).lines().count(), 1);
}
