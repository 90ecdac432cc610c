//! Clients of 2026-07-28 in front of a server with sessions: the kept session, and questions in the middle of an answer.

use gateway::Ending;
use http::StatusCode;
use wire::json::Json;

use crate::{
    elder::elder,
    plane::denial,
    servers::Seen,
    stage::{Stage, call, header, modern, modern_post, stage},
    world::Answer,
};

const YES: &str = r#""inputResponses":{"question":{"action":"accept","content":{"n":1.0}}}"#;

fn sessions(stage: &Stage, text: &str) -> Vec<String> {
    let seen = stage.server.seen();
    seen.iter()
        .filter(|seen| seen.body.contains(text))
        .filter_map(|seen| header(seen, "mcp-session-id"))
        .collect()
}

/// Calls a tool whose server asks; gives the ticket.
async fn parked(stage: &Stage, token: &str, rest: &str) -> String {
    let answer = stage.modern(token, call(1, "elicits", rest)).await;
    ticket(&answer)
}

fn ticket(answer: &Answer) -> String {
    let result = answer.last().get("result").unwrap_or_else(|| panic!("{}", answer.text));
    assert_eq!(result.get("resultType"), Some(&Json::from("input_required")));
    assert_eq!(result.pointer("/inputRequests/question/method"), Some(&Json::from("elicitation/create")));
    result.get("requestState").and_then(Json::as_str).unwrap().to_owned()
}

fn retry(ticket: &str, rest: &str) -> String {
    call(2, "elicits", &format!(r#"{rest},"requestState":"{ticket}",{YES}"#))
}

fn is_answer(seen: &Seen) -> bool {
    seen.body.contains(r#""id":"q-"#)
}

#[tokio::test]
async fn one_session_is_kept_for_a_holder_and_what_its_client_can_do() {
    let stage = stage(elder().await);
    let can = |capabilities: &str, marker: &str| {
        let params = format!(r#"{{"name":"echo","arguments":{{"m":"{marker}"}}}}"#);
        modern(1, "tools/call", &params, capabilities, "")
    };
    let elicits = r#"{"elicitation":{}}"#;
    for (token, capabilities, marker, opened) in [
        ("alice", elicits, "a1", 1),
        ("alice", elicits, "a1", 1),
        ("alice", r#"{"elicitation":{},"experimental":{"x":{}}}"#, "a1", 1),
        ("alice", "{}", "a2", 2),
        ("alice", elicits, "a1", 2),
        ("bob", elicits, "b", 3),
        ("alice-too", elicits, "t", 4),
        ("bob", elicits, "b", 4),
    ] {
        let answer = stage.modern(token, can(capabilities, marker)).await;
        assert_eq!(answer.last().pointer("/result/structuredContent/m"), Some(&Json::from(marker)));
        assert_eq!(answer.last().pointer("/result/resultType"), Some(&Json::from("complete")));
        assert_eq!(stage.server.count("\"initialize\""), opened, "{token} {capabilities}");
    }
    let mut all = Vec::new();
    for marker in ["a1", "a2", "b", "t"] {
        let mut own = sessions(&stage, &format!(r#""m":"{marker}""#));
        own.dedup();
        assert_eq!(own.len(), 1, "{marker}");
        all.extend(own);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4, "no session is shared");
    assert_eq!(stage.server.count("notifications/initialized"), 4);
    assert_eq!(stage.authorized("open"), 5, "once in the other generation first");
}

#[tokio::test]
async fn asking_what_there_is_again_opens_no_further_session() {
    let stage = stage(elder().await);
    let discover = || modern(1, "server/discover", "{}", r#"{"elicitation":{}}"#, "");
    for _ in 0..3 {
        assert_eq!(stage.modern("alice", discover()).await.error_code(), None);
    }
    stage.modern("alice", call(1, "echo", "")).await;
    let kept = header(&stage.server.saw(|seen| seen.body.contains("echo")).await, "mcp-session-id");
    let is_end = |seen: &&Seen| seen.method == http::Method::DELETE;
    let (opened, mut ended) = (stage.server.count("\"initialize\""), Vec::new());
    while ended.len() + 1 < opened {
        let known = ended.clone();
        let next =
            stage.server.saw(|seen| is_end(&seen) && !known.contains(&header(seen, "mcp-session-id"))).await;
        ended.push(header(&next, "mcp-session-id"));
    }
    assert!(!ended.contains(&kept), "one is kept, whoever asked");
    stage.modern("alice", call(1, "echo", "")).await;
    assert_eq!(stage.server.count("\"initialize\""), opened);
}

#[tokio::test]
async fn a_forgotten_session_is_opened_anew_and_the_call_made_once() {
    let stage = stage(elder().await);
    stage.modern("alice", call(1, "echo", "")).await;
    let old = sessions(&stage, "echo").remove(0);
    stage.server.forgotten.lock().unwrap().push(old.clone());
    let opened = stage.authorized("open");
    let again = stage.modern("alice", call(2, "echo", r#","arguments":{"m":"again"}"#)).await;
    assert_eq!(again.last().pointer("/result/structuredContent/m"), Some(&Json::from("again")));
    let used = sessions(&stage, "again");
    assert_eq!(used.len(), 2, "refused once, executed once");
    assert!(used[0] == old && used[1] != old);
    assert_eq!(stage.authorized("echo"), 3, "each sending has a permit of its own");
    assert_eq!(stage.authorized("open"), opened + 1);
    let outcomes = stage.plane.outcomes();
    let gone: Vec<_> = outcomes.iter().filter(|o| o.code == Some("upstream_session_gone")).collect();
    assert!(gone.len() == 1 && gone[0].result == Ending::Failed);
}

#[tokio::test]
async fn a_question_waits_for_its_answer() {
    let stage = stage(elder().await);
    let ticket = parked(&stage, "alice", r#","arguments":{"x":1}"#).await;
    let told = format!(r#","arguments":{{"x":1}},"requestState":"{ticket}",{YES}"#);
    let params = format!(r#"{{"name":"elicits"{told}}}"#);
    let message = modern("\"r\"", "tools/call", &params, r#"{"elicitation":{}}"#, r#""vendor/x":1"#);
    let answer = stage.modern("alice", message).await;
    assert_eq!(answer.last().get("id"), Some(&Json::from("r")), "{}", answer.text);
    let got = answer.last().pointer("/result/structuredContent/got/result").unwrap().to_text();
    assert_eq!(got, r#"{"action":"accept","content":{"n":1.0}}"#);
    assert_eq!(answer.last().pointer("/result/resultType"), Some(&Json::from("complete")));
    assert_eq!(stage.server.count(r#""name":"elicits""#), 1, "the call was made once");
    assert_eq!(stage.authorized("elicits"), 2, "the act is decided again with the answer");
    let outcomes = stage.plane.outcomes();
    assert!(outcomes.iter().rev().take(2).all(|outcome| outcome.result == Ending::Done), "{outcomes:?}");
    assert_eq!(stage.server.count("cancelled"), 0);
}

#[tokio::test]
async fn what_a_client_cannot_be_asked_is_answered_for_it() {
    let stage = stage(elder().await);
    let answer = stage.modern("alice", modern(1, "tools/call", r#"{"name":"elicits"}"#, "{}", "")).await;
    let got = answer.last().pointer("/result/structuredContent/got/error/code");
    assert_eq!(got, Some(&Json::from(-32601)), "{}", answer.text);
    assert_eq!(stage.authorized("answer"), 0, "no word of the client");
}

#[tokio::test]
async fn a_ticket_is_good_for_its_act_and_its_holder_alone() {
    let stage = stage(elder().await);
    let own = r#","arguments":{"x":1}"#;
    let ticket = parked(&stage, "alice", own).await;
    let without = |answers: &str| call(2, "elicits", &format!(r#"{own},"requestState":"{ticket}"{answers}"#));
    let cut = &ticket[..ticket.len() - 1];
    let wrong = [
        ("other arguments", "alice", retry(&ticket, r#","arguments":{"x":2}"#)),
        ("another spelling", "alice", retry(&ticket, r#","arguments":{"x":1,"y":null}"#)),
        ("no arguments", "alice", retry(&ticket, "")),
        ("another member", "alice", retry(&ticket, &format!(r#"{own},"task":{{}}"#))),
        ("another tool", "alice", retry(&ticket, own).replace("elicits", "echo")),
        ("another holder", "bob", retry(&ticket, own)),
        ("another task", "alice-too", retry(&ticket, own)),
        ("a part of it", "alice", retry(cut, own)),
        ("garbage", "alice", retry("p.zzz", own)),
        ("nothing", "alice", retry("p.", own)),
        ("another kind", "alice", retry(&ticket.replace("p.", "s."), own)),
        ("no kind", "alice", retry(&ticket.replace("p.", ""), own)),
        ("no answer", "alice", without("")),
        ("an answer to something else", "alice", without(r#","inputResponses":{"x":{"action":"accept"}}"#)),
        ("an answer that is none", "alice", without(r#","inputResponses":{"question":"yes"}"#)),
        ("answers of the wrong shape", "alice", without(r#","inputResponses":[{}]"#)),
    ];
    for (what, token, message) in wrong {
        let answer = stage.unforwarded(modern_post(token, message), what).await;
        assert_eq!((answer.error_code(), answer.status), (Some(-32602), StatusCode::BAD_REQUEST), "{what}");
    }
    let mut elsewhere = modern_post("alice", retry(&ticket, own));
    *elsewhere.uri_mut() = "/mcp/other".parse().unwrap();
    assert_eq!(stage.unforwarded(elsewhere, "another server").await.error_code(), Some(-32602));
    // None of that spoiled it; it is good once.
    let good = stage.modern("alice", retry(&ticket, own)).await;
    assert!(good.text.contains("accept"), "{}", good.text);
    let twice = stage.unforwarded(modern_post("alice", retry(&ticket, own)), "twice").await;
    assert_eq!(twice.error_code(), Some(-32602));
}

#[tokio::test]
async fn a_ticket_ends_by_itself() {
    let stage = stage(elder().await);
    let ticket = parked(&stage, "alice", "").await;
    stage.clock.0.fetch_add(600_000, std::sync::atomic::Ordering::SeqCst);
    let late = stage.unforwarded(modern_post("alice", retry(&ticket, "")), "late").await;
    assert_eq!(late.error_code(), Some(-32602));
    // The next one that waits finds it over, and its server is told.
    parked(&stage, "alice", r#","arguments":{"x":1}"#).await;
    let call = stage.server.saw(|seen| seen.body.contains("elicits")).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), call.json().get("id"));
}

#[tokio::test]
async fn an_answer_is_decided_as_the_act_that_it_belongs_to() {
    let stage = stage(elder().await);
    let ticket = parked(&stage, "alice", "").await;
    stage.plane.deny("elicits", denial());
    let denied = stage.modern("alice", retry(&ticket, "")).await;
    let is_error = denied.last().pointer("/result/isError");
    assert_eq!((is_error, denied.status), (Some(&Json::Bool(true)), StatusCode::OK), "{}", denied.text);
    let told = stage.server.saw(is_answer).await.json();
    assert!(told.get("result").is_none() && told.pointer("/error/code") == Some(&Json::from(-32003)));
    assert_eq!(stage.server.count("accept"), 0);
    stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    let after = stage.unforwarded(modern_post("alice", retry(&ticket, "")), "after a denial").await;
    assert_eq!(after.error_code(), Some(-32602));
}

#[tokio::test]
async fn a_revocation_ends_what_waits_and_the_server_is_told() {
    let stage = stage(elder().await);
    parked(&stage, "alice", "").await;
    let ticket = parked(&stage, "bob", "").await;
    let tending = tokio::spawn(std::sync::Arc::clone(&stage.gate).tend());
    stage.plane.revoke("alice");
    let call = stage.server.saw(|seen| seen.body.contains("elicits")).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), call.json().get("id"));
    let cut = stage.plane.outcomes_of(4).await.pop().unwrap();
    assert_eq!((cut.result, cut.code), (Ending::Cut, Some("authority_revoked")));
    let good = stage.modern("bob", retry(&ticket, "")).await;
    assert!(good.text.contains("accept"), "others go on: {}", good.text);
    tending.abort();
}

#[tokio::test]
async fn what_waits_is_bounded_for_each_holder() {
    let stage = stage(elder().await);
    let mut tickets = Vec::new();
    for n in 0..16 {
        tickets.push(parked(&stage, "alice", &format!(r#","arguments":{{"n":{n}}}"#)).await);
    }
    let full = stage.modern("alice", call(1, "elicits", r#","arguments":{"n":16}"#)).await;
    assert_eq!((full.error_code(), full.code()), (Some(-32603), "busy"), "{}", full.text);
    let last = stage.server.saw(|seen| seen.body.contains(r#""n":16"#)).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), last.json().get("id"));
    parked(&stage, "bob", "").await;
    let good = stage.modern("alice", retry(&tickets[7], r#","arguments":{"n":7}"#)).await;
    assert!(good.text.contains("accept"), "{}", good.text);
    parked(&stage, "alice", "").await;
}

#[tokio::test]
async fn tickets_cannot_be_told_from_chance() {
    let stage = stage(elder().await);
    let (one, two) = (parked(&stage, "alice", "").await, parked(&stage, "alice", "").await);
    assert_ne!(one, two);
    let is_long = |ticket: &str| ticket.strip_prefix("p.").is_some_and(|ticket| ticket.len() == 32);
    assert!(is_long(&one) && is_long(&two), "128 bits");
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_back() {
    let stage = stage(elder().await);
    let message = modern(1, "tools/call", r#"{"name":"talks"}"#, "{}", r#""progressToken":"p""#);
    let mut stream = crate::stage::Stream::of(stage.send(modern_post("alice", message)).await);
    let progress = stream.next().await.unwrap();
    assert_eq!(progress.pointer("/params/progressToken"), Some(&Json::from("p")));
    drop(stream);
    let call = stage.server.saw(|seen| seen.body.contains("talks")).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), call.json().get("id"));
    stage.server.was_left(1).await;
    let outcome = stage.plane.outcomes().pop().unwrap();
    assert_eq!((outcome.result, outcome.code), (Ending::Unknown, Some("client_left")));
}

#[tokio::test]
async fn a_server_that_has_moved_gets_no_answer_to_what_the_old_one_asked() {
    let stage = stage(elder().await);
    let ticket = parked(&stage, "alice", "").await;
    let moved = elder().await;
    let main = stage.plane.upstreams.lock().unwrap()["main"].clone();
    let url = format!("http://{}/rpc", moved.address).parse().unwrap();
    let there = gateway::Upstream { url, ..(*main).clone() };
    stage.plane.upstreams.lock().unwrap().insert("main".into(), std::sync::Arc::new(there));
    let refused = stage.unforwarded(modern_post("alice", retry(&ticket, "")), "an answer for another").await;
    assert_eq!(refused.error_code(), Some(-32602), "{}", refused.text);
    assert_eq!(moved.seen().len(), 0);
    // Back at its place it is the one that asked.
    stage.plane.upstreams.lock().unwrap().insert("main".into(), main);
    let good = stage.modern("alice", retry(&ticket, "")).await;
    assert!(good.text.contains("accept"), "{}", good.text);
}

#[tokio::test]
async fn no_message_of_upkeep_goes_to_a_server_with_another_credential() {
    let stage = stage(elder().await);
    let leave = async |marker: &str, left: usize| {
        let params = format!(r#"{{"name":"talks","arguments":{{"m":"{marker}"}}}}"#);
        let message = modern(1, "tools/call", &params, "{}", r#""progressToken":"p""#);
        let mut stream = crate::stage::Stream::of(stage.send(modern_post("alice", message)).await);
        stream.next().await.unwrap();
        drop(stream);
        stage.server.was_left(left).await;
        stage.server.saw(|seen| seen.body.contains(marker)).await.json().get("id").unwrap().clone()
    };
    stage.plane.is_rotated.store(true, std::sync::atomic::Ordering::SeqCst);
    leave("rotated", 1).await;
    stage.plane.is_rotated.store(false, std::sync::atomic::Ordering::SeqCst);
    let id = leave("as it was", 2).await;
    let cancelled = stage.server.saw(|seen| seen.body.contains("cancelled")).await;
    assert_eq!(cancelled.json().pointer("/params/requestId"), Some(&id));
    assert_eq!(stage.server.count("cancelled"), 1);
}

#[tokio::test]
async fn what_is_wanted_beforehand_is_asked_and_the_call_made_anew() {
    let can = r#"{"elicitation":{"url":{}}}"#;
    let call = |id: u8, rest: &str| {
        let params = format!(r#"{{"name":"wants_visit","arguments":{{"x":1}}{rest}}}"#);
        modern(id, "tools/call", &params, can, "")
    };
    let stage = stage(elder().await);
    let asked = stage.modern("alice", call(1, "")).await;
    let result = asked.last().get("result").unwrap_or_else(|| panic!("{}", asked.text));
    assert_eq!(
        result.get("inputRequests").unwrap().to_text(),
        r#"{"visit-0":{"method":"elicitation/create","params":{"mode":"url","elicitationId":"e-1","url":"https://a.example/in","message":"sign in"}}}"#
    );
    let given = result.get("requestState").and_then(Json::as_str).unwrap();
    let answer = |action: &str| {
        format!(r#","requestState":"{given}","inputResponses":{{"visit-0":{{"action":"{action}"}}}}"#)
    };
    let calls = || stage.server.count("wants_visit");
    // Only its holder comes back with it, only for this act, and only when it was done.
    for (token, message) in [
        ("bob", call(2, &answer("accept"))),
        ("alice", call(2, &answer("decline"))),
        ("alice", call(2, &format!(r#","requestState":"{given}""#))),
        ("alice", call(2, r#","inputResponses":{"visit-0":{"action":"accept"}}"#)),
        (
            "alice",
            call(2, r#","requestState":"beforehand","inputResponses":{"visit-0":{"action":"accept"}}"#),
        ),
        ("alice", call(2, &answer("accept")).replace(r#""x":1"#, r#""x":2"#)),
    ] {
        let refused = stage.modern(token, message.clone()).await;
        assert!(refused.error_code().is_some(), "{message}: {}", refused.text);
    }
    assert_eq!(calls(), 1);
    let done = stage.modern("alice", call(3, &answer("accept"))).await;
    assert!(done.text.contains("done"), "{}", done.text);
    assert_eq!((calls(), stage.authorized("wants_visit")), (2, 2), "made anew, and decided anew");
    let again = stage.server.seen().pop().unwrap();
    assert!(!again.body.contains("inputResponses") && !again.body.contains("beforehand"), "{}", again.body);
}

#[tokio::test]
async fn a_client_that_cannot_send_anybody_to_a_url_learns_what_it_lacks() {
    let stage = stage(elder().await);
    let refused = stage.modern("alice", call(1, "wants_visit", "")).await;
    assert_eq!((refused.error_code(), refused.status), (Some(-32021), StatusCode::BAD_REQUEST));
    let lacks = refused.last().pointer("/error/data/requiredCapabilities").unwrap().to_text();
    assert_eq!(lacks, r#"{"elicitation":{"url":{}}}"#);
}
