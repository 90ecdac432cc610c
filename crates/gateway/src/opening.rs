//! The first words with a server: `initialize`, `server/discover`, and each in the other's place.
//!
//! A client is served in its own generation first, because that needs no translation; a server that does not know it is
//! asked in the other. Which one a server knows is remembered.

use std::sync::Arc;

use axum::response::Response;
use futures_util::FutureExt as _;
use wire::{
    json::{Json, Object},
    mcp::{self, Envelope, Revision, RpcError, code},
};

use crate::{
    Passes, Plane, Refused, Request, Upstream, call,
    front::{Front, Route, Told},
    gateway::Visit,
    greeting::{first_words, initialize_params, question},
    notices::opened,
    reply::{self, Stop},
    request::Generation,
    session::{Client, Opened, Session},
    sessions::Opening,
    tongue::{Tongue, carried_of_client, check_introduction, spoken_versions},
    translate,
    upstream::{Trouble, Way},
};

/// There is no place for another session.
pub(crate) const CROWDED: &str = "too many sessions are open; try again later";

/// What a client says when it opens a session.
pub(crate) struct Hello {
    pub(crate) revision: Revision,
    pub(crate) envelope: Envelope,
}

impl Hello {
    /// Reads a client's `initialize`, and puts into it what the gate promises in the client's name: a revision that it
    /// speaks, and the capabilities that it carries.
    fn read(message: &mut mcp::Request, upstream: &Upstream) -> Result<Self, RpcError> {
        Self::read_for(message, upstream.passes)
    }

    /// The same for a server that lets this pass.
    pub(crate) fn read_for(message: &mut mcp::Request, passes: Passes) -> Result<Self, RpcError> {
        let invalid = |member: &str, kind: &str| {
            RpcError::invalid_params(format!("`params.{member}` is missing or no {kind}"))
        };
        let Some(params) = message.params.as_mut().and_then(Json::as_object_mut) else {
            return Err(RpcError::invalid_params("`params` is missing"));
        };
        let wanted = params.get("protocolVersion").and_then(Json::as_str);
        let wanted = wanted.ok_or_else(|| invalid("protocolVersion", "string"))?;
        let revision = Revision::parse(wanted).unwrap_or(Revision::LATEST);
        let offered = params.get("capabilities").and_then(Json::as_object);
        let mut capabilities =
            carried_of_client(offered.ok_or_else(|| invalid("capabilities", "object"))?, passes);
        // Of the other generation: nothing that came of it could be asked about in this session.
        capabilities.remove("extensions");
        let client_info = params.get("clientInfo").filter(|info| info.as_object().is_some()).cloned();
        if client_info.is_none() {
            return Err(invalid("clientInfo", "object"));
        }
        check_introduction(&capabilities, client_info.as_ref())?;
        params.insert("protocolVersion", revision.as_str());
        params.insert("capabilities", capabilities.clone());
        Ok(Self { revision, envelope: Envelope { capabilities, client_info, log_level: None } })
    }
}

/// Serves `initialize`. The answer is always one JSON text, because the session's id goes before it.
pub(crate) async fn initialize<P: Plane>(
    visit: Visit<P>,
    mut message: mcp::Request,
) -> Result<Response, Stop> {
    let id = message.id.clone();
    let hello = match Hello::read(&mut message, &visit.upstream) {
        Ok(hello) => hello,
        Err(error) => return Ok(reply::message(&mcp::Response::error(Some(id), error))),
    };
    let attempt = match first_words(&visit, &hello.envelope, message, Generation::Sessions).await {
        Ok(attempt) => attempt,
        Err(refused) => return call::refusal(&Front::Session, id, &Request::Open, refused),
    };
    let Some(opened) = attempt.opened else { return Ok(reply::message(&attempt.response)) };
    let mut answer = attempt.response;
    let (revision, answer) = match &opened.tongue {
        Tongue::Session { revision: Revision::V20241105, .. } => {
            // Later revisions add to it what is optional: a client of any of them hears nothing that it does not know.
            if let Ok(Json::Object(result)) = &mut answer.outcome {
                result.insert("protocolVersion", hello.revision.as_str());
            }
            (hello.revision, answer)
        }
        Tongue::Session { revision, .. } => (*revision, answer),
        Tongue::Stateless => {
            let told = opened.offer.to_initialize(hello.revision, &visit.upstream.name);
            (hello.revision, mcp::Response::result(id.clone(), told))
        }
    };
    let session =
        keep(&visit, Client::Known(revision), opened).ok_or_else(|| reply::busy(Some(id), CROWDED))?;
    Ok(reply::with_session(reply::message(&answer), &session.id))
}

/// Serves `server/discover`.
pub(crate) async fn discover<P: Plane>(
    visit: Visit<P>,
    told: Box<Told>,
    message: mcp::Request,
) -> Result<Response, Stop> {
    let id = message.id.clone();
    let front = Front::Stateless(told);
    let Front::Stateless(told) = &front else { return Err(reply::missing()) };
    let attempt = match first_words(&visit, &told.envelope, message, Generation::Stateless).await {
        Ok(attempt) => attempt,
        Err(refused) => return call::refusal(&front, id, &Request::Open, refused),
    };
    let Some(opened) = attempt.opened else { return Ok(front.reply(&attempt.response)) };
    let mut answer = match &opened.tongue {
        Tongue::Stateless => attempt.response,
        Tongue::Session { .. } => {
            mcp::Response::result(id.clone(), opened.offer.to_discover(&visit.upstream.name))
        }
    };
    answer.id = Some(id.clone());
    if let Ok(Json::Object(result)) = &mut answer.outcome {
        result.insert("supportedVersions", spoken_versions());
    }
    translate::answer(&mut answer, &Request::Open, Generation::Stateless, Generation::Stateless);
    if matches!(opened.tongue, Tongue::Session { .. }) {
        let gate = &visit.gate;
        let now = gate.config.clock.now();
        let capabilities = &told.envelope.capabilities;
        if gate.sessions.kept(&visit.holder, &visit.upstream, capabilities, now).is_some() {
            // One is kept already; this one was there for the question alone.
            let asked = keep(&visit, Client::Stream, opened).filter(|session| gate.sessions.close(session));
            gate.end_upstream(asked.into_iter().collect());
        } else {
            announce(&visit, keep(&visit, Client::Unaware, opened))
                .await
                .ok_or_else(|| reply::busy(Some(id), CROWDED))?;
        }
    }
    Ok(front.reply(&answer))
}

/// Why there is no way to a server.
pub(crate) enum NoWay {
    Refused(Refused),
    Failed(RpcError),
}

/// The way to the server for a client that knows no sessions: by itself, or within a session that is kept for it.
pub(crate) async fn route<P: Plane>(visit: &Visit<P>, envelope: &Envelope) -> Result<Route, NoWay> {
    if let Some(route) = open_way(visit, envelope) {
        return Ok(route);
    }
    let mut turn = visit.gate.openings.turn(&visit.holder, &visit.upstream, &envelope.capabilities).await;
    // Somebody else may have opened one meanwhile, or found that there is none.
    if let Some(route) = open_way(visit, envelope) {
        return Ok(route);
    }
    if let Some(error) = turn.failure() {
        return Err(NoWay::Failed(error));
    }
    let opened = open(visit, envelope).boxed().await;
    if let Err(NoWay::Failed(error)) = &opened {
        turn.fail(error);
    }
    opened
}

/// A way that is open already.
fn open_way<P: Plane>(visit: &Visit<P>, envelope: &Envelope) -> Option<Route> {
    let (gate, upstream) = (&visit.gate, &visit.upstream);
    match gate.speaks(upstream, Generation::Stateless)? {
        Generation::Stateless => Some(Route::Alone),
        Generation::Sessions => {
            let now = gate.config.clock.now();
            gate.sessions.kept(&visit.holder, upstream, &envelope.capabilities, now).map(Route::Within)
        }
    }
}

/// Opens the way to the server.
async fn open<P: Plane>(visit: &Visit<P>, envelope: &Envelope) -> Result<Route, NoWay> {
    let message = question("server/discover", Object::new());
    let attempt =
        first_words(visit, envelope, message, Generation::Stateless).await.map_err(NoWay::Refused)?;
    match (attempt.opened, attempt.response.outcome) {
        (Some(Opened { tongue: Tongue::Stateless, .. }), _) => Ok(Route::Alone),
        (Some(opened), _) => {
            let session = announce(visit, keep(visit, Client::Unaware, opened)).await;
            session.map(Route::Within).ok_or_else(|| NoWay::Failed(busy()))
        }
        (None, Err(error)) => Err(NoWay::Failed(error)),
        (None, Ok(_)) => Err(NoWay::Failed(Trouble::Revision.to_error())),
    }
}

/// A session with the server for one stream alone; none where the server knows no sessions.
pub(crate) async fn session_of_its_own<P: Plane>(
    visit: &Visit<P>,
    envelope: &Envelope,
) -> Result<Option<Arc<Session>>, NoWay> {
    let (own, message) = match visit.gate.speaks(&visit.upstream, Generation::Stateless) {
        Some(Generation::Sessions) => {
            (Generation::Sessions, question("initialize", initialize_params(envelope)))
        }
        _ => (Generation::Stateless, question("server/discover", Object::new())),
    };
    let attempt = first_words(visit, envelope, message, own).await.map_err(NoWay::Refused)?;
    match (attempt.opened, attempt.response.outcome) {
        (Some(Opened { tongue: Tongue::Stateless, .. }), _) => Ok(None),
        (Some(opened), _) => {
            let session = announce(visit, keep(visit, Client::Stream, opened)).await;
            session.map(Some).ok_or_else(|| NoWay::Failed(busy()))
        }
        (None, Err(error)) => Err(NoWay::Failed(error)),
        (None, Ok(_)) => Err(NoWay::Failed(Trouble::Revision.to_error())),
    }
}

/// The session with one server that is a part of a client's session with all of them.
pub(crate) async fn part<P: Plane>(
    visit: &Visit<P>,
    envelope: &Envelope,
    revision: Revision,
) -> Result<Arc<Session>, NoWay> {
    let message = question("initialize", initialize_params(envelope));
    let attempt =
        first_words(visit, envelope, message, Generation::Sessions).await.map_err(NoWay::Refused)?;
    match (attempt.opened, attempt.response.outcome) {
        (Some(opened), _) => {
            let knows_sessions = matches!(opened.tongue, Tongue::Session { .. });
            let kept = keep(visit, Client::Part(revision), opened);
            let session = if knows_sessions { announce(visit, kept).await } else { kept };
            session.ok_or_else(|| NoWay::Failed(busy()))
        }
        (None, Err(error)) => Err(NoWay::Failed(error)),
        (None, Ok(_)) => Err(NoWay::Failed(Trouble::Revision.to_error())),
    }
}

fn busy() -> RpcError {
    RpcError::new(code::INTERNAL_ERROR, CROWDED).with_code("busy")
}

/// Keeps what was opened as a session; `None` when there is no room.
fn keep<P: Plane>(visit: &Visit<P>, client: Client, opened: Opened) -> Option<Arc<Session>> {
    let gate = &visit.gate;
    gate.make_room();
    let now = gate.config.clock.now();
    let Opening { session, dropped } =
        gate.sessions.open(&visit.holder, client, opened, &visit.upstream, now);
    gate.end_upstream(dropped);
    session
}

/// Tells the server that a session is open of which no client will say so.
async fn announce<P: Plane>(visit: &Visit<P>, kept: Option<Arc<Session>>) -> Option<Arc<Session>> {
    let session = kept?;
    let way = Way::within(&visit.upstream, &session);
    if let Err(trouble) = visit.gate.client.tell(&session.standing(), opened().to_bytes(), way).await {
        tracing::debug!(server = %visit.upstream.name, %trouble, "a notification was not delivered");
    }
    Some(session)
}
