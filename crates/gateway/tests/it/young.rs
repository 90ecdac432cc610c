//! A server of 2026-07-28 that behaves as each tool's name says.

use std::sync::Arc;

use axum::response::Response;
use http::{Method, StatusCode};
use wire::json::Json;

use crate::{
    servers::Seen,
    stage::{Scripted, data, error_of, json, result_of, sse_text, status},
};

pub(crate) const DONE: &str = r#"{"resultType":"complete","content":[{"type":"text","text":"done"}]}"#;
const OFFER: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{},"logging":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"instructions":"hi","ttlMs":86400000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"young","version":"1"}}}"#;
pub(crate) const ELICIT: &str =
    r#"{"method":"elicitation/create","params":{"message":"sure?","requestedSchema":{"type":"object"}}}"#;

pub(crate) async fn young() -> Arc<Scripted> {
    Scripted::start(behave).await
}

pub(crate) fn refused(seen: &Seen, code: i64, http: u16) -> Response {
    let mut response = json(error_of(seen, code));
    *response.status_mut() = StatusCode::from_u16(http).unwrap();
    response
}

pub(crate) async fn behave(server: Arc<Scripted>, seen: Seen) -> Response {
    if seen.method != Method::POST {
        return status(405);
    }
    let message = seen.json();
    let version = message.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion");
    if version != Some(&Json::from("2026-07-28")) {
        return refused(&seen, -32602, 400);
    }
    match message.get("method").and_then(Json::as_str).unwrap() {
        "server/discover" => json(result_of(&seen, OFFER)),
        "tools/list" => json(result_of(
            &seen,
            r#"{"resultType":"complete","tools":[{"name":"echo","inputSchema":{}},{"name":"secret","inputSchema":{}}],"ttlMs":86400000,"cacheScope":"public"}"#,
        )),
        "resources/read" => json(result_of(&seen, r#"{"contents":[]}"#)),
        "tools/call" => call(&server, &seen, &message),
        "tasks/get" => json(result_of(
            &seen,
            r#"{"resultType":"complete","taskId":"t-1","status":"input_required","inputRequests":{"s":{"method":"sampling/createMessage","params":{}}}}"#,
        )),
        "tasks/cancel" => json(result_of(&seen, r#"{"resultType":"complete"}"#)),
        "subscriptions/listen" => listen(&server, &seen, &message),
        _ => refused(&seen, -32601, 404),
    }
}

fn listen(server: &Arc<Scripted>, seen: &Seen, message: &Json) -> Response {
    let id = message.get("id").unwrap().to_text();
    let wanted = message.pointer("/params/notifications").unwrap().to_text();
    if wanted.contains("a://refused") {
        return refused(seen, -32601, 404);
    }
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{wanted},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#
    );
    server.telling_stream(vec![data(&acknowledged)])
}

fn input(requests: &str, state: &str) -> String {
    format!(r#"{{"resultType":"input_required","inputRequests":{requests}{state}}}"#)
}

fn call(server: &Arc<Scripted>, seen: &Seen, message: &Json) -> Response {
    let params = message.get("params").unwrap();
    let answers = params.get("inputResponses");
    let told = |name: &str| params.get(name).cloned().unwrap_or_default().to_text();
    let echo = || {
        let (answers, state) = (told("inputResponses"), told("requestState"));
        let arguments = told("arguments");
        json(result_of(
            seen,
            &format!(
                r#"{{"resultType":"complete","content":[],"structuredContent":{{"arguments":{arguments},"answers":{answers},"state":{state}}}}}"#
            ),
        ))
    };
    let sampling = r#"{"method":"sampling/createMessage","params":{}}"#;
    match params.get("name").and_then(Json::as_str).unwrap() {
        "talks" => {
            let token = params.pointer("/_meta/progressToken").map_or("0".into(), Json::to_text);
            let progress = |token: &str| {
                data(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
                ))
            };
            let log = |level: &str| {
                data(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"{level}","data":"{level}"}}}}"#
                ))
            };
            let changed = data(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            let done = data(&result_of(seen, DONE));
            sse_text(
                [progress(&token), progress("424242"), log("debug"), log("error"), changed, done].concat(),
            )
        }
        "hangs" => {
            let token = params.pointer("/_meta/progressToken").map_or("0".into(), Json::to_text);
            server.open_stream(&[data(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1}}}}"#
            ))])
        }
        "asks_two" | "asks_then_fails" if answers.is_none() => json(result_of(
            seen,
            &input(&format!(r#"{{"a":{ELICIT},"b":{ELICIT}}}"#), r#","requestState":"state-1""#),
        )),
        "asks_then_fails" => status(500),
        "asks_again" => json(result_of(seen, &input(&format!(r#"{{"a":{ELICIT}}}"#), ""))),
        "asks_sampling" => json(result_of(seen, &input(&format!(r#"{{"s":{sampling}}}"#), ""))),
        "asks_half" => json(result_of(seen, &input(&format!(r#"{{"a":{ELICIT},"s":{sampling}}}"#), ""))),
        "asks_nothing" => json(result_of(seen, r#"{"resultType":"input_required"}"#)),
        "asks_list" => json(result_of(seen, &input(&format!("[{sampling}]"), r#","requestState":"s""#))),
        "asks_text" => json(result_of(seen, &input(r#"{"a":"elicitation/create"}"#, ""))),
        "asks_no_object" => {
            json(result_of(seen, &input(r#"{"a":{"method":"elicitation/create","params":[1]}}"#, "")))
        }
        "asks_unknown" => json(result_of(seen, &input(r#"{"a":{"method":"tools/call","params":{}}}"#, ""))),
        "state_is_no_text" => {
            json(result_of(seen, &input(&format!(r#"{{"a":{ELICIT}}}"#), r#","requestState":{"x":1}"#)))
        }
        "state_alone" if told("requestState") == "null" => {
            json(result_of(seen, r#"{"resultType":"input_required","requestState":"state-\u00e9"}"#))
        }
        "echo" | "asks_two" | "state_alone" => echo(),
        "task" => {
            json(result_of(seen, r#"{"resultType":"task","taskId":"t-1","status":"working","ttlMs":null}"#))
        }
        "answers_twice" => {
            let first = data(&result_of(seen, r#"{"resultType":"complete","content":[],"n":1}"#));
            let second = data(&result_of(seen, r#"{"resultType":"complete","content":[],"n":2}"#));
            sse_text(first + &second)
        }
        "asks_midway" => {
            let question = data(r#"{"jsonrpc":"2.0","id":"m1","method":"elicitation/create","params":{}}"#);
            sse_text(question + &data(&result_of(seen, DONE)))
        }
        "no_object" => json(result_of(seen, "[1]")),
        "rpc_error" => json(error_of(seen, -32000)),
        "no_such" => refused(seen, -32601, 404),
        other => panic!("no behaviour `{other}`"),
    }
}
