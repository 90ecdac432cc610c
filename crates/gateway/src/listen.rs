//! `subscriptions/listen` (2026-07-28): one stream of what a client asked to be told.
//!
//! Each resource that is asked for is an act of its own; what is refused is left out of what the server is asked for,
//! and the client learns it from the acknowledgement. A server with sessions gets one for this stream alone, so that
//! the stream and its subscriptions end together.

use std::sync::Arc;

use axum::response::Response;
use wire::{
    json::Json,
    mcp::{self, Id, Message, Notification, RpcError, code, meta},
};

use crate::{
    Ending, Plane, Refused, Request, Upstream, call,
    filter::Filter,
    front::{Front, Route, Told},
    gateway::Visit,
    opening::{self, NoWay},
    relay::{Own, Relay, Source},
    reply::{self, Stop},
    request::Generation,
    room::AnswerRoom,
    session::Session,
    upstream::{Form, Frames, Outbound, Trouble, Way},
};

/// The request by which a server that knows no sessions is listened to for a client that has one: to everything that
/// the server offers, and to the resources that the client subscribed to.
pub(crate) fn for_session(session: &Session, number: i64, upstream: &Upstream) -> Result<Outbound, Trouble> {
    let wanted = Filter {
        tools: session.offer.has("tools", "listChanged"),
        prompts: session.offer.has("prompts", "listChanged"),
        resources: session.offer.has("resources", "listChanged"),
        uris: session.subscribed.borrow().clone(),
    };
    let params = Json::object([("notifications", wanted.to_json())]);
    let method = mcp::Method::SubscriptionsListen.as_str();
    let message = mcp::Request::new(Id::Number(number), method, Some(params));
    let form = Form::Stateless { envelope: &session.envelope, schema: None };
    Outbound::new(message, upstream, form, number).map_err(|_| Trouble::NotPermitted)
}

/// Takes the mark of a subscription out of a notification, for a client that knows none.
pub(crate) fn unmark(notification: &mut Notification) {
    let params = notification.params.as_mut().and_then(Json::as_object_mut);
    let Some(params) = params else { return };
    let Some(about) = params.get_mut("_meta").and_then(Json::as_object_mut) else { return };
    about.remove(meta::SUBSCRIPTION_ID);
    if about.is_empty() {
        params.remove("_meta");
    }
}

/// Serves `subscriptions/listen`.
pub(crate) async fn serve<P: Plane>(
    mut visit: Visit<P>,
    told: Box<Told>,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let refuse = |error| Ok(reply::stateless(&mcp::Response::error(Some(id.clone()), error)));
    let missing = || RpcError::invalid_params("`params.notifications` is missing or no object");
    let asked = request.param("notifications").filter(|filter| filter.as_object().is_some());
    let wanted = match asked.ok_or_else(missing).and_then(Filter::read) {
        Ok(wanted) => wanted,
        Err(error) => {
            visit.be_admitted().await?;
            return refuse(error);
        }
    };
    match open(&visit, &told, request, wanted).await {
        Ok(mut relay) => {
            // The stream keeps its place, not the message.
            relay.place = visit.held.take().and_then(|room| room.place);
            Ok(relay.into_response())
        }
        Err(NoWay::Refused(refused)) => call::refusal(&Front::Stateless(told), id, &Request::Listen, refused),
        Err(NoWay::Failed(error)) => refuse(error),
    }
}

/// Opens the stream of one server.
pub(crate) async fn open<P: Plane>(
    visit: &Visit<P>,
    told: &Told,
    request: mcp::Request,
    wanted: Filter,
) -> Result<Relay<P>, NoWay> {
    let opened = match visit.gate.speaks(&visit.upstream, Generation::Stateless) {
        Some(Generation::Stateless) => None,
        _ => opening::session_of_its_own(visit, &told.envelope).await?,
    };
    match opened {
        None => alone(visit, told, request, wanted).await,
        Some(session) => within(visit, Own::new(visit, session), request.id, wanted).await,
    }
}

/// The stream of a server that knows no sessions either.
async fn alone<P: Plane>(
    visit: &Visit<P>,
    told: &Told,
    mut request: mcp::Request,
    mut wanted: Filter,
) -> Result<Relay<P>, NoWay> {
    let id = request.id.clone();
    for uri in std::mem::take(&mut wanted.uris) {
        if subscribe(visit, None, &uri).await? {
            wanted.uris.insert(uri);
        }
    }
    if let Some(params) = request.params.as_mut().and_then(Json::as_object_mut) {
        params.insert("notifications", wanted.to_json());
    }
    let form = Form::Stateless { envelope: &told.envelope, schema: None };
    let outbound =
        Outbound::new(request, &visit.upstream, form, visit.gate.number()).map_err(NoWay::Failed)?;
    let authorized = visit.authorize(&Request::Listen, &outbound).await.map_err(NoWay::Refused)?;
    let mut account = visit.account(authorized.permit.intent().clone());
    let way = Way::of(&visit.upstream, &Route::Alone);
    let (_, sent) = visit.gate.client.forward(authorized.permit, authorized.inject, &outbound, way).await;
    let frames = sent.and_then(|answer| Frames::of_subscription(answer, &visit.upstream));
    match frames {
        Ok(mut frames) if !frames.is_stream() => {
            account.end(Ending::Failed, Some("upstream_error"), None);
            let error = match frames.next(&mut room_of(visit)).await {
                Ok(Some(Message::Response(mcp::Response { outcome: Err(error), .. }))) => error,
                Ok(_) => Trouble::Garbage("a subscription that is no stream").to_error(),
                Err(trouble) => trouble.to_error(),
            };
            if error.code != code::METHOD_NOT_FOUND || !wanted.has_lists() {
                return Err(NoWay::Failed(error));
            }
            // The server has nothing to tell; what Writ has to tell of the caller's rights remains.
            wanted.uris.clear();
            Ok(Relay::new(visit, account, Source::Silent, id, wanted).acknowledged())
        }
        Ok(frames) => Ok(Relay::new(visit, account, Source::Alone(frames, outbound.id()), id, wanted)),
        Err(trouble) => {
            account.end(trouble.ending(), Some(trouble.code()), None);
            Err(NoWay::Failed(trouble.to_error()))
        }
    }
}

/// The stream of a server with sessions: its listening stream, and subscriptions to resources.
async fn within<P: Plane>(visit: &Visit<P>, own: Own<P>, id: Id, wanted: Filter) -> Result<Relay<P>, NoWay> {
    let session = &own.session;
    let listening = visit.ask_to_listen(session).await.map_err(NoWay::Refused)?;
    // That a list has changed Writ says itself where the rights of the caller did.
    let mut honoured = wanted;
    if !session.offer.has("resources", "subscribe") {
        honoured.uris.clear();
    }
    let way = Way::within(&visit.upstream, session);
    let frames = match visit.gate.client.listen(&session.standing(), way).await {
        Ok(answer) => Frames::of_listening(answer, &visit.upstream),
        Err(_) => None,
    };
    for uri in std::mem::take(&mut honoured.uris) {
        if frames.is_some() && subscribe(visit, Some(session), &uri).await? {
            honoured.uris.insert(uri);
        }
    }
    let place = session.listen(1);
    let source = Source::Within { own, frames, _place: place };
    Ok(Relay::new(visit, listening, source, id, honoured).acknowledged())
}

/// Decides a subscription to one resource, and asks the server for it where it is asked one by one.
async fn subscribe<P: Plane>(
    visit: &Visit<P>,
    session: Option<&Arc<Session>>,
    uri: &str,
) -> Result<bool, NoWay> {
    let params = Json::object([("uri", Json::from(uri))]);
    let method = mcp::Method::ResourcesSubscribe.as_str();
    let message = mcp::Request::new(Id::Number(0), method, Some(params));
    let outbound =
        Outbound::new(message, &visit.upstream, Form::Session, visit.gate.number()).map_err(NoWay::Failed)?;
    let request = Request::Subscribe { uri: uri.to_owned() };
    let authorized = match visit.authorize(&request, &outbound).await {
        Ok(authorized) => authorized,
        Err(Refused::Denied(_)) => return Ok(false),
        Err(refused) => return Err(NoWay::Refused(refused)),
    };
    let mut account = visit.account(authorized.permit.intent().clone());
    let Some(session) = session else {
        account.end(Ending::Done, None, None);
        return Ok(true);
    };
    let way = Way::within(&visit.upstream, session);
    let client = &visit.gate.client;
    let (_, sent) = client.forward(authorized.permit, authorized.inject, &outbound, way).await;
    let answered = match sent.and_then(|answer| Frames::of_answer(answer, &visit.upstream, true)) {
        Ok(mut frames) => {
            let mut room = room_of(visit);
            loop {
                match frames.next(&mut room).await {
                    Ok(Some(Message::Response(response))) => break Ok(response.outcome.is_ok()),
                    Ok(Some(_)) => {}
                    Ok(None) => break Err(Trouble::NoAnswer),
                    Err(trouble) => break Err(trouble),
                }
            }
        }
        Err(trouble) => Err(trouble),
    };
    match answered {
        Ok(is_subscribed) => {
            let ending = if is_subscribed { Ending::Done } else { Ending::Failed };
            account.end(ending, None, None);
            Ok(is_subscribed)
        }
        Err(trouble) => {
            account.end(trouble.ending(), Some(trouble.code()), None);
            Ok(false)
        }
    }
}

fn room_of<P: Plane>(visit: &Visit<P>) -> AnswerRoom {
    AnswerRoom::of(&visit.gate.config.answers, &visit.holder.actor)
}
