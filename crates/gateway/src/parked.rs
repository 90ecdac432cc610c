//! Exchanges that wait for their client.
//!
//! Either their server asked something in the middle of its answer, and a client of 2026-07-28 hears of it in a result and
//! answers with another request; or their stream was left, and a client of 2025-11-25 may go on with it.
//!
//! SECURITY: an exchange goes on only for its holder: with the same act, or within the same session; and once. It is kept
//! in this process alone, so a retry that reaches another node finds nothing and nothing is executed.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex},
};

use base::{SharedDice, Timestamp};
use wire::mcp::Request;

use crate::{
    Holder, Plane,
    exchange::Exchange,
    leash::Cut,
    outgoing::Tail,
    session::{Session, lock},
};

/// How many exchanges of one holder may wait, of each kind: streams that were left must not keep questions from being asked.
const PARKED_OF_HOLDER_MAX: usize = 16;
/// How many exchanges of one agent may wait, over all its tasks and of both kinds.
const PARKED_OF_AGENT_MAX: usize = 64;
/// How many exchanges may wait in all.
const PARKED_MAX: usize = 1024;
/// How long an exchange waits for an answer, in seconds: a person has to give it.
const QUESTION_SECONDS: i64 = 600;
/// How long a stream waits to be gone on with, in seconds.
pub(crate) const STREAM_SECONDS: i64 = 60;

/// What an exchange was left with.
pub(crate) enum Left {
    /// A question of its server, under the server's id, and the act that the client has to ask for again.
    Question(Box<Request>, [u8; 32]),
    /// A stream that the client has left.
    Stream(Tail),
}

/// An exchange that waits.
pub(crate) struct Parked<P: Plane> {
    pub(crate) exchange: Box<Exchange<P>>,
    pub(crate) left: Left,
    holder: Holder,
    until: Timestamp,
}

/// All exchanges that wait, by ticket: a random text for a question, the stream's name for a stream.
pub(crate) struct Lot<P: Plane> {
    places: Mutex<HashMap<String, Parked<P>>>,
    dice: SharedDice,
}

impl<P: Plane> Lot<P> {
    pub(crate) fn new(dice: SharedDice) -> Self {
        Self { places: Mutex::default(), dice }
    }

    /// Leaves an exchange here; gives the ticket. Where there is no room the exchange is dropped, and its server told.
    pub(crate) fn leave(&self, exchange: Box<Exchange<P>>, left: Left) -> Option<String> {
        let now = exchange.gate.config.clock.now();
        drop(self.take_if(|parked| parked.until <= now));
        let holder = exchange.gate.plane.holder(&exchange.caller);
        let (ticket, seconds) = match &left {
            Left::Question(..) => {
                (format!("{:032x}", u128::from_be_bytes(self.dice.bytes())), QUESTION_SECONDS)
            }
            Left::Stream(tail) => (tail.stream.clone(), STREAM_SECONDS),
        };
        let parked = Parked { exchange, left, holder, until: now.plus_seconds(seconds) };
        let mut places = lock(&self.places);
        let is_alike = |other: &&Parked<P>| {
            other.holder == parked.holder && mem::discriminant(&other.left) == mem::discriminant(&parked.left)
        };
        let own = places.values().filter(is_alike).count();
        let of_agent = places.values().filter(|other| other.holder.actor == parked.holder.actor).count();
        if own >= PARKED_OF_HOLDER_MAX || of_agent >= PARKED_OF_AGENT_MAX || places.len() >= PARKED_MAX {
            drop(places);
            return None;
        }
        places.insert(ticket.clone(), parked);
        Some(ticket)
    }

    /// The exchange of this ticket, if it is this holder's and `is_its` agrees. It is gone from here then.
    pub(crate) fn fetch(
        &self,
        ticket: &str,
        holder: &Holder,
        now: Timestamp,
        is_its: impl Fn(&Parked<P>) -> bool,
    ) -> Option<Parked<P>> {
        let mut places = lock(&self.places);
        let parked = places.get(ticket)?;
        let is_found = parked.holder == *holder && parked.until > now && is_its(parked);
        if is_found { places.remove(ticket) } else { None }
    }

    /// Takes out the streams of a session that is over: nobody can come back to them.
    pub(crate) fn take_of(&self, session: &Arc<Session>) -> Vec<Parked<P>> {
        self.take_if(|parked| {
            matches!(parked.left, Left::Stream(_))
                && parked.exchange.route.session().is_some_and(|of| Arc::ptr_eq(of, session))
        })
    }

    /// Takes out those whose time or authority is over, and tells the servers of those whose authority is. Dropping
    /// them tells the others that are to be told.
    pub(crate) fn take_over(&self, now: Timestamp) -> Vec<Parked<P>> {
        let mut over = self.take_if(|parked| parked.until <= now || !parked.exchange.is_live());
        for parked in over.iter_mut().filter(|parked| !parked.exchange.is_live()) {
            parked.exchange.cut(Cut::Revoked);
        }
        over
    }

    fn take_if(&self, is_over: impl Fn(&Parked<P>) -> bool) -> Vec<Parked<P>> {
        let mut places = lock(&self.places);
        let over: Vec<String> =
            places.iter().filter(|(_, parked)| is_over(parked)).map(|(ticket, _)| ticket.clone()).collect();
        over.iter().filter_map(|ticket| places.remove(ticket)).collect()
    }
}
