//! What a caller may use changes while a client listens: the client is told to list again.

use std::{sync::Arc, time::Duration};

use base::Position;
use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use wire::{
    json::Object,
    mcp::{Notice, Notification},
};

use crate::{
    Plane, Upstream, View,
    aggregate::{Aggregate, Naming},
    gateway::Visit,
    stream::event,
};

/// How long changes are collected before a caller's view is looked at.
const SETTLE: Duration = Duration::from_millis(100);
/// How long after a look there is none again: rights may change often, and each look costs.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a view is looked at although nobody heard of a change: grants end by themselves, in silence.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Watches what one caller may use of one server, or of all of them.
pub(crate) struct Rights<P: Plane> {
    plane: Arc<P>,
    caller: P::Caller,
    /// None for all servers.
    upstream: Option<Arc<Upstream>>,
    moved: watch::Receiver<Position>,
    seen: View,
    looked: Option<Instant>,
    /// When to look next.
    next: Instant,
    is_settling: bool,
}

/// Which lists a client should ask for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    pub(crate) prompts: bool,
}

impl Changed {
    const fn between(before: &View, after: &View) -> Self {
        Self {
            tools: differ(&before.tools, &after.tools),
            resources: differ(&before.resources, &after.resources),
            prompts: differ(&before.prompts, &after.prompts),
        }
    }

    fn is_any(self) -> bool {
        self != Self::default()
    }

    /// The notifications that say so.
    pub(crate) fn notices(self) -> impl Iterator<Item = Notification> {
        let said = [
            (self.tools, Notice::ToolsListChanged),
            (self.resources, Notice::ResourcesListChanged),
            (self.prompts, Notice::PromptsListChanged),
        ];
        said.into_iter().filter(|(is_changed, _)| *is_changed).map(|(_, notice)| Notification {
            method: notice.as_str().to_owned(),
            params: None,
            rest: Object::new(),
        })
    }
}

const fn differ(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return true;
        }
        index += 1;
    }
    false
}

impl<P: Plane> Rights<P> {
    pub(crate) fn of(visit: &Visit<P>) -> Self {
        let (plane, caller) = (Arc::clone(&visit.gate.plane), visit.caller().clone());
        Self::new(plane, caller, Some(Arc::clone(&visit.upstream)))
    }

    /// None for a part: the whole is watched there.
    pub(crate) fn unless_part(visit: &Visit<P>) -> Option<Self> {
        (visit.naming == Naming::Own).then(|| Self::of(visit))
    }

    pub(crate) fn of_all(all: &Aggregate<P>) -> Self {
        Self::new(Arc::clone(&all.gate.plane), all.caller().clone(), None)
    }

    fn new(plane: Arc<P>, caller: P::Caller, upstream: Option<Arc<Upstream>>) -> Self {
        // Subscribed before the first look, so that nothing falls in between.
        let moved = plane.rights();
        let seen = plane.view(&caller, upstream.as_deref());
        let next = Instant::now() + LOOK_AGAIN;
        Self { plane, caller, upstream, moved, seen, looked: None, next, is_settling: false }
    }

    /// Resolves when the caller's view is another. May be dropped and called again.
    pub(crate) async fn changed(&mut self) -> Changed {
        loop {
            if self.is_settling {
                sleep_until(self.next).await;
            } else {
                tokio::select! {
                    moved = self.moved.changed() => {
                        if moved.is_err() {
                            // The control plane is gone; the leash ends the stream.
                            std::future::pending::<()>().await;
                        }
                        let now = Instant::now();
                        let rested = self.looked.map_or(now, |looked| looked + PAUSE);
                        (self.next, self.is_settling) = ((now + SETTLE).max(rested), true);
                        continue;
                    }
                    () = sleep_until(self.next) => {}
                }
            }
            self.moved.mark_unchanged();
            let now = Instant::now();
            (self.looked, self.next, self.is_settling) = (Some(now), now + LOOK_AGAIN, false);
            let view = self.plane.view(&self.caller, self.upstream.as_deref());
            let changed = Changed::between(&self.seen, &view);
            self.seen = view;
            if changed.is_any() {
                return changed;
            }
        }
    }

    /// What a client within a session is told, for ever.
    pub(crate) fn into_events(self) -> impl Stream<Item = Bytes> + Send {
        stream::unfold(self, |mut rights| async move {
            let mut said = Vec::new();
            for notice in rights.changed().await.notices() {
                said.extend_from_slice(&event(&notice.to_bytes()));
            }
            Some((Bytes::from(said), rights))
        })
    }
}
