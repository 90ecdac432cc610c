//! What ends by itself ends without a record, and so without a new snapshot: what is kept with a snapshot must not outlive it.

use std::sync::Arc;

use control::{documents::Document, task::Limits};
use serde_json::{Value, json};

use crate::{
    app::{App, each_database},
    left::{caller, document, read, rex, task_until},
};

const LIMITS: Limits = Limits { calls_max: 100, bytes_max: 1_000_000 };

/// A call is allowed, twice, and refused with `code` two seconds later, on the same snapshot.
async fn ends(app: &App, documents: Vec<Document>, task_seconds: i64, code: &str) {
    let rex = rex(app).await;
    app.control.apply(&app.system(), documents, false).await.unwrap();
    let task = task_until(app, None, LIMITS, task_seconds).await;
    let caller = caller(app, &rex, &task).await;
    loop {
        let before = Arc::clone(&app.control.snapshot());
        for turn in ["first", "second"] {
            assert_eq!(read(app, &caller, 10).await, "allow", "{turn}");
        }
        app.bench.clock.advance_seconds(2);
        assert_eq!(read(app, &caller, 10).await, code);
        let is_same = Arc::ptr_eq(&before, &app.control.snapshot());
        app.bench.clock.advance_seconds(-2);
        assert_eq!(read(app, &caller, 10).await, "allow", "what ended later had not ended yet");
        // The follower may have replaced it meanwhile, for what was recorded before; it comes to rest.
        if is_same {
            return;
        }
    }
}

fn until(app: &App, seconds: i64) -> Value {
    json!(app.control.now().plus_seconds(seconds).to_string())
}

#[tokio::test]
async fn a_grant() {
    each_database(|app| async move {
        let spec = json!({ "to": "agent/rex", "role": "reads", "on": "server/crm", "reason": "test",
                           "expires": until(&app, 1) });
        ends(&app, vec![document("Grant", "rex-reads", &spec)], 600, "not_granted").await;
    })
    .await;
}

#[tokio::test]
async fn an_agent() {
    each_database(|app| async move {
        let spec = json!({ "owner": "ada", "blueprint": "company", "purpose": "tickets",
                           "expires": until(&app, 1) });
        ends(&app, vec![document("Agent", "rex", &spec)], 600, "principal_inactive").await;
    })
    .await;
}

#[tokio::test]
async fn a_task() {
    // Its token does not outlive it, and is asked first.
    each_database(|app| async move { ends(&app, Vec::new(), 1, "principal_inactive").await }).await;
}
