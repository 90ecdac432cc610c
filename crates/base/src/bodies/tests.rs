//! What is held is what was taken, and never more than the shares.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Bodies, BodyRefusal, HeldBody, REQUEST_BYTES, Sender, Share, Shares};
use crate::{Actor, AgentId, Dice, PersonId, Timestamp};

/// Dice that always show the same.
struct Loaded;

impl Dice for Loaded {
    fn fill(&self, out: &mut [u8]) {
        out.fill(1);
    }
}

fn shares(all: usize, one: usize) -> Shares {
    let share = Share { all, one };
    Shares { strangers: share, machines: share, people: share }
}

fn stranger(number: u8) -> Sender {
    Sender::Stranger(Arc::from(format!("192.0.2.{number}")))
}

fn agent() -> Sender {
    Sender::Known(Actor::Agent(AgentId::new(Timestamp::from_seconds(1), &Loaded)))
}

fn person() -> Sender {
    Sender::Known(Actor::Person(PersonId::new(Timestamp::from_seconds(1), &Loaded)))
}

/// What is held in all, and by how many senders.
fn held(bodies: &Bodies) -> (usize, usize) {
    bodies.with(|ledger| {
        let parts = [&ledger.strangers, &ledger.machines, &ledger.people];
        parts.iter().fold((0, 0), |(held, senders), part| (held + part.held, senders + part.by_sender.len()))
    })
}

#[derive(Clone, Debug)]
enum Step {
    Begin(u8, usize),
    Push(usize, usize),
    Take(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u8..4, 0_usize..2000).prop_map(|(sender, head)| Step::Begin(sender, head)),
        4 => (any::<usize>(), 0_usize..9000).prop_map(|(which, bytes)| Step::Push(which, bytes)),
        1 => any::<usize>().prop_map(Step::Take),
        2 => any::<usize>().prop_map(Step::Drop),
    ]
}

/// At least what a body really takes.
fn real(body: &HeldBody) -> usize {
    REQUEST_BYTES + body.bytes.capacity()
}

proptest! {
    #[test]
    fn never_more_is_held_than_the_shares_and_everything_comes_back(
        (all, one) in (0_usize..60_000, 0_usize..40_000),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let bodies = Bodies::new(shares(all, one));
        let mut begun: Vec<(u8, HeldBody)> = Vec::new();
        for step in steps {
            let count = begun.len();
            match step {
                Step::Begin(sender, head) => {
                    begun.extend(bodies.begin(stranger(sender), head, 20_000).ok().map(|body| (sender, body)));
                }
                Step::Push(which, bytes) if count > 0 => {
                    let body = &mut begun[which % count].1;
                    let before = body.bytes.len();
                    let pushed = body.push(&vec![7; bytes]);
                    let expected = if pushed.is_ok() { before + bytes } else { before };
                    prop_assert_eq!(body.bytes.len(), expected);
                    prop_assert!(before + bytes <= 20_000 || pushed == Err(BodyRefusal::TooLarge(20_000)));
                }
                Step::Take(which) if count > 0 => drop(begun[which % count].1.take()),
                Step::Drop(which) if count > 0 => drop(begun.swap_remove(which % count)),
                Step::Push(..) | Step::Take(_) | Step::Drop(_) => {}
            }
            let total: usize = begun.iter().map(|(_, body)| real(body)).sum();
            let (held, senders) = held(&bodies);
            prop_assert!(total <= held && held <= all, "{total} {held}");
            prop_assert!(senders <= begun.len());
            for sender in 0..4 {
                let own: usize = begun.iter().filter(|(of, _)| *of == sender).map(|(_, b)| real(b)).sum();
                prop_assert!(own <= one);
            }
        }
        begun.clear();
        prop_assert_eq!(held(&bodies), (0, 0), "something is left of those who went");
    }
}

#[test]
fn one_sender_does_not_take_what_others_need() {
    let bodies = Bodies::new(shares(40_000, 15_000));
    let mut greedy: Vec<HeldBody> = Vec::new();
    while let Ok(body) = bodies.begin(stranger(1), 0, 1000) {
        greedy.push(body);
    }
    assert_eq!(bodies.begin(stranger(1), 0, 1000).err(), Some(BodyRefusal::Share));
    assert!(bodies.begin(stranger(2), 0, 1000).is_ok());

    // All strangers together leave agents theirs, and agents leave people theirs.
    for sender in 2..9 {
        while let Ok(body) = bodies.begin(stranger(sender), 0, 1000) {
            greedy.push(body);
        }
    }
    assert_eq!(bodies.begin(stranger(9), 0, 1000).err(), Some(BodyRefusal::Spent));
    while let Ok(body) = bodies.begin(agent(), 0, 1000) {
        greedy.push(body);
    }
    assert!(bodies.begin(person(), 0, 1000).is_ok());
    greedy.clear();
    assert_eq!(held(&bodies), (0, 0));
}

#[test]
fn a_head_counts_and_small_pieces_cost_what_they_hold() {
    let bodies = Bodies::default();
    let mut body = bodies.begin(agent(), 60_000, 1 << 20).unwrap();
    assert_eq!(held(&bodies).0, 60_000 + REQUEST_BYTES);
    for _ in 0..100_000 {
        body.push(b"x").unwrap();
    }
    assert!(held(&bodies).0 <= 60_000 + REQUEST_BYTES + 2 * 100_000);
    assert_eq!(body.take().len(), 100_000);
    assert!(held(&bodies).0 >= 160_000, "what is being served still counts");
}

#[test]
fn the_room_comes_back_from_a_thread_that_panics() {
    let bodies = Bodies::default();
    let mut body = bodies.begin(person(), 10, 100).unwrap();
    let panicked = std::thread::spawn(move || {
        body.push(b"some").unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.join().is_err());
    assert_eq!(held(&bodies), (0, 0));
}

#[test]
fn a_few_who_take_all_they_may_leave_something_for_those_who_need_little() {
    const MIB: usize = 1024 * 1024;
    let bodies = Bodies::new(shares(16 * MIB, 4 * MIB));
    let mut greedy = Vec::new();
    for number in 0..8 {
        let Ok(mut body) = bodies.begin(stranger(number), 0, 4 * MIB) else { continue };
        while body.push(&[b' '; 16 * 1024]).is_ok() {}
        greedy.push(body);
    }
    assert!(held(&bodies).0 > 11 * MIB, "they took what they could");
    let mut modest = bodies.begin(stranger(9), 500, MIB).expect("room for one more");
    modest.push(&[b'x'; 8 * 1024]).expect("room for a form");
}
