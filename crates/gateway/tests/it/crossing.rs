//! Many clients, equal ids, random disconnects: nobody gets another's answer (threat class 19).

use std::collections::HashMap;

use futures_util::{FutureExt, StreamExt, stream};
use wire::json::Json;

use crate::{
    elder::elder,
    plane::CROWD,
    stage::{Scripted, Stage, call, header, modern_post, stage},
    world::answer,
    young::young,
};

/// A sequence without surprises (Knuth's MMIX).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

async fn crossed(server: std::sync::Arc<Scripted>) -> Stage {
    let stage = stage(server);
    let mut seeded = Seeded(20_260_728);
    let calls: Vec<_> = (0..CROWD * 5)
        .map(|round| (round % CROWD, round / CROWD, seeded.below(3) == 0, seeded.below(5)))
        .collect();
    let (mut answered, mut left) = (0, 0);
    let calling = |(who, round, leaves, after): (usize, usize, bool, u64)| {
        let stage = &stage;
        async move {
            let marker = format!("crowd-{who}/{round}");
            let message = call(1, "echo", &format!(r#","arguments":{{"marker":"{marker}"}}"#));
            let sending =
                async { answer(stage.send(modern_post(&format!("crowd-{who}"), message)).await).await };
            let mut sending = Box::pin(sending);
            if leaves {
                for _ in 0..after {
                    if (&mut sending).now_or_never().is_some() {
                        return true;
                    }
                    tokio::task::yield_now().await;
                }
                return false;
            }
            let answer = sending.await;
            assert_eq!(answer.last().get("id"), Some(&Json::from(1)));
            assert!(answer.last().to_text().contains(&format!("\"{marker}\"")), "{marker}: {}", answer.text);
            true
        }
    };
    let mut all = stream::iter(calls).map(calling).buffer_unordered(50);
    while let Some(is_answered) = all.next().await {
        if is_answered { answered += 1 } else { left += 1 }
    }
    drop(all);
    assert!(answered > CROWD && left > CROWD / 2, "{answered} answered, {left} left");
    // Each intent is concluded once, whoever left.
    let decided = stage.decided();
    let mut intents: Vec<_> =
        stage.plane.outcomes_of(decided).await.iter().map(|outcome| outcome.intent.position()).collect();
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), decided);
    stage
}

#[tokio::test]
async fn no_answer_crosses_without_sessions() {
    let stage = crossed(young().await).await;
    let mut ids: Vec<_> =
        stage.server.seen().iter().map(|seen| seen.json().get("id").unwrap().as_i64()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "each request has an id of its own on the server's side");
}

#[tokio::test]
async fn no_answer_and_no_session_crosses_with_sessions() {
    let stage = crossed(elder().await).await;
    let mut holders: HashMap<String, String> = HashMap::new();
    for seen in stage.server.seen() {
        let Some(session) = header(&seen, "mcp-session-id") else { continue };
        let Some((_, marker)) = seen.body.split_once("\"marker\":\"") else { continue };
        let holder = marker.split('/').next().unwrap().to_owned();
        let first = holders.entry(session).or_insert_with(|| holder.clone());
        assert_eq!(*first, holder, "a session is one holder's");
    }
    assert!(holders.len() > CROWD / 2);
}
