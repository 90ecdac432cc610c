//! Sender proofs: one HTTP request shows one, however many acts it takes to serve it, and none is good twice.

use gateway::Refused;
use http::{Request, StatusCode};
use wire::json::Json;

use crate::{
    elder::elder,
    plane::{CountingDice, NOW, denial},
    stage::{Stage, Stream, call, header, modern, modern_post, stage},
    world::{answer, post, tool},
    young::young,
};

type Sent = Request<axum::body::Body>;

fn proven(mut request: Sent, proof: &str) -> Sent {
    request.headers_mut().insert("dpop", proof.parse().unwrap());
    request
}

const OPENING: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{}}}"#;

#[tokio::test]
async fn one_proof_serves_all_that_a_request_takes() {
    let old = stage(elder().await);
    let first = answer(old.send(proven(modern_post("alice", call(1, "echo", "")), "p1")).await).await;
    assert_eq!(
        (first.status, first.error_code()),
        (StatusCode::OK, None),
        "asked, opened and called: {}",
        first.text
    );
    let kept = header(&old.server.seen().pop().unwrap(), "mcp-session-id").unwrap();
    old.server.forgotten.lock().unwrap().push(kept);
    let again = answer(old.send(proven(modern_post("alice", call(1, "echo", "")), "p2")).await).await;
    assert_eq!(again.error_code(), None, "opened anew and called again: {}", again.text);

    let new = stage(young().await);
    let opened = answer(new.send(proven(post("alice", None, OPENING), "p1")).await).await;
    assert!(opened.headers.contains_key("mcp-session-id"), "asked in both generations: {}", opened.text);
}

#[tokio::test]
async fn a_round_goes_on_with_the_proof_that_it_began_with() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", r#"{"elicitation":{}}"#).await;
    let calling = proven(post("alice", Some(&session), tool(1, "asks_two")), "p1");
    let mut stream = Stream::of(stage.send(calling).await);
    for proof in ["p2", "p3"] {
        let id = stream.next().await.unwrap().get("id").unwrap().to_text();
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"action":"accept"}}}}"#);
        let answered = stage.send(proven(post("alice", Some(&session), answer), proof)).await;
        assert_eq!(answered.status(), StatusCode::ACCEPTED);
    }
    let last = stream.next().await.unwrap();
    assert!(last.pointer("/result/structuredContent/answers").is_some(), "{}", last.to_text());
}

#[tokio::test]
async fn a_subscription_shows_one_proof() {
    let params = r#"{"notifications":{"resourceSubscriptions":["a://denied","a://x","a://y"]}}"#;
    for server in [elder().await, young().await] {
        let stage = stage(server);
        let Refused::Denied(mut denied) = denial() else { panic!("it is a denial") };
        denied.decision_id = Some(base::DecisionId::new(NOW, &CountingDice::new()));
        stage.plane.deny("a://denied", Refused::Denied(denied));
        let listening = modern_post("alice", modern(1, "subscriptions/listen", params, "{}", ""));
        let mut stream = Stream::of(stage.send(proven(listening, "p1")).await);
        let granted = stream.next().await.unwrap();
        let uris = granted.pointer("/params/notifications/resourceSubscriptions").map(Json::to_text);
        assert_eq!(uris.as_deref(), Some(r#"["a://x","a://y"]"#), "{}", granted.to_text());
    }
}

async fn refused(stage: &Stage, request: Sent, what: &str) {
    let answer = stage.unforwarded(request, what).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}: {}", answer.text);
}

#[tokio::test]
async fn no_proof_is_good_twice() {
    let stage = stage(elder().await);
    let call_of = |proof: &str| proven(modern_post("alice", call(1, "echo", "")), proof);
    assert_eq!(stage.send(call_of("p1")).await.status(), StatusCode::OK);
    refused(&stage, call_of("p1"), "the same").await;
    assert_eq!(stage.send(call_of("p2")).await.status(), StatusCode::OK);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    refused(&stage, proven(post("alice", Some(&session), tool(1, "echo")), "p2"), "in another generation")
        .await;
    refused(&stage, proven(modern_post("alice", modern(1, "no/such", "{}", "{}", "")), "p2"), "for no act")
        .await;
    let parked = answer(stage.send(proven(modern_post("alice", call(1, "elicits", "")), "p3")).await).await;
    let ticket = parked.last().pointer("/result/requestState").unwrap().to_text();
    let retry = |proof: &str| {
        let rest =
            format!(r#","requestState":{ticket},"inputResponses":{{"question":{{"action":"accept"}}}}"#);
        proven(modern_post("alice", call(2, "elicits", &rest)), proof)
    };
    let good = answer(stage.send(retry("p4")).await).await;
    assert!(good.text.contains("accept"), "{}", good.text);
}
