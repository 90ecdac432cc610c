//! Answers that come in pieces: server-sent events over a channel.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};

use super::Shared;
use super::rpc::{response, tool_result};

/// How often the watching tool reports.
const TICK: Duration = Duration::from_millis(100);
const TICKS_PER_SECOND: u64 = 10;

/// Watches for `seconds`: one progress notification per tick, then the result.
pub(super) fn watch(shared: Arc<Shared>, id: Value, token: Value, seconds: u64) -> Response {
    open(shared, |pieces| async move {
        let mut ticks = tokio::time::interval(TICK);
        for tick in 1..=seconds * TICKS_PER_SECOND {
            ticks.tick().await;
            // Without a token the client did not ask for progress (MCP, progress); a comment keeps the line warm.
            let piece = if token.is_null() { comment() } else { progress(&token, tick, seconds) };
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
        let result = tool_result(Ok(json!({"watched_seconds": seconds, "new_tickets": 0})));
        // A client that left does not want its result.
        drop(pieces.send(event(&response(&id, Ok(result)))).await);
    })
}

/// The standing stream of notifications that a client opens with GET.
pub(super) fn listen(shared: Arc<Shared>) -> Response {
    let notices = shared.notices.subscribe();
    open(shared, |pieces| async move {
        let mut notices = notices;
        let mut ticks = tokio::time::interval(Duration::from_secs(15));
        loop {
            let piece = tokio::select! {
                _ = ticks.tick() => comment(),
                notice = notices.recv() => match notice {
                    Ok(method) => event(&json!({"jsonrpc": "2.0", "method": method})),
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = pieces.closed() => return,
            };
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    })
}

/// Starts `feed` and answers with what it sends; the journal counts the stream until its reader is gone.
fn open<F>(shared: Arc<Shared>, feed: impl FnOnce(mpsc::Sender<Bytes>) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(4);
    shared.journal.stream_opened();
    tokio::spawn(feed(sender));
    let mut response = Body::new(Pieces { receiver, shared }).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn event(message: &Value) -> Bytes {
    format!("event: message\ndata: {message}\n\n").into()
}

fn comment() -> Bytes {
    Bytes::from_static(b": still here\n\n")
}

fn progress(token: &Value, tick: u64, seconds: u64) -> Bytes {
    event(&json!({
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": token, "progress": tick, "total": seconds * TICKS_PER_SECOND},
    }))
}

/// A body that is fed by a channel.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.receiver.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        self.shared.journal.stream_closed();
    }
}
