//! Streams that have brought their answer: kept for a while, because nobody knows whether the client has read it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use base::Timestamp;
use bytes::Bytes;

use crate::{
    outgoing::Tail,
    parked::STREAM_SECONDS,
    session::{Session, lock},
};

/// How many streams of one session are kept, and how many bytes in all; the oldest make room.
const OF_SESSION_MAX: usize = 16;
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// The ends of streams, oldest first.
#[derive(Default)]
pub(crate) struct Delivered(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    kept: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    tail: Tail,
    session: Arc<Session>,
    until: Timestamp,
}

impl Delivered {
    /// Keeps the end of a stream.
    pub(crate) fn keep(&self, tail: Tail, session: Arc<Session>, now: Timestamp) {
        let mut ends = lock(&self.0);
        ends.drop_oldest_while(|ends| ends.kept.front().is_some_and(|oldest| oldest.until <= now));
        let own = |kept: &&Kept| Arc::ptr_eq(&kept.session, &session);
        if ends.kept.iter().filter(own).count() >= OF_SESSION_MAX
            && let Some(oldest) = ends.kept.iter().position(|kept| own(&kept))
        {
            ends.remove(oldest);
        }
        ends.bytes += tail.bytes();
        ends.kept.push_back(Kept { tail, session, until: now.plus_seconds(STREAM_SECONDS) });
        ends.drop_oldest_while(|ends| ends.bytes > BYTES_MAX);
    }

    /// What came behind an event of a stream, if it was within a session that is `its`; `None` when that is not known, and
    /// when there was nothing.
    pub(crate) fn behind(
        &self,
        (stream, number): (&str, u64),
        is_its: impl Fn(&Arc<Session>) -> bool,
        now: Timestamp,
    ) -> Option<VecDeque<Bytes>> {
        let ends = lock(&self.0);
        let is_it = |kept: &&Kept| kept.tail.stream == stream && kept.until > now && is_its(&kept.session);
        let rest = ends.kept.iter().find(is_it)?.tail.behind(number)?;
        (!rest.is_empty()).then_some(rest)
    }

    /// Forgets the streams that satisfy `is_over`.
    pub(crate) fn forget(&self, now: Timestamp, is_over: impl Fn(&Session) -> bool) {
        let mut ends = lock(&self.0);
        ends.kept.retain(|kept| kept.until > now && !is_over(&kept.session));
        ends.bytes = ends.kept.iter().map(|kept| kept.tail.bytes()).sum();
    }
}

impl Shelf {
    fn drop_oldest_while(&mut self, is_one_too_many: impl Fn(&Self) -> bool) {
        while is_one_too_many(self) {
            self.remove(0);
        }
    }

    fn remove(&mut self, index: usize) {
        if let Some(kept) = self.kept.remove(index) {
            self.bytes -= kept.tail.bytes();
        }
    }
}
