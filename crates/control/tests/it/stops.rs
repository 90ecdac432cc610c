//! Stops and other changes that meet: again, from two nodes, and in numbers.

use std::sync::atomic::{AtomicUsize, Ordering};

use base::EventKind;
use control::{
    principal::{Person, PersonSpec},
    revoke::{Killed, Target},
};

use crate::app::{App, each_database};

async fn kill(app: &App, target: &Target) -> Killed {
    app.control.kill(&app.system(), target, "test").await.unwrap()
}

#[tokio::test]
async fn what_is_dead_is_not_killed_again() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        rex.own_token(&app, crate::client::CRM).await.token();
        for target in
            [Target::Agent("rex".into()), Target::Server("crm".into()), Target::Person("ada".into())]
        {
            let first = kill(&app, &target).await;
            let records = app.records(EventKind::AuthorityRevoked).await;
            let again = kill(&app, &target).await;
            assert!(again.position <= first.position && again.tasks_ended == 0, "{target:?}: {again:?}");
            assert_eq!(
                app.records(EventKind::AuthorityRevoked).await,
                records,
                "{target:?}: a second record"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_came_back_to_life_is_killed_again() {
    each_database(|app| async move {
        app.populate().await;
        let rex = Target::Agent("rex".into());
        let first = kill(&app, &rex).await;
        // With what is registered while it is suspended it could prove itself once it is at work again.
        app.client("rex").await;
        let second = kill(&app, &rex).await;
        assert!(second.position > first.position);

        // This node has not heard of it when it is asked.
        let other = app.second_node().await;
        other.control.resume_agent(&other.system(), "rex").await.unwrap().unwrap();
        let third = kill(&app, &rex).await;
        assert!(third.position > second.position, "a stop of what another node has resumed was left out");
        assert!(kill(&app, &rex).await.position <= third.position);
        assert!(kill(&app, &Target::All).await.position < kill(&app, &Target::All).await.position);
    })
    .await;
}

/// However often another node comes first, who has patience left is not turned away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_planned_as_often_as_its_patience_lasts() {
    const ROUNDS: usize = 12;
    each_database(|app| async move {
        app.populate().await;
        let other = app.second_node().await;
        let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let (moved, has_moved) = std::sync::mpsc::channel();
        let has_moved = std::sync::Mutex::new(has_moved);
        let overtaking = tokio::spawn(async move {
            while let Some(round) = asked.recv().await {
                let put = |draft: &mut control::draft::Draft| {
                    draft.put::<Person>(&format!("mover-{round}"), person("Mover"))
                };
                other.control.change(&other.system(), put).await.unwrap();
                moved.send(()).unwrap();
            }
        });
        let rounds = AtomicUsize::new(0);
        let put = |draft: &mut control::draft::Draft| {
            let round = rounds.fetch_add(1, Ordering::Relaxed);
            if round < ROUNDS {
                ask.send(round).unwrap();
                has_moved.lock().unwrap().recv().unwrap();
            }
            draft.put::<Person>("patient", person("Patient"))
        };
        let changed = app.control.change(&app.system(), put).await;
        assert!(changed.is_ok(), "after {} plans: {:?}", rounds.load(Ordering::Relaxed), changed.err());
        drop(ask);
        overtaking.await.unwrap();
    })
    .await;
}

fn person(display_name: &str) -> PersonSpec {
    serde_json::from_value(serde_json::json!({ "display_name": display_name })).unwrap()
}
