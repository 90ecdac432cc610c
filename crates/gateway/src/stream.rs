//! The listening streams of sessions.

use std::{collections::BTreeSet, convert::Infallible, future::Future, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use wire::{
    mcp::{Message, Notice},
    sse,
};

use crate::{
    Gateway, Plane, Upstream,
    account::Account,
    aggregate::Naming,
    gateway::{ListeningAccount, Visit},
    leash::Leash,
    listen,
    notices::is_carried_unasked,
    reply,
    rights::Rights,
    room::AnswerRoom,
    session::{Listening, Session},
    tasks::Ids,
    tongue::Tongue,
    upstream::{Frames, Way},
};

/// One listening stream of a session (MCP 2025-11-25, transports, "Listening for Messages from the Server").
pub(crate) struct Listener<P: Plane> {
    gate: Arc<Gateway<P>>,
    upstream: Arc<Upstream>,
    session: Arc<Session>,
    leash: Leash<P>,
    naming: Naming,
    /// The room that one of the server's messages takes.
    room: AnswerRoom,
    /// What the client wants to hear of.
    wishes: watch::Receiver<BTreeSet<String>>,
    /// Uncounts the stream with the listener.
    _place: Listening,
    /// The questions that were asked on it.
    asked: Vec<i64>,
    /// Concludes the act with the listener.
    _account: ListeningAccount<P>,
}

impl<P: Plane> Listener<P> {
    pub(crate) fn new(visit: Visit<P>, session: Arc<Session>, place: Listening, account: Account<P>) -> Self {
        let Visit { gate, upstream, naming, leash, holder, .. } = visit;
        let room = AnswerRoom::of(&gate.config.answers, &holder.actor);
        let (wishes, account) = (session.subscribed.subscribe(), ListeningAccount(account));
        let asked = Vec::new();
        Self { gate, upstream, session, leash, naming, room, wishes, asked, _place: place, _account: account }
    }
}

enum Hearing<P: Plane> {
    Connecting(Box<Listener<P>>),
    Open(Box<Listener<P>>, Box<Frames>),
    /// The server has nothing to say; the client's stream stays, because some clients take its absence for failure.
    Deaf(Box<Listener<P>>),
}

/// A stream of what a server tells without being asked, and of what its caller may use or no longer use there. It ends
/// with the former.
pub(crate) fn of_listener<P: Plane>(listener: Listener<P>, rights: Rights<P>) -> Response {
    let heard = pieces(listener).map(Some).chain(stream::once(async { None }));
    let both = stream::select(heard, rights.into_events().map(Some));
    let events = both.take_while(|piece| std::future::ready(piece.is_some())).filter_map(std::future::ready);
    reply::stream(Body::from_stream(events.map(Ok::<_, Infallible>)))
}

/// What a server tells without being asked, piece by piece, with signs of life.
pub(crate) fn pieces<P: Plane>(listener: Listener<P>) -> impl Stream<Item = Bytes> + Send {
    let state = Some((Hearing::Connecting(Box::new(listener)), true));
    stream::unfold(state, |state| async move {
        let (hearing, is_first) = state?;
        if is_first {
            // Headers alone may be held back on the way; something to read makes the stream visibly open.
            return Some((Bytes::from_static(sse::KEEP_ALIVE), Some((hearing, false))));
        }
        let (piece, hearing) = hearing.next().await?;
        Some((piece, Some((hearing, false))))
    })
}

impl<P: Plane> Hearing<P> {
    /// The next piece of the client's stream; `None` at its end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            self = match self {
                Self::Connecting(mut listener) => {
                    listener.wishes.mark_unchanged();
                    let Listener { gate, upstream, session, leash, .. } = &mut *listener;
                    let connecting = connect(gate, upstream, session);
                    match before_cut(leash, connecting).await? {
                        Some(frames) => Self::Open(listener, Box::new(frames)),
                        None => Self::Deaf(listener),
                    }
                }
                Self::Open(mut listener, mut frames) => {
                    let keep_alive = listener.gate.config.limits.keep_alive;
                    let Listener { leash, wishes, room, .. } = &mut *listener;
                    let reading = tokio::time::timeout(keep_alive, frames.next(room));
                    let hearing = async {
                        tokio::select! {
                            read = reading => Some(read),
                            // Never true of the session's own sender: the listener holds the session.
                            _ = wishes.changed() => None,
                        }
                    };
                    match before_cut(leash, hearing).await? {
                        // The server is told of other wishes only with another stream.
                        None => Self::Connecting(listener),
                        Some(Err(_elapsed)) => return Some(signs_of_life(Self::Open(listener, frames))),
                        // The client comes back when it wants to; a broken stream is not made whole here.
                        Some(Ok(Ok(None) | Err(_))) => return None,
                        Some(Ok(Ok(Some(message)))) => match listener.hear(message) {
                            Some(text) => return Some((event(&text), Self::Open(listener, frames))),
                            None => Self::Open(listener, frames),
                        },
                    }
                }
                Self::Deaf(mut listener) => {
                    let keep_alive = listener.gate.config.limits.keep_alive;
                    before_cut(&mut listener.leash, tokio::time::sleep(keep_alive)).await?;
                    return Some(signs_of_life(Self::Deaf(listener)));
                }
            }
        }
    }
}

/// What the server tells without being asked; `None` when it has nothing to tell.
async fn connect<P: Plane>(gate: &Gateway<P>, upstream: &Upstream, session: &Session) -> Option<Frames> {
    let (standing, way) = (session.standing(), Way::within(upstream, session));
    match session.tongue {
        Tongue::Session { .. } => {
            let answer = gate.client.listen(&standing, way).await.ok()?;
            Frames::of_listening(answer, upstream)
        }
        Tongue::Stateless => {
            let asked = listen::for_session(session, gate.number(), upstream).ok()?;
            let answer = gate.client.subscribe(&standing, &asked, way).await.ok()?;
            // Anything else is a server that has nothing to tell.
            Frames::of_subscription(answer, upstream).ok().filter(Frames::is_stream)
        }
    }
}

impl<P: Plane> Listener<P> {
    /// What the client gets to hear of a message.
    fn hear(&mut self, message: Message) -> Option<Vec<u8>> {
        match message {
            Message::Notification(mut notification) => {
                let notice = Notice::parse(&notification.method)?;
                let passes =
                    is_carried_unasked(notice) || (notice == Notice::Message && self.upstream.passes.logging);
                listen::unmark(&mut notification);
                let ids = Ids::new(&*self.gate.plane, &self.session.holder, &self.upstream);
                let sees = |tool: &str| self.leash.sees_what_came_of(tool);
                ids.seal_in_notice(&mut notification, Some(&self.session.made), sees)?;
                let is_heard = passes && self.leash.lets_hear(&notification);
                self.naming.notice(&mut notification, &self.upstream.name);
                is_heard.then(|| notification.to_bytes())
            }
            // In 2026-07-28 servers ask in their results alone.
            Message::Request(_) if self.session.tongue == Tongue::Stateless => None,
            Message::Request(question) => {
                let (number, text) = self.gate.ask_client(&self.upstream, &self.session, question)?;
                self.session.asked.keep_waiting(&mut self.asked);
                self.asked.push(number);
                Some(text)
            }
            // Answers come on the stream of their request.
            Message::Response(_) => None,
        }
    }
}

impl<P: Plane> Drop for Listener<P> {
    fn drop(&mut self) {
        self.session.asked.leave(&self.asked);
    }
}

/// The future's value, or `None` when authority ends first.
async fn before_cut<P: Plane, T>(leash: &mut Leash<P>, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        _cut = leash.ended() => None,
        value = future => Some(value),
    }
}

fn signs_of_life<P: Plane>(hearing: Hearing<P>) -> (Bytes, Hearing<P>) {
    (Bytes::from_static(sse::KEEP_ALIVE), hearing)
}

/// A message as an event. Messages are compact JSON: one line.
pub(crate) fn event(message: &[u8]) -> Bytes {
    let mut out = Vec::new();
    sse::encode(&String::from_utf8_lossy(message), &mut out);
    out.into()
}
