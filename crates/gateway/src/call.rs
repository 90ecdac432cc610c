//! An act: authorised, forwarded, answered.

use std::sync::Arc;

use axum::response::Response;
use http::HeaderValue;
use wire::mcp::{self, Id};

use crate::{
    Asked, Authorized, Plane, Refused, Request,
    account::Account,
    exchange::{End, Exchange, Step},
    gateway::Visit,
    opening, post,
    reply::{self, Stop},
    session::{InFlight, Opened, Session},
    sessions::Opening,
    stream,
    upstream::{Frames, Outbound, SESSION_ID, Standing, Trouble, Way},
};

/// The longest session id that is taken from a server, in bytes.
const UPSTREAM_SESSION_ID_BYTES_MAX: usize = 1024;

/// Serves an act within a session.
pub(crate) async fn serve<P: Plane>(
    visit: Visit<P>,
    session: Arc<Session>,
    request: Request,
    message: mcp::Request,
) -> Result<Response, Stop> {
    let (id, number) = (message.id.clone(), visit.gate.number());
    let Some(in_flight) = session.begin(&id, number, visit.gate.config.limits.in_flight_max) else {
        return Ok(post::crowded(&id));
    };
    let outbound = match Outbound::new(message, &visit.upstream, number) {
        Ok(outbound) => outbound,
        Err(error) => return Ok(reply::error(&id, error)),
    };
    let authorized = match visit.authorize(&request, &outbound).await {
        Ok(authorized) => authorized,
        Err(refused) => return refusal(&id, &request, refused),
    };
    let (mut exchange, permitted) =
        Exchange::begin(visit, Some(session), request, outbound, authorized, Some(in_flight));
    if let Err(end) = exchange.send(permitted).await {
        let is_gone = matches!(end, End::Trouble(Trouble::SessionGone));
        let answer = exchange.settle(Err(end)).await;
        return if is_gone { Err(reply::no_session(Some(id))) } else { Ok(reply::message(&answer)) };
    }
    // One JSON text when the answer comes at once; a stream when there is something to tell first, or to wait for.
    let keep_alive = exchange.gate.config.limits.keep_alive;
    match tokio::time::timeout(keep_alive, exchange.step()).await {
        Ok(Step::Last(last)) => Ok(reply::message(&exchange.settle(last).await)),
        Ok(Step::Pass(notification)) => Ok(stream::of_exchange(exchange, Some(notification))),
        Err(_elapsed) => Ok(stream::of_exchange(exchange, None)),
    }
}

/// Serves `initialize`. The answer is always one JSON text, because the session's id goes before it.
pub(crate) async fn open<P: Plane>(visit: Visit<P>, mut message: mcp::Request) -> Result<Response, Stop> {
    let id = message.id.clone();
    let outbound = opening::ask(&mut message)
        .and_then(|()| Outbound::new(message, &visit.upstream, visit.gate.number()));
    let outbound = match outbound {
        Ok(outbound) => outbound,
        Err(error) => return Ok(reply::error(&id, error)),
    };
    let authorized = match visit.authorize(&Request::Open, &outbound).await {
        Ok(authorized) => authorized,
        Err(refused) => return refusal(&id, &Request::Open, refused),
    };
    let holder = visit.holder.clone();
    let (mut exchange, permitted) = Exchange::begin(visit, None, Request::Open, outbound, authorized, None);
    let (standing, upstream_id) = match exchange.send(permitted).await {
        Ok(sent) => sent,
        Err(end) => return Ok(reply::message(&exchange.settle(Err(end)).await)),
    };
    let mut last = loop {
        if let Step::Last(last) = exchange.step().await {
            break last;
        }
    };
    let mut opened = None;
    if let Ok(mcp::Response { outcome: Ok(result), .. }) = &mut last {
        match opening::answer(result) {
            Ok(revision) => opened = Some(Opened { holder, revision, upstream_id, standing }),
            Err(trouble) => last = Err(trouble.into()),
        }
    }
    let response = reply::message(&exchange.settle(last).await);
    let Some(opened) = opened else { return Ok(response) };
    let gate = &exchange.gate;
    gate.make_room();
    let Opening { session, dropped } =
        gate.sessions.open(opened, &exchange.upstream, gate.config.clock.now());
    gate.end_upstream(dropped);
    let Some(session) = session else {
        return Err(reply::busy(Some(id), "too many sessions are open; try again later"));
    };
    Ok(reply::with_session(response, &session.id))
}

/// A "no" in the form that fits what was asked.
fn refusal(id: &Id, request: &Request, refused: Refused) -> Result<Response, Stop> {
    match refused {
        Refused::Unauthorized(unauthorized) => Err(reply::challenge(unauthorized)),
        Refused::Denied(denial) => {
            metrics::counter!("writ_mcp_denials_total", "code" => denial.code).increment(1);
            Ok(match request {
                Request::CallTool { .. } => {
                    reply::message(&mcp::Response::result(id.clone(), denial.tool_result()))
                }
                _ => reply::error(id, denial.error()),
            })
        }
    }
}

impl<P: Plane> Visit<P> {
    async fn authorize(&self, request: &Request, outbound: &Outbound) -> Result<Authorized, Refused> {
        let asked = Asked {
            upstream: &self.upstream,
            request,
            digest: outbound.digest(),
            bytes: outbound.body().len() as u64,
        };
        self.gate.plane.authorize(&self.caller, asked).await
    }
}

impl<P: Plane> Exchange<P> {
    fn begin(
        visit: Visit<P>,
        session: Option<Arc<Session>>,
        request: Request,
        outbound: Outbound,
        authorized: Authorized,
        in_flight: Option<InFlight>,
    ) -> (Self, Authorized) {
        let Visit { gate, caller, upstream, leash, held, .. } = visit;
        let (plane, clock) = (Arc::clone(&gate.plane), Arc::clone(&gate.config.clock));
        let account = Account::new(plane, caller.clone(), clock, authorized.permit.position());
        let exchange = Self {
            gate,
            caller,
            upstream,
            session,
            request,
            outbound,
            leash,
            account,
            _in_flight: in_flight,
            _held: held,
            frames: None,
        };
        (exchange, authorized)
    }

    /// Sends the permitted message. Gives what upkeep may send with, and the server's session id.
    async fn send(&mut self, authorized: Authorized) -> Result<(Standing, Option<HeaderValue>), End> {
        let way = match &self.session {
            Some(session) => Way::within(&self.upstream, session),
            None => Way::opening(&self.upstream),
        };
        let in_session = way.session_id.is_some();
        let Authorized { permit, inject, .. } = authorized;
        let forwarding = self.gate.client.forward(permit, inject, &self.outbound, way);
        let (standing, answer) = tokio::select! {
            biased;
            cut = self.leash.ended() => return Err(End::Cut(cut)),
            sent = forwarding => sent,
        };
        if let Some(session) = &self.session {
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
