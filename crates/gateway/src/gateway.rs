//! The gateway, and the doors of `/mcp/{server}` and `/mcp`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, response::Response, routing::any};
use base::{Name, Place, ServerId, TraceId};
use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request::Parts};
use tokio::sync::Semaphore;
use wire::{
    json::Json,
    mcp::{self, Revision, RpcError, code},
};

use crate::{
    Asked, Ending, Holder, Passes, Plane, Presented, Refused, Request, Upstream,
    account::Account,
    aggregate::{self, Aggregate, Naming, Wholes},
    config::Config,
    delivered::Delivered,
    door::Door,
    known::Known,
    leash::Leash,
    openings::Openings,
    outgoing::{self, Outgoing},
    parked::{Left, Lot, Parked},
    post,
    reply::{self, Stop},
    rights::Rights,
    room::{Places, Room},
    session::{Client as Party, Session},
    sessions::Sessions,
    stateless,
    stream::{self, Listener},
    upstream::{Client, Discovered, LAST_EVENT_ID, PROTOCOL_VERSION, Question, SESSION_ID, Standing, Way},
};

/// The longest session id that is looked up, in bytes.
const SESSION_ID_BYTES_MAX: usize = 128;

/// The data plane in front of MCP servers.
pub struct Gateway<P: Plane> {
    pub(crate) plane: Arc<P>,
    pub(crate) config: Config,
    pub(crate) sessions: Sessions,
    pub(crate) wholes: Wholes,
    pub(crate) client: Client,
    pub(crate) errands: Arc<Semaphore>,
    pub(crate) closings: Arc<Semaphore>,
    pub(crate) parked: Lot<P>,
    pub(crate) delivered: Delivered,
    pub(crate) openings: Openings,
    pub(crate) places: Arc<Places>,
    pub(crate) tongues: Mutex<HashMap<(ServerId, Uri), Known>>,
    door: Door,
    numbers: AtomicI64,
}

impl<P: Plane> Gateway<P> {
    /// A gateway that asks `plane`.
    ///
    /// Fails only when the platform's cryptography offers no usable version of TLS.
    pub fn new(plane: Arc<P>, config: Config) -> Result<Arc<Self>, rustls::Error> {
        Ok(Arc::new(Self {
            plane,
            sessions: Sessions::new(Arc::clone(&config.dice), config.limits),
            wholes: Wholes::new(config.limits),
            client: Client::new(Arc::clone(&config.local))?,
            errands: Arc::new(Semaphore::new(config.limits.errands_max)),
            closings: Arc::new(Semaphore::new(config.limits.closings_max)),
            parked: Lot::new(Arc::clone(&config.dice)),
            delivered: Delivered::default(),
            openings: Openings::default(),
            places: Arc::default(),
            tongues: Mutex::default(),
            door: Door::new(&config.public_url, &config.hosts),
            numbers: AtomicI64::new(1),
            config,
        }))
    }

    /// The routes of the data plane: `/mcp` and `/mcp/{server}`. To be merged into the application's router at its root.
    pub fn router(self: &Arc<Self>) -> Router {
        let enter = |State(gate): State<Arc<Self>>, request| gate.serve(request);
        let routes = Router::new().route("/mcp", any(enter)).route("/mcp/{server}", any(enter));
        routes.with_state(Arc::clone(self))
    }

    /// Serves a request whose path is one of [the routes'](Self::router).
    ///
    /// On the heap: what carries a request through is large, and whoever calls this moves it.
    pub fn serve(self: Arc<Self>, request: axum::extract::Request) -> BoxFuture<'static, Response> {
        enter(self, request).boxed()
    }

    /// Asks a server what it speaks and which tools it has, for the control plane itself; or what went wrong, in words.
    pub async fn discover(
        &self,
        server: ServerId,
        url: Uri,
        credential: Vec<(HeaderName, HeaderValue)>,
        authority: Option<Arc<str>>,
        (wait, passes): (Duration, Passes),
    ) -> Result<Discovered, String> {
        let question = Question::new(&self.client, url, credential, authority, (wait, passes), server);
        question.discover().await.map_err(|trouble| trouble.to_string())
    }

    /// The schema of the arguments, where it is a tool that is called.
    pub(crate) fn schema_of(&self, upstream: &Upstream, request: &Request) -> Option<Json> {
        let Request::CallTool { name, .. } = request else { return None };
        self.plane.input_schema(upstream, name)
    }

    /// A number that no other request of this process has.
    pub(crate) fn number(&self) -> i64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Checks, authenticates and locates: all that comes before the body is read.
    fn admit(self: &Arc<Self>, parts: &Parts) -> Result<Admitted<P>, Stop> {
        if let Some(objection) = self.door.objection(&parts.uri, &parts.headers) {
            return Err(reply::refusal(StatusCode::FORBIDDEN, code::BAD_REQUEST, objection));
        }
        // SECURITY: the name as it stands in the path, not decoded: one spelling per server (threat class 25).
        let server = match parts.uri.path() {
            "/mcp" => None,
            path => {
                let name = path.strip_prefix("/mcp/").filter(|name| name.parse::<Name>().is_ok());
                Some(name.ok_or_else(reply::missing)?)
            }
        };
        if ![Method::POST, Method::GET, Method::DELETE].contains(&parts.method) {
            return Err(reply::wrong_method("POST, GET, DELETE"));
        }
        let now = self.config.clock.now();
        // Subscribed before the caller is known to be alive: what happens in between is seen.
        let revocations = self.plane.revocations();
        let url = format!("{}{}", self.config.public_url.as_str().trim_end_matches('/'), parts.uri.path());
        let trace = TraceId(self.config.dice.bytes());
        let presented =
            Presented { headers: &parts.headers, method: &parts.method, url: &url, server, now, trace };
        let caller = self.plane.authenticate(&presented).map_err(reply::challenge)?;
        // A caller whose authority ended since knows no server any more, and is told why, not that there is none.
        let missing = || {
            let again = Presented { now: self.config.clock.now(), ..presented };
            self.plane.authenticate(&again).map_or_else(reply::challenge, |_| reply::missing())
        };
        let found = server.map(|server| self.plane.upstream(&caller, server).ok_or_else(missing));
        let upstream = found.transpose()?;
        let clock = Arc::clone(&self.config.clock);
        let leash = Leash::new(Arc::clone(&self.plane), caller.clone(), upstream.clone(), revocations, clock);
        let holder = self.plane.holder(&caller);
        let (gate, proven) = (Arc::clone(self), Arc::default());
        Ok(match upstream {
            Some(upstream) => {
                let naming = Naming::Own;
                Admitted::One(Visit { gate, caller, proven, holder, upstream, naming, leash, held: None })
            }
            None => Admitted::All(Aggregate { gate, caller, proven, holder, leash, held: None }),
        })
    }
}

async fn enter<P: Plane>(gate: Arc<Gateway<P>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let served = async {
        let visit = match gate.admit(&parts)? {
            Admitted::One(visit) => visit,
            Admitted::All(all) => return Box::pin(aggregate::serve(all, &parts, body)).await,
        };
        match parts.method {
            Method::POST => post::serve(visit, &parts.headers, body).await,
            _ if stateless::is_alone(&parts.headers) => Err(reply::wrong_method("POST")),
            Method::GET => visit.listen(&parts.headers).boxed().await,
            _ => visit.close(&parts.headers).boxed().await,
        }
    };
    served.await.unwrap_or_else(Stop::into_response)
}

/// An authenticated request, by its endpoint.
enum Admitted<P: Plane> {
    One(Visit<P>),
    All(Aggregate<P>),
}

/// One authenticated request for one server.
pub(crate) struct Visit<P: Plane> {
    pub(crate) gate: Arc<Gateway<P>>,
    caller: P::Caller,
    /// The caller once an act has used up its sender proof.
    proven: Arc<OnceLock<P::Caller>>,
    pub(crate) holder: Holder,
    pub(crate) upstream: Arc<Upstream>,
    /// How what the server names is named to the client.
    pub(crate) naming: Naming,
    pub(crate) leash: Leash<P>,
    /// The room that the message takes, until it is served.
    pub(crate) held: Option<Room>,
}

impl<P: Plane> Visit<P> {
    /// The part of a request for all servers that concerns this one.
    pub(crate) fn part(all: &Aggregate<P>, upstream: Arc<Upstream>) -> Self {
        Self {
            gate: Arc::clone(&all.gate),
            caller: all.caller.clone(),
            proven: Arc::clone(&all.proven),
            holder: all.holder.clone(),
            leash: all.leash.on(&upstream),
            upstream,
            naming: Naming::Qualified,
            held: None,
        }
    }

    /// Who calls.
    pub(crate) fn caller(&self) -> &P::Caller {
        self.proven.get().unwrap_or(&self.caller)
    }

    /// Takes note that the sender proof of this visit was used up.
    pub(crate) fn has_shown_proof(&self) {
        self.proven.get_or_init(|| self.gate.plane.proven(&self.caller));
    }

    /// The same visit for another message, made because of the first.
    pub(crate) fn again(&self) -> Self {
        Self {
            gate: Arc::clone(&self.gate),
            caller: self.caller.clone(),
            proven: Arc::clone(&self.proven),
            holder: self.holder.clone(),
            upstream: Arc::clone(&self.upstream),
            naming: self.naming,
            leash: self.leash.again(),
            held: None,
        }
    }

    /// The session that the request belongs to, with the version that it names checked.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Arc<Session>, Stop> {
        let (now, sessions) = (self.gate.config.clock.now(), &self.gate.sessions);
        let session = find_session(
            headers,
            || sessions.latest(&self.holder, &self.upstream, now),
            |id| sessions.find(id, &self.holder, &self.upstream, now),
        )?;
        if let Party::Known(agreed) = session.client {
            check_version(headers, agreed)?;
        }
        Ok(session)
    }

    /// Uses up the sender proof of a message that is no act.
    pub(crate) async fn be_admitted(&self) -> Result<(), Stop> {
        self.gate.plane.admit(self.caller()).await.map_err(stop)
    }

    /// Answers for a message that cannot be read as an act: its proof is used up, and a method that nobody knows is put on
    /// record.
    pub(crate) async fn be_refused(&self, method: &str, error: &RpcError) -> Result<(), Stop> {
        if error.code != code::METHOD_NOT_FOUND {
            return self.be_admitted().await;
        }
        self.gate.plane.deny_unknown(self.caller(), Some(&self.upstream), method).await.map_err(stop)
    }

    async fn listen(self, headers: &HeaderMap) -> Result<Response, Stop> {
        check_listening(headers)?;
        let session = self.session(headers)?;
        if let Some(event) = headers.get(LAST_EVENT_ID) {
            return self.resume(&session, event).await;
        }
        let account = self.ask_to_listen(&session).await.map_err(|refused| match refused {
            Refused::Unauthorized(unauthorized) => reply::challenge(unauthorized),
            Refused::Denied(denial) if denial.retry_after.is_some() => not_now(&denial),
            // Clients take this for a server that has nothing to say on its own.
            Refused::Denied(_) => reply::wrong_method("POST, GET, DELETE"),
        })?;
        let place = session.listen(self.gate.config.limits.listeners_max).ok_or_else(too_many_streams)?;
        let rights = Rights::of(&self);
        Ok(stream::of_listener(Listener::new(self, session, place, account), rights))
    }

    /// Goes on with the stream of an answer. Its act was decided and recorded when it was asked for.
    async fn resume(self, session: &Arc<Session>, event: &HeaderValue) -> Result<Response, Stop> {
        self.be_admitted().await?;
        let is_its = |of: &Arc<Session>| Arc::ptr_eq(of, session);
        if let Some(rest) = self.gate.rest_of(event, is_its) {
            return Ok(outgoing::rest(rest));
        }
        let found = self.gate.left(&self.holder, event, is_its);
        let resumed = found.and_then(|(parked, number)| Outgoing::again(parked, number, self));
        Ok(resumed.ok_or_else(not_resumable)?.into_response())
    }

    /// Listening is an act: what the server says on its own reaches the client only with a decision on record.
    pub(crate) async fn ask_to_listen(&self, session: &Session) -> Result<Account<P>, Refused> {
        let message = mcp::Request::new(mcp::Id::Text(session.id.clone()), "listen", None);
        let digest = message.digest(self.upstream.id.as_str());
        let asked = Asked { upstream: &self.upstream, request: &Request::Listen, digest: &digest, bytes: 0 };
        let authorized = self.authorize_as(asked).await?;
        session.renew(Standing::new(authorized.inject));
        Ok(self.account(authorized.permit.intent().clone()))
    }

    /// The account of an act that was permitted to this caller.
    pub(crate) fn account(&self, intent: Place) -> Account<P> {
        let clock = Arc::clone(&self.gate.config.clock);
        Account::new(Arc::clone(&self.gate.plane), self.caller().clone(), clock, intent)
    }

    async fn close(self, headers: &HeaderMap) -> Result<Response, Stop> {
        if !headers.contains_key(SESSION_ID) {
            return Err(reply::bad_request("`Mcp-Session-Id` must say which session to end"));
        }
        let session = self.session(headers)?;
        self.be_admitted().await?;
        self.gate.sessions.close(&session);
        self.gate.leave_nothing_of(&session);
        if session.is_kept_by_server() {
            let way = Way::within(&self.upstream, &session);
            // Ended on our side whatever the server says; it may refuse to end sessions (405).
            if let Err(trouble) = self.gate.client.close(&session.standing(), way).await {
                tracing::debug!(server = %self.upstream.name, %trouble, "the server did not end its session");
            }
        }
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }
}

impl<P: Plane> Gateway<P> {
    /// What came behind this event of a stream that has brought its answer, if it was within a session that is `its`.
    pub(crate) fn rest_of(
        &self,
        event: &HeaderValue,
        is_its: impl Fn(&Arc<Session>) -> bool,
    ) -> Option<VecDeque<Bytes>> {
        let event = event.to_str().ok().and_then(outgoing::read_id)?;
        self.delivered.behind(event, is_its, self.config.clock.now())
    }

    /// The stream that a client has left at this event, if it was within a session that is `its`.
    pub(crate) fn left(
        &self,
        holder: &Holder,
        event: &HeaderValue,
        is_its: impl Fn(&Arc<Session>) -> bool,
    ) -> Option<(Parked<P>, u64)> {
        let (stream, number) = event.to_str().ok().and_then(outgoing::read_id)?;
        let goes_on = |parked: &Parked<P>| {
            let of = parked.exchange.route.session();
            matches!(&parked.left, Left::Stream(tail) if tail.has(number)) && of.is_some_and(&is_its)
        };
        let parked = self.parked.fetch(stream, holder, self.config.clock.now(), goes_on)?;
        Some((parked, number))
    }
}

/// The session that the headers name, or the latest one where they name none.
pub(crate) fn find_session<S>(
    headers: &HeaderMap,
    latest: impl FnOnce() -> Option<S>,
    find: impl FnOnce(&str) -> Option<S>,
) -> Result<S, Stop> {
    let mut ids = headers.get_all(SESSION_ID).iter();
    match (ids.next(), ids.next()) {
        (None, _) => latest().ok_or_else(|| {
            reply::bad_request("no session; send `initialize` first, then `Mcp-Session-Id` with each request")
        }),
        (Some(id), None) => {
            let id = id.to_str().ok().filter(|id| id.len() <= SESSION_ID_BYTES_MAX);
            id.and_then(find).ok_or_else(|| reply::no_session(None))
        }
        _ => Err(reply::bad_request("`Mcp-Session-Id` stands twice; send it once")),
    }
}

pub(crate) fn check_listening(headers: &HeaderMap) -> Result<(), Stop> {
    if post::accepts(headers, "text/event-stream") {
        return Ok(());
    }
    let why = "`Accept` must include `text/event-stream`";
    Err(reply::refusal(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, why))
}

pub(crate) fn too_many_streams() -> Stop {
    let why = "the session has too many listening streams; close one";
    reply::refusal(StatusCode::TOO_MANY_REQUESTS, code::BAD_REQUEST, why)
}

pub(crate) fn not_resumable() -> Stop {
    reply::bad_request("`Last-Event-ID` names no event that can be gone on from; ask again without it")
}

/// A "no" to a message that is no act.
pub(crate) fn stop(refused: Refused) -> Stop {
    match refused {
        Refused::Unauthorized(unauthorized) => reply::challenge(unauthorized),
        Refused::Denied(denial) => not_now(&denial),
    }
}

/// A refusal of this moment, where there is no message to answer.
pub(crate) fn not_now(denial: &mcp::Denial) -> Stop {
    reply::refusal_to(StatusCode::SERVICE_UNAVAILABLE, None, denial.error())
}

/// The account of a listening stream. It may end at any time, and that is how it ends well.
pub(crate) struct ListeningAccount<P: Plane>(pub(crate) Account<P>);

impl<P: Plane> Drop for ListeningAccount<P> {
    fn drop(&mut self) {
        self.0.end(Ending::Done, None, None);
    }
}

/// `MCP-Protocol-Version`, where it stands, is what was agreed on (MCP 2025-06-18, transports).
pub(crate) fn check_version(headers: &HeaderMap, agreed: Revision) -> Result<(), Stop> {
    let mut versions = headers.get_all(PROTOCOL_VERSION).iter();
    match (versions.next().map(|version| version.to_str()), versions.next()) {
        (None, _) => Ok(()),
        (Some(Ok(version)), None) if version == agreed.as_str() => Ok(()),
        (Some(Ok(version)), None) => {
            let shown: String = version.chars().take(32).collect();
            Err(reply::bad_request(format!(
                "`MCP-Protocol-Version` is `{shown}`, but the session speaks `{agreed}`; send that"
            )))
        }
        _ => Err(reply::bad_request("`MCP-Protocol-Version` is unreadable or stands twice")),
    }
}
