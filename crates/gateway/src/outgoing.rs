//! The stream of one request's answer, and what is kept so that its client can go on with it.
//!
//! Clients of 2025-11-25 may lose a stream, or be asked to fetch the rest of it later; each event has an id, and a GET
//! with `Last-Event-ID` goes on behind it. Meanwhile nobody steps the exchange: what the server sends waits in its
//! connection.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{body::Body, response::Response};
use base::Dice;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use wire::sse;

use crate::{
    Plane, call,
    exchange::{Exchange, Step},
    front::Front,
    gateway::Visit,
    parked::{Left, Parked},
    reply,
    stream::event,
};

/// How many events of a stream are kept, and how many bytes of them.
const KEPT_EVENTS_MAX: usize = 64;
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// What of a stream can be sent again.
pub(crate) struct Tail {
    /// The first part of each event's id.
    pub(crate) stream: String,
    /// The number of the next event.
    next: u64,
    kept: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

impl Tail {
    fn new(dice: &dyn Dice) -> Self {
        let mut chance = [0; 16];
        dice.fill(&mut chance);
        let stream = format!("{:032x}", u128::from_be_bytes(chance));
        Self { stream, next: 0, kept: VecDeque::new(), bytes: 0 }
    }

    /// The event under an id of its own, kept.
    fn number(&mut self, event: &[u8]) -> Bytes {
        let mut text = format!("id: {}/{}\n", self.stream, self.next).into_bytes();
        text.extend_from_slice(event);
        let text = Bytes::from(text);
        self.bytes += text.len();
        self.kept.push_back((self.next, text.clone()));
        self.next += 1;
        while self.kept.len() > KEPT_EVENTS_MAX || self.bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = self.kept.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        text
    }

    /// How much of it is kept.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it can be gone on with behind this event.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.behind(number).is_some()
    }

    /// The events behind this one; `None` when some of them are no longer kept.
    pub(crate) fn behind(&self, number: u64) -> Option<VecDeque<Bytes>> {
        let oldest = self.kept.front().map_or(self.next, |(oldest, _)| *oldest);
        let is_whole = number < self.next && number + 1 >= oldest;
        let rest = self.kept.iter().filter(|(kept, _)| *kept > number);
        is_whole.then(|| rest.map(|(_, event)| event.clone()).collect())
    }
}

/// A stream and an event of it, as `Last-Event-ID` names them.
pub(crate) fn read_id(text: &str) -> Option<(&str, u64)> {
    let (stream, number) = text.split_once('/')?;
    let is_stream = stream.len() == 32 && stream.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = number.parse().ok().filter(|read: &u64| read.to_string() == number);
    number.filter(|_| is_stream).map(|number| (stream, number))
}

/// A stream that ends with the answer to one request.
pub(crate) struct Outgoing<P: Plane> {
    /// None once it is answered.
    exchange: Option<Box<Exchange<P>>>,
    /// None where the client could not go on with the stream.
    tail: Option<Tail>,
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl<P: Plane> Outgoing<P> {
    /// A stream that begins with this message, if there is one.
    pub(crate) fn begin(exchange: Box<Exchange<P>>, head: Option<Vec<u8>>) -> Self {
        let mut outgoing = Self::new(exchange, None);
        if let Some(head) = head {
            outgoing.push(&head);
        }
        outgoing
    }

    /// A stream that says nothing but when to come back.
    pub(crate) fn paused(exchange: Box<Exchange<P>>, wait: Duration) -> Self {
        let mut outgoing = Self::new(exchange, Some(wait));
        outgoing.is_over = true;
        outgoing
    }

    fn new(exchange: Box<Exchange<P>>, wait: Option<Duration>) -> Self {
        let can_go_on = match (&exchange.front, exchange.route.session()) {
            (Front::Session, Some(session)) => session.client.resumes(),
            _ => false,
        };
        let mut tail = can_go_on.then(|| Tail::new(&*exchange.gate.config.dice));
        let mut ready = VecDeque::new();
        if let Some(tail) = &mut tail {
            // An event without data, so that the client has an id from the first moment on.
            let retry = wait.map(retry).unwrap_or_default();
            ready.push_back(tail.number(format!("{retry}data: \n\n").as_bytes()));
        }
        Self { exchange: Some(exchange), tail, ready, is_over: false }
    }

    /// Goes on with a stream behind an event of it; `None` when that cannot be done without a gap.
    pub(crate) fn again(parked: Parked<P>, number: u64, visit: Visit<P>) -> Option<Self> {
        let Parked { mut exchange, left: Left::Stream(tail), .. } = parked else { return None };
        let ready = tail.behind(number)?;
        exchange.caller = visit.caller().clone();
        exchange.leash = visit.leash;
        exchange.has_waited = true;
        Some(Self { exchange: Some(exchange), tail: Some(tail), ready, is_over: false })
    }

    pub(crate) fn into_response(self) -> Response {
        let pieces = stream::unfold(Box::new(self), |mut outgoing| async move {
            let piece = outgoing.piece().await?;
            Some((Ok::<_, Infallible>(piece), outgoing))
        });
        reply::stream(Body::from_stream(pieces.boxed()))
    }

    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            let exchange = self.exchange.as_mut()?;
            let keep_alive = exchange.gate.config.limits.keep_alive;
            match tokio::time::timeout(keep_alive, exchange.step()).await {
                Err(_elapsed) => return Some(Bytes::from_static(sse::KEEP_ALIVE)),
                Ok(Step::Pass(message)) => self.push(&message),
                Ok(Step::Pause(wait)) => {
                    self.ready.push_back(format!("{}\n", retry(wait)).into());
                    self.is_over = true;
                }
                Ok(Step::Ask(question)) => {
                    let exchange = self.exchange.take()?;
                    let answer = call::park(exchange, question);
                    self.end(&answer.to_bytes());
                }
                Ok(Step::Last(last)) => {
                    let answer = exchange.settle(last).await;
                    let exchange = self.exchange.take()?;
                    self.end(&answer.to_bytes());
                    self.keep_end(&exchange);
                }
            }
        }
    }

    fn end(&mut self, answer: &[u8]) {
        self.push(answer);
        self.is_over = true;
    }

    /// The client may lose the stream before it has read the answer.
    fn keep_end(&mut self, exchange: &Exchange<P>) {
        if let (Some(tail), Some(session)) = (self.tail.take(), exchange.route.session()) {
            let now = exchange.gate.config.clock.now();
            exchange.gate.delivered.keep(tail, std::sync::Arc::clone(session), now);
        }
    }

    fn push(&mut self, message: &[u8]) {
        let event = event(message);
        self.ready.push_back(match &mut self.tail {
            Some(tail) => tail.number(&event),
            None => event,
        });
    }
}

impl<P: Plane> Drop for Outgoing<P> {
    fn drop(&mut self) {
        let (Some(exchange), Some(tail)) = (self.exchange.take(), self.tail.take()) else { return };
        let gate = std::sync::Arc::clone(&exchange.gate);
        let session = exchange.route.session().cloned();
        // Where there is no room, the stream is over.
        drop(gate.parked.leave(exchange, Left::Stream(tail)));
        // The end of the session may have come before it was known here that the stream was left.
        if let Some(session) = session.filter(|session| !gate.sessions.has(session)) {
            drop(gate.parked.take_of(&session));
        }
    }
}

/// A stream of events that were sent before.
pub(crate) fn rest(events: VecDeque<Bytes>) -> Response {
    reply::stream(Body::from_stream(stream::iter(events.into_iter().map(Ok::<_, Infallible>))))
}

/// How long to stay away, as a stream says it.
fn retry(wait: Duration) -> String {
    format!("retry: {}\n", wait.as_millis())
}

#[cfg(test)]
mod tests {
    use base::Dice;

    use super::{KEPT_EVENTS_MAX, Tail, read_id};

    struct Zeros;

    impl Dice for Zeros {
        fn fill(&self, out: &mut [u8]) {
            out.fill(0);
        }
    }

    #[test]
    fn what_is_kept_is_sent_again_without_a_gap() {
        let mut tail = Tail::new(&Zeros);
        let sent: Vec<_> =
            (0..3).map(|number| tail.number(format!("data: {number}\n\n").as_bytes())).collect();
        assert!(sent[2].starts_with(format!("id: {}/2\n", "0".repeat(32)).as_bytes()));
        assert_eq!(tail.behind(0).unwrap(), &sent[1..]);
        assert!(tail.behind(2).unwrap().is_empty());
        assert!(tail.behind(3).is_none(), "it was never sent");
        for _ in 0..KEPT_EVENTS_MAX {
            tail.number(b"data: x\n\n");
        }
        assert!(tail.behind(1).is_none(), "the next one is no longer kept");
        assert_eq!(tail.behind(2).unwrap().len(), KEPT_EVENTS_MAX);
    }

    #[test]
    fn ids_have_one_spelling() {
        let stream = "0123456789abcdef0123456789abcdef";
        assert_eq!(read_id(&format!("{stream}/7")), Some((stream, 7)));
        for wrong in
            ["", "7", "/7", &format!("{stream}/07"), &format!("{stream}/-1"), &format!("{stream}x/1")]
        {
            assert_eq!(read_id(wrong), None, "{wrong}");
        }
    }
}
