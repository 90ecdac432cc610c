//! Revocation against everything that is under way at the same moment.

use base::EventKind;
use control::revoke::Target;
use futures_util::future::join_all;

use crate::{
    app::each_database,
    client::{CRM, claims},
};

const ROUNDS: usize = 6;

/// Whatever order a kill and requests for tokens end up in: once the kill is acknowledged, no token lives.
#[tokio::test]
async fn a_kill_beats_tokens_under_way() {
    each_database(|app| async move {
        app.populate().await;
        let ada = app.api_token("ada").await;
        for round in 0..ROUNDS {
            let rex = app.client("rex").await;
            let requests = join_all((0..12).map(|number| {
                let (app, rex, ada) = (&app, &rex, &ada);
                async move {
                    if number % 2 == 0 {
                        rex.own_token(app, CRM).await
                    } else {
                        rex.exchange(app, ada, CRM, None).await
                    }
                }
            }));
            let target = Target::Agent("rex".into());
            let kill = async {
                // Each round the kill starts a little later.
                for _ in 0..round * 3 {
                    tokio::task::yield_now().await;
                }
                app.control.kill(&app.system(), &target, "race").await.unwrap();
            };
            let (answers, ()) = tokio::join!(requests, kill);
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                assert!(
                    app.caller(&answer.token(), "crm").is_err(),
                    "round {round}: {}",
                    claims(&answer.token())
                );
            }
            app.control.resume_agent(&app.system(), "rex").await.unwrap();
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                assert!(app.caller(&answer.token(), "crm").is_err(), "round {round}, resumed");
            }
        }
    })
    .await;
}

/// After a stop of everything no agent is suspended: what kills a token whose client proved itself just before is the
/// position that the token carries, and nothing else.
#[tokio::test]
async fn a_stop_of_everything_beats_clients_that_had_proven_themselves() {
    each_database(|app| async move {
        app.populate().await;
        let mut issued = 0;
        for round in 0..2 * ROUNDS {
            let rex = app.client("rex").await;
            let requests = join_all((0..4).map(|_| rex.own_token(&app, CRM)));
            let kill = async {
                // Earlier, and what the clients proved themselves with would be dead before they have a task.
                while app.open_tasks("rex") == 0 {
                    tokio::task::yield_now().await;
                }
                for _ in 0..round * 2 {
                    tokio::task::yield_now().await;
                }
                app.control.kill(&app.system(), &Target::All, "race").await.unwrap();
            };
            let (answers, ()) = tokio::join!(requests, kill);
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                issued += 1;
                assert!(app.caller(&answer.token(), "crm").is_err(), "round {round}");
            }
        }
        assert!(issued > 0, "no request came through");
    })
    .await;
}

/// A token that was given up while it was being exchanged gives nothing that outlives it by more than its own task.
#[tokio::test]
async fn a_killed_task_has_no_child_that_lives() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, kid, ada) = (app.client("rex").await, app.client("kid").await, app.api_token("ada").await);
        for _ in 0..ROUNDS {
            let parent = rex.exchange(&app, &ada, CRM, None).await.token();
            let target = Target::Task(app.caller(&parent, "crm").unwrap().task);
            let children = join_all((0..8).map(|_| kid.exchange(&app, &parent, CRM, None)));
            let system = app.system();
            let kill = app.control.kill(&system, &target, "race");
            let (children, killed) = tokio::join!(children, kill);
            killed.unwrap();
            for child in children.iter().filter(|child| child.status == 200) {
                assert!(app.caller(&child.token(), "crm").is_err());
            }
            assert_eq!(app.open_tasks("kid"), 0, "no task stays open below a killed one");
        }
    })
    .await;
}

/// Every token that anybody holds is on record.
#[tokio::test]
async fn every_token_is_on_record_before_it_leaves() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let answers = join_all((0..16).map(|_| rex.own_token(&app, CRM))).await;
        let ids: Vec<String> = answers
            .iter()
            .map(|answer| claims(&answer.token())["jti"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(app.records(EventKind::TokenIssued).await, 16);
        let mut read = app.bench.store.read().await.unwrap();
        for id in &ids {
            let sql = "select body from record where kind = 'token.issued' and subject = $1";
            let body = read.row(sql, &[id.into()]).await.unwrap().expect("a record").text(0).unwrap();
            assert!(!body.contains("eyJ"), "no token in the log");
        }
    })
    .await;
}
