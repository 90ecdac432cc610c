//! Clients of 2026-07-28: each request stands for itself.
//!
//! SECURITY: what is decided on is the body. Headers repeat parts of it for others on the way; here they are compared
//! with the body, and a request whose parts disagree is refused: somebody on the way may have acted on the other part.

use std::sync::Arc;

use axum::response::Response;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName};
use wire::{
    json::Json,
    mcp::{self, Envelope, HeaderParam, Message, Revision, RpcError, STATELESS, code, decode_header},
};

use crate::{
    Passes, Plane, Request, Upstream, beforehand,
    call::{self, QUESTION, Served, Unanswered},
    front::{Front, Told},
    gateway::Visit,
    listen,
    opening::{self, NoWay},
    parked::{Left, Parked},
    reply::{self, Stop},
    request::Generation,
    state::{self, Again, Bound, State},
    tasks::{self, Ids},
    tongue::{carried_of_client, check_introduction, spoken_versions},
    upstream::{METHOD, NAME, PROTOCOL_VERSION, SESSION_ID, Trouble},
};

/// Whether a message is written in this generation: its headers say so, or its body does.
pub(crate) fn is_meant(headers: &HeaderMap, message: &Message) -> bool {
    let by_header = match headers.get(PROTOCOL_VERSION).map(|version| version.to_str()) {
        // A version that nobody knows is answered in this generation, unless it comes within a session.
        Some(Ok(version)) => {
            version == STATELESS || (Revision::parse(version).is_none() && !is_in_session(headers))
        }
        None | Some(Err(_)) => false,
    };
    by_header || matches!(message, Message::Request(request) if Envelope::is_in(request))
}

/// Whether a request without a body is one of this generation, which knows none such.
pub(crate) fn is_alone(headers: &HeaderMap) -> bool {
    header(headers, &PROTOCOL_VERSION) == Some(STATELESS) && !is_in_session(headers)
}

fn is_in_session(headers: &HeaderMap) -> bool {
    headers.contains_key(SESSION_ID)
}

/// Serves one message.
pub(crate) async fn serve<P: Plane>(
    visit: Visit<P>,
    headers: &HeaderMap,
    message: Message,
) -> Result<Response, Stop> {
    let Some(mut request) = request_of(headers, message)? else {
        visit.be_admitted().await?;
        return Ok(reply::taken());
    };
    let envelope = check(headers, &mut request).map_err(|error| refuse(Some(request.id.clone()), error))?;
    serve_request(visit, headers, envelope, request).await
}

/// The request in a message; none where it is a notification, which says nothing in this generation.
pub(crate) fn request_of(headers: &HeaderMap, message: Message) -> Result<Option<mcp::Request>, Stop> {
    match message {
        Message::Request(request) => Ok(Some(request)),
        // There are none that mean anything here: requests are taken back by letting go of the answer.
        Message::Notification(_) => {
            if header(headers, &PROTOCOL_VERSION) != Some(STATELESS) {
                return Err(refuse(
                    None,
                    unsupported(header(headers, &PROTOCOL_VERSION).unwrap_or_default()),
                ));
            }
            Ok(None)
        }
        Message::Response(_) => {
            let why = "a response answers nothing here; send `inputResponses` with the request itself";
            Err(refuse(None, RpcError::new(code::INVALID_REQUEST, why)))
        }
    }
}

/// Serves a request whose headers were compared with its body.
pub(crate) async fn serve_request<P: Plane>(
    mut visit: Visit<P>,
    headers: &HeaderMap,
    envelope: Envelope,
    mut request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let place = visit.gate.places.take(&visit.holder, visit.gate.config.limits.in_flight_alone_max);
    let Some(place) = place else {
        visit.be_admitted().await?;
        let why = "too many requests of this agent and task are under way; wait for an answer";
        return Err(reply::busy(Some(id), why));
    };
    if let Some(room) = &mut visit.held {
        room.place = Some(place);
    }
    let refuse = |error| refuse(Some(id.clone()), error);
    let envelope = passing(envelope, visit.upstream.passes);
    // Tasks are answered with a method of their own, which takes what is elsewhere part of asking again.
    let act = Request::read(&request, Generation::Stateless, visit.upstream.passes).and_then(|asked| {
        Ok((if asked.is_about_tasks() { Again::default() } else { Again::take(&mut request)? }, asked))
    });
    let (again, asked) = match act {
        Ok(act) => act,
        Err(error) => {
            visit.be_refused(&request.method, &error).await?;
            return Err(refuse(error));
        }
    };
    check_params(headers, &visit, &asked).map_err(refuse)?;
    let opened = match asked {
        Request::Tasks { .. } => tasks::undeclared(&envelope.capabilities).map_or(Ok(()), Err),
        _ => Ok(()),
    };
    let ids = Ids::new(&*visit.gate.plane, &visit.holder, &visit.upstream);
    let asked = match opened.and_then(|()| ids.open_in(&mut request)) {
        Ok(task) => asked.about(task.and_then(|task| task.of)),
        Err(error) => {
            visit.be_admitted().await?;
            // The headers were compared with what the client knows the task by; what is wrong is what they name.
            return Ok(reply::stateless(&mcp::Response::error(Some(id), error)));
        }
    };
    let told = Box::new(Told { envelope, act: act_of(&request, &visit.upstream) });
    match asked {
        Request::Open => return opening::discover(visit, told, request).boxed().await,
        Request::Listen => return listen::serve(visit, told, request).boxed().await,
        _ => {}
    }
    if let Again { state: Some(State::Ticket(ticket)), answers } = again {
        return go_on(visit, told, request, &ticket, answers.unwrap_or_default()).boxed().await;
    }
    let bound = Bound::new(&visit.holder, &visit.upstream, &told.act);
    let now = visit.gate.config.clock.now();
    again.put(&mut request, &*visit.gate.plane, &bound, now).map_err(refuse)?;
    serve_act(visit, told, asked, request).await
}

/// What of a client's words about itself passes to a server.
pub(crate) fn passing(envelope: Envelope, passes: Passes) -> Envelope {
    let capabilities = carried_of_client(&envelope.capabilities, passes);
    Envelope { capabilities, log_level: envelope.log_level.filter(|_| passes.logging), ..envelope }
}

/// Serves an act, once more where the server had forgotten the session that was kept for this client.
async fn serve_act<P: Plane>(
    mut visit: Visit<P>,
    mut told: Box<Told>,
    mut asked: Request,
    mut request: mcp::Request,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let mut is_first = true;
    loop {
        let route = match opening::route(&visit, &told.envelope).await {
            Ok(route) => route,
            Err(NoWay::Refused(refused)) => {
                return call::refusal(&Front::Stateless(told), id, &asked, refused);
            }
            Err(NoWay::Failed(error)) => return Ok(reply::stateless(&mcp::Response::error(Some(id), error))),
        };
        let objection = match route.generation() {
            Generation::Stateless => None,
            // Tasks within a session are of another kind; none of them is told as one of these.
            Generation::Sessions if asked.is_about_tasks() => {
                Some(RpcError::method_not_found(&request.method))
            }
            Generation::Sessions => beforehand::done(&mut request).err(),
        };
        if let Some(error) = objection {
            visit.be_admitted().await?;
            return Ok(reply::stateless(&mcp::Response::error(Some(id), error)));
        }
        // Only a session can be forgotten; where there is none, nothing is kept for another attempt.
        let again = (is_first && route.session().is_some())
            .then(|| (visit.again(), told.clone(), asked.clone(), request.clone()));
        is_first = false;
        let held = match call::serve(visit, Front::Stateless(told), route, asked, request).await? {
            Served::Answer(response) => return Ok(response),
            Served::Gone(held) => held,
        };
        let Some(again) = again else {
            let gone = Trouble::SessionGone.to_error();
            return Ok(reply::stateless(&mcp::Response::error(Some(id), gone)));
        };
        (visit, told, asked, request) = again;
        visit.held = held;
    }
}

/// Goes on with an exchange whose server asked something, now that the client has answered.
async fn go_on<P: Plane>(
    mut visit: Visit<P>,
    told: Box<Told>,
    mut request: mcp::Request,
    ticket: &str,
    mut answers: wire::json::Object,
) -> Result<Response, Stop> {
    let id = request.id.clone();
    let refuse = |error| refuse(Some(id.clone()), error);
    let gate = Arc::clone(&visit.gate);
    let Some(answer @ Json::Object(_)) = answers.remove(QUESTION) else {
        visit.be_admitted().await?;
        let why = format!("`params.inputResponses.{QUESTION}` must answer what was asked, with an object");
        return Err(refuse(RpcError::invalid_params(why)));
    };
    let now = gate.config.clock.now();
    // SECURITY: a server that has moved meanwhile is another party: it gets neither the answer nor the old session's id.
    let is_its = |parked: &Parked<P>| {
        parked.exchange.upstream == visit.upstream
            && parked.exchange.naming == visit.naming
            && matches!(&parked.left, Left::Question(_, act) if *act == told.act)
    };
    let parked = gate.parked.fetch(ticket, &visit.holder, now, is_its);
    let Some(Parked { mut exchange, left: Left::Question(question, _), .. }) = parked else {
        visit.be_admitted().await?;
        return Err(refuse(state::foreign()));
    };
    let Some(session) = exchange.route.session().cloned() else { return Err(refuse(state::foreign())) };
    let answer = mcp::Response::result(question.id, answer);
    let act = exchange.request.clone();
    match call::answer(&visit, &session, &answer, &act).await {
        Ok(()) => {}
        Err(Unanswered::Refused(refused)) => {
            return call::refusal(&exchange.front, id, &act, refused);
        }
        Err(Unanswered::Trouble(trouble)) => {
            return Ok(reply::stateless(&mcp::Response::error(Some(id), trouble.to_error())));
        }
    }
    let carried = request.detach().map_err(refuse)?;
    exchange.outbound.client_id = id;
    exchange.outbound.progress = carried.progress_token;
    exchange.front = Front::Stateless(told);
    exchange.caller = visit.caller().clone();
    exchange.leash = visit.leash;
    exchange.held = visit.held.take();
    Ok(call::respond(exchange).await)
}

/// What a request says about itself, when its headers say the same.
pub(crate) fn check(headers: &HeaderMap, request: &mut mcp::Request) -> Result<Envelope, RpcError> {
    for name in [&PROTOCOL_VERSION, &METHOD, &NAME] {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(mismatch(format!("the header `{name}` stands twice; send it once")));
        }
    }
    let (version, envelope) = Envelope::take(request)?;
    if header(headers, &PROTOCOL_VERSION) != Some(version.as_str()) {
        return Err(mismatch("the header `mcp-protocol-version` is not the version that the body names"));
    }
    if header(headers, &METHOD) != Some(request.method.as_str()) {
        return Err(mismatch("the header `mcp-method` is not the method of the body"));
    }
    let named = mcp::named_param(&request.method);
    if let Some(name) = named.and_then(|param| request.param(param)).and_then(Json::as_str)
        && header(headers, &NAME).and_then(decode_header).as_deref() != Some(name)
    {
        return Err(mismatch("the header `mcp-name` is not the name or URI of the body"));
    }
    if version != STATELESS {
        return Err(unsupported(&version));
    }
    check_introduction(&envelope.capabilities, envelope.client_info.as_ref())?;
    Ok(envelope)
}

/// Whether the headers that repeat arguments agree with them (`x-mcp-header`). Others of their kind mean nothing here.
fn check_params<P: Plane>(headers: &HeaderMap, visit: &Visit<P>, asked: &Request) -> Result<(), RpcError> {
    let Request::CallTool { arguments, .. } = asked else { return Ok(()) };
    let Some(schema) = visit.gate.schema_of(&visit.upstream, asked) else { return Ok(()) };
    for param in HeaderParam::of_schema(&schema) {
        let name = format!("mcp-param-{}", param.name.to_ascii_lowercase());
        let mut told = headers.get_all(&name).iter();
        let agrees = match (told.next().map(|value| value.to_str()), told.next(), param.value_in(arguments)) {
            (None, _, None) => true,
            (Some(Ok(told)), None, Some(_)) => param.agrees(told, arguments),
            _ => false,
        };
        if !agrees {
            let what = param.path.join(".");
            return Err(mismatch(format!("the header `{name}` and the argument `{what}` do not agree")));
        }
    }
    Ok(())
}

/// The act that a request asks for: what stays the same when it is asked again with answers.
pub(crate) fn act_of(request: &mcp::Request, upstream: &Upstream) -> [u8; 32] {
    let mut act = request.clone();
    if let Some(params) = act.params.as_mut().and_then(Json::as_object_mut) {
        params.remove("_meta");
    }
    act.digest(upstream.id.as_str())
}

/// The value of a header that stands once.
fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn mismatch(why: impl Into<String>) -> RpcError {
    RpcError::new(code::HEADER_MISMATCH, why)
}

fn unsupported(version: &str) -> RpcError {
    let shown: String = version.chars().take(32).collect();
    let data = Json::object([("supported", spoken_versions()), ("requested", Json::from(shown))]);
    RpcError { data: Some(data), ..RpcError::new(code::UNSUPPORTED_VERSION, "unsupported protocol version") }
}

pub(crate) fn refuse(id: Option<mcp::Id>, error: RpcError) -> Stop {
    reply::stateless_refusal(id, error)
}
