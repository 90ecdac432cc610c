use std::sync::{Arc, Mutex};

use base::{Actor, Ctx, Error, Timestamp};

use super::{Authority, Haste, STOPS_PER_ACTOR_MAX, Turns, line::WAITING_PER_ACTOR_MAX};
use crate::snapshot::Snapshot;

#[derive(Clone)]
struct Someone(Ctx, Haste);

impl Authority for Someone {
    fn ctx(&self) -> &Ctx {
        &self.0
    }

    fn stands(&self, _known: &Snapshot) -> Result<(), Error> {
        Ok(())
    }

    fn haste(&self) -> Haste {
        self.1
    }
}

fn actor(name: &str) -> Actor {
    Actor::System(name.to_owned())
}

fn someone(name: &str, haste: Haste) -> Someone {
    let ctx = testkit::ctx(Timestamp::from_millis(0), Arc::new(testkit::SeededDice::new(1)));
    Someone(ctx.acting_as(actor(name)), haste)
}

/// Turns, and who had them in which order.
#[derive(Clone, Default)]
struct Scene {
    turns: Arc<Turns>,
    order: Arc<Mutex<Vec<&'static str>>>,
}

impl Scene {
    /// Puts `count` writes of somebody into the line.
    async fn stand(
        &self,
        name: &'static str,
        haste: Haste,
        count: usize,
    ) -> Vec<tokio::task::JoinHandle<()>> {
        let write = || {
            let Self { turns, order } = self.clone();
            tokio::spawn(async move {
                let turn = turns.take(&someone(name, haste)).await.unwrap();
                order.lock().unwrap().push(name);
                drop(turn);
            })
        };
        let tasks = (0..count).map(|_| write()).collect();
        while self.turns.ledger().line(haste).count(&actor(name)) < count {
            tokio::task::yield_now().await;
        }
        tasks
    }

    fn is_quiet(&self) -> bool {
        let mut ledger = self.turns.ledger();
        let lines = [Haste::None, Haste::Stop, Haste::AdministratorsStop];
        lines.into_iter().all(|haste| ledger.line(haste).is_empty()) && !ledger.is_taken
    }
}

#[tokio::test]
async fn a_stop_goes_before_a_crowd_and_no_crowd_keeps_others_out() {
    let scene = Scene::default();
    let held = scene.turns.take(&someone("first", Haste::None)).await.unwrap();
    let mut all = scene.stand("flood", Haste::None, WAITING_PER_ACTOR_MAX).await;
    let more = scene.turns.take(&someone("flood", Haste::None)).await;
    assert!(more.is_err(), "one more of the crowd");
    all.extend(scene.stand("other", Haste::None, 1).await);
    all.extend(scene.stand("owner", Haste::Stop, 2).await);
    all.extend(scene.stand("administrator", Haste::AdministratorsStop, 1).await);
    drop(held);
    for one in all {
        one.await.unwrap();
    }
    let order = scene.order.lock().unwrap().clone();
    assert_eq!(order[..6], ["administrator", "owner", "flood", "owner", "other", "flood"], "{order:?}");
    assert_eq!(order.len(), WAITING_PER_ACTOR_MAX + 4);
    assert!(scene.is_quiet());
}

#[tokio::test]
async fn many_actors_of_one_owner_get_a_turn_each_and_not_the_line() {
    let scene = Scene::default();
    let held = scene.turns.take(&someone("first", Haste::None)).await.unwrap();
    let mut all = Vec::new();
    for name in ["bot-1", "bot-2", "bot-3"] {
        all.extend(scene.stand(name, Haste::None, WAITING_PER_ACTOR_MAX).await);
    }
    all.extend(scene.stand("maya", Haste::None, 2).await);
    drop(held);
    for one in all {
        one.await.unwrap();
    }
    let order = scene.order.lock().unwrap().clone();
    let mayas: Vec<usize> = (0..order.len()).filter(|&at| order[at] == "maya").collect();
    assert_eq!(mayas, [3, 7]);
}

#[tokio::test]
async fn a_turn_is_not_lost_with_who_waited_for_it() {
    let scene = Scene::default();
    for has_turn in [false, true] {
        let held = scene.turns.take(&someone("first", Haste::None)).await.unwrap();
        let gone = scene.stand("gone", Haste::None, 1).await.remove(0);
        let kept = scene.stand("kept", Haste::None, 1).await.remove(0);
        if has_turn {
            // Theirs already, and they have not run since.
            drop(held);
            gone.abort();
        } else {
            gone.abort();
            assert!(gone.await.is_err());
            drop(held);
        }
        kept.await.unwrap();
        assert!(scene.is_quiet());
    }
}

#[test]
fn few_stops_of_one_actor_are_under_way() {
    let turns = Turns::default();
    let (owner, other) = (someone("owner", Haste::None), someone("other", Haste::None));
    let mut under_way: Vec<_> = (0..STOPS_PER_ACTOR_MAX).map(|_| turns.hurry(&owner).unwrap()).collect();
    assert!(turns.hurry(&owner).is_err());
    assert!(turns.hurry(&other).is_ok(), "another's stop is refused");
    under_way.pop();
    assert!(turns.hurry(&owner).is_ok());
    drop(under_way);
    assert!(turns.ledger().stopping.is_empty());
}
