//! Messages beside the calls: signs of life, cancellations, the ends of streams. Bounded, and no call waits for them.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    Gateway, Plane, Upstream,
    session::Session,
    upstream::{Frames, Standing, Way},
};

/// How long the end of a stream may take after its answer.
const DRAIN_WAIT: Duration = Duration::from_secs(1);

impl<P: Plane> Gateway<P> {
    /// Reads the end of a stream whose answer has come, so that its connection can be used again. Mostly it is there
    /// already; otherwise somebody waits for it beside the calls.
    pub(crate) fn finish(&self, mut frames: Frames) {
        if frames.drain().now_or_never().is_some() {
            return;
        }
        let Ok(turn) = Arc::clone(&self.errands).try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _ = tokio::time::timeout(DRAIN_WAIT, frames.drain()).await;
            drop(turn);
        });
    }

    /// Sends a message of upkeep in the background; when too many are under way, it is left unsent.
    pub(crate) fn errand(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        session: &Arc<Session>,
        message: Vec<u8>,
    ) {
        let Ok(turn) = Arc::clone(&self.errands).try_acquire_owned() else {
            tracing::warn!(server = %upstream.name, "too many messages of upkeep are under way; one was left unsent");
            return;
        };
        let errand = Errand { turn, standing: session.standing(), message };
        let (gate, upstream, session) = (Arc::clone(self), Arc::clone(upstream), Arc::clone(session));
        tokio::spawn(async move {
            // SECURITY: no credential goes to a server that was stopped, moved or given another one meanwhile.
            if !gate.plane.is_current(&upstream, errand.standing.headers()) {
                return;
            }
            let way = Way::within(&upstream, &session);
            if let Err(trouble) = gate.client.tell(&errand.standing, errand.message, way).await {
                tracing::debug!(server = %upstream.name, %trouble, "a message of upkeep was not delivered");
            }
            drop(errand.turn);
        });
    }
}

struct Errand {
    turn: OwnedSemaphorePermit,
    standing: Standing,
    message: Vec<u8>,
}
