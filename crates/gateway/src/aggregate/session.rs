//! Clients with sessions at `/mcp`.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::{HeaderMap, StatusCode};
use wire::{
    json::Json,
    mcp::{self, Id, Message, Method, Notice, Notification, RpcError},
};

use super::{Aggregate, Whole, listen, lists, offer};
use crate::{
    Passes, Plane, Request,
    call::{self, Served},
    front::Front,
    gateway::{Visit, check_listening, check_version, find_session, not_resumable, too_many_streams},
    opening::{CROWDED, Hello, NoWay},
    outgoing::{self, Outgoing},
    post,
    reply::{self, Stop},
    request::Generation,
    rights::Rights,
    session::Session,
    upstream::{LAST_EVENT_ID, SESSION_ID},
};

/// What may be said of a client before it is known which server it is for.
const ALL: Passes = Passes { sampling: true, roots: true, logging: true };

/// Serves one message.
pub(super) async fn serve<P: Plane>(
    all: Aggregate<P>,
    headers: &HeaderMap,
    message: Message,
) -> Result<Response, Stop> {
    match message {
        Message::Request(request) if Method::parse(&request.method) == Some(Method::Initialize) => {
            initialize(all, request).await
        }
        Message::Request(request) => {
            let whole = find(&all, headers).map_err(|stop| post::with_id(stop, &request.id))?;
            serve_request(all, &whole, request).await
        }
        Message::Notification(notification) => {
            let whole = find(&all, headers)?;
            all.be_admitted().await?;
            tell(&all, &whole, notification).await;
            Ok(reply::taken())
        }
        Message::Response(response) => {
            let whole = find(&all, headers)?;
            let asker = whole.parts().into_iter().find(|part| part.asked.waits_for(response.id.as_ref()));
            let found = asker.and_then(|part| Some((all.server(&part.upstream.name)?, part)));
            let found = found.filter(|(visit, part)| part.belongs_to(&all.holder, &visit.upstream));
            let Some((mut visit, part)) = found else {
                // Nobody waits for it (any more).
                all.be_admitted().await?;
                return Ok(reply::taken());
            };
            visit.held = all.held;
            post::answer(visit, &part, response).await
        }
    }
}

fn find<P: Plane>(all: &Aggregate<P>, headers: &HeaderMap) -> Result<Arc<Whole>, Stop> {
    let (now, wholes) = (all.gate.config.clock.now(), &all.gate.wholes);
    let whole =
        find_session(headers, || wholes.latest(&all.holder, now), |id| wholes.find(id, &all.holder, now))?;
    check_version(headers, whole.revision)?;
    Ok(whole)
}

/// The first words: no server hears of them.
async fn initialize<P: Plane>(all: Aggregate<P>, mut message: mcp::Request) -> Result<Response, Stop> {
    let id = message.id.clone();
    all.be_admitted().await?;
    let Hello { revision, envelope } = match Hello::read_for(&mut message, ALL) {
        Ok(hello) => hello,
        Err(error) => return Ok(reply::message(&mcp::Response::error(Some(id), error))),
    };
    let answer = mcp::Response::result(id.clone(), offer::initialized(&all, revision));
    let name = format!("{:032x}", u128::from_be_bytes(all.gate.config.dice.bytes()));
    let whole = Whole::new(name, all.holder.clone(), revision, envelope);
    let whole = all.gate.open_whole(whole).ok_or_else(|| reply::busy(Some(id), CROWDED))?;
    Ok(reply::with_session(reply::message(&answer), &whole.id))
}

async fn serve_request<P: Plane>(
    mut all: Aggregate<P>,
    whole: &Arc<Whole>,
    mut request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let refuse = |error| Ok(reply::message(&mcp::Response::error(Some(id.clone()), error)));
    match Method::parse(&request.method) {
        Some(Method::Ping) => {
            all.be_admitted().await?;
            let answer = mcp::Response::result(id, Json::object::<&str, 0>([]));
            return Ok(reply::message(&answer));
        }
        Some(Method::LoggingSetLevel) => return set_log_level(&all, whole, request).await,
        _ => {}
    }
    // One id, one request, whichever part it is under way in.
    if whole.part_of(&id).is_some() {
        all.be_admitted().await?;
        return Ok(reply::message(&post::crowded(&id)));
    }
    if let Ok(Request::List(list)) = Request::read(&request, Generation::Sessions, Passes::default()) {
        all.be_admitted().await?;
        return lists::within(&all, whole, list, request).await;
    }
    let visit = match all.target(&mut request) {
        Ok(visit) => visit,
        Err(error) => {
            all.be_refused(&request.method, &error).await?;
            return refuse(error);
        }
    };
    serve_act(visit, whole, request).await
}

/// Serves an act at one server, once more where that had forgotten the part.
async fn serve_act<P: Plane>(
    mut visit: Visit<P>,
    whole: &Whole,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let asked = Request::read(&request, Generation::Sessions, visit.upstream.passes);
    for _ in 0..2 {
        let part = match whole.part(&visit).await {
            Ok(part) => part,
            Err(NoWay::Failed(error)) => return Ok(reply::message(&mcp::Response::error(Some(id), error))),
            Err(NoWay::Refused(refused)) => {
                return call::refusal(&Front::Session, id, asked.as_ref().unwrap_or(&Request::Open), refused);
            }
        };
        let mut again = visit.again();
        match post::within(visit, Some(part), request.clone()).await? {
            Served::Answer(response) => return Ok(response),
            Served::Gone(held) => again.held = held,
        }
        visit = again;
    }
    let gone = crate::upstream::Trouble::SessionGone.to_error();
    Ok(reply::message(&mcp::Response::error(Some(id), gone)))
}

/// Sets the level at each server whose log passes.
async fn set_log_level<P: Plane>(
    all: &Aggregate<P>,
    whole: &Whole,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let logging: Vec<_> = all.servers().into_iter().filter(|visit| visit.upstream.passes.logging).collect();
    if logging.is_empty() {
        let error = RpcError::method_not_found(&request.method);
        all.be_refused(&request.method, &error).await?;
        return Ok(reply::message(&mcp::Response::error(Some(id), error)));
    }
    all.be_admitted().await?;
    for visit in logging {
        drop(serve_act(visit, whole, request.clone()).await?);
    }
    Ok(reply::message(&mcp::Response::result(id, Json::object::<&str, 0>([]))))
}

/// Carries what a client says about its own requests.
async fn tell<P: Plane>(all: &Aggregate<P>, whole: &Whole, notification: Notification) {
    if Notice::parse(&notification.method) != Some(Notice::Cancelled) {
        // Servers learn that their parts are open when they are.
        return;
    }
    let id = notification.param("requestId").and_then(Id::read);
    let Some(part) = id.and_then(|id| whole.part_of(&id)) else { return };
    if let Some(visit) = all.server(&part.upstream.name) {
        visit.tell(&part, notification).await;
    }
}

/// Serves the listening stream, or goes on with one that was left.
pub(super) async fn listen<P: Plane>(all: Aggregate<P>, headers: &HeaderMap) -> Result<Response, Stop> {
    check_listening(headers)?;
    let whole = find(&all, headers)?;
    all.be_admitted().await?;
    if let Some(event) = headers.get(LAST_EVENT_ID) {
        let parts = whole.parts();
        let is_its = |of: &Arc<Session>| parts.iter().any(|part| Arc::ptr_eq(part, of));
        if let Some(rest) = all.gate.rest_of(event, is_its) {
            return Ok(outgoing::rest(rest));
        }
        let found = all.gate.left(&all.holder, event, is_its);
        let resumed = found.and_then(|(parked, number)| {
            let visit = all.server(&parked.exchange.upstream.name)?;
            Outgoing::again(parked, number, visit)
        });
        return Ok(resumed.ok_or_else(not_resumable)?.into_response());
    }
    let place = whole.listen(all.gate.config.limits.listeners_max).ok_or_else(too_many_streams)?;
    let rights = Rights::of_all(&all);
    Ok(listen::of_session(all, whole, rights, place))
}

/// Ends the session with all servers.
pub(super) async fn close<P: Plane>(all: Aggregate<P>, headers: &HeaderMap) -> Result<Response, Stop> {
    if !headers.contains_key(SESSION_ID) {
        return Err(reply::bad_request("`Mcp-Session-Id` must say which session to end"));
    }
    let whole = find(&all, headers)?;
    all.be_admitted().await?;
    all.gate.close_whole(&whole);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
