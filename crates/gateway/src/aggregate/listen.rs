//! One stream of what all servers say on their own, and of what the caller may use or no longer use.
//!
//! A client with a session hears the servers of which it has a part; one of 2026-07-28 those that it may use. Servers join
//! as they come, and those whose stream ended or could not be opened are tried again at the next sign of life.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use axum::{body::Body, response::Response};
use base::ServerId;
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, FuturesUnordered, SelectAll},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use wire::{
    json::Json,
    mcp::{self, Envelope, Id, Notice, RpcError},
    sse,
};

use super::{Aggregate, Whole, names, whole::WholeListening};
use crate::{
    Plane,
    filter::Filter,
    front::Told,
    gateway::Visit,
    leash::Cut,
    listen,
    notices::{mark, notice},
    opening::NoWay,
    relay::{Relay, said},
    reply::{self, Stop},
    rights::Rights,
    session::Session,
    stateless::{act_of, passing},
    stream::{Listener, event, pieces},
};

/// How long the servers whose resources are asked for may take before the client learns which of them it hears of.
const WAIT: Duration = Duration::from_secs(10);
/// How many servers' streams are opened at a time.
const AT_ONCE: usize = 16;

/// A piece of one server's stream; none at its end.
type Heard = (ServerId, Option<Bytes>);
type Joining = BoxFuture<'static, (ServerId, Option<BoxStream<'static, Heard>>)>;

/// A stream over all servers.
struct Merged<P: Plane> {
    all: Aggregate<P>,
    rights: Rights<P>,
    client: Client,
    joined: HashSet<ServerId>,
    /// Of those the ones that are not heard of, until they are tried again.
    lost: Vec<ServerId>,
    joining: FuturesUnordered<Joining>,
    heard: SelectAll<BoxStream<'static, Heard>>,
    ready: VecDeque<Bytes>,
    tick: Instant,
    is_over: bool,
}

/// Whose stream it is.
enum Client {
    Session { whole: Arc<Whole>, opened: watch::Receiver<u64>, _place: WholeListening },
    Stateless { id: Id, envelope: Envelope, wanted: Filter },
}

/// The listening stream of a session.
pub(super) fn of_session<P: Plane>(
    all: Aggregate<P>,
    whole: Arc<Whole>,
    rights: Rights<P>,
    place: WholeListening,
) -> Response {
    let opened = whole.opened();
    let mut merged = Merged::new(all, rights, Client::Session { whole, opened, _place: place });
    merged.ready.push_back(Bytes::from_static(sse::KEEP_ALIVE));
    merged.into_response()
}

/// The stream of `subscriptions/listen`.
pub(super) async fn of_subscription<P: Plane>(
    all: Aggregate<P>,
    envelope: Envelope,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let missing = || RpcError::invalid_params("`params.notifications` is missing or no object");
    let asked = request.param("notifications").filter(|filter| filter.as_object().is_some());
    let wanted = match asked.ok_or_else(missing).and_then(Filter::read) {
        Ok(wanted) => wanted,
        Err(error) => return Ok(reply::stateless(&mcp::Response::error(Some(id), error))),
    };
    // Before anything is opened, so that nothing falls in between.
    let rights = Rights::of_all(&all);
    let client = Client::Stateless { id: id.clone(), envelope, wanted };
    let mut merged = Merged::new(all, rights, client);
    let honoured = merged.subscribe().await?;
    let mut acknowledged = notice(Notice::SubscriptionsAcknowledged, [("notifications", honoured.to_json())]);
    mark(&mut acknowledged, &id);
    merged.ready.push_back(event(&acknowledged.to_bytes()));
    Ok(merged.into_response())
}

impl<P: Plane> Merged<P> {
    fn new(all: Aggregate<P>, rights: Rights<P>, client: Client) -> Self {
        let tick = Instant::now() + all.gate.config.limits.keep_alive;
        Self {
            all,
            rights,
            client,
            joined: HashSet::new(),
            lost: Vec::new(),
            joining: FuturesUnordered::new(),
            heard: SelectAll::new(),
            ready: VecDeque::new(),
            tick,
            is_over: false,
        }
    }

    /// Opens the streams of the servers whose resources are asked for; gives what is heard of.
    async fn subscribe(&mut self) -> Result<Filter, Stop> {
        let Client::Stateless { id, envelope, wanted } = &mut self.client else {
            return Ok(Filter::default());
        };
        let mut by_server: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for uri in std::mem::take(&mut wanted.uris) {
            if let Some((server, own)) = names::split_uri(&uri) {
                by_server.entry(server.to_owned()).or_default().insert(own.to_owned());
            }
        }
        let mut openings = Vec::new();
        for (server, uris) in by_server {
            let Some(visit) = self.all.server(&server) else { continue };
            let wanted = Filter { uris, ..wanted.clone() };
            openings.push((Box::pin(open(visit, envelope.clone(), id.clone(), wanted)), server));
        }
        let opened = stream::iter(openings).map(|(opening, server)| async move {
            (timeout(WAIT, opening).await.unwrap_or(Ok(None)), server)
        });
        let opened: Vec<_> = opened.buffered(AT_ONCE).collect().await;
        let mut honoured = wanted.clone();
        for (relay, server) in opened {
            let Some((upstream, relay)) = relay? else { continue };
            honoured.uris.extend(relay.uris().iter().map(|uri| names::qualified_uri(&server, uri)));
            self.joined.insert(upstream.clone());
            self.heard.push(until_end(upstream, relay.into_pieces().boxed()));
        }
        wanted.uris.clone_from(&honoured.uris);
        Ok(honoured)
    }

    fn into_response(mut self) -> Response {
        self.join();
        let pieces = stream::unfold(Box::new(self), |mut merged| async move {
            let piece = merged.piece().await?;
            Some((Ok::<_, Infallible>(piece), merged))
        });
        reply::stream(Body::from_stream(pieces.boxed()))
    }

    /// Begins to listen to servers that are not listened to.
    fn join(&mut self) {
        match &self.client {
            Client::Session { whole, .. } => {
                for part in whole.parts() {
                    let id = part.upstream.id.clone();
                    if !self.joined.insert(id.clone()) {
                        continue;
                    }
                    let visit = self.all.server(&part.upstream.name);
                    let visit = visit.filter(|visit| part.belongs_to(&self.all.holder, &visit.upstream));
                    let Some(visit) = visit else {
                        self.lost.push(id);
                        continue;
                    };
                    self.joining.push(listen_to(visit, part).map(|heard| (id, heard)).boxed());
                }
            }
            Client::Stateless { id, envelope, wanted } => {
                for visit in self.all.servers() {
                    let server = visit.upstream.id.clone();
                    let uris = wanted.uris.iter().filter_map(|uri| names::split_uri(uri));
                    let own =
                        uris.filter(|(of, _)| *of == visit.upstream.name).map(|(_, own)| own.to_owned());
                    let wanted = Filter { uris: own.collect(), ..wanted.clone() };
                    // Where there is no room now, it comes at the next sign of life.
                    if wanted == Filter::default()
                        || self.joining.len() >= AT_ONCE
                        || !self.joined.insert(server.clone())
                    {
                        continue;
                    }
                    let opening = open(visit, envelope.clone(), id.clone(), wanted);
                    let joining = async move {
                        let relay = timeout(WAIT, opening).await.ok().and_then(Result::ok).flatten();
                        let heard = relay.map(|(of, relay)| until_end(of, relay.into_pieces().boxed()));
                        (server, heard)
                    };
                    self.joining.push(joining.boxed());
                }
            }
        }
    }

    /// The next piece of the client's stream; none at its end.
    async fn piece(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                biased;
                cut = self.all.leash.ended() => self.end(cut),
                changed = self.rights.changed() => {
                    match &self.client {
                        Client::Session { .. } => {
                            self.ready.extend(changed.notices().map(|notice| event(&notice.to_bytes())));
                        }
                        Client::Stateless { id, wanted, .. } => {
                            self.ready.extend(said(changed, wanted, id).iter().map(|text| event(text)));
                        }
                    }
                    self.join();
                }
                () = opened(&mut self.client) => self.join(),
                Some((server, heard)) = self.joining.next(), if !self.joining.is_empty() => match heard {
                    Some(heard) => self.heard.push(heard),
                    None => self.lost.push(server),
                },
                Some((server, piece)) = self.heard.next(), if !self.heard.is_empty() => match piece {
                    Some(piece) if piece != sse::KEEP_ALIVE => return Some(piece),
                    Some(_) => {}
                    None => self.lost.push(server),
                },
                () = sleep_until(self.tick) => {
                    self.tick = Instant::now() + self.all.gate.config.limits.keep_alive;
                    for server in self.lost.drain(..) {
                        self.joined.remove(&server);
                    }
                    self.join();
                    return Some(Bytes::from_static(sse::KEEP_ALIVE));
                }
            }
        }
    }

    fn end(&mut self, cut: Cut) {
        if let Client::Stateless { id, .. } = &self.client {
            let last = mcp::Response::error(Some(id.clone()), cut.denial().error());
            self.ready.push_back(event(&last.to_bytes()));
        }
        self.is_over = true;
    }
}

/// Resolves when a part was opened.
async fn opened(client: &mut Client) {
    match client {
        Client::Session { opened, .. } => {
            // Never gone: the stream holds the whole.
            let _ = opened.changed().await;
        }
        Client::Stateless { .. } => std::future::pending().await,
    }
}

/// What one server says within a part, if that may be heard.
async fn listen_to<P: Plane>(visit: Visit<P>, part: Arc<Session>) -> Option<BoxStream<'static, Heard>> {
    let account = visit.ask_to_listen(&part).await.ok()?;
    let place = part.listen(visit.gate.config.limits.listeners_max)?;
    let server = visit.upstream.id.clone();
    Some(until_end(server, pieces(Listener::new(visit, part, place, account)).boxed()))
}

/// One server's stream for a client of 2026-07-28; none where it has none for this caller. Fails where that concerns all.
async fn open<P: Plane>(
    visit: Visit<P>,
    envelope: Envelope,
    id: Id,
    wanted: Filter,
) -> Result<Option<(ServerId, Relay<P>)>, Stop> {
    let params = Json::object([("notifications", wanted.to_json())]);
    let request = mcp::Request::new(id, mcp::Method::SubscriptionsListen.as_str(), Some(params));
    let envelope = passing(envelope, visit.upstream.passes);
    let told = Told { envelope, act: act_of(&request, &visit.upstream) };
    match listen::open(&visit, &told, request, wanted).await {
        Ok(relay) => Ok(Some((visit.upstream.id.clone(), relay))),
        Err(NoWay::Refused(crate::Refused::Unauthorized(unauthorized))) => {
            Err(reply::challenge(unauthorized))
        }
        Err(NoWay::Refused(crate::Refused::Denied(_)) | NoWay::Failed(_)) => Ok(None),
    }
}

fn until_end(server: ServerId, pieces: BoxStream<'static, Bytes>) -> BoxStream<'static, Heard> {
    let of = server.clone();
    let heard = pieces.map(move |piece| (of.clone(), Some(piece)));
    heard.chain(stream::once(std::future::ready((server, None)))).boxed()
}
