//! The body of an answer: of HTTP, or of a link that behaves like it.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Frame;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wire::{mcp::Id, sse};

use super::talk::Link;
use crate::upstream::Trouble;

/// How many messages of one stream wait for their reader.
const QUEUE_MAX: usize = 256;
/// How large an answer is whose room is counted, in KiB.
const LITTLE_KIB: u32 = 64;
/// How much of them, in KiB. The answer itself is bounded like every message.
const QUEUE_KIB_MAX: usize = 4096;

/// The body of a server's answer.
pub(crate) enum Body {
    /// As it comes from the connection.
    Http(Incoming),
    /// Events of a link.
    Link(Events),
}

impl Body {
    /// No more than the head.
    pub(super) fn empty() -> Self {
        Self::Link(channel(None).1)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Trouble;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Trouble>>> {
        match &mut *self {
            Self::Http(body) => Pin::new(body).poll_frame(context).map_err(|error| {
                tracing::debug!(%error, "the server's answer broke off");
                Trouble::Broken
            }),
            Self::Link(events) => events.poll(context).map(|piece| Some(piece?.map(Frame::data))),
        }
    }
}

/// The messages that belong to one request, or to none, as a stream of events. It ends whole with the answer.
pub(crate) struct Events {
    receiver: mpsc::Receiver<Piece>,
    first: Option<Piece>,
    why: Arc<OnceLock<Trouble>>,
    is_over: bool,
    /// The request that is forgotten when nobody reads on.
    _waiting: Option<Waiting>,
}

struct Piece {
    event: Bytes,
    is_last: bool,
    _room: Option<OwnedSemaphorePermit>,
}

/// A request of a link.
pub(super) struct Waiting {
    pub(super) link: Arc<Link>,
    pub(super) id: Id,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.link.forget(&self.id);
    }
}

/// The end of a stream into which a link's messages go.
pub(super) struct Stream {
    sender: mpsc::Sender<Piece>,
    room: Arc<Semaphore>,
    why: Arc<OnceLock<Trouble>>,
}

pub(super) fn channel(waiting: Option<Waiting>) -> (Stream, Events) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let why = Arc::default();
    let stream = Stream { sender, room: Arc::new(Semaphore::new(QUEUE_KIB_MAX)), why: Arc::clone(&why) };
    (stream, Events { receiver, first: None, why, is_over: false, _waiting: waiting })
}

impl Stream {
    /// Tells a message that is not the answer; false when the reader is too slow. One place is kept for the answer.
    pub(super) fn tell(&self, message: &str) -> bool {
        let kib = u32::try_from(message.len() / 1024 + 1).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kib) else { return false };
        self.sender.capacity() > 1 && self.push(message, false, Some(room))
    }

    /// Ends with the answer, if there is room for it beside those that wait for their readers in all links.
    pub(super) fn end(self, answer: &str, room: &Arc<Semaphore>) {
        let kib = u32::try_from(answer.len() / 1024).unwrap_or(u32::MAX);
        if kib < LITTLE_KIB {
            self.push(answer, true, None);
        } else if let Ok(room) = Arc::clone(room).try_acquire_many_owned(kib) {
            self.push(answer, true, Some(room));
        } else {
            self.break_off(Trouble::NoRoom);
        }
    }

    /// Ends without one.
    pub(super) fn break_off(self, why: Trouble) {
        self.why.get_or_init(|| why);
    }

    pub(super) fn is_left(&self) -> bool {
        self.sender.is_closed()
    }

    fn push(&self, message: &str, is_last: bool, room: Option<OwnedSemaphorePermit>) -> bool {
        let mut event = Vec::new();
        sse::encode(message, &mut event);
        self.sender.try_send(Piece { event: event.into(), is_last, _room: room }).is_ok()
    }
}

impl Events {
    /// Waits until there is something to read; why there is nothing, where it broke off before. May be dropped and called
    /// again.
    pub(super) async fn begin(&mut self) -> Result<(), Trouble> {
        if self.first.is_none() {
            self.first = self.receiver.recv().await;
        }
        if self.first.is_some() { Ok(()) } else { Err(self.trouble()) }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Trouble>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let piece = match self.first.take() {
            Some(piece) => Some(piece),
            None => ready!(self.receiver.poll_recv(context)),
        };
        self.is_over = piece.as_ref().is_none_or(|piece| piece.is_last);
        Poll::Ready(Some(piece.map(|piece| piece.event).ok_or_else(|| self.trouble())))
    }

    fn trouble(&self) -> Trouble {
        self.why.get().cloned().unwrap_or(Trouble::Broken)
    }
}
