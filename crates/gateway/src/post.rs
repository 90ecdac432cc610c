//! POST: one message of a client.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody as _},
    response::Response,
};
use base::{BodyRefusal, HeldBody, Sender};
use futures_util::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, StatusCode, header};
use wire::{
    json::Json,
    mcp::{self, Id, Message, Method, Notice, Notification, RpcError, code},
};

use crate::{
    Ending, Gateway, Holder, Plane, Refused, Request,
    asking::Waiting,
    call::{self, Served, Unanswered},
    filter::RESOURCES_MAX,
    front::{Front, Route},
    gateway::Visit,
    notices::{cancellation, opened},
    opening,
    reply::{self, Stop},
    request::Generation,
    room::Room,
    session::Session,
    state, stateless,
    tasks::Ids,
    tongue::Tongue,
    upstream::{Form, Outbound, Way},
};

/// Reads one message and serves it.
pub(crate) async fn serve<P: Plane>(
    mut visit: Visit<P>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Stop> {
    let (message, held) = receive(&visit.gate, &visit.holder, headers, body).await?;
    visit.held = Some(Room::of(held));
    if stateless::is_meant(headers, &message) {
        return stateless::serve(visit, headers, message).boxed().await;
    }
    match message {
        Message::Request(request) => serve_request(visit, headers, request).await,
        Message::Notification(notification) => {
            let session = visit.session(headers)?;
            visit.be_admitted().await?;
            visit.tell(&session, notification).await;
            Ok(reply::taken())
        }
        Message::Response(response) => {
            let session = visit.session(headers)?;
            answer(visit, &session, response).boxed().await
        }
    }
}

/// Reads one message, and keeps the room that it takes.
pub(crate) async fn receive<P: Plane>(
    gate: &Gateway<P>,
    holder: &Holder,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Message, HeldBody), Stop> {
    let is_json = single(headers, header::CONTENT_TYPE)
        .is_some_and(|value| media_type(value).eq_ignore_ascii_case("application/json"));
    if !is_json || headers.contains_key(header::CONTENT_ENCODING) {
        let why = "`Content-Type` must be `application/json`, without a content encoding";
        return Err(reply::refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::BAD_REQUEST, why));
    }
    if !(accepts(headers, "application/json") && accepts(headers, "text/event-stream")) {
        let why = "`Accept` must include both `application/json` and `text/event-stream`";
        return Err(reply::refusal(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, why));
    }
    let mut held = read(gate, holder, headers, body).await?;
    let message = Message::parse(&held.take())
        .map_err(|invalid| reply::refusal_to(StatusCode::BAD_REQUEST, invalid.id, invalid.error))?;
    Ok((message, held))
}

/// Carries a client's answer to whoever asked.
pub(crate) async fn answer<P: Plane>(
    visit: Visit<P>,
    session: &Arc<Session>,
    mut response: mcp::Response,
) -> Result<Response, Stop> {
    // An answer for the server is an act, and its decision uses the proof up. A question stays open until one of the two is
    // done, so that the client may answer again with a better credential.
    if !session.asked.is_by_server(response.id.as_ref()) {
        visit.be_admitted().await?;
    }
    match session.asked.answer(response.id.as_ref()) {
        Some(Waiting::Server(id)) => {
            response.id = Some(id);
            if let Ok(result) = &mut response.outcome {
                Ids::new(&*visit.gate.plane, &visit.holder, &visit.upstream).open_in_answer(result);
            }
            match call::answer(&visit, session, &response, &Request::Answer).await {
                // What the server made of it shows in its own answer.
                Ok(()) | Err(Unanswered::Trouble(_)) => Ok(reply::taken()),
                Err(Unanswered::Refused(Refused::Unauthorized(unauthorized))) => {
                    Err(reply::challenge(unauthorized))
                }
                Err(Unanswered::Refused(Refused::Denied(denial))) => {
                    Err(reply::refusal_to(StatusCode::FORBIDDEN, None, denial.error()))
                }
            }
        }
        Some(Waiting::Round(asker)) => {
            // The asker may have gone away meanwhile.
            drop(asker.send(response));
            Ok(reply::taken())
        }
        // Nobody waits for it (any more).
        None => Ok(reply::taken()),
    }
}

/// SECURITY: the caller is known, and holds no more than a caller may, however many requests and connections it has.
async fn read<P: Plane>(
    gate: &Gateway<P>,
    holder: &Holder,
    headers: &HeaderMap,
    body: Body,
) -> Result<HeldBody, Stop> {
    let config = &gate.config;
    let bytes_max = config.limits.request_bytes_max;
    let announced = single(headers, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if announced.unwrap_or_else(|| body.size_hint().lower()) > bytes_max as u64 {
        return Err(unheld(BodyRefusal::TooLarge(bytes_max)));
    }
    let head_bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let sender = Sender::Known(holder.actor.clone());
    let mut held = config.bodies.begin(sender, head_bytes, bytes_max).map_err(unheld)?;
    let mut pieces = body.into_data_stream();
    let reading = async {
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| reply::bad_request("the message broke off"))?;
            held.push(&piece).map_err(unheld)?;
        }
        Ok(())
    };
    let late = |_| {
        let why = "the message did not arrive in time";
        reply::refusal(StatusCode::REQUEST_TIMEOUT, code::BAD_REQUEST, why)
    };
    tokio::time::timeout(config.limits.request_wait, reading).await.map_err(late)??;
    Ok(held)
}

fn unheld(refusal: BodyRefusal) -> Stop {
    metrics::counter!("writ_bodies_refused_total").increment(1);
    match refusal {
        BodyRefusal::TooLarge(bytes_max) => {
            let why = format!("the message is larger than {bytes_max} bytes");
            reply::refusal(StatusCode::PAYLOAD_TOO_LARGE, code::INVALID_REQUEST, why)
        }
        BodyRefusal::Share | BodyRefusal::Spent => reply::busy(None, refusal.to_string()),
    }
}

async fn serve_request<P: Plane>(
    visit: Visit<P>,
    headers: &HeaderMap,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let method = Method::parse(&request.method);
    let session = match method {
        Some(Method::Initialize) => None,
        _ => Some(visit.session(headers).map_err(|stop| with_id(stop, &request.id))?),
    };
    let id = request.id.clone();
    match within(visit, session, request).await? {
        Served::Answer(response) => Ok(response),
        Served::Gone(_) => Err(reply::no_session(Some(id))),
    }
}

/// Serves a request within a session, or the one that opens it.
pub(crate) async fn within<P: Plane>(
    visit: Visit<P>,
    session: Option<Arc<Session>>,
    request: mcp::Request,
) -> Result<Served, Stop> {
    let method = Method::parse(&request.method);
    let asked = match Request::read(&request, Generation::Sessions, visit.upstream.passes) {
        Ok(asked) => asked,
        Err(_) if method == Some(Method::Ping) => {
            visit.be_admitted().await?;
            let answer = mcp::Response::result(request.id, Json::object::<&str, 0>([]));
            return Ok(Served::Answer(reply::message(&answer)));
        }
        Err(error) => {
            visit.be_refused(&request.method, &error).await?;
            let answer = mcp::Response::error(Some(request.id), error);
            return Ok(Served::Answer(reply::message(&answer)));
        }
    };
    let mut request = request;
    let ids = Ids::new(&*visit.gate.plane, &visit.holder, &visit.upstream);
    let offers_tasks = session.as_ref().is_some_and(|session| session.offer.capabilities.contains("tasks"));
    let objection = match asked {
        Request::Tasks { .. } if !offers_tasks => Err(RpcError::method_not_found(&request.method)),
        _ if session.as_ref().is_some_and(|session| session.tongue == Tongue::Stateless)
            && state::is_again(&request) =>
        {
            // SECURITY: what a server gave as a state comes back sealed, or from the gate itself.
            Err(RpcError::invalid_params("`inputResponses` and `requestState` mean nothing within a session"))
        }
        _ => ids.open_in(&mut request),
    };
    let opened = match objection {
        Ok(opened) => opened,
        Err(error) => {
            visit.be_admitted().await?;
            let answer = mcp::Response::error(Some(request.id), error);
            return Ok(Served::Answer(reply::message(&answer)));
        }
    };
    let asked = match opened {
        Some(task) => {
            if let Some(session) = &session {
                session.made.note(&task.id, task.sealed);
            }
            asked.about(task.of)
        }
        None => asked,
    };
    match session {
        Some(session) if session.tongue == Tongue::Stateless && is_kept_here(&asked) => {
            keep_wish(&visit, &session, asked, request).boxed().await.map(Served::Answer)
        }
        Some(session) => call::serve(visit, Front::Session, Route::Within(session), asked, request).await,
        None => opening::initialize(visit, request).boxed().await.map(Served::Answer),
    }
}

/// What a server without sessions is told with each request, or with the listening stream.
const fn is_kept_here(asked: &Request) -> bool {
    matches!(asked, Request::Subscribe { .. } | Request::Unsubscribe { .. } | Request::SetLogLevel { .. })
}

/// Keeps a wish of the client, for a server that keeps none. It is an act all the same.
async fn keep_wish<P: Plane>(
    visit: &Visit<P>,
    session: &Session,
    asked: Request,
    request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let refuse = |error| Ok(reply::message(&mcp::Response::error(Some(id.clone()), error)));
    let outbound = match Outbound::new(request, &visit.upstream, Form::Session, visit.gate.number()) {
        Ok(outbound) => outbound,
        Err(error) => return refuse(error),
    };
    let authorized = match visit.authorize(&asked, &outbound).await {
        Ok(authorized) => authorized,
        Err(refused) => return call::refusal(&Front::Session, id, &asked, refused),
    };
    let mut account = visit.account(authorized.permit.intent().clone());
    if let Request::SetLogLevel { level } = &asked {
        session.set_log_level(level);
    }
    let mut is_crowded = false;
    session.subscribed.send_if_modified(|subscribed| match &asked {
        Request::Subscribe { uri } => {
            is_crowded = subscribed.len() >= RESOURCES_MAX && !subscribed.contains(uri);
            !is_crowded && subscribed.insert(uri.clone())
        }
        Request::Unsubscribe { uri } => subscribed.remove(uri),
        _ => false,
    });
    if is_crowded {
        account.end(Ending::Failed, Some("too_many_subscriptions"), None);
        let why = format!("a session may be subscribed to {RESOURCES_MAX} resources at most");
        return refuse(RpcError::new(code::INVALID_REQUEST, why));
    }
    account.end(Ending::Done, None, None);
    Ok(reply::message(&mcp::Response::result(id, Json::object::<&str, 0>([]))))
}

/// A refusal that was made before it was known what it answers, with the id filled in.
pub(crate) fn with_id(stop: Stop, id: &Id) -> Stop {
    match stop.status() {
        StatusCode::NOT_FOUND => reply::no_session(Some(id.clone())),
        _ => stop,
    }
}

impl<P: Plane> Visit<P> {
    /// Carries a notification of a client to the server, if it is of a kind that is carried.
    pub(crate) async fn tell(&self, session: &Arc<Session>, notification: Notification) {
        // SECURITY: no act, so no decision and no record; therefore nothing of the client's words goes upstream. What is
        // sent is made here: that the session is open, once, and that one of its requests is no longer wanted.
        if !self.gate.plane.is_live(self.caller(), Some(&self.upstream)) {
            return;
        }
        let knows_sessions = matches!(session.tongue, Tongue::Session { .. });
        match Notice::parse(&notification.method) {
            Some(Notice::Initialized) if knows_sessions && session.is_announced_now() => {
                self.pass_on(session, &opened()).await;
            }
            Some(Notice::Cancelled) => {
                let id = notification.param("requestId").and_then(Id::read);
                let Some((upstream_id, cancelled)) = id.and_then(|id| session.taken_back(&id)) else {
                    return;
                };
                // A server without sessions sees that its answer is let go of.
                if knows_sessions {
                    self.pass_on(session, &cancellation(upstream_id)).await;
                }
                cancelled.notify_one();
            }
            _ => {}
        }
    }

    /// Waited for: what the client sends next may rest on it.
    async fn pass_on(&self, session: &Session, message: &Notification) {
        let way = Way::within(&self.upstream, session);
        if let Err(trouble) = self.gate.client.tell(&session.standing(), message.to_bytes(), way).await {
            tracing::debug!(server = %self.upstream.name, %trouble, "a notification was not delivered");
        }
    }
}

/// Whether the request accepts a media type: by name, by range, or because it does not say.
pub(crate) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    if !headers.contains_key(header::ACCEPT) {
        return true;
    }
    let kind = wanted.split('/').next().unwrap_or(wanted);
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(media_type).any(|range| {
            let range = range.to_ascii_lowercase();
            range == wanted || range == "*/*" || range.strip_suffix("/*") == Some(kind)
        })
    })
}

/// A media type without its parameters.
fn media_type(value: &str) -> &str {
    value.split(';').next().unwrap_or(value).trim()
}

/// The value of a header that stands exactly once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// A request id that is in use, or one too many.
pub(crate) fn crowded(id: &Id) -> mcp::Response {
    let why =
        "a request with this `id` is under way in this session, or too many requests are; wait for an answer";
    mcp::Response::error(Some(id.clone()), RpcError::new(code::INVALID_REQUEST, why))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::accepts;

    #[test]
    fn ranges_count_as_their_types() {
        let both = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            }
            accepts(&headers, "application/json") && accepts(&headers, "text/event-stream")
        };
        for good in [
            "application/json, text/event-stream",
            "*/*",
            "text/*;q=0.1,Application/JSON; x=1",
            "a/b, */*;q=0",
        ] {
            assert!(both(Some(good)), "{good}");
        }
        assert!(both(None));
        for bad in
            ["application/json", "text/event-stream", "", "text/*", "application/jsonx, text/event-stream"]
        {
            assert!(!both(Some(bad)), "{bad}");
        }
    }
}
