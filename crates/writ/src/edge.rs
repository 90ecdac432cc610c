//! Where time and chance enter: the system's clock and the system's random numbers.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicI64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use base::{Clock, Dice, Timestamp};
use zeroize::Zeroize as _;

/// The system's clock, that never goes back and never stands still: while the wall clock shows less than was seen
/// before, because somebody turned it back, time goes on by what has really passed.
///
/// SECURITY: a clock that stood still would give every token and task the time by which it was turned back.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
    /// What the clock showed at the start, moved on when it must: the present is that and what has passed since.
    at_start: AtomicI64,
}

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where clocks are read")]
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), at_start: AtomicI64::new(wall_millis()) }
    }

    /// From here on the present is not before `floor`: the latest instant that the log knows.
    pub(crate) fn not_before(&self, floor: Timestamp) {
        self.at_least(floor.millis());
    }

    /// The present, moved on to `millis` where it would be earlier.
    fn at_least(&self, millis: i64) -> i64 {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(0);
        let at_start = millis.saturating_sub(passed);
        let known = self.at_start.load(Ordering::Acquire);
        // Only read most of the time: every call asks for the present, on all cores.
        let known =
            if at_start > known { self.at_start.fetch_max(at_start, Ordering::AcqRel) } else { known };
        known.max(at_start).saturating_add(passed)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at_least(wall_millis()))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place where clocks are read")]
fn wall_millis() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
}

/// The operating system's random numbers, by way of the one cryptographic library.
///
/// Drawn in stretches per thread: a call needs half a dozen small ones, and asking costs more than what is given.
#[derive(Debug)]
pub(crate) struct SystemDice;

/// How many bytes are drawn at once.
const STRETCH: usize = 512;

/// Random bytes of this thread that nobody has got yet: the first `left` of them.
struct Stretch {
    bytes: [u8; STRETCH],
    left: usize,
}

thread_local! {
    static STRETCH_LEFT: RefCell<Stretch> = const { RefCell::new(Stretch { bytes: [0; STRETCH], left: 0 }) };
}

impl Dice for SystemDice {
    /// SECURITY: each byte is given once, and not kept where it was.
    fn fill(&self, out: &mut [u8]) {
        if out.len() > STRETCH / 4 {
            return draw(out);
        }
        STRETCH_LEFT.with_borrow_mut(|stretch| {
            if stretch.left < out.len() {
                draw(&mut stretch.bytes);
                stretch.left = STRETCH;
            }
            let first = stretch.left - out.len();
            out.copy_from_slice(&stretch.bytes[first..stretch.left]);
            stretch.bytes[first..stretch.left].zeroize();
            stretch.left = first;
        });
    }
}

#[expect(clippy::expect_used, reason = "a system without random numbers must not go on")]
fn draw(out: &mut [u8]) {
    aws_lc_rs::rand::fill(out).expect("the system gives random numbers");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use base::{Clock, Dice, Timestamp};

    use super::{STRETCH, SystemClock, SystemDice};

    #[test]
    fn no_byte_is_given_twice() {
        let (dice, mut seen): (&dyn Dice, _) = (&SystemDice, HashSet::new());
        for _ in 0..STRETCH {
            // Two odd sizes and one that is drawn directly, so that stretches end in the middle of each.
            assert!(seen.insert(dice.bytes::<13>().to_vec()), "a number came twice");
            assert!(seen.insert(dice.bytes::<32>().to_vec()), "a number came twice");
            assert!(seen.insert(dice.bytes::<STRETCH>().to_vec()), "a number came twice");
        }
        let pieces: HashSet<&[u8]> = seen.iter().flat_map(|bytes| bytes.chunks_exact(8)).collect();
        let count: usize = seen.iter().map(|bytes| bytes.len() / 8).sum();
        assert_eq!(pieces.len(), count, "a piece of one number stands in another");
    }

    #[test]
    fn the_clock_does_not_go_back_and_does_not_stand_still() {
        let clock = SystemClock::new();
        let ahead = clock.now().plus_seconds(3600);
        clock.not_before(ahead);
        let first = clock.now();
        assert!(first >= ahead);
        clock.not_before(Timestamp::from_millis(0));
        // A wall clock that is an hour behind from here on: time goes on all the same.
        let mut later = clock.now();
        while later == first {
            std::thread::yield_now();
            later = clock.now();
        }
        assert!(later > first);
        assert!(later < ahead.plus_seconds(60));
    }
}
