//! `/mcp`: what servers ask, and the tasks that they begin, reach the one who called and nobody else.

use http::StatusCode;
use wire::json::Json;

use crate::{
    aggregate::{Three, at_all, three, three_and},
    elder::elder,
    stage::{Stream, call, modern, modern_post},
    world::{Answer, answer, post, tool},
};

const YES: &str = r#""inputResponses":{"question":{"action":"accept","content":{"n":1}}}"#;
const KNOWS: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// A session whose client can be asked.
async fn open(three: &Three, token: &str) -> String {
    let message = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"t","version":"1"}}}"#;
    let response = three.world.send(at_all(post(token, None, message))).await;
    response.headers()["mcp-session-id"].to_str().unwrap().to_owned()
}

async fn modern_as(three: &Three, token: &str, message: String) -> Answer {
    answer(three.world.send(at_all(modern_post(token, message))).await).await
}

#[tokio::test]
async fn a_question_of_an_elder_server_waits_for_its_caller_alone() {
    let elder = elder().await;
    let three = three_and(Some(elder.address)).await;
    let asked = modern_as(&three, "alice", call(1, "elder__elicits", "")).await;
    let ticket =
        asked.last().pointer("/result/requestState").and_then(Json::as_str).expect(&asked.text).to_owned();
    let retry = |name: &str| call(2, name, &format!(r#","requestState":"{ticket}",{YES}"#));
    let foreign = modern_as(&three, "bob", retry("elder__elicits")).await;
    assert_eq!(foreign.error_code(), Some(-32602), "{}", foreign.text);
    // The ticket is of one act at one server.
    for name in ["young__elicits", "elder__echo", "main__echo"] {
        let other = modern_as(&three, "alice", retry(name)).await;
        assert_eq!(other.error_code(), Some(-32602), "{name}: {}", other.text);
    }
    assert_eq!(elder.count(r#""id":"q-"#), 0, "nothing was answered");
    let done = modern_as(&three, "alice", retry("elder__elicits")).await;
    assert!(done.text.contains(r#""action":"accept""#), "{}", done.text);
    let again = modern_as(&three, "alice", retry("elder__elicits")).await;
    assert_eq!(again.error_code(), Some(-32602), "{}", again.text);
    assert_eq!(elder.count(r#""name":"elicits""#), 1, "the call was made once");
}

#[tokio::test]
async fn questions_of_a_young_server_are_asked_on_the_callers_stream() {
    let three = three().await;
    let (alices, second, bobs) =
        (open(&three, "alice").await, open(&three, "alice").await, open(&three, "bob").await);
    let mut stream =
        Stream::of(three.world.send(at_all(post("alice", Some(&alices), tool(1, "young__asks_two")))).await);
    let questions = [stream.next().await.unwrap(), stream.next().await.unwrap()];
    let reply = async |token: &str, session: &str, question: &Json, action: &str| {
        let id = question.get("id").unwrap().to_text();
        let reply = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"{action}"}}}}"#);
        three.send(token, session, reply).await.status
    };
    for question in &questions {
        assert_eq!(question.get("method"), Some(&Json::from("elicitation/create")), "{}", question.to_text());
        assert_eq!(reply("alice", &second, question, "forged").await, StatusCode::ACCEPTED);
        assert_eq!(reply("bob", &bobs, question, "forged").await, StatusCode::ACCEPTED);
        assert_eq!(reply("bob", &alices, question, "forged").await, StatusCode::NOT_FOUND);
    }
    for question in &questions {
        assert_eq!(reply("alice", &alices, question, "accept").await, StatusCode::ACCEPTED);
    }
    let last = stream.next().await.unwrap().to_text();
    assert!(last.contains("accept") && !last.contains("forged"), "{last}");
    assert_eq!((three.young.count("forged"), three.young.count("asks_two")), (0, 2));
}

#[tokio::test]
async fn a_task_is_its_holders_alone() {
    let three = three().await;
    let made =
        modern_as(&three, "alice", modern(1, "tools/call", r#"{"name":"young__task"}"#, KNOWS, "")).await;
    let id = made.last().pointer("/result/taskId").expect(&made.text).to_text();
    assert!(!made.text.contains("t-1"), "{}", made.text);
    let about = |id: &str| modern(2, "tasks/get", &format!(r#"{{"taskId":{id}}}"#), KNOWS, "");
    let seen = three.young.seen().len();
    for (token, id) in [
        ("bob", id.as_str()),
        ("alice-too", &id),
        ("alice", r#""t-1""#),
        ("alice", r#""young:t-1""#),
        ("alice", r#""""#),
    ] {
        let foreign = modern_as(&three, token, about(id)).await;
        assert_eq!(foreign.code(), "unknown_task", "{token} {id}: {}", foreign.text);
    }
    assert_eq!(three.young.seen().len(), seen, "nothing was forwarded");
    let cancelled = modern(3, "tasks/cancel", &format!(r#"{{"taskId":{id}}}"#), KNOWS, "");
    assert_eq!(modern_as(&three, "alice", cancelled).await.error_code(), None);
    let told = three.young.seen().pop().unwrap().json();
    assert_eq!(told.pointer("/params/taskId"), Some(&Json::from("t-1")), "{}", told.to_text());
}

#[tokio::test]
async fn a_part_that_is_lost_is_opened_anew_and_the_session_stays() {
    let elder = elder().await;
    let three = three_and(Some(elder.address)).await;
    let session = open(&three, "alice").await;
    let echo = async |id: u8| three.send("alice", &session, tool(id, "elder__echo")).await;
    assert_eq!(echo(1).await.error_code(), None);
    let part = elder.saw(|seen| seen.body.contains("tools/call")).await.headers["mcp-session-id"].clone();
    elder.forgotten.lock().unwrap().push(part.to_str().unwrap().to_owned());
    let again = echo(2).await;
    assert_eq!((again.status, again.error_code()), (StatusCode::OK, None), "{}", again.text);
    assert_eq!(elder.count("\"initialize\""), 2);
    assert_eq!(elder.count("tools/call"), 3, "refused once, executed twice");
}
