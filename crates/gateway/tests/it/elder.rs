//! A server of 2025-11-25 with sessions that behaves as each tool's name says.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::Method;
use wire::json::Json;

use crate::{
    servers::Seen,
    stage::{Scripted, data, error_of, header, json, result_of, sse, sse_broken, sse_text, status},
    young::refused,
};

pub(crate) const DONE: &str = r#"{"content":[{"type":"text","text":"done"}]}"#;
const GREETING: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"serverInfo":{"name":"elder","version":"1"}}"#;

static SESSIONS: AtomicUsize = AtomicUsize::new(1);

pub(crate) async fn elder() -> Arc<Scripted> {
    Scripted::start(behave).await
}

pub(crate) async fn behave(server: Arc<Scripted>, seen: Seen) -> Response {
    let session = header(&seen, "mcp-session-id");
    if session.as_ref().is_some_and(|session| server.forgotten.lock().unwrap().contains(session)) {
        return status(404);
    }
    match seen.method {
        Method::DELETE => return status(200),
        Method::GET => return go_on(&server, &seen),
        _ => {}
    }
    let message = seen.json();
    let method = message.get("method").and_then(Json::as_str);
    if session.is_none() && method != Some("initialize") {
        return refused(&seen, -32600, 400);
    }
    match method {
        Some("initialize") => {
            let wanted = message.pointer("/params/protocolVersion").and_then(Json::as_str).unwrap();
            let mut response = json(result_of(&seen, &GREETING.replace("2025-11-25", wanted)));
            let session = format!("up-{}", SESSIONS.fetch_add(1, Ordering::SeqCst));
            response.headers_mut().insert("mcp-session-id", session.parse().unwrap());
            response
        }
        Some("tools/call") => call(&server, &seen, &message),
        Some("tools/list") => json(result_of(&seen, r#"{"tools":[{"name":"echo","inputSchema":{}}]}"#)),
        Some("resources/subscribe") => json(result_of(&seen, "{}")),
        Some("tasks/get") => json(result_of(&seen, r#"{"taskId":"t-1","status":"working"}"#)),
        Some("tasks/list") => json(result_of(
            &seen,
            r#"{"tasks":[{"taskId":"t-1","status":"working"},{"taskId":"t-2","status":"working"}]}"#,
        )),
        Some("tasks/result") => json(result_of(
            &seen,
            r#"{"content":[],"_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t-1"}}}"#,
        )),
        _ if message.get("id").is_some() && method.is_some() => json(error_of(&seen, -32601)),
        _ => status(202),
    }
}

fn go_on(server: &Arc<Scripted>, seen: &Seen) -> Response {
    // The first part of an event's id is the request that it belongs to.
    let Some(event) = header(seen, "last-event-id") else { return server.telling_stream(Vec::new()) };
    let (id, event) = event.split_once('.').unwrap();
    let progress = |n: u8| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":{n}}}}}"#
        )
    };
    let done = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{DONE}}}"#);
    match event {
        "p1" | "b1" => sse_text(format!("id: {id}.p2\n{}id: {id}.p3\n{}", data(&progress(2)), data(&done))),
        "s1" => sse_text(format!("id: {id}.s1\nretry: 1\ndata: \n\n")),
        _ => status(405),
    }
}

fn call(server: &Arc<Scripted>, seen: &Seen, message: &Json) -> Response {
    let id = message.get("id").unwrap().to_text();
    match message.pointer("/params/name").and_then(Json::as_str).unwrap() {
        "echo" => {
            let arguments = message.pointer("/params/arguments").cloned().unwrap_or_default().to_text();
            json(result_of(seen, &format!(r#"{{"content":[],"structuredContent":{arguments}}}"#)))
        }
        name @ ("elicits" | "elicits_for_task") => {
            let about = match name {
                "elicits" => "",
                _ => r#""_meta":{"io.modelcontextprotocol/related-task":{"taskId":"t-1"}},"#,
            };
            let question = data(&format!(
                r#"{{"jsonrpc":"2.0","id":"q-{id}","method":"elicitation/create","params":{{{about}"message":"sure?","requestedSchema":{{"type":"object"}}}}}}"#
            ));
            let (asker, seen, own) = (Arc::clone(server), seen.clone(), format!(r#""id":"q-{id}""#));
            let rest = stream::once(async move {
                let got = asker.saw(|seen| seen.body.contains(&own)).await.json().to_text();
                data(&result_of(&seen, &format!(r#"{{"content":[],"structuredContent":{{"got":{got}}}}}"#)))
            });
            let pieces = stream::once(async move { question }).chain(rest);
            sse(Body::from_stream(pieces.map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)))))
        }
        // The first time a visit is wanted; whoever calls again has made it.
        "wants_visit" if server.count(r#""name":"wants_visit""#) == 1 => json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32042,"message":"sign in first","data":{{"elicitations":[{{"mode":"url","elicitationId":"e-1","url":"https://a.example/in","message":"sign in"}}]}}}}}}"#
        )),
        "wants_visit" => json(result_of(seen, DONE)),
        "task" => json(result_of(seen, r#"{"task":{"taskId":"t-1","status":"working"}}"#)),
        "pauses" => sse_text(format!("id: {id}.p1\nretry: 10\ndata: \n\n")),
        "pauses_long" => sse_text(format!("id: {id}.p1\nretry: 4294967295\ndata: \n\n")),
        "breaks" => sse_broken(&format!("id: {id}.b1\nretry: 10\ndata: \n\n")),
        "breaks_for_good" => sse_broken(&format!("id: {id}.x1\nretry: 10\ndata: \n\n")),
        "stands_still" => sse_text(format!("id: {id}.s1\nretry: 1\ndata: \n\n")),
        "talks" => {
            let progress = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":1}}}}"#
            );
            server.open_stream(&[data(&progress)])
        }
        other => panic!("no behaviour `{other}`"),
    }
}
