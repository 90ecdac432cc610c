//! The gateway, and the door of `/mcp/{server}`.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, response::Response, routing::any};
use base::{HeldBody, Name, Position, ServerId, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request::Parts};
use tokio::sync::Semaphore;
use wire::{
    json::Json,
    mcp::{self, Revision, RpcError, code},
};

use crate::{
    Asked, Ending, Holder, Passes, Plane, Presented, Refused, Request, Upstream,
    account::Account,
    config::Config,
    door::Door,
    known::Known,
    leash::Leash,
    outgoing::{self, Outgoing},
    parked::{Left, Lot, Parked},
    post,
    reply::{self, Stop},
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
    pub(crate) client: Client,
    pub(crate) errands: Arc<Semaphore>,
    pub(crate) closings: Arc<Semaphore>,
    pub(crate) parked: Lot<P>,
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
            client: Client::new()?,
            errands: Arc::new(Semaphore::new(config.limits.errands_max)),
            closings: Arc::new(Semaphore::new(config.limits.closings_max)),
            parked: Lot::new(Arc::clone(&config.dice)),
            tongues: Mutex::default(),
            door: Door::new(&config.public_url, &config.hosts),
            numbers: AtomicI64::new(1),
            config,
        }))
    }

    /// The routes of the data plane: `/mcp/{server}`. To be merged into the application's router at its root.
    pub fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/mcp/{server}", any(enter::<P>)).with_state(Arc::clone(self))
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
    fn admit(self: &Arc<Self>, parts: &Parts) -> Result<Visit<P>, Stop> {
        if let Some(objection) = self.door.objection(&parts.uri, &parts.headers) {
            return Err(reply::refusal(StatusCode::FORBIDDEN, code::BAD_REQUEST, objection));
        }
        // SECURITY: the name as it stands in the path, not decoded: one spelling per server (threat class 25).
        let server = parts.uri.path().strip_prefix("/mcp/").filter(|name| name.parse::<Name>().is_ok());
        let server = server.ok_or_else(reply::missing)?;
        if ![Method::POST, Method::GET, Method::DELETE].contains(&parts.method) {
            return Err(reply::wrong_method("POST, GET, DELETE"));
        }
        let now = self.config.clock.now();
        // Subscribed before the caller is known to be alive: what happens in between is seen.
        let revocations = self.plane.revocations();
        let url = format!("{}/mcp/{server}", self.config.public_url.as_str().trim_end_matches('/'));
        let trace = TraceId(self.config.dice.bytes());
        let presented =
            Presented { headers: &parts.headers, method: &parts.method, url: &url, server, now, trace };
        let caller = self.plane.authenticate(&presented).map_err(reply::challenge)?;
        let upstream = self.plane.upstream(&caller, server).ok_or_else(reply::missing)?;
        let clock = Arc::clone(&self.config.clock);
        let leash =
            Leash::new(Arc::clone(&self.plane), caller.clone(), Arc::clone(&upstream), revocations, clock);
        let holder = self.plane.holder(&caller);
        let (gate, proven) = (Arc::clone(self), Arc::default());
        Ok(Visit { gate, caller, proven, holder, upstream, leash, held: None })
    }
}

async fn enter<P: Plane>(State(gate): State<Arc<Gateway<P>>>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let served = async {
        let visit = gate.admit(&parts)?;
        match parts.method {
            Method::POST => post::serve(visit, &parts.headers, body).await,
            _ if stateless::is_alone(&parts.headers) => Err(reply::wrong_method("POST")),
            Method::GET => visit.listen(&parts.headers).await,
            _ => visit.close(&parts.headers).await,
        }
    };
    served.await.unwrap_or_else(Stop::into_response)
}

/// One authenticated request for one server.
pub(crate) struct Visit<P: Plane> {
    pub(crate) gate: Arc<Gateway<P>>,
    caller: P::Caller,
    /// The caller once an act has used up its sender proof.
    proven: Arc<OnceLock<P::Caller>>,
    pub(crate) holder: Holder,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) leash: Leash<P>,
    /// The room that the message takes, until it is served.
    pub(crate) held: Option<HeldBody>,
}

impl<P: Plane> Visit<P> {
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
            leash: self.leash.again(),
            held: None,
        }
    }

    /// The session that the request belongs to, with the version that it names checked.
    pub(crate) fn session(&self, headers: &HeaderMap) -> Result<Arc<Session>, Stop> {
        let (now, sessions) = (self.gate.config.clock.now(), &self.gate.sessions);
        let mut ids = headers.get_all(SESSION_ID).iter();
        let session = match (ids.next(), ids.next()) {
            (None, _) => {
                let latest = sessions.latest(&self.holder, &self.upstream, now);
                latest.ok_or_else(|| {
                    reply::bad_request(
                        "no session; send `initialize` first, then `Mcp-Session-Id` with each request",
                    )
                })?
            }
            (Some(id), None) => {
                let id = id.to_str().ok().filter(|id| id.len() <= SESSION_ID_BYTES_MAX);
                let session = id.and_then(|id| sessions.find(id, &self.holder, &self.upstream, now));
                session.ok_or_else(|| reply::no_session(None))?
            }
            _ => return Err(reply::bad_request("`Mcp-Session-Id` stands twice; send it once")),
        };
        if let Party::Known(agreed) = session.client {
            check_version(headers, agreed)?;
        }
        Ok(session)
    }

    /// Uses up the sender proof of a message that is no act.
    pub(crate) async fn be_admitted(&self) -> Result<(), Stop> {
        self.gate.plane.admit(self.caller()).await.map_err(|refused| match refused {
            Refused::Unauthorized(unauthorized) => reply::challenge(unauthorized),
            Refused::Denied(denial) => not_now(&denial),
        })
    }

    /// Answers for a message that cannot be read as an act: its proof is used up, and a method that nobody knows is put on
    /// record.
    pub(crate) async fn be_refused(&self, method: &str, error: &RpcError) -> Result<(), Stop> {
        if error.code != code::METHOD_NOT_FOUND {
            return self.be_admitted().await;
        }
        let denied = self.gate.plane.deny_unknown(self.caller(), &self.upstream, method).await;
        denied.map_err(|refused| match refused {
            Refused::Unauthorized(unauthorized) => reply::challenge(unauthorized),
            Refused::Denied(denial) => not_now(&denial),
        })
    }

    async fn listen(self, headers: &HeaderMap) -> Result<Response, Stop> {
        if !post::accepts(headers, "text/event-stream") {
            let why = "`Accept` must include `text/event-stream`";
            return Err(reply::refusal(StatusCode::NOT_ACCEPTABLE, code::BAD_REQUEST, why));
        }
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
        let place = session.listen(self.gate.config.limits.listeners_max).ok_or_else(|| {
            let why = "the session has too many listening streams; close one";
            reply::refusal(StatusCode::TOO_MANY_REQUESTS, code::BAD_REQUEST, why)
        })?;
        let Self { gate, upstream, leash, .. } = self;
        let (wishes, account) = (session.subscribed.subscribe(), ListeningAccount(account));
        let listener = Listener { gate, upstream, session, leash, wishes, _place: place, _account: account };
        Ok(stream::of_listener(listener))
    }

    /// Goes on with the stream of an answer. Its act was decided and recorded when it was asked for.
    async fn resume(self, session: &Arc<Session>, event: &HeaderValue) -> Result<Response, Stop> {
        self.be_admitted().await?;
        let now = self.gate.config.clock.now();
        let id = event.to_str().ok().and_then(outgoing::read_id);
        let is_its = |parked: &Parked<P>| {
            let of = parked.exchange.route.session();
            let goes_on =
                matches!(&parked.left, Left::Stream(tail) if id.is_some_and(|(_, number)| tail.has(number)));
            goes_on && of.is_some_and(|of| Arc::ptr_eq(of, session))
        };
        let found = id.and_then(|(stream, number)| {
            Some((self.gate.parked.fetch(stream, &self.holder, now, is_its)?, number))
        });
        let resumed = found.and_then(|(parked, number)| Outgoing::again(parked, number, self));
        let resumed = resumed.ok_or_else(|| {
            reply::bad_request(
                "`Last-Event-ID` names no event that can be gone on from; ask again without it",
            )
        })?;
        Ok(resumed.into_response())
    }

    /// Listening is an act: what the server says on its own reaches the client only with a decision on record.
    pub(crate) async fn ask_to_listen(&self, session: &Session) -> Result<Account<P>, Refused> {
        let message = mcp::Request::new(mcp::Id::Text(session.id.clone()), "listen", None);
        let digest = message.digest(self.upstream.id.as_str());
        let asked = Asked { upstream: &self.upstream, request: &Request::Listen, digest: &digest, bytes: 0 };
        let authorized = self.authorize_as(asked).await?;
        session.renew(Standing::new(authorized.inject));
        Ok(self.account(authorized.permit.position()))
    }

    /// The account of an act that was permitted to this caller.
    pub(crate) fn account(&self, intent: Position) -> Account<P> {
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

/// A refusal of this moment, where there is no message to answer.
fn not_now(denial: &mcp::Denial) -> Stop {
    reply::refusal_to(StatusCode::SERVICE_UNAVAILABLE, None, denial.error())
}

/// The account of a listening stream. It may end at any time, and that is how it ends well.
pub(crate) struct ListeningAccount<P: Plane>(Account<P>);

impl<P: Plane> Drop for ListeningAccount<P> {
    fn drop(&mut self) {
        self.0.end(Ending::Done, None, None);
    }
}

/// `MCP-Protocol-Version`, where it stands, is what was agreed on (MCP 2025-06-18, transports).
fn check_version(headers: &HeaderMap, agreed: Revision) -> Result<(), Stop> {
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
