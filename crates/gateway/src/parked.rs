//! Exchanges that wait for their client's next request.
//!
//! A server with sessions asks in the middle of its answer and waits; a client of 2026-07-28 hears of the question in
//! a result, and answers with another request. In between the exchange is kept here.
//!
//! SECURITY: an exchange goes on only for its holder, with the same act, and once. It is kept in this process alone,
//! so a retry that reaches another node finds nothing and nothing is executed.

use std::{collections::HashMap, sync::Mutex};

use base::{SharedDice, Timestamp};
use wire::mcp::Request;

use crate::{Holder, Plane, exchange::Exchange, session::lock};

/// How many exchanges of one holder may wait.
const PARKED_OF_HOLDER_MAX: usize = 16;
/// How many exchanges may wait in all.
const PARKED_MAX: usize = 1024;
/// How long an exchange waits, in seconds: a person has to answer.
const PARKED_SECONDS: i64 = 600;

/// An exchange whose server has asked something.
pub(crate) struct Parked<P: Plane> {
    pub(crate) exchange: Box<Exchange<P>>,
    /// What was asked, under the server's id.
    pub(crate) question: Request,
    pub(crate) holder: Holder,
    /// The act that the client has to ask for again.
    pub(crate) act: [u8; 32],
    until: Timestamp,
}

/// All exchanges that wait.
pub(crate) struct Lot<P: Plane> {
    places: Mutex<HashMap<String, Parked<P>>>,
    dice: SharedDice,
}

impl<P: Plane> Lot<P> {
    pub(crate) fn new(dice: SharedDice) -> Self {
        Self { places: Mutex::default(), dice }
    }

    /// Parks an exchange; gives the ticket, or the exchange back when there is no room.
    pub(crate) fn park(
        &self,
        exchange: Box<Exchange<P>>,
        question: Request,
        holder: Holder,
        act: [u8; 32],
        now: Timestamp,
    ) -> Result<String, Box<Exchange<P>>> {
        drop(self.take_if(|parked| parked.until <= now));
        let mut places = lock(&self.places);
        let own = places.values().filter(|parked| parked.holder == holder).count();
        if own >= PARKED_OF_HOLDER_MAX || places.len() >= PARKED_MAX {
            return Err(exchange);
        }
        let ticket = format!("{:032x}", u128::from_be_bytes(self.dice.bytes()));
        let until = now.plus_seconds(PARKED_SECONDS);
        places.insert(ticket.clone(), Parked { exchange, question, holder, act, until });
        Ok(ticket)
    }

    /// The exchange of this ticket, if it is this holder's and this act's. It is gone from here then.
    pub(crate) fn fetch(
        &self,
        ticket: &str,
        holder: &Holder,
        act: &[u8; 32],
        now: Timestamp,
    ) -> Option<Parked<P>> {
        let mut places = lock(&self.places);
        let parked = places.get(ticket)?;
        let is_its = parked.holder == *holder && parked.act == *act && parked.until > now;
        if is_its { places.remove(ticket) } else { None }
    }

    /// Takes out those whose time or authority is over. Dropping them tells their servers.
    pub(crate) fn take_over(&self, now: Timestamp) -> Vec<Parked<P>> {
        self.take_if(|parked| parked.until <= now || !parked.exchange.is_live())
    }

    fn take_if(&self, is_over: impl Fn(&Parked<P>) -> bool) -> Vec<Parked<P>> {
        let mut places = lock(&self.places);
        let over: Vec<String> =
            places.iter().filter(|(_, parked)| is_over(parked)).map(|(ticket, _)| ticket.clone()).collect();
        over.iter().filter_map(|ticket| places.remove(ticket)).collect()
    }
}
