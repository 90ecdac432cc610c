//! The end of authority while something is under way.

use std::{sync::Arc, time::Duration};

use base::{Clock, Position, Timestamp};
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
    /// None where it is about all servers.
    upstream: Option<Arc<Upstream>>,
    revocations: watch::Receiver<Position>,
    clock: Arc<dyn Clock>,
    /// When the caller's authority was looked at last, and when it ends by itself.
    seen: Option<(Timestamp, Timestamp)>,
}

/// How long what was seen of a caller's authority counts while nobody says that anything was taken away, in milliseconds:
/// some of what it rests on ends by itself.
const SEEN_MS: i64 = 1000;

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
    pub(crate) fn new(
        plane: Arc<P>,
        caller: P::Caller,
        upstream: Option<Arc<Upstream>>,
        revocations: watch::Receiver<Position>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let seen = Some((clock.now(), plane.deadline(&caller)));
        Self { plane, caller, upstream, revocations, clock, seen }
    }

    /// Whether a notification is about nothing that the caller may not read.
    ///
    /// SECURITY: a right to a resource may end, and the subscription to it lasts.
    pub(crate) fn lets_hear(&self, notification: &Notification) -> bool {
        if Notice::parse(&notification.method) != Some(Notice::ResourcesUpdated) {
            return true;
        }
        let uri = notification.param("uri").and_then(Json::as_str);
        let Some((uri, upstream)) = uri.zip(self.upstream.as_deref()) else { return false };
        self.plane.visible(&self.caller, upstream, Item::Resource(uri))
    }

    /// The same leash for what goes to one server.
    pub(crate) fn on(&self, upstream: &Arc<Upstream>) -> Self {
        Self { upstream: Some(Arc::clone(upstream)), ..self.again() }
    }

    /// Whether the caller gets to see what came of calling a tool.
    pub(crate) fn sees_what_came_of(&self, tool: &str) -> bool {
        let upstream = self.upstream.as_deref();
        upstream.is_some_and(|upstream| self.plane.visible(&self.caller, upstream, Item::Called(tool)))
    }

    /// The same leash for another message of the same request.
    pub(crate) fn again(&self) -> Self {
        Self {
            plane: Arc::clone(&self.plane),
            caller: self.caller.clone(),
            upstream: self.upstream.clone(),
            revocations: self.revocations.clone(),
            clock: Arc::clone(&self.clock),
            seen: None,
        }
    }

    /// Resolves when authority has ended; at once if it has. May be dropped and called again.
    pub(crate) async fn ended(&mut self) -> Cut {
        /// Timers hold no longer spans well; looking again costs nothing.
        const LOOK_AGAIN: i64 = 3_600_000;
        loop {
            let Ok(is_told) = self.revocations.has_changed() else { return Cut::Blind };
            let now = self.clock.now();
            let seen = self.seen.filter(|(at, _)| !is_told && (0..SEEN_MS).contains(&now.millis_since(*at)));
            let ends = if let Some((_, ends)) = seen {
                ends
            } else {
                // Before it is looked at: what is told meanwhile is looked at again.
                self.revocations.mark_unchanged();
                self.plane.deadline(&self.caller)
            };
            let left = ends.millis_since(now);
            if left <= 0 {
                return Cut::Deadline;
            }
            if !self.plane.is_fresh() {
                return Cut::Stale;
            }
            if seen.is_none() {
                if !self.plane.is_live(&self.caller, self.upstream.as_deref()) {
                    return Cut::Revoked;
                }
                self.seen = Some((now, ends));
            }
            let left = Duration::from_millis(left.min(LOOK_AGAIN).unsigned_abs());
            tokio::select! {
                changed = self.revocations.changed() => {
                    if changed.is_err() {
                        return Cut::Blind;
                    }
                    self.seen = None;
                }
                () = tokio::time::sleep(left) => {}
            }
        }
    }
}
