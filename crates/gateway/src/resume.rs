//! Streams of servers that are gone on with (MCP 2025-11-25, transports, "Resumability and Redelivery").
//!
//! A server may close the stream of an answer on purpose and let it be fetched later, and a connection may break. Either
//! way the request was made once and is not made again: only its stream is asked for, from the last event on.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    Gateway, Plane, Upstream,
    session::Session,
    upstream::{Frames, Trouble, Way},
};

/// How long to wait where the server does not say.
const WAIT: Duration = Duration::from_secs(1);
/// The least wait, whatever the server says: one that closes at once must not be asked without a pause.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// How often a stream may be gone on with and bring no event at all.
const EMPTY_MAX: usize = 5;

/// Where a stream stopped.
pub(crate) struct Pause {
    event: String,
    /// How long the server wants to be left alone.
    pub(crate) wait: Option<Duration>,
}

/// A stream that is being asked for again.
pub(crate) type Resuming = Pin<Box<dyn Future<Output = Result<Frames, Trouble>> + Send>>;

/// How the streams of one answer stopped so far.
#[derive(Default)]
pub(crate) struct Stops {
    last_event: Option<String>,
    empty: usize,
}

impl Stops {
    /// Whether a stream of the answer has stopped.
    pub(crate) const fn has_any(&self) -> bool {
        self.last_event.is_some()
    }

    /// Where a stream that ended without an answer can be gone on with; none where it cannot, or came to a standstill.
    pub(crate) fn stop(&mut self, frames: &Frames) -> Option<Pause> {
        let (event, wait) = frames.resume_point()?;
        let is_empty = self.last_event.as_ref() == Some(&event);
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        self.last_event = Some(event.clone());
        (self.empty < EMPTY_MAX).then_some(Pause { event, wait })
    }
}

/// Asks for the rest of a stream, after the wait; at once when somebody has waited already.
pub(crate) fn resume<P: Plane>(
    gate: &Arc<Gateway<P>>,
    upstream: &Arc<Upstream>,
    session: &Arc<Session>,
    pause: Pause,
    has_waited: bool,
) -> Resuming {
    let (gate, upstream, session) = (Arc::clone(gate), Arc::clone(upstream), Arc::clone(session));
    Box::pin(async move {
        if !has_waited {
            tokio::time::sleep(pause.wait.unwrap_or(WAIT).max(WAIT_MIN)).await;
        }
        let way = Way::within(&upstream, &session);
        let answer = gate.client.resume(&session.standing(), way, &pause.event).await?;
        Frames::of_answer(answer, &upstream, true)
    })
}
