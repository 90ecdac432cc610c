//! Sessions: whose they are, how many, and how they end.

use axum::body::Body;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use wire::json::Json;

use crate::{
    plane::Told,
    servers::Server,
    world::{answer, limits, post, tool, world, world_with},
};

#[tokio::test]
async fn a_session_of_another_caller_does_not_exist() {
    let world = world().await;
    let session = world.open("alice").await;
    let seen = world.server.seen().len();
    for method in [Method::POST, Method::GET, Method::DELETE] {
        let mut request = post("bob", Some(&session), tool(1, "echo"));
        *request.method_mut() = method;
        let answer = answer(world.send(request).await).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.error_code(), Some(-32001));
    }
    assert_eq!(world.server.seen().len(), seen);
    assert_eq!(world.ask(&session, tool(1, "echo")).await.status, StatusCode::OK, "still alice's");
}

#[tokio::test]
async fn a_session_with_another_server_does_not_exist() {
    let world = world().await;
    let session = world.open("alice").await;
    let mut request = post("alice", Some(&session), tool(1, "echo"));
    *request.uri_mut() = "/mcp/gone".parse().unwrap();
    assert_eq!(world.send(request).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_client_that_forgets_the_id_finds_its_own_session() {
    let world = world().await;
    world.open("alice").await;
    world.open("bob").await;
    let answer = answer(world.send(post("alice", None, tool(1, "echo"))).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(world.server.seen().pop().unwrap().headers["mcp-session-id"], "upstream-1");
}

#[tokio::test]
async fn a_session_ends_on_both_sides() {
    let world = world().await;
    let session = world.open("alice").await;
    let delete = |session: Option<&str>| {
        let mut request = post("alice", session, Body::empty());
        *request.method_mut() = Method::DELETE;
        request
    };
    assert_eq!(world.send(delete(None)).await.status(), StatusCode::BAD_REQUEST, "which one must be said");
    assert_eq!(world.send(delete(Some(&session))).await.status(), StatusCode::NO_CONTENT);
    let seen = world.server.seen().pop().unwrap();
    assert_eq!(
        (seen.method, seen.headers["mcp-session-id"].to_str().unwrap()),
        (Method::DELETE, "upstream-1")
    );
    assert_eq!(world.ask(&session, tool(1, "echo")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send(delete(Some(&session))).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn when_the_server_forgot_the_session_the_client_opens_a_new_one() {
    let world = world().await;
    let session = world.open("alice").await;
    let answer = world.ask(&session, tool(5, "gone")).await;
    assert_eq!((answer.status, answer.error_code()), (StatusCode::NOT_FOUND, Some(-32001)));
    assert_eq!(answer.last().get("id"), Some(&Json::from(5)));
    assert_eq!(world.ask(&session, tool(1, "echo")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.plane.outcomes().pop().unwrap().code, Some("upstream_session_gone"));
}

#[tokio::test]
async fn servers_without_sessions_get_one_here() {
    let world = world_with(Server::start(false).await, limits());
    let session = world.open("alice").await;
    assert_eq!(world.ask(&session, tool(1, "echo")).await.status, StatusCode::OK);
    assert!(!world.server.seen().pop().unwrap().headers.contains_key("mcp-session-id"));
    // Without a session, 404 says nothing about one.
    let answer = world.ask(&session, tool(1, "gone")).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::OK, "upstream_status"));
}

#[tokio::test]
async fn notifications_are_taken_and_only_some_are_carried() {
    let world = world().await;
    let session = world.open("alice").await;
    let notify =
        |method: &str| format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"requestId":99}}}}"#);
    for (method, is_carried) in [
        ("notifications/initialized", true),
        ("notifications/initialized", false),
        ("notifications/cancelled", false),
        ("notifications/roots/list_changed", false),
        ("notifications/progress", false),
        ("tools/call", false),
        ("no/such", false),
    ] {
        let before = world.server.seen().len();
        let answer = world.ask(&session, notify(method)).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::ACCEPTED, ""), "{method}");
        assert_eq!(world.server.seen().len() > before, is_carried, "{method}");
        if is_carried {
            let sent = world.server.seen().pop().unwrap().json();
            assert_eq!(sent.get("params"), None, "what goes upstream is ours, not the client's");
        }
    }
    assert_eq!(world.plane.told().iter().filter(|told| **told == Told::Admitted).count(), 7);
}

#[tokio::test]
async fn a_cancellation_names_the_request_as_the_server_knows_it() {
    let world = world().await;
    let session = world.open("alice").await;
    let calling = world.ask(&session, tool(r#""mine""#, "waits"));
    let cancelling = async {
        let call = world.server.saw(|seen| seen.body.contains("waits")).await;
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"mine","reason":"no need"}}"#;
        assert_eq!(world.ask(&session, cancel).await.status, StatusCode::ACCEPTED);
        let seen = world.server.saw(|seen| seen.body.contains("cancelled")).await;
        assert_eq!(seen.json().pointer("/params/requestId"), call.json().get("id"));
        // No decision was made about the client's words, so none of them go upstream.
        assert_eq!(seen.json().pointer("/params/reason"), None);
        world.server.go.notify_one();
    };
    let (answer, ()) = tokio::join!(calling, cancelling);
    assert_eq!(answer.last().get("id"), Some(&Json::from("mine")));
}

#[tokio::test]
async fn ids_under_way_are_unique_and_bounded_within_a_session() {
    let world = world().await;
    let session = world.open("alice").await;
    let calls = async {
        tokio::join!(
            world.ask(&session, tool(1, "waits")),
            world.ask(&session, tool(2, "waits")),
            world.ask(&session, tool(3, "waits")),
            world.ask(&session, tool(4, "waits")),
        )
    };
    let checking = async {
        for id in 1..=4 {
            world
                .server
                .saw(|_| world.server.seen().iter().filter(|seen| seen.body.contains("waits")).count() >= id)
                .await;
        }
        let told = world.plane.told().len();
        for id in [1, 5] {
            assert_eq!(world.ask(&session, tool(id, "echo")).await.error_code(), Some(-32600));
        }
        assert_eq!(world.plane.told().len(), told, "no decision was asked for");
        for _ in 0..4 {
            world.server.go.notify_one();
            world.server.go.notify_waiters();
        }
    };
    let (answers, ()) = tokio::join!(calls, checking);
    for (id, answer) in [(1, answers.0), (2, answers.1), (3, answers.2), (4, answers.3)] {
        assert_eq!(answer.last().get("id"), Some(&Json::from(id)));
    }
    assert_eq!(world.ask(&session, tool(1, "echo")).await.status, StatusCode::OK, "free again");
}

#[tokio::test]
async fn the_same_ids_of_many_clients_never_cross() {
    let world = world_with(Server::start(false).await, gateway::Limits { in_flight_max: 100, ..limits() });
    let alice = world.open("alice").await;
    let bob = world.open("bob").await;
    let call = async |token: &str, session: &str, round: i64| {
        let nonce = format!("{token}-{round}");
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":{round},"method":"tools/call","params":{{"name":"echo","arguments":{{"nonce":"{nonce}"}}}}}}"#
        );
        let answer = answer(world.send(post(token, Some(session), message)).await).await;
        assert_eq!(answer.last().get("id"), Some(&Json::from(round)));
        let given = answer.last().pointer("/result/structuredContent/nonce");
        assert_eq!(given, Some(&Json::from(nonce)), "{}", answer.text);
    };
    let rounds = (0..50).map(|round| {
        let (call, alice, bob) = (&call, &alice, &bob);
        async move { tokio::join!(call("alice", alice, round), call("bob", bob, round)) }
    });
    // Many at once, but no more than a busy machine answers within the server's short patience.
    stream::iter(rounds).buffer_unordered(10).collect::<Vec<_>>().await;
    let mut ids: Vec<_> =
        world.server.seen().iter().filter_map(|seen| seen.json().get("id")?.as_i64()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 102, "each request has an id of its own on the server's side");
}
