//! One connection: which requests it may carry, and when it ends.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use gateway::Gateway;
use http::{HeaderValue, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};
use tower::ServiceExt as _;

use super::{
    framing::{Framing, refusal},
    panics,
    places::{Lane, Place, sender_at},
    proxies::Proxies,
    unread::Offers,
};
use crate::plane::ControlPlane;

/// How long a connection of the reserved lane may be without a request: those who need the lane know what they want.
const RESERVED_IDLE: Duration = Duration::from_secs(3);
/// How long a connection of the reserved lane may last in all.
const RESERVED_WHOLE: Duration = Duration::from_secs(30);
/// How long a peer that was told that the connection ends may take to agree.
const PARTING: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) general: auto::Builder<TokioExecutor>,
    /// HTTP for the reserved lane: one request at a time.
    pub(super) reserved: auto::Builder<TokioExecutor>,
    pub(super) services: Services,
    /// The reverse proxies whose word about their clients counts.
    pub(super) proxies: Arc<Proxies>,
    /// How long a connection may be without a request.
    pub(super) idle: Duration,
}

/// What answers requests.
#[derive(Clone)]
pub(super) struct Services {
    /// Most of all requests are calls, so they go past the router.
    pub(super) gateway: Arc<Gateway<ControlPlane>>,
    pub(super) router: Router,
}

impl Services {
    async fn answer(self, request: Request<Incoming>) -> Response {
        let path = request.uri().path();
        if path == "/mcp" || path.starts_with("/mcp/") {
            return panics::guarded(self.gateway.serve(request.map(Body::new))).await;
        }
        match self.router.oneshot(request).boxed().await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl Host {
    /// How long a connection of this lane may be without a request, its beginning included.
    pub(super) fn idle(&self, lane: Lane) -> Duration {
        match lane {
            Lane::General => self.idle,
            Lane::Reserved => RESERVED_IDLE.min(self.idle),
        }
    }

    /// Serves a connection until its peer leaves, it is idle or takes nothing of an answer for too long, or `stopped` says so and nothing is under
    /// way any more. In the reserved lane: for one request.
    pub(super) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: &Place,
        stopped: watch::Receiver<bool>,
    ) {
        match place.lane() {
            Lane::General => self.run(stream, place, stopped).await,
            Lane::Reserved => drop(timeout(RESERVED_WHOLE, self.run(stream, place, stopped)).await),
        }
    }

    async fn run(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: &Place,
        mut stopped: watch::Receiver<bool>,
    ) {
        let (lane, sender) = (place.lane(), place.sender());
        let proxies = self.proxies.trust(place.peer()).then(|| Arc::clone(&self.proxies));
        let activity = Activity::begin();
        let requests = activity.clone();
        let (services, idle) = (self.services.clone(), self.idle(lane));
        let is_used = AtomicBool::new(false);
        let offers = Offers::default();
        let untaken = offers.clone();
        let asked = place.asked();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            asked.note();
            let (under_way, services, offers) = (activity.request(), services.clone(), offers.clone());
            // SECURITY: a peer of HTTP/2 may have sent more before it learns that the connection ends.
            let is_first = !is_used.swap(true, Ordering::Relaxed);
            let client = proxies.as_ref().and_then(|proxies| proxies.client(request.headers()));
            request.extensions_mut().insert(client.map_or_else(|| sender.clone(), sender_at));
            async move {
                // Connections of HTTP/2 are ended by a frame of their own (RFC 9113, section 8.2.2).
                let framing = Framing::of(request.version(), request.headers());
                let is_last = lane == Lane::Reserved || framing != Framing::Plain;
                let says_close = is_last && request.version() <= Version::HTTP_11;
                let mut response = match (framing, lane) {
                    (Framing::Wrong(why), _) => refusal(why),
                    (_, Lane::Reserved) if !is_first || !is_urgent(request.uri().path()) => crowded(),
                    (Framing::Plain | Framing::Last, _) => services.answer(request).await,
                };
                if says_close {
                    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response.map(|body| offers.offer(body, under_way)))
            }
        });
        let server = match lane {
            Lane::General => &self.general,
            Lane::Reserved => &self.reserved,
        };
        let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
        let end_after_one = async {
            match lane {
                Lane::General => std::future::pending().await,
                Lane::Reserved => requests.0.first.notified().await,
            }
        };
        tokio::select! {
            ended = connection.as_mut() => return note(ended),
            () = untaken.untaken(idle) => return,
            () = requests.idle(idle) => {}
            () = end_after_one => {}
            _ = stopped.wait_for(|&stopped| stopped) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => note(ended),
            () = untaken.untaken(idle) => {}
            () = requests.idle(PARTING) => {}
        }
    }
}

fn note(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Whether a path stops things or tells how they are.
fn is_urgent(path: &str) -> bool {
    path.starts_with("/api/v1/") || matches!(path, "/livez" | "/readyz" | "/metrics")
}

fn crowded() -> Response {
    metrics::counter!("writ_requests_crowded_out_total").increment(1);
    let message = "all connections that Writ accepts, or accepts from your address, are in use; the few that are \
                   kept free are for /api/v1, /livez, /readyz and /metrics; try again shortly";
    let body = Json(json!({ "code": "busy", "message": message }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}

/// What a connection carries: how many requests are under way, and since when none is.
///
/// hyper has a time limit for a request's head over HTTP/1, and none before it knows which HTTP is spoken, nor for
/// HTTP/2 without streams.
#[derive(Clone)]
struct Activity(Arc<Carried>);

struct Carried {
    now: Mutex<Now>,
    /// Rung by the first request.
    first: Notify,
}

struct Now {
    under_way: usize,
    idle_since: Instant,
}

impl Activity {
    fn begin() -> Self {
        let now = Now { under_way: 0, idle_since: Instant::now() };
        Self(Arc::new(Carried { now: Mutex::new(now), first: Notify::new() }))
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        // Whole after each statement; nothing panics while it is held.
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self) -> UnderWay {
        self.now().under_way += 1;
        self.0.first.notify_one();
        UnderWay(self.clone())
    }

    /// Returns when from now on no request has been under way for `patience`. It looks now and then; requests wake nobody.
    async fn idle(&self, patience: Duration) {
        let began = Instant::now();
        loop {
            let end = {
                let now = self.now();
                let since = if now.under_way > 0 { Instant::now() } else { now.idle_since };
                since.max(began) + patience
            };
            if end <= Instant::now() {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// One request under way, its answer's body included.
struct UnderWay(Activity);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut now = self.0.now();
        now.under_way -= 1;
        if now.under_way == 0 {
            now.idle_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep, timeout};

    use super::{Activity, is_urgent};

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_when_nothing_was_under_way_for_long_enough() {
        let (activity, patience) = (Activity::begin(), Duration::from_secs(10));
        let began = Instant::now();
        activity.idle(patience).await;
        assert_eq!(began.elapsed(), patience);
        let (one, two) = (activity.request(), activity.request());
        assert!(timeout(10 * patience, activity.idle(patience)).await.is_err(), "two are under way");
        drop(one);
        let began = Instant::now();
        let busy = async {
            sleep(Duration::from_secs(7)).await;
            drop(two);
            sleep(Duration::from_secs(7)).await;
            drop(activity.request());
        };
        tokio::join!(busy, async {
            activity.idle(patience).await;
            assert_eq!(began.elapsed(), Duration::from_secs(24));
        });
    }

    #[test]
    fn only_what_stops_or_tells_is_urgent() {
        for path in ["/api/v1/kill", "/api/v1/status", "/livez", "/readyz", "/metrics"] {
            assert!(is_urgent(path), "{path}");
        }
        for path in
            ["/", "/mcp", "/mcp/notes", "/oauth2/token", "/api/v1", "/api/v10/x", "/livez/x", "//api/v1/x"]
        {
            assert!(!is_urgent(path), "{path}");
        }
    }
}
