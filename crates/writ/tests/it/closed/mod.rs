//! The fail-closed matrix: every fault of the log, for every way in. Nothing is allowed, nothing is forwarded, nothing
//! changes, everybody has an answer within two seconds that says nothing of our insides, readiness shows it, and it is
//! over by itself when its cause is. What each gets to read is a snapshot, so that a change of it is seen in review.

mod entry;
mod fault;
mod judging;
mod start;

use std::{collections::BTreeSet, fmt::Write as _};

use entry::{Came, Entry, Scene, steady, table};
use fault::Fault;
use futures_util::{StreamExt as _, stream};
use http_body_util::BodyExt as _;

use crate::{
    command::{offline, writ},
    node::On,
    web::Ask,
    world::World,
};

/// How long a call may still be refused once the node is ready again: a second, and two for a machine that is busy.
const RECOVERY_TIME: std::time::Duration = std::time::Duration::from_secs(3);
/// How long a stream may go on once the log cannot be read: three seconds, and two for a machine that is busy.
const STREAM_TIME: std::time::Duration = std::time::Duration::from_secs(5);
/// Worlds at once; the rows mostly wait.
const WORLDS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_log_nothing_is_allowed() {
    let rows = stream::iter(Fault::ALL).map(row).buffered(WORLDS);
    let matrix: String = rows.collect::<Vec<_>>().await.concat();
    insta::assert_snapshot!("without_a_log", matrix);
}

async fn row(fault: Fault) -> String {
    let mut scene = Scene::new(World::new(fault.on()).await).await;
    let healthy = Entry::McpCall.attempt(&scene).await;
    assert_eq!(healthy, Came::Done, "{fault:?}: the call is allowed while all is well");
    let before = scene.world.admin.get("export").await.body;
    let ready = format!("{}/readyz", scene.world.node.url());
    becomes(&ready, 200).await;
    let heard = scene.world.upstream.messages();

    let cause = fault.cause(&scene.world.node).await;
    let came = scene.attempt_all().await;
    for (entry, came) in &came {
        assert_ne!(came, &Came::Nothing, "{fault:?} {entry:?}: no answer in time");
        assert!(entry.only_tells() || came != &Came::Done, "{fault:?} {entry:?}: done without a log");
    }
    assert_eq!(scene.world.upstream.messages(), heard, "{fault:?}: something was forwarded");
    let writes = scene.attempt_writes().await;
    becomes(&ready, 503).await;
    let alive = Ask::new("GET", format!("{}/livez", scene.world.node.url())).send().await;
    assert_eq!(alive.status, 200, "{fault:?}: it lives and says no");
    let later = Entry::McpCall.attempt(&scene).await;
    assert!(matches!(&later, Came::Refused(_)), "{fault:?}: {later:?}");
    assert!(scene.world.upstream.calls().len() == 1, "{fault:?}: something was forwarded");

    let is_anew = matches!(cause, fault::Cause::Restart);
    cause.mend(&mut scene.world.node).await;
    becomes(&ready, 200).await;
    if is_anew {
        let dead = Entry::McpCall.attempt(&scene).await;
        assert!(matches!(&dead, Came::Refused(_)), "{fault:?}: a credential outlived its generation");
    } else {
        let again = async { while Entry::McpCall.attempt(&scene).await != Came::Done {} };
        let recovered = tokio::time::timeout(RECOVERY_TIME, again).await;
        assert!(recovered.is_ok(), "{fault:?}: it does not recover");
        verifies(&scene.world);
        if !fault.leaves_it_open() {
            scene.world.node.kill_and_start().await;
            assert_eq!(scene.world.node.admin().get("export").await.body, before, "{fault:?}: half done");
        }
    }
    let mut text = format!("{fault:?}\n{}", table(&came));
    // What is so already is 200 as long as the node is fresh.
    let statuses: BTreeSet<&str> =
        writes.keys().map(|how| steady(how)).filter(|status| *status != "200").collect();
    let statuses: Vec<&str> = statuses.into_iter().collect();
    let count: usize = writes.values().sum();
    writeln!(text, "    {:11} {count} operations: {}", "ApiWrites", statuses.join(", ")).unwrap();
    text
}

/// A node that is cut off from the log cannot hear of a revocation: a stream that was permitted before ends, too.
#[tokio::test]
async fn a_stream_ends_where_nobody_can_say_that_its_right_lasts() {
    let mut world = World::new(On::Postgres).await;
    let mcp = world.session(&world.wide_task().await).await;
    let stream = mcp.listen().open().await.unwrap().into_body();
    world.upstream.streams(1).await;
    let cause = Fault::DatabaseGone.cause(&world.node).await;
    let ended = tokio::time::timeout(STREAM_TIME, stream.collect()).await;
    assert!(ended.is_ok(), "the stream stays open");
    world.upstream.streams(0).await;
    cause.mend(&mut world.node).await;
}

/// Asks until the answer is `status`; an operator's probe does the same.
async fn becomes(url: &str, status: u16) {
    let asking = async { while Ask::new("GET", url).send().await.status != status {} };
    let asked = tokio::time::timeout(std::time::Duration::from_secs(20), asking).await;
    assert!(asked.is_ok(), "{url} does not become {status}");
}

/// The log is whole, as anybody can check offline.
fn verifies(world: &World) {
    let (home, file) = (world.node.beside(""), world.node.beside("closed.jsonl"));
    let path = file.to_str().unwrap();
    writ(&world.admin, &home, &["audit", "export", "--file", path]).done();
    offline(&home, &["audit", "verify", path]).done();
}
