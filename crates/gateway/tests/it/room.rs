//! How many sessions there may be, whose makes room, and what servers hear of it.

use std::sync::atomic::Ordering;

use http::{Method, StatusCode};

use crate::{
    servers::Server,
    world::{World, answer, initialize, limits, post, tool, world, world_with},
};

#[tokio::test]
async fn sessions_are_bounded_per_holder_and_in_all() {
    let world = world().await;
    let first = world.open("bob").await;
    let mut own = Vec::new();
    for _ in 0..5 {
        own.push(world.open("alice").await);
        world.clock.0.fetch_add(1000, std::sync::atomic::Ordering::SeqCst);
    }
    assert_eq!(
        world.ask(&own[0], tool(1, "echo")).await.status,
        StatusCode::NOT_FOUND,
        "the oldest made room"
    );
    assert_eq!(world.ask(&own[4], tool(1, "echo")).await.status, StatusCode::OK);
    let request = post("bob", Some(&first), tool(1, "echo"));
    assert_eq!(world.send(request).await.status(), StatusCode::OK, "nobody else's did");

    let small = world_with(Server::start(true).await, gateway::Limits { sessions_max: 1, ..limits() });
    small.open("alice").await;
    let answer = answer(small.send(post("bob", None, initialize())).await).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "busy"));
    small.clock.0.fetch_add(3_599_000, std::sync::atomic::Ordering::SeqCst);
    small.plane.deadline.store(i64::MAX, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(small.send(post("bob", None, initialize())).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    small.clock.0.fetch_add(2_000, std::sync::atomic::Ordering::SeqCst);
    small.open("bob").await;
}

/// Opens sessions one after the other, a second apart.
async fn open(world: &World, token: &str, count: usize) -> Vec<String> {
    let mut opened = Vec::new();
    for _ in 0..count {
        opened.push(world.open(token).await);
        world.clock.0.fetch_add(1000, Ordering::SeqCst);
    }
    opened
}

/// Whether a caller still has a session.
async fn has(world: &World, token: &str, session: &str) -> bool {
    let mut request = post(token, Some(session), tool(1, "echo"));
    // A version that was not agreed on is refused, once the session is found.
    request.headers_mut().insert("mcp-protocol-version", "2025-11-25".parse().unwrap());
    match world.send(request).await.status() {
        StatusCode::BAD_REQUEST => true,
        StatusCode::NOT_FOUND => false,
        other => panic!("{other}"),
    }
}

/// How many sessions the server was told to end.
fn ended(world: &World) -> usize {
    world.server.seen().iter().filter(|seen| seen.method == Method::DELETE).count()
}

async fn ended_of(world: &World, count: usize) {
    world.server.saw(|_| ended(world) >= count).await;
    assert_eq!(ended(world), count);
}

#[tokio::test]
async fn an_agent_has_its_share_over_all_its_tasks() {
    let world = world().await;
    let bob = open(&world, "bob", 1).await;
    let alice = open(&world, "alice", 4).await;
    let too = open(&world, "alice-too", 3).await;
    assert!(!has(&world, "alice", &alice[0]).await, "the agent's oldest makes room for its newest");
    assert!(has(&world, "alice", &alice[1]).await && has(&world, "alice-too", &too[2]).await);
    assert!(has(&world, "bob", &bob[0]).await, "nobody else's did");
    ended_of(&world, 1).await;
}

#[tokio::test]
async fn who_has_the_most_makes_room_for_who_has_less() {
    let world = world_with(Server::start(true).await, gateway::Limits { sessions_max: 4, ..limits() });
    let alice = open(&world, "alice", 4).await;
    let bob = open(&world, "bob", 2).await;
    assert!(!has(&world, "alice", &alice[0]).await && !has(&world, "alice", &alice[1]).await);
    // Who has no less than anybody gives of their own.
    let more = open(&world, "bob", 1).await;
    assert!(!has(&world, "bob", &bob[0]).await && has(&world, "bob", &more[0]).await);
    assert!(has(&world, "alice", &alice[2]).await && has(&world, "alice", &alice[3]).await);
    ended_of(&world, 3).await;
}

#[tokio::test]
async fn what_is_in_use_goes_last() {
    let world = world().await;
    let own = open(&world, "alice", 1).await;
    let listening = world.listen("alice", &own[0]).await;
    assert_eq!(listening.status(), StatusCode::OK);
    let more = open(&world, "alice", 4).await;
    assert!(has(&world, "alice", &own[0]).await && !has(&world, "alice", &more[0]).await);
}

#[tokio::test]
async fn sessions_without_authority_make_room_first() {
    let world = world_with(Server::start(true).await, gateway::Limits { sessions_max: 3, ..limits() });
    open(&world, "alice", 1).await;
    let bob = open(&world, "bob", 2).await;
    world.plane.revoke("alice");
    open(&world, "carol", 1).await;
    assert!(has(&world, "bob", &bob[0]).await && has(&world, "bob", &bob[1]).await);
    ended_of(&world, 1).await;
}

#[tokio::test]
async fn the_end_of_authority_gives_all_its_sessions_back() {
    let world = world().await;
    let tending = tokio::spawn(world.gate.clone().tend());
    let bob = open(&world, "bob", 1).await;
    open(&world, "alice", 3).await;
    let too = open(&world, "alice-too", 1).await;
    world.plane.revoke("alice");
    ended_of(&world, 3).await;
    assert!(has(&world, "bob", &bob[0]).await && has(&world, "alice-too", &too[0]).await);
    world.plane.revocations.lock().unwrap().take();
    tending.await.expect("it ends with the plane");
}

#[tokio::test]
async fn no_credential_that_was_replaced_ends_a_session() {
    let world = world().await;
    open(&world, "alice", 4).await;
    world.plane.is_rotated.store(true, Ordering::SeqCst);
    open(&world, "alice", 2).await;
    world.plane.is_rotated.store(false, Ordering::SeqCst);
    open(&world, "alice", 1).await;
    ended_of(&world, 1).await;
}
