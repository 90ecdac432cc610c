//! Ids of servers' tasks: sealed for their holder, unknown to everybody else.

use gateway::{Passes, Request};
use http::StatusCode;
use wire::json::Json;

use crate::{
    elder::elder,
    plane::{Told, denial},
    stage::{Stage, Stream, header, modern, modern_post, roomy, stage, stage_with},
    world::{post, tool},
    young::young,
};

const KNOWS: &str = r#"{"elicitation":{},"sampling":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

fn about(method: &str, id: &Json) -> String {
    modern(2, method, &format!(r#"{{"taskId":{}}}"#, id.to_text()), KNOWS, "")
}

async fn made(stage: &Stage, token: &str) -> Json {
    let answer = stage.modern(token, modern(1, "tools/call", r#"{"name":"task"}"#, KNOWS, "")).await;
    assert_eq!(answer.last().pointer("/result/resultType"), Some(&Json::from("task")), "{}", answer.text);
    assert!(!answer.text.contains("t-1"));
    answer.last().pointer("/result/taskId").unwrap().clone()
}

#[tokio::test]
async fn a_task_is_its_holders_alone() {
    let stage = stage_with(young().await, Passes { sampling: true, ..Passes::default() }, roomy());
    let (own, bobs) = (made(&stage, "alice").await, made(&stage, "bob").await);
    assert_ne!(own, bobs, "one id of the server, two of ours");
    for (what, token, id) in [
        ("another holder's", "bob", own.clone()),
        ("another holder's", "alice", bobs),
        ("another task's", "alice-too", own.clone()),
        ("the server's own", "alice", Json::from("t-1")),
        ("a part", "alice", Json::from(&own.as_str().unwrap()[1..])),
        ("nothing", "alice", Json::from("")),
        ("a number", "alice", Json::from(1)),
    ] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let answer = stage.unforwarded(modern_post(token, about(method, &id)), what).await;
            assert_eq!(
                (answer.error_code(), answer.code()),
                (Some(-32602), "unknown_task"),
                "{what} {method}"
            );
        }
    }
    let missing = modern(2, "tasks/get", "{}", KNOWS, "");
    assert_eq!(stage.unforwarded(modern_post("alice", missing), "none").await.error_code(), Some(-32602));
    let mut elsewhere = modern_post("alice", about("tasks/get", &own));
    *elsewhere.uri_mut() = "/mcp/other".parse().unwrap();
    assert_eq!(stage.unforwarded(elsewhere, "another server's").await.code(), "unknown_task");

    let told = stage.modern("alice", about("tasks/get", &own)).await;
    assert_eq!(told.last().pointer("/result/taskId"), Some(&own), "{}", told.text);
    let seen = stage.server.seen().pop().unwrap();
    assert_eq!(seen.json().pointer("/params/taskId"), Some(&Json::from("t-1")));
    assert_eq!(header(&seen, "mcp-name").as_deref(), Some("t-1"), "the header repeats what the body says");
    assert_eq!(stage.authorized("task"), 3, "made twice, and asked about once");
}

#[tokio::test]
async fn what_came_of_a_call_is_decided_as_that_call() {
    let stage = stage_with(young().await, Passes { sampling: true, ..Passes::default() }, roomy());
    let text = |length: usize| "x".repeat(length);
    for (length, kept) in [(10, true), (4000, true), (4100, false)] {
        let params = format!(r#"{{"name":"task","arguments":{{"text":"{}"}}}}"#, text(length));
        let answer = stage.modern("alice", modern(1, "tools/call", &params, KNOWS, "")).await;
        let own = answer.last().pointer("/result/taskId").unwrap().clone();
        assert_eq!(stage.modern("alice", about("tasks/get", &own)).await.error_code(), None);
        let arguments = if kept { Json::object([("text", text(length).into())]) } else { Json::Null };
        let call = Request::CallTool { name: "task".into(), arguments };
        let decided = stage.plane.told().into_iter().rfind(|told| matches!(told, Told::Authorized(_)));
        assert_eq!(decided, Some(Told::Authorized(Request::Tasks { of: Some(Box::new(call)) })));
    }
    let own = made(&stage, "alice").await;
    stage.plane.deny("task", denial());
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let seen = stage.server.seen().len();
        let refused = stage.modern("alice", about(method, &own)).await;
        assert_eq!((refused.error_code(), refused.code()), (Some(-32003), "not_granted"), "{}", refused.text);
        assert_eq!(stage.server.seen().len(), seen, "{method} reached the server");
    }
}

#[tokio::test]
async fn within_sessions_a_right_that_ends_hides_what_came_of_it() {
    let stage = stage(elder().await);
    let (session, own) = opened(&stage, "alice").await;
    let list = r#"{"jsonrpc":"2.0","id":3,"method":"tasks/list"}"#;
    let listed =
        async || stage.ask("alice", &session, list).await.last().pointer("/result/tasks").unwrap().to_text();
    assert!(listed().await.contains(own.as_str().unwrap()));
    stage.plane.deny("task", denial());
    stage.plane.hidden.lock().unwrap().insert("task".into());
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        let refused = stage.ask("alice", &session, within(method, &own)).await;
        assert_eq!((refused.error_code(), refused.code()), (Some(-32003), "not_granted"), "{method}");
    }
    assert_eq!(stage.server.count("tasks/result"), 0);
    assert_eq!(listed().await, "[]");
    stage.server.tell(
        r#"{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{"taskId":"t-1","status":"completed"}}"#,
    );
    stage.server.tell(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let heard = Stream::of(stage.get("alice", &session, None).await).next().await.unwrap();
    assert_eq!(heard.get("method"), Some(&Json::from("notifications/tools/list_changed")));
}

#[tokio::test]
async fn a_task_asks_only_what_passes() {
    let stage = stage(young().await);
    let own = made(&stage, "alice").await;
    let told = stage.modern("alice", about("tasks/get", &own)).await;
    assert_eq!(told.code(), "upstream_wants", "sampling does not pass: {}", told.text);
    assert!(!told.text.contains("sampling/createMessage"));
}

#[tokio::test]
async fn tasks_belong_to_their_generation() {
    let stage = stage(elder().await);
    let id = Json::from(crate::plane::CROWD.to_string());
    let undeclared = modern(1, "tasks/get", r#"{"taskId":"x"}"#, "{}", "");
    let answer = stage.unforwarded(modern_post("alice", undeclared), "undeclared").await;
    assert_eq!((answer.error_code(), answer.status), (Some(-32021), StatusCode::BAD_REQUEST));
    for method in ["tasks/list", "tasks/result"] {
        let answer = stage.unforwarded(modern_post("alice", about(method, &id)), method).await;
        assert_eq!(answer.error_code(), Some(-32601));
    }
    let discovered = stage.modern("alice", modern(1, "server/discover", "{}", KNOWS, "")).await;
    assert_eq!(discovered.last().pointer("/result/capabilities/tasks"), None, "{}", discovered.text);
}

fn within(method: &str, id: &Json) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":2,"method":"{method}","params":{{"taskId":{}}}}}"#, id.to_text())
}

/// Opens a session and makes a task in it.
async fn opened(stage: &Stage, token: &str) -> (String, Json) {
    let session = stage.open(token, "2025-11-25", r#"{"elicitation":{}}"#).await;
    let answer = stage.ask(token, &session, tool(1, "task")).await;
    assert!(!answer.text.contains("t-1"));
    let id = answer.last().pointer("/result/task/taskId").unwrap().clone();
    (session, id)
}

#[tokio::test]
async fn within_sessions_tasks_are_their_holders_too() {
    let stage = stage(elder().await);
    let (session, own) = opened(&stage, "alice").await;
    let bob = stage.open("bob", "2025-11-25", "{}").await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        for id in [&own, &Json::from("t-1")] {
            let refused = stage.unforwarded(post("bob", Some(&bob), within(method, id)), method).await;
            assert_eq!((refused.error_code(), refused.code()), (Some(-32602), "unknown_task"), "{method}");
        }
    }
    let got = stage.ask("alice", &session, within("tasks/get", &own)).await;
    assert_eq!(got.last().pointer("/result/taskId"), Some(&own));
    assert_eq!(stage.server.seen().pop().unwrap().json().pointer("/params/taskId"), Some(&Json::from("t-1")));
    let result = stage.ask("alice", &session, within("tasks/result", &own)).await;
    let related = result.last().pointer("/result/_meta/io.modelcontextprotocol~1related-task/taskId");
    assert_eq!(related, Some(&own));
    // Another session of the holder, too: what came of an act outlives the session.
    let second = stage.open("alice", "2025-11-25", "{}").await;
    assert_eq!(stage.ask("alice", &second, within("tasks/get", &own)).await.error_code(), None);
}

#[tokio::test]
async fn a_list_shows_nobody_elses_tasks() {
    let stage = stage(elder().await);
    let (session, own) = opened(&stage, "alice").await;
    let bob = stage.open("bob", "2025-11-25", "{}").await;
    let list = r#"{"jsonrpc":"2.0","id":3,"method":"tasks/list"}"#;
    // The server takes all that come through here for one client, and shows all of its tasks.
    let bobs = stage.ask("bob", &bob, list).await;
    assert_eq!(bobs.last().pointer("/result/tasks").unwrap().to_text(), "[]");
    // Nor does writing an id make it one's own.
    let guessed = r#"{"jsonrpc":"2.0","id":4,"method":"tasks/list","params":{"taskId":"t-1"}}"#;
    for _ in 0..2 {
        let bobs = stage.ask("bob", &bob, guessed).await;
        assert_eq!(bobs.last().pointer("/result/tasks").unwrap().to_text(), "[]");
    }
    let alices = stage.ask("alice", &session, list).await;
    let ids: Vec<_> = alices.last().pointer("/result/tasks").unwrap().as_array().unwrap().iter().collect();
    assert_eq!(ids.len(), 1, "{}", alices.text);
    assert_eq!(ids[0].get("taskId"), Some(&own));
}

#[tokio::test]
async fn the_state_of_a_task_is_told_to_its_holder_alone() {
    let stage = stage(elder().await);
    let (session, own) = opened(&stage, "alice").await;
    let bob = stage.open("bob", "2025-11-25", "{}").await;
    for id in ["t-2", "t-1"] {
        stage.server.tell(format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/tasks/status","params":{{"taskId":"{id}","status":"completed"}}}}"#
        ));
    }
    stage.server.tell(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let heard = async |token: &str, session: &str| {
        let mut stream = Stream::of(stage.get(token, session, None).await);
        let mut heard = Vec::new();
        loop {
            let message = stream.next().await.unwrap();
            if message.get("method") == Some(&Json::from("notifications/tools/list_changed")) {
                return heard;
            }
            heard.push(message.pointer("/params/taskId").unwrap().clone());
        }
    };
    assert_eq!(heard("alice", &session).await, [own]);
    assert!(heard("bob", &bob).await.is_empty());
}

#[tokio::test]
async fn a_question_about_a_task_names_it_as_its_client_knows_it() {
    let stage = stage(elder().await);
    let (session, own) = opened(&stage, "alice").await;
    let mut stream = Stream::of(stage.send(post("alice", Some(&session), tool(1, "elicits_for_task"))).await);
    let question = stream.next().await.unwrap();
    let related = question.pointer("/params/_meta/io.modelcontextprotocol~1related-task/taskId");
    assert_eq!(related, Some(&own), "{}", question.to_text());
    let id = question.get("id").unwrap().to_text();
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept","_meta":{{"io.modelcontextprotocol/related-task":{{"taskId":{}}}}}}}}}"#,
        own.to_text()
    );
    assert_eq!(stage.ask("alice", &session, answer).await.status, StatusCode::ACCEPTED);
    let last = stream.next().await.unwrap();
    let got = last
        .pointer("/result/structuredContent/got/result/_meta/io.modelcontextprotocol~1related-task/taskId");
    assert_eq!(got, Some(&Json::from("t-1")), "{}", last.to_text());
}
