//! Token exchange: delegation by a person, and tasks handed down from agent to agent.

use serde_json::json;
use wire::jose::{Algorithm, SigningKey};

use crate::{
    app::each_database,
    client::{ACCESS_TOKEN, API, CRM, EXCHANGE, MAIL, claims, token_proof},
    world::{existing, tool, wish},
};

#[tokio::test]
async fn a_person_sets_an_agent_to_work() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ada) = (app.client("rex").await, app.api_token("ada").await);
        let answer = rex.exchange(&app, &ada, CRM, Some(&wish("ticket 7", &json!([tool("crm", "*")])))).await;
        let token = answer.token();
        assert_eq!(answer.body["issued_token_type"], ACCESS_TOKEN);
        let said = claims(&token);
        assert_eq!(said["sub"], app.id("ada").as_str());
        assert_eq!(said["act"], json!({ "sub": app.id("rex") }));
        let caller = app.caller(&token, "crm").unwrap();
        let task = app.control.find_task(&caller.task).await.unwrap();
        assert_eq!(task.person.as_ref().map(ToString::to_string), Some(app.id("ada").to_string()));

        // A request that names no task joins one of its own for this person, and not the agent's own.
        let joined = claims(&rex.exchange(&app, &ada, CRM, None).await.token())["task"].clone();
        assert_ne!(joined, said["task"]);
        assert_eq!(claims(&rex.exchange(&app, &ada, MAIL, None).await.token())["task"], joined);
        assert_ne!(claims(&rex.own_token(&app, CRM).await.token())["task"], joined);
        let bob = app.api_token("bob").await;
        assert_ne!(claims(&rex.exchange(&app, &bob, CRM, None).await.token())["task"], joined);

        // Once the agent has the task, it needs the person's token no more; nobody else gets at it.
        let again = existing(&caller.task);
        let form =
            [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &*again)];
        assert_eq!(claims(&rex.token(&app, &form).await.token())["sub"], app.id("ada").as_str());
        let ivy = app.client("ivy").await;
        assert_eq!(
            ivy.exchange(&app, &ada, CRM, Some(&again)).await.error(),
            "invalid_authorization_details"
        );
        assert_eq!(
            rex.exchange(&app, &bob, CRM, Some(&again)).await.error(),
            "invalid_authorization_details"
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_delegated_ends_when_the_token_expires() {
    each_database(|app| async move {
        app.populate().await;
        let rex = app.client("rex").await;
        let issued = app.control.issue_api_token(&app.system(), &app.id("ada"), "short", Some(50)).await;
        let (_, short) = issued.unwrap();
        let wish = wish("ticket 7", &json!([tool("crm", "*")]));
        let token = rex.exchange(&app, short.expose(), CRM, Some(&wish)).await.token();
        let again = existing(&app.caller(&token, "crm").unwrap().task);
        let form =
            [("grant_type", "client_credentials"), ("resource", CRM), ("authorization_details", &*again)];
        assert_eq!(rex.token(&app, &form).await.status.as_u16(), 200, "while it is good");
        app.advance(60).await;
        assert_eq!(rex.token(&app, &form).await.error(), "invalid_authorization_details");
        assert!(app.caller(&token, "crm").is_err());
    })
    .await;
}

#[tokio::test]
async fn an_agent_hands_a_part_of_its_task_down() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, kid, ada) = (app.client("rex").await, app.client("kid").await, app.api_token("ada").await);
        let parent = rex.exchange(&app, &ada, CRM, Some(&wish("ticket 7", &json!([tool("crm", "*")])))).await.token();
        app.advance(100).await;
        let answer = kid.exchange(&app, &parent, CRM, Some(&json!([{
            "type": "writ_task", "purpose": "read ticket 7", "tools": [tool("crm", "read")], "expires_in": 400,
        }]).to_string())).await;
        let token = answer.token();
        let said = claims(&token);
        assert_eq!(said["sub"], app.id("ada").as_str());
        assert_eq!(said["act"], json!({ "sub": app.id("kid"), "act": { "sub": app.id("rex") } }));
        assert_eq!(answer.body["expires_in"], 200, "not longer than the token it came from");
        let child = app.control.find_task(&app.caller(&token, "crm").unwrap().task).await.unwrap();
        assert_eq!(child.parent.as_ref(), Some(&app.caller(&parent, "crm").unwrap().task));

        // Wider in tool, server, or time: refused.
        for (tools, seconds) in [(tool("crm", "*"), 501), (tool("mail", "send"), 60), (tool("*", "*"), 60)] {
            let wider = json!([{ "type": "writ_task", "purpose": "more", "tools": [tools], "expires_in": seconds }]);
            let refused = kid.exchange(&app, &parent, CRM, Some(&wider.to_string())).await;
            assert_eq!(refused.error(), "invalid_authorization_details", "{wider}");
            assert!(refused.body["error_description"].as_str().unwrap().contains("wider than the parent"));
        }
        // Without a wish the child covers what its parent does, and is joined again.
        let whole = claims(&kid.exchange(&app, &parent, MAIL, None).await.token())["task"].clone();
        assert_eq!(claims(&kid.exchange(&app, &parent, CRM, None).await.token())["task"], whole);
        // The agent itself takes its task to another resource without making a task.
        assert_eq!(claims(&rex.exchange(&app, &parent, API, None).await.token())["task"], claims(&parent)["task"]);
        // The child's task ends with the parent's.
        let ended = app.caller(&parent, "crm").unwrap().task;
        app.control.end_task(&app.system(), &ended, control::task::TaskState::Completed, "done").await.unwrap();
        assert_eq!(app.caller(&token, "crm").unwrap_err(), "task_ended");
        assert_eq!(kid.exchange(&app, &parent, CRM, None).await.error(), "invalid_grant");
    })
    .await;
}

#[tokio::test]
async fn a_bound_token_is_exchanged_with_its_key_only() {
    each_database(|app| async move {
        app.populate().await;
        let (vault, ivy) = (app.client("vault").await, app.client("ivy").await);
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let bound = vault.bound_token(&app, &key, CRM).await.token();
        // A thief with credentials of its own.
        assert_eq!(ivy.exchange(&app, &bound, CRM, None).await.error(), "invalid_grant");
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", &*bound),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", CRM),
        ];
        let other = SigningKey::generate(Algorithm::Es256).unwrap();
        let thief = ivy.ask(&app, "/oauth2/token", token_proof(&app, &other), &form).await;
        assert_eq!(thief.error(), "invalid_grant");
        let holder = ivy.ask(&app, "/oauth2/token", token_proof(&app, &key), &form).await;
        assert_eq!(claims(&holder.token())["act"]["sub"], app.id("ivy").as_str());
        // The other way: the agent makes the child task with its own proof, and the child asks for itself.
    })
    .await;
}

#[tokio::test]
async fn tokens_that_carry_no_authority_are_refused() {
    each_database(|app| async move {
        app.populate().await;
        let (rex, ivy) = (app.client("rex").await, app.client("ivy").await);
        let (ada, cron) = (app.api_token("ada").await, app.api_token("cron").await);
        let other = ivy.own_token(&app, CRM).await.token();
        let own = rex.own_token(&app, CRM).await.token();
        let workload = app.client("cron").await.own_token(&app, API).await.token();
        let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
        let forged = crate::client::forged(&own, &stranger, |_| {});
        let exchange = |subject: &str, more: &[(&'static str, &str)]| {
            let mut form: Vec<(&str, String)> = vec![
                ("grant_type", EXCHANGE.into()),
                ("subject_token", subject.to_owned()),
                ("subject_token_type", ACCESS_TOKEN.into()),
                ("resource", CRM.into()),
            ];
            for (name, value) in more {
                form.retain(|(known, _)| known != name);
                form.push((name, (*value).to_owned()));
            }
            form
        };
        let jwt = "urn:ietf:params:oauth:token-type:jwt";
        for (form, error) in [
            (exchange("writ_0000", &[]), "invalid_grant"),
            (exchange("garbage", &[]), "invalid_grant"),
            (exchange(&forged, &[]), "invalid_grant"),
            (exchange(&cron, &[]), "invalid_grant"),
            (exchange(&workload, &[]), "invalid_grant"),
            (exchange(&ada, &[("subject_token_type", jwt)]), "invalid_request"),
            (exchange(&ada, &[("requested_token_type", jwt)]), "invalid_request"),
            (exchange(&ada, &[("audience", MAIL)]), "invalid_target"),
            (exchange(&ada, &[("actor_token", &other), ("actor_token_type", ACCESS_TOKEN)]), "invalid_grant"),
            (exchange(&ada, &[("actor_token", &ada), ("actor_token_type", ACCESS_TOKEN)]), "invalid_grant"),
            (exchange(&ada, &[("actor_token_type", ACCESS_TOKEN)]), "invalid_request"),
        ] {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = rex.token(&app, &form).await;
            assert_eq!((answer.status.as_u16(), answer.error()), (400, error), "{form:?}: {}", answer.body);
        }
        let good =
            exchange(&ada, &[("actor_token", &own), ("actor_token_type", ACCESS_TOKEN), ("audience", CRM)]);
        let good: Vec<(&str, &str)> = good.iter().map(|(name, value)| (*name, value.as_str())).collect();
        rex.token(&app, &good).await.token();
    })
    .await;
}
