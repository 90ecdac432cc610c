//! One connection: which requests it may carry, and when it ends.

use std::{
    convert::Infallible,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::timeout,
};
use tower::ServiceExt as _;

use super::{
    framing::{Framing, refusal},
    places::{Lane, Place},
    unread::Offers,
};

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
    pub(super) router: Router,
    /// How long a connection may be without a request.
    pub(super) idle: Duration,
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
        let (count, mut requests) = watch::channel(0_usize);
        let (router, idle) = (self.router.clone(), self.idle(lane));
        let is_used = AtomicBool::new(false);
        let offers = Offers::default();
        let untaken = offers.clone();
        let asked = place.asked();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            asked.note();
            let (under_way, router, offers) = (UnderWay::begin(&count), router.clone(), offers.clone());
            // SECURITY: a peer of HTTP/2 may have sent more before it learns that the connection ends.
            let is_first = !is_used.swap(true, Ordering::Relaxed);
            request.extensions_mut().insert(sender.clone());
            async move {
                // Connections of HTTP/2 are ended by a frame of their own (RFC 9113, section 8.2.2).
                let framing = Framing::of(request.version(), request.headers());
                let is_last = lane == Lane::Reserved || framing != Framing::Plain;
                let says_close = is_last && request.version() <= Version::HTTP_11;
                let mut response = match (framing, lane) {
                    (Framing::Wrong(why), _) => refusal(why),
                    (_, Lane::Reserved) if !is_first || !is_urgent(request.uri().path()) => crowded(),
                    (Framing::Plain | Framing::Last, _) => answer(router, request).await,
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
        let mut first = requests.clone();
        let end_after_one = async {
            match lane {
                Lane::General => std::future::pending().await,
                Lane::Reserved => drop(first.changed().await),
            }
        };
        tokio::select! {
            ended = connection.as_mut() => return note(ended),
            () = untaken.untaken(idle) => return,
            () = is_idle(&mut requests, idle) => {}
            () = end_after_one => {}
            _ = stopped.wait_for(|&stopped| stopped) => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => note(ended),
            () = untaken.untaken(idle) => {}
            () = is_idle(&mut requests, PARTING) => {}
        }
    }
}

fn note(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

/// Returns when no request has been under way for `patience`.
///
/// hyper has a time limit for a request's head over HTTP/1, and none before it knows which HTTP is spoken, nor for
/// HTTP/2 without streams.
async fn is_idle(requests: &mut watch::Receiver<usize>, patience: Duration) {
    loop {
        let under_way = *requests.borrow_and_update();
        let changed = if under_way > 0 {
            requests.changed().await
        } else {
            let Ok(changed) = timeout(patience, requests.changed()).await else { return };
            changed
        };
        if changed.is_err() {
            // The connection has dropped its service; it says itself when it has ended.
            std::future::pending::<()>().await;
        }
    }
}

/// Whether a path stops things or tells how they are.
fn is_urgent(path: &str) -> bool {
    path.starts_with("/api/v1/") || matches!(path, "/livez" | "/readyz" | "/metrics")
}

async fn answer(router: Router, request: Request<Incoming>) -> Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn crowded() -> Response {
    metrics::counter!("writ_requests_crowded_out_total").increment(1);
    let message = "all connections that Writ accepts, or accepts from your address, are in use; the few that are \
                   kept free are for /api/v1, /livez, /readyz and /metrics; try again shortly";
    let body = Json(json!({ "code": "busy", "message": message }));
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}

/// One request under way, its answer's body included.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn begin(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::is_urgent;

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
