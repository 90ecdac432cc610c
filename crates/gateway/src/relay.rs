//! A stream of what a client asked to be told (`subscriptions/listen`), from the server to the client.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use wire::{
    json::{Json, Object},
    mcp::{self, Id, Message, Notice, Notification, meta},
    sse,
};

use crate::{
    Ending, Gateway, Plane, Upstream,
    account::Account,
    aggregate::Naming,
    filter::Filter,
    gateway::Visit,
    leash::Leash,
    notices::{mark, notice},
    reply,
    rights::{Changed, Rights},
    room::{AnswerRoom, Place},
    session::{Listening, Session},
    stream::event,
    upstream::Frames,
};

/// A stream on its way from the server to the client.
pub(crate) struct Relay<P: Plane> {
    gate: Arc<Gateway<P>>,
    upstream: Arc<Upstream>,
    naming: Naming,
    /// None where somebody else tells the client of its rights.
    rights: Option<Rights<P>>,
    leash: Leash<P>,
    account: Account<P>,
    source: Source<P>,
    /// The id of the client's request; the name of the subscription.
    id: Id,
    honoured: Filter,
    ready: Vec<Vec<u8>>,
    is_over: bool,
    /// The room that one of its messages takes.
    room: AnswerRoom,
    /// Given back with the stream.
    pub(crate) place: Option<Place>,
}

/// Where what a client is told comes from.
pub(crate) enum Source<P: Plane> {
    /// A stream of a server that knows no sessions, and what the subscription is called there.
    Alone(Frames, Id),
    /// The listening stream of a session that is there for this alone; none where the server has nothing to say.
    Within { own: Own<P>, frames: Option<Frames>, _place: Option<Listening> },
    /// A server that knows no subscriptions.
    Silent,
}

/// Resolves when the caller's rights are others.
async fn changed<P: Plane>(rights: &mut Option<Rights<P>>) -> Changed {
    match rights {
        Some(rights) => rights.changed().await,
        None => std::future::pending().await,
    }
}

/// What a client is told of a change of its rights, as far as it wanted to be.
pub(crate) fn said(changed: Changed, wanted: &Filter, id: &Id) -> Vec<Vec<u8>> {
    let notices = changed.notices().filter(|notice| wanted.admits(notice));
    let marked = notices.map(|mut notice| {
        mark(&mut notice, id);
        notice.to_bytes()
    });
    marked.collect()
}

/// A session that is there for one stream alone, and ends with it, however far the stream has come.
pub(crate) struct Own<P: Plane> {
    gate: Arc<Gateway<P>>,
    pub(crate) session: Arc<Session>,
}

impl<P: Plane> Own<P> {
    pub(crate) fn new(visit: &Visit<P>, session: Arc<Session>) -> Self {
        Self { gate: Arc::clone(&visit.gate), session }
    }
}

impl<P: Plane> Drop for Own<P> {
    fn drop(&mut self) {
        if self.gate.sessions.close(&self.session) {
            self.gate.end_upstream(vec![Arc::clone(&self.session)]);
        }
    }
}

impl<P: Plane> Relay<P> {
    pub(crate) fn new(
        visit: &Visit<P>,
        account: Account<P>,
        source: Source<P>,
        id: Id,
        honoured: Filter,
    ) -> Self {
        Self {
            gate: Arc::clone(&visit.gate),
            upstream: Arc::clone(&visit.upstream),
            room: AnswerRoom::of(&visit.gate.config.answers, &visit.holder.actor),
            naming: visit.naming,
            rights: Rights::unless_part(visit),
            leash: visit.leash.again(),
            account,
            source,
            id,
            honoured,
            ready: Vec::new(),
            is_over: false,
            place: None,
        }
    }

    /// The same with the acknowledgement, where the server gives none.
    pub(crate) fn acknowledged(mut self) -> Self {
        let honoured = self.honoured.to_json();
        let mut said = notice(Notice::SubscriptionsAcknowledged, [("notifications", honoured)]);
        mark(&mut said, &self.id);
        self.ready.push(said.to_bytes());
        self
    }

    pub(crate) fn into_response(self) -> Response {
        let pieces = stream::unfold(Box::new(self), |mut relay| async move {
            let piece = relay.piece().await?;
            Some((Ok::<_, Infallible>(piece), relay))
        });
        reply::stream(Body::from_stream(pieces.boxed()))
    }

    /// What is told on the stream of one that merges several: no acknowledgement, no sign of life, no last word.
    pub(crate) fn into_pieces(mut self) -> impl Stream<Item = Bytes> + Send {
        self.ready.clear();
        let pieces = stream::unfold(Box::new(self), |mut relay| async move {
            let piece = relay.piece().await.filter(|_| !relay.is_over)?;
            Some((piece, relay))
        });
        pieces.filter(|piece| std::future::ready(piece.as_ref() != sse::KEEP_ALIVE))
    }

    /// Which resources are heard of.
    pub(crate) fn uris(&self) -> &BTreeSet<String> {
        &self.honoured.uris
    }

    /// The next piece of the client's stream; none at its end.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if let Some(text) = self.ready.pop() {
                return Some(event(&text));
            }
            if self.is_over {
                return None;
            }
            let keep_alive = self.gate.config.limits.keep_alive;
            let reading = async {
                match &mut self.source {
                    Source::Alone(frames, _) | Source::Within { frames: Some(frames), .. } => {
                        frames.next(&mut self.room).await
                    }
                    Source::Within { frames: None, .. } | Source::Silent => std::future::pending().await,
                }
            };
            let read = tokio::select! {
                biased;
                cut = self.leash.ended() => {
                    self.account.end(Ending::Cut, Some(cut.code()), None);
                    self.close(&mcp::Response::error(Some(self.id.clone()), cut.denial().error()));
                    continue;
                }
                changed = changed(&mut self.rights) => {
                    self.ready.extend(said(changed, &self.honoured, &self.id));
                    continue;
                }
                read = tokio::time::timeout(keep_alive, reading) => read,
            };
            match read {
                Err(_elapsed) => return Some(Bytes::from_static(sse::KEEP_ALIVE)),
                Ok(Ok(Some(Message::Notification(notification)))) => self.hear(notification),
                Ok(Ok(Some(Message::Request(question)))) => {
                    if let Source::Within { own, .. } = &self.source {
                        self.gate.answer_server(&self.upstream, &own.session, question);
                    }
                }
                Ok(Ok(Some(Message::Response(response)))) => self.end(response),
                // The client asks anew when it wants to; a broken stream is not made whole here.
                Ok(Ok(None) | Err(_)) => return None,
            }
        }
    }

    fn hear(&mut self, mut notification: Notification) {
        let is_acknowledgement =
            Notice::parse(&notification.method) == Some(Notice::SubscriptionsAcknowledged);
        if let Source::Alone(_, name) = &self.source {
            let named = notification.param("_meta").and_then(|meta| meta.get(meta::SUBSCRIPTION_ID));
            if named.and_then(Id::read).as_ref() != Some(name) {
                return;
            }
            if is_acknowledgement {
                let granted = notification.param("notifications").map(Filter::read);
                let granted = granted.and_then(Result::ok).unwrap_or_default();
                self.honoured.uris.retain(|uri| granted.uris.contains(uri));
                let params = notification.params.as_mut().and_then(Json::as_object_mut);
                if let Some(params) = params {
                    params.insert("notifications", self.honoured.to_json());
                }
            }
        }
        let is_wanted = self.honoured.admits(&notification) && self.leash.lets_hear(&notification);
        // Where several are merged, the client has its acknowledgement.
        if is_wanted || (is_acknowledgement && self.naming == Naming::Own) {
            self.naming.notice(&mut notification, &self.upstream.name);
            mark(&mut notification, &self.id);
            self.ready.push(notification.to_bytes());
        }
    }

    /// The server ends the stream.
    fn end(&mut self, mut response: mcp::Response) {
        let Source::Alone(_, name) = &self.source else { return };
        if response.id.as_ref() != Some(name) {
            return;
        }
        if let Ok(Json::Object(result)) = &mut response.outcome {
            let mut about = match result.remove("_meta") {
                Some(Json::Object(about)) => about,
                _ => Object::new(),
            };
            about.insert(meta::SUBSCRIPTION_ID, self.id.to_json());
            result.insert("_meta", about);
        }
        response.id = Some(self.id.clone());
        match response.outcome {
            Ok(_) => self.account.end(Ending::Done, None, None),
            Err(_) => self.account.end(Ending::Failed, Some("upstream_error"), None),
        }
        self.close(&response);
    }

    fn close(&mut self, last: &mcp::Response) {
        self.ready = vec![last.to_bytes()];
        self.is_over = true;
    }
}

impl<P: Plane> Drop for Relay<P> {
    fn drop(&mut self) {
        self.account.end(Ending::Done, None, None);
    }
}
