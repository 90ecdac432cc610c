//! Servers that are not reached by streamable HTTP: processes on standard input and output, and HTTP+SSE (2024-11-05).
//!
//! To the rest of the gateway they look like servers of streamable HTTP with sessions: a POST of `initialize` begins a
//! conversation and gives it a session id, a POST in it is answered with a stream that ends with the answer, a GET is what
//! belongs to no request, a DELETE ends it. A conversation is one process, or one stream; no two sessions share one.

mod body;
mod elder;
mod lines;
mod local;
mod talk;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base::ServerId;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, Uri, header};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};
use wire::mcp::Message;

use super::{SESSION_ID, Standing, Trouble, Way, client::Client};
use crate::{Upstream, session::lock, tongue::Tongue};

pub(crate) use body::Body;
pub(super) use elder::may_be as may_be_elder;
pub use local::{Local, NotStarted, Pipes};

use lines::{Lines, Source};
use talk::Link;
use writer::Writer;

/// The scheme of servers on this machine.
const LOCAL: &str = "stdio";
/// How many conversations there may be in all.
const LINKS_MAX: usize = 10_000;
/// How much of large answers may wait for their readers in all conversations, in KiB.
const ANSWERS_KIB_MAX: usize = 128 * 1024;
/// How many servers are remembered to be of HTTP+SSE.
const ELDERS_MAX: usize = 10_000;
/// After how long without use a stream of HTTP+SSE is given up.
const STREAM_IDLE: Duration = Duration::from_hours(1);
/// How long a process must have had nothing to do before it makes room for another.
const ROOM_AFTER: Duration = Duration::from_secs(10);
/// How long a process may take to end by itself once its input is closed, and how long its end is waited for at all.
const STOP_WAIT: Duration = Duration::from_secs(1);
const END_WAIT: Duration = Duration::from_secs(5);

type End = Pin<Box<dyn Future<Output = Option<NotStarted>> + Send>>;

/// All conversations. Clones share them.
#[derive(Clone)]
pub(super) struct Links(Arc<Shared>);

struct Shared {
    local: Arc<dyn Local>,
    /// By the session ids that they were given. No client learns them.
    all: Mutex<HashMap<String, Arc<Link>>>,
    elders: Mutex<HashSet<(ServerId, Uri)>>,
    numbers: AtomicU64,
    /// How many processes are over.
    gone: watch::Sender<u64>,
    /// The room for large answers that wait for their readers, in KiB.
    answers: Arc<Semaphore>,
}

impl Links {
    pub(super) fn new(local: Arc<dyn Local>) -> Self {
        Self(Arc::new(Shared {
            local,
            all: Mutex::default(),
            elders: Mutex::default(),
            numbers: AtomicU64::new(1),
            gone: watch::Sender::default(),
            answers: Arc::new(Semaphore::new(ANSWERS_KIB_MAX)),
        }))
    }

    /// The conversation of this session with this server.
    ///
    /// SECURITY: by both: a server that gives its HTTP sessions the names of ours gets at its own alone.
    pub(super) fn find(&self, id: &HeaderValue, upstream: &Upstream) -> Option<Arc<Link>> {
        let all = lock(&self.0.all);
        let link = all.get(id.to_str().ok()?).filter(|link| !link.is_closing())?;
        (link.upstream.id == upstream.id && link.upstream.url == upstream.url).then(|| Arc::clone(link))
    }

    /// Ends the conversations that are not to go on.
    pub(super) fn retain(&self, may_go_on: impl Fn(&Upstream, &Standing) -> bool) {
        let all: Vec<_> = lock(&self.0.all).values().cloned().collect();
        all.iter().filter(|link| !may_go_on(&link.upstream, &link.standing)).for_each(|link| link.close());
    }

    /// Serves what is for a conversation, or for a server that is spoken to in one; `None` where it goes over HTTP.
    pub(super) async fn serve(
        &self,
        client: &Client,
        method: &Method,
        message: &Bytes,
        standing: &Standing,
        way: &Way<'_>,
    ) -> Option<Result<Response<Body>, Trouble>> {
        let upstream = way.upstream;
        let is_local = upstream.url.scheme_str() == Some(LOCAL);
        match way.tongue {
            Some(Tongue::Session { id, .. }) => match id.as_ref().and_then(|id| self.find(id, upstream)) {
                Some(link) => Some(link.serve(method, message, standing).await),
                None => is_local.then(|| Ok(status(StatusCode::NOT_FOUND))),
            },
            // A process is a session: there is nothing that a request could stand for itself in.
            Some(Tongue::Stateless) => is_local.then(|| Ok(status(StatusCode::BAD_REQUEST))),
            None if is_local => Some(self.begin_local(message, standing, upstream).await),
            None if lock(&self.0.elders).contains(&(upstream.id.clone(), upstream.url.clone())) => {
                self.begin_elder(client, message, standing, upstream).await
            }
            None => None,
        }
    }

    async fn begin_local(
        &self,
        message: &Bytes,
        standing: &Standing,
        upstream: &Upstream,
    ) -> Result<Response<Body>, Trouble> {
        let name = upstream.url.host().unwrap_or_default();
        let Pipes { input, output, end, idle } = self.start(name, upstream).await?;
        let link = Link::new(
            upstream.clone(),
            standing.clone(),
            Writer::of_process(input),
            idle,
            Arc::clone(&self.0.answers),
        );
        let source =
            Source::Lines(Lines::new(output, upstream.answer_bytes_max.min(base::limit::ANSWER_BYTES_MAX)));
        self.begin(link, source, Some(end), message).await
    }

    /// Starts a process. Where every place is taken, one that has nothing to do makes room.
    async fn start(&self, name: &str, upstream: &Upstream) -> Result<Pipes, Trouble> {
        let mut gone = self.0.gone.subscribe();
        match self.0.local.start(name) {
            Err(NotStarted::Crowded) => {}
            started => return started.map_err(Trouble::Launch),
        }
        {
            let all = lock(&self.0.all);
            let own = || all.values().filter(|link| link.upstream.url == upstream.url);
            // One may be on its way out already.
            if !own().any(|link| link.is_closing()) {
                let quiet = own().filter_map(|link| Some((link.quiet_since()?, link)));
                let rested = quiet.filter(|(since, _)| since.elapsed() >= ROOM_AFTER);
                let quietest = rested.min_by_key(|(since, _)| *since);
                quietest.ok_or(Trouble::Launch(NotStarted::Crowded))?.1.close();
            }
        }
        drop(tokio::time::timeout(END_WAIT, gone.changed()).await);
        self.0.local.start(name).map_err(Trouble::Launch)
    }

    /// Begins a conversation with a server of HTTP+SSE; `None` where the server is none.
    pub(super) async fn begin_elder(
        &self,
        client: &Client,
        message: &Bytes,
        standing: &Standing,
        upstream: &Upstream,
    ) -> Option<Result<Response<Body>, Trouble>> {
        let key = (upstream.id.clone(), upstream.url.clone());
        let (stream, endpoint) = match elder::connect(client, standing, upstream).await {
            Some(Ok(connected)) => connected,
            Some(Err(trouble)) => return Some(Err(trouble)),
            None => {
                lock(&self.0.elders).remove(&key);
                return None;
            }
        };
        {
            let mut elders = lock(&self.0.elders);
            if elders.len() >= ELDERS_MAX {
                elders.clear();
            }
            elders.insert(key);
        }
        let writer = Writer::of_endpoint(client.clone(), endpoint);
        let link =
            Link::new(upstream.clone(), standing.clone(), writer, STREAM_IDLE, Arc::clone(&self.0.answers));
        Some(self.begin(link, Source::Events(stream), None, message).await)
    }

    async fn begin(
        &self,
        link: Link,
        source: Source,
        end: Option<End>,
        message: &Bytes,
    ) -> Result<Response<Body>, Trouble> {
        let link = Arc::new(link);
        let id = format!("link-{}", self.0.numbers.fetch_add(1, Ordering::Relaxed));
        {
            let mut all = lock(&self.0.all);
            if all.len() >= LINKS_MAX {
                return Err(Trouble::Crowded);
            }
            all.insert(id.clone(), Arc::clone(&link));
        }
        tokio::spawn(self.clone().drive(id.clone(), Arc::clone(&link), source, end));
        let mut unopened = Unopened(Some(Arc::clone(&link)));
        let standing = link.standing.clone();
        let mut answer = link.serve(&Method::POST, message, &standing).await?;
        let id = HeaderValue::try_from(id).map_err(|_| Trouble::NotPermitted)?;
        answer.headers_mut().insert(SESSION_ID, id);
        unopened.0 = None;
        Ok(answer)
    }

    /// Reads what the server says until one side ends it.
    async fn drive(self, id: String, link: Arc<Link>, mut source: Source, end: Option<End>) {
        let why = loop {
            let idle_until = link.idle_until();
            let unused = async {
                match idle_until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    // Looked at again, since nothing tells when its requests are over.
                    None => tokio::time::sleep(STOP_WAIT).await,
                }
            };
            let read = tokio::select! {
                biased;
                () = link.closed() => break Trouble::SessionGone,
                read = source.next() => read,
                () = unused => {
                    if link.idle_until().is_some_and(|until| until <= Instant::now()) {
                        break Trouble::SessionGone;
                    }
                    continue;
                }
            };
            match read.and_then(|text| text.map(|text| link.hear(&text)).transpose()) {
                Ok(Some(Some(pong))) => {
                    // Of a process alone: a POST carries a credential, and nobody asks here whether it may.
                    if matches!(link.writer, Writer::Process(_)) {
                        let (link, standing) = (Arc::clone(&link), link.standing.clone());
                        tokio::spawn(async move { link.write(pong.into(), &standing, STOP_WAIT).await });
                    }
                }
                Ok(Some(None)) => {}
                Ok(None) => break Trouble::Broken,
                Err(trouble) => break trouble,
            }
        };
        let mut end = end;
        let mut not_started = None;
        if why == Trouble::Broken
            && let Some(ending) = end.as_mut()
            && let Ok(known) = tokio::time::timeout(END_WAIT, ending).await
        {
            not_started = known;
            end = None;
        }
        tracing::debug!(server = %link.upstream.name, %why, "a conversation is over");
        link.close();
        link.end(not_started.map_or(why, Trouble::Launch));
        link.writer.close().await;
        drop(tokio::time::timeout(STOP_WAIT, source.discard()).await);
        drop(source);
        if let Some(end) = end {
            drop(tokio::time::timeout(END_WAIT, end).await);
        }
        lock(&self.0.all).remove(&id);
        self.0.gone.send_modify(|gone| *gone += 1);
    }
}

/// Ends a conversation whose first words came to nothing.
struct Unopened(Option<Arc<Link>>);

impl Drop for Unopened {
    fn drop(&mut self) {
        if let Some(link) = self.0.take() {
            link.close();
        }
    }
}

impl Link {
    /// Serves one request as a server of streamable HTTP would.
    async fn serve(
        self: &Arc<Self>,
        method: &Method,
        message: &Bytes,
        standing: &Standing,
    ) -> Result<Response<Body>, Trouble> {
        if *method == Method::DELETE {
            self.close();
            return Ok(status(StatusCode::OK));
        }
        if *method == Method::GET {
            let events = self.listen();
            return Ok(
                events.map_or_else(|| status(StatusCode::CONFLICT), |events| stream(Body::Link(events)))
            );
        }
        let wait = self.upstream.patience.headers;
        let Ok(Message::Request(request)) = Message::parse(message) else {
            self.write(message.clone(), standing, wait).await?;
            return Ok(status(StatusCode::ACCEPTED));
        };
        let mut events = self.expect(&request.id)?;
        let mut writing = std::pin::pin!(self.write(message.clone(), standing, wait));
        let mut is_written = false;
        let late = tokio::time::sleep(wait);
        let mut late = std::pin::pin!(late);
        loop {
            tokio::select! {
                biased;
                begun = events.begin() => {
                    begun?;
                    return Ok(stream(Body::Link(events)));
                }
                written = &mut writing, if !is_written => match written {
                    Ok(()) => is_written = true,
                    // Why it is over is known a moment later.
                    Err(Trouble::Broken) => {
                        events.begin().await?;
                        return Ok(stream(Body::Link(events)));
                    }
                    Err(trouble) => return Err(trouble),
                },
                () = &mut late => return Err(Trouble::Silent),
            }
        }
    }
}

fn stream(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    answer
}

fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
