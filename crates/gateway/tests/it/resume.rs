//! Streams that stop before their answer, and are gone on with.

use axum::body::Body;
use gateway::Ending;
use http::StatusCode;
use http_body_util::BodyExt;
use wire::json::Json;

use crate::{
    elder::elder,
    stage::{Stage, Stream, call, header, modern, stage},
    world::{answer, post, tool},
};

/// Calls a tool that tells of its progress, and reads until the end of the stream.
async fn called(stage: &Stage, session: &str, name: &str) -> String {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{{"name":"{name}","_meta":{{"progressToken":"p"}}}}}}"#
    );
    text(stage.send(post("alice", Some(session), message)).await).await
}

async fn text(response: axum::response::Response) -> String {
    let body = tokio::time::timeout(std::time::Duration::from_secs(10), response.into_body().collect());
    String::from_utf8(body.await.expect("an end").unwrap().to_bytes().to_vec()).unwrap()
}

/// The ids of the events in a stream's text.
fn ids(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn a_stream_that_pauses_is_fetched() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let (second, bobs) =
        (stage.open("alice", "2025-11-25", "{}").await, stage.open("bob", "2025-11-25", "{}").await);
    let first = called(&stage, &session, "pauses").await;
    let id = ids(&first).pop().unwrap().to_owned();
    assert_eq!(first, format!("id: {id}\nretry: 10\ndata: \n\n"));
    assert!(id.ends_with("/0") && !id.contains("p1"), "the ids are ours");
    let (seen, decided) = (stage.server.seen().len(), stage.decided());
    for (token, session, status) in [("alice", &second, 400), ("bob", &bobs, 400), ("bob", &session, 404)] {
        assert_eq!(stage.get(token, session, Some(&id)).await.status().as_u16(), status, "{token}");
    }
    for wrong in ["", "x", "/0", &format!("{id}0"), &id.replace("/0", "/1"), &id.replace("/0", ""), "up-1.p1"]
    {
        let refused = answer(stage.get("alice", &session, Some(wrong)).await).await;
        assert_eq!(
            (refused.status, refused.error_code()),
            (StatusCode::BAD_REQUEST, Some(-32000)),
            "{wrong}"
        );
    }
    assert_eq!((stage.server.seen().len(), stage.decided()), (seen, decided));
    // None of that spoiled it.
    let rest = text(stage.get("alice", &session, Some(&id)).await).await;
    let stream = id.trim_end_matches('0');
    assert_eq!(ids(&rest), [format!("{stream}1"), format!("{stream}2")], "{rest}");
    assert!(rest.contains(r#""progressToken":"p","progress":2"#) && rest.contains(r#""id":"c","result""#));
    let fetched = stage.server.saw(|seen| header(seen, "last-event-id").is_some()).await;
    assert!(header(&fetched, "last-event-id").unwrap().contains(".p1"));
    assert_eq!(stage.server.count("pauses"), 1, "the call was made once");
    assert_eq!(stage.authorized("pauses"), 1);
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Done);
    // It may have been lost once more, up to its very end.
    for token_and_session in [("alice", &second), ("bob", &bobs)] {
        let (token, other) = token_and_session;
        assert_eq!(stage.get(token, other, Some(&id)).await.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(text(stage.get("alice", &session, Some(&id)).await).await, rest);
    let last = text(stage.get("alice", &session, Some(&format!("{stream}1"))).await).await;
    assert_eq!(ids(&last), [format!("{stream}2")]);
    let end = stage.get("alice", &session, Some(&format!("{stream}2"))).await;
    assert_eq!(end.status(), StatusCode::BAD_REQUEST, "there is nothing behind the end");
    stage.clock.0.fetch_add(60_000, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(stage.get("alice", &session, Some(&id)).await.status(), StatusCode::BAD_REQUEST, "it is over");
    assert_eq!(stage.server.count("pauses"), 1);
}

#[tokio::test]
async fn ends_of_streams_make_room_for_later_ones() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let mut first = Vec::new();
    for _ in 0..17 {
        let id = ids(&called(&stage, &session, "pauses").await)[0].to_owned();
        assert!(text(stage.get("alice", &session, Some(&id)).await).await.contains("done"));
        first.push(id);
    }
    assert_eq!(stage.get("alice", &session, Some(&first[0])).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(stage.get("alice", &session, Some(&first[1])).await.status(), StatusCode::OK);
}

const TALKS: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"talks","_meta":{"progressToken":"p"}}}"#;

#[tokio::test]
async fn the_end_of_a_session_lets_go_of_its_streams() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let other = stage.open("alice", "2025-11-25", "{}").await;
    for session in [&session, &other] {
        let mut left = Stream::of(stage.send(post("alice", Some(session), TALKS)).await);
        left.next().await.unwrap();
    }
    let end = |session: &str| {
        let mut end = post("alice", Some(session), Body::empty());
        *end.method_mut() = http::Method::DELETE;
        end
    };
    assert_eq!(stage.send(end(&session)).await.status(), StatusCode::NO_CONTENT);
    stage.server.was_left(1).await;
    let left = || stage.plane.outcomes().iter().filter(|outcome| outcome.code == Some("client_left")).count();
    assert_eq!(left(), 1);
    // The same where the end of the session comes first.
    let second = TALKS.replace(r#""id":1"#, r#""id":2"#);
    let mut stream = Stream::of(stage.send(post("alice", Some(&other), second)).await);
    stream.next().await.unwrap();
    assert_eq!(stage.send(end(&other)).await.status(), StatusCode::NO_CONTENT);
    stage.server.was_left(2).await;
    drop(stream);
    stage.server.was_left(3).await;
    assert_eq!(left(), 3);
}

#[tokio::test]
async fn a_stream_that_was_lost_is_sent_again_without_a_gap() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let message = r#"{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"talks","_meta":{"progressToken":"p"}}}"#;
    let mut body = stage.send(post("alice", Some(&session), message)).await.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let id = ids(std::str::from_utf8(&first).unwrap())[0].to_owned();
    assert_eq!(
        Stream::of(axum::response::Response::new(body)).next().await.unwrap().pointer("/params/progress"),
        Some(&Json::from(1))
    );
    for _ in 0..3 {
        let mut again = Stream::of(stage.get("alice", &session, Some(&id)).await);
        let progress = again.next().await.unwrap();
        assert_eq!(
            progress.pointer("/params/progressToken"),
            Some(&Json::from("p")),
            "what was lost comes again"
        );
    }
    assert_eq!(stage.server.count("talks"), 1);
    assert_eq!(stage.server.count("cancelled"), 0, "to leave a stream takes nothing back");
    assert!(
        !stage
            .plane
            .told()
            .iter()
            .any(|told| matches!(told, crate::plane::Told::Concluded(o) if o.code == Some("client_left")))
    );
}

#[tokio::test]
async fn a_revocation_ends_a_stream_that_waits_and_the_server_is_told() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let id = ids(&called(&stage, &session, "pauses").await)[0].to_owned();
    let tending = tokio::spawn(std::sync::Arc::clone(&stage.gate).tend());
    stage.plane.revoke("alice");
    let call = stage.server.saw(|seen| seen.body.contains("pauses")).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), call.json().get("id"));
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Cut);
    assert_eq!(stage.get("alice", &session, Some(&id)).await.status(), StatusCode::UNAUTHORIZED);
    tending.abort();
}

#[tokio::test]
async fn who_cannot_fetch_gets_the_whole_stream() {
    let stage = stage(elder().await);
    for name in ["pauses", "breaks"] {
        for revision in ["2025-06-18", "2025-03-26"] {
            let session = stage.open("alice", revision, "{}").await;
            let all = called(&stage, &session, name).await;
            assert!(all.contains("done") && ids(&all).is_empty(), "{name}: {all}");
        }
        let message =
            modern(1, "tools/call", &format!(r#"{{"name":"{name}"}}"#), "{}", r#""progressToken":"p""#);
        let answer = stage.modern("alice", message).await;
        assert_eq!(answer.messages.len(), 2, "{}", answer.text);
        assert_eq!(answer.last().pointer("/result/content/0/text"), Some(&Json::from("done")));
    }
    assert_eq!(stage.server.count("tools/call"), 6, "each call was made once");
}

#[tokio::test]
async fn a_broken_connection_is_gone_on_with() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let mut all = called(&stage, &session, "breaks").await;
    // Where the server said how long to wait, the client may be left to fetch the rest.
    if !all.contains("done") {
        let id = ids(&all).pop().unwrap().to_owned();
        all = text(stage.get("alice", &session, Some(&id)).await).await;
    }
    assert!(all.contains("done"), "{all}");
    assert_eq!(stage.server.count("breaks"), 1);
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Done);
}

#[tokio::test]
async fn a_standstill_ends() {
    let stage = stage(elder().await);
    let answer = stage.modern("alice", call(1, "stands_still", "")).await;
    assert_eq!(answer.code(), "upstream_no_answer", "{}", answer.text);
    let asked = stage.server.seen().iter().filter(|seen| header(seen, "last-event-id").is_some()).count();
    assert_eq!(asked, 5);
    let outcome = stage.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Unknown, Some("upstream_no_answer")));
}

#[tokio::test]
async fn what_began_and_cannot_be_gone_on_with_may_have_been_done() {
    let stage = stage(elder().await);
    let answer = stage.modern("alice", call(1, "breaks_for_good", "")).await;
    assert_eq!(answer.error_code(), Some(-32603), "{}", answer.text);
    assert_eq!(stage.plane.outcomes().pop().unwrap().result, Ending::Unknown);
    assert_eq!(stage.server.count("breaks_for_good"), 1);
}

#[tokio::test]
async fn nobody_is_kept_waiting_for_long() {
    let stage = stage(elder().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let first = called(&stage, &session, "pauses_long").await;
    assert!(first.contains("retry: 30000\n"), "{first}");
    let mut get = post("alice", Some(&session), Body::empty());
    *get.method_mut() = http::Method::GET;
    get.headers_mut().append("last-event-id", "x/1".parse().unwrap());
    assert_eq!(stage.send(get).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(stage.ask("alice", &session, tool(2, "echo")).await.status, StatusCode::OK);
}
