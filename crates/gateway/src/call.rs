//! An act: authorised, forwarded, answered.

use std::sync::Arc;

use axum::response::Response;
use http::HeaderValue;
use wire::{
    json::{Json, Object},
    mcp::{self, Envelope, Id},
};

use crate::{
    Asked, Authorized, Ending, Plane, Refused, Request,
    account::Account,
    exchange::{AnswerForm, End, Exchange, Step},
    front::{Front, Route},
    gateway::Visit,
    outgoing::Outgoing,
    parked::Left,
    post,
    reply::{self, Stop},
    request::Generation,
    resume::Stops,
    room::{AnswerRoom, Room},
    session::{InFlight, Session},
    state, stream,
    upstream::{Form, Frames, Outbound, SESSION_ID, Standing, Trouble, Way},
};

/// The longest session id that is taken from a server, in bytes.
const UPSTREAM_SESSION_ID_BYTES_MAX: usize = 1024;

/// What came of an act.
pub(crate) enum Served {
    Answer(Response),
    /// The server does not know the session of the route any more, and nothing was executed. The room that the message
    /// takes comes back for another attempt.
    Gone(Option<Room>),
}

/// What came of sending an act.
pub(crate) enum Begun<P: Plane> {
    /// The server has it.
    UnderWay(Box<Exchange<P>>),
    /// It is over already.
    Ended(Box<Exchange<P>>, mcp::Response),
    /// It was not sent, for a reason that lies in the message.
    Unsent(Front, mcp::Response),
    Refused(Front, Request, Refused),
    /// As in [`Served::Gone`].
    Gone(Option<Room>),
}

/// Serves an act.
pub(crate) async fn serve<P: Plane>(
    visit: Visit<P>,
    front: Front,
    route: Route,
    request: Request,
    message: mcp::Request,
) -> Result<Served, Stop> {
    let id = message.id.clone();
    Ok(match begin(visit, front, route, request, message).await {
        Begun::UnderWay(exchange) => Served::Answer(respond(exchange).await),
        Begun::Ended(exchange, answer) => Served::Answer(exchange.reply(&answer)),
        Begun::Unsent(front, answer) => Served::Answer(front.reply(&answer)),
        Begun::Refused(front, request, refused) => Served::Answer(refusal(&front, id, &request, refused)?),
        Begun::Gone(held) => Served::Gone(held),
    })
}

/// Asks for the decision on an act, and sends it.
pub(crate) async fn begin<P: Plane>(
    visit: Visit<P>,
    front: Front,
    route: Route,
    request: Request,
    message: mcp::Request,
) -> Begun<P> {
    let (id, number) = (message.id.clone(), visit.gate.number());
    let in_flight = match route.session() {
        None => None,
        Some(session) => {
            // Clients that share a session which they know nothing of may well use the same ids.
            let key = if matches!(front, Front::Session) { id.clone() } else { Id::Number(number) };
            match session.begin(&key, number, visit.gate.config.limits.in_flight_max) {
                Some(in_flight) => Some(in_flight),
                None => return Begun::Unsent(front, post::crowded(&id)),
            }
        }
    };
    let is_stateless_server = route.generation() == Generation::Stateless;
    let may_be_asked_again = is_stateless_server && matches!(front, Front::Session);
    let kept = may_be_asked_again.then(|| message.clone());
    let schema = is_stateless_server.then(|| visit.gate.schema_of(&visit.upstream, &request)).flatten();
    let envelope = envelope(&front, &route);
    let form = match &envelope {
        Some(envelope) if is_stateless_server => Form::Stateless { envelope, schema: schema.as_ref() },
        _ => Form::Session,
    };
    let outbound = match Outbound::new(message, &visit.upstream, form, number) {
        Ok(outbound) => outbound,
        Err(error) => return Begun::Unsent(front, mcp::Response::error(Some(id), error)),
    };
    let authorized = match visit.authorize(&request, &outbound).await {
        Ok(authorized) => authorized,
        Err(refused) => return Begun::Refused(front, request, refused),
    };
    let (mut exchange, permitted) =
        Exchange::begin(visit, front, route, request, outbound, authorized, in_flight);
    exchange.message = kept;
    if let Err(end) = exchange.send(permitted).await {
        let is_gone = matches!(end, End::Trouble(Trouble::SessionGone));
        let answer = exchange.settle(Err(end)).await;
        if is_gone {
            return Begun::Gone(exchange.held.take());
        }
        return Begun::Ended(Box::new(exchange), answer);
    }
    Begun::UnderWay(Box::new(exchange))
}

/// The answer of an exchange under way: one JSON text when it comes at once and the server gave one; a stream when
/// there is something to tell first, or to wait for, or the server answered with one.
pub(crate) async fn respond<P: Plane>(mut exchange: Box<Exchange<P>>) -> Response {
    let keep_alive = exchange.gate.config.limits.keep_alive;
    match tokio::time::timeout(keep_alive, exchange.step()).await {
        Ok(Step::Last(last)) => {
            let answer = exchange.settle(last).await;
            let response = if exchange.form == AnswerForm::Stream && answer.outcome.is_ok() {
                reply::stream(stream::event(&answer.to_bytes()).into())
            } else {
                exchange.reply(&answer)
            };
            reply::holding(response, exchange.room.take().into_iter().collect())
        }
        Ok(Step::Ask(question)) => reply::stateless(&park(exchange, question)),
        Ok(Step::Pass(message)) => Outgoing::begin(exchange, Some(message)).into_response(),
        Ok(Step::Pause(wait)) => Outgoing::paused(exchange, wait).into_response(),
        Err(_elapsed) => Outgoing::begin(exchange, None).into_response(),
    }
}

/// The result that tells a client of 2026-07-28 what the server asks. The exchange waits for the answer.
pub(crate) fn park<P: Plane>(exchange: Box<Exchange<P>>, question: mcp::Request) -> mcp::Response {
    let id = exchange.outbound.client_id.clone();
    let gate = Arc::clone(&exchange.gate);
    let Front::Stateless(told) = &exchange.front else {
        return mcp::Response::error(Some(id), Trouble::Wants.to_error());
    };
    let act = told.act;
    let mut asked = Object::new();
    asked.insert("method", question.method.as_str());
    if let Some(params) = &question.params {
        asked.insert("params", params.clone());
    }
    let Some(ticket) = gate.parked.leave(exchange, Left::Question(Box::new(question), act)) else {
        let error =
            mcp::RpcError::new(mcp::code::INTERNAL_ERROR, "too many questions of servers wait for answers");
        return mcp::Response::error(Some(id), error.with_code("busy"));
    };
    let mut members = Object::new();
    members.insert("resultType", "input_required");
    members.insert("inputRequests", Json::object([(QUESTION, Json::Object(asked))]));
    members.insert("requestState", state::of_ticket(&ticket));
    mcp::Response::result(id, Json::Object(members))
}

/// The name of the one question in a result of ours.
pub(crate) const QUESTION: &str = "question";

/// Carries a client's answer to the server that asked, within a session of the server.
///
/// It is words of the client, so it is decided, recorded and permitted: as `act`, which is the act itself where the client
/// asks for it once more, since it may have lost the right to it meanwhile.
pub(crate) async fn answer<P: Plane>(
    visit: &Visit<P>,
    session: &Arc<Session>,
    response: &mcp::Response,
    act: &Request,
) -> Result<(), Unanswered> {
    let outbound = Outbound::of_answer(response, &visit.upstream);
    let authorized = match visit.authorize(act, &outbound).await {
        Ok(authorized) => authorized,
        Err(refused) => {
            let error = mcp::RpcError::new(mcp::code::DENIED, "the answer was refused");
            let refusal = mcp::Response::error(response.id.clone(), error);
            visit.gate.errand(&visit.upstream, session, refusal.to_bytes());
            return Err(Unanswered::Refused(refused));
        }
    };
    let mut account = visit.account(authorized.permit.intent().clone());
    let way = Way::within(&visit.upstream, session);
    let client = &visit.gate.client;
    let (standing, sent) = client.forward(authorized.permit, authorized.inject, &outbound, way).await;
    session.renew(standing);
    let trouble = match sent {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(Trouble::Status(answer.status().as_u16())),
        Err(trouble) => Some(trouble),
    };
    match trouble {
        None => {
            account.end(Ending::Done, None, None);
            Ok(())
        }
        Some(trouble) => {
            account.end(trouble.ending(), Some(trouble.code()), None);
            Err(Unanswered::Trouble(trouble))
        }
    }
}

/// Why an answer did not reach its server.
pub(crate) enum Unanswered {
    Refused(Refused),
    Trouble(Trouble),
}

/// What a server without sessions is told about the client.
fn envelope(front: &Front, route: &Route) -> Option<Envelope> {
    match (front, route) {
        (Front::Stateless(told), _) => Some(told.envelope.clone()),
        (Front::Session, Route::Within(session)) => Some(session.envelope_now()),
        // A client with sessions reaches a server only within one.
        (Front::Session, Route::Opening | Route::Alone) => None,
    }
}

/// A "no" in the form that fits what was asked.
pub(crate) fn refusal(front: &Front, id: Id, request: &Request, refused: Refused) -> Result<Response, Stop> {
    match refused {
        Refused::Unauthorized(unauthorized) => Err(reply::challenge(unauthorized)),
        Refused::Denied(denial) => {
            metrics::counter!("writ_mcp_denials_total", "code" => denial.code).increment(1);
            let mut answer = match request {
                Request::CallTool { .. } => mcp::Response::result(id, denial.tool_result()),
                _ => mcp::Response::error(Some(id), denial.error()),
            };
            let own = Generation::Sessions;
            crate::translate::answer(&mut answer, request, own, front.generation());
            Ok(front.reply(&answer))
        }
    }
}

impl<P: Plane> Visit<P> {
    pub(crate) async fn authorize(
        &self,
        request: &Request,
        outbound: &Outbound,
    ) -> Result<Authorized, Refused> {
        let asked = Asked {
            upstream: &self.upstream,
            request,
            digest: outbound.digest(),
            bytes: outbound.body().len() as u64,
        };
        self.authorize_as(asked).await
    }

    /// Decides one act of this visit. The first uses up the sender proof; those that follow from it have none to show.
    pub(crate) async fn authorize_as(&self, asked: Asked<'_>) -> Result<Authorized, Refused> {
        let authorized = self.gate.plane.authorize(self.caller(), asked).await;
        // SECURITY: only where it is on record that the proof was used; else it would be good once more.
        let is_used = match &authorized {
            Ok(_) => true,
            Err(Refused::Denied(denial)) => denial.decision_id.is_some(),
            Err(Refused::Unauthorized(_)) => false,
        };
        if is_used {
            self.has_shown_proof();
        }
        authorized
    }
}

impl<P: Plane> Exchange<P> {
    pub(crate) fn begin(
        visit: Visit<P>,
        front: Front,
        route: Route,
        request: Request,
        outbound: Outbound,
        authorized: Authorized,
        in_flight: Option<InFlight>,
    ) -> (Self, Authorized) {
        let caller = visit.caller().clone();
        let Visit { gate, upstream, naming, leash, held, holder, .. } = visit;
        let room = AnswerRoom::of(&gate.config.answers, &holder.actor);
        let (plane, clock) = (Arc::clone(&gate.plane), Arc::clone(&gate.config.clock));
        let account = Account::new(plane, caller.clone(), clock, authorized.permit.intent().clone());
        let exchange = Self {
            gate,
            caller,
            upstream,
            naming,
            front,
            route,
            request,
            outbound,
            message: None,
            leash,
            account,
            asked: Vec::new(),
            round: None,
            rounds: 0,
            cancelled: in_flight.as_ref().map(|in_flight| Arc::clone(&in_flight.cancelled)),
            stops: Stops::default(),
            paused: None,
            has_waited: false,
            resuming: None,
            _in_flight: in_flight,
            held,
            frames: None,
            room,
            form: AnswerForm::default(),
            is_settled: false,
        };
        (exchange, authorized)
    }

    /// Sends the permitted message. Gives what upkeep may send with, and the server's session id.
    pub(crate) async fn send(
        &mut self,
        authorized: Authorized,
    ) -> Result<(Standing, Option<HeaderValue>), End> {
        let way = Way::of(&self.upstream, &self.route);
        let in_session = way.is_in_session();
        let Authorized { permit, inject, .. } = authorized;
        let forwarding = self.gate.client.forward(permit, inject, &self.outbound, way);
        let (standing, answer) = tokio::select! {
            biased;
            cut = self.leash.ended() => return Err(End::Cut(cut)),
            sent = forwarding => sent,
        };
        if let Some(session) = self.route.session() {
            session.renew(standing.clone());
        }
        let answer = answer?;
        let session_id = answer.headers().get(SESSION_ID).cloned();
        if session_id.as_ref().is_some_and(|id| id.len() > UPSTREAM_SESSION_ID_BYTES_MAX) {
            return Err(Trouble::Garbage("a session id that is too long").into());
        }
        self.frames = Some(Frames::of_answer(answer, &self.upstream, in_session)?);
        Ok((standing, session_id))
    }
}
