//! The end of authority while something is under way.

use std::{sync::Arc, time::Duration};

use base::{Clock, Position};
use tokio::sync::watch;
use wire::{
    json::Json,
    mcp::{Denial, Notice, Notification},
};

use crate::{Item, Plane, Upstream};

/// Waits until a caller's authority ends.
pub(crate) struct Leash<P: Plane> {
    plane: Arc<P>,
    caller: P::Caller,
    upstream: Arc<Upstream>,
    revocations: watch::Receiver<Position>,
    clock: Arc<dyn Clock>,
}

/// Why something under way was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Something that the caller's authority rests on was revoked, suspended or completed.
    Revoked,
    /// The token or the task has reached its end.
    Deadline,
    /// Nobody can tell: this node cannot prove that it knows the latest revocations.
    Stale,
    /// The control plane is gone; without it nobody can tell.
    Blind,
}

impl Cut {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Revoked => "authority_revoked",
            Self::Deadline => "deadline_reached",
            Self::Stale => "node_stale",
            Self::Blind => "control_plane_gone",
        }
    }

    const fn reason(self) -> &'static str {
        match self {
            Self::Revoked => "the authority of this task or agent was ended while the request was under way",
            Self::Deadline => "the task or its token reached its end while the request was under way",
            Self::Stale => {
                "this node could no longer prove that it knows the latest revocations while the request was under way"
            }
            Self::Blind => "the control plane stopped while the request was under way",
        }
    }

    pub(crate) fn denial(self) -> Denial {
        let help = match self {
            Self::Revoked | Self::Deadline => "ask the person behind this task for a new one",
            Self::Stale | Self::Blind => "try again later; what was under way may have had its effect",
        };
        Denial::new(self.code(), self.reason(), help)
    }
}

impl<P: Plane> Leash<P> {
    /// `revocations` must be older than the authentication of `caller`, so that nothing falls in between.
    pub(crate) const fn new(
        plane: Arc<P>,
        caller: P::Caller,
        upstream: Arc<Upstream>,
        revocations: watch::Receiver<Position>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { plane, caller, upstream, revocations, clock }
    }

    /// Whether a notification is about nothing that the caller may not read.
    ///
    /// SECURITY: a right to a resource may end, and the subscription to it lasts.
    pub(crate) fn lets_hear(&self, notification: &Notification) -> bool {
        if Notice::parse(&notification.method) != Some(Notice::ResourcesUpdated) {
            return true;
        }
        let uri = notification.param("uri").and_then(Json::as_str);
        uri.is_some_and(|uri| self.plane.visible(&self.caller, &self.upstream, Item::Resource(uri)))
    }

    /// Whether the caller gets to see what came of calling a tool.
    pub(crate) fn sees_what_came_of(&self, tool: &str) -> bool {
        self.plane.visible(&self.caller, &self.upstream, Item::Called(tool))
    }

    /// The same leash for another message of the same request.
    pub(crate) fn again(&self) -> Self {
        Self {
            plane: Arc::clone(&self.plane),
            caller: self.caller.clone(),
            upstream: Arc::clone(&self.upstream),
            revocations: self.revocations.clone(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Resolves when authority has ended; at once if it has. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Cut {
        /// Timers hold no longer spans well; looking again costs nothing.
        const LOOK_AGAIN: i64 = 3_600_000;
        loop {
            self.revocations.borrow_and_update();
            let left = self.plane.deadline(&self.caller).millis_since(self.clock.now());
            if left <= 0 {
                return Cut::Deadline;
            }
            if !self.plane.is_fresh() {
                return Cut::Stale;
            }
            if !self.plane.is_live(&self.caller, &self.upstream) {
                return Cut::Revoked;
            }
            let left = Duration::from_millis(left.min(LOOK_AGAIN).unsigned_abs());
            tokio::select! {
                changed = self.revocations.changed() => if changed.is_err() { return Cut::Blind },
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}
