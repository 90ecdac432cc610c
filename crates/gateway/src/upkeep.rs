//! Sessions that are over: found, forgotten, and ended on the servers' side.

use std::{collections::HashMap, sync::Arc, time::Duration};

use base::ServerId;
use futures_util::{StreamExt, stream};
use http::Uri;
use tokio::sync::OwnedSemaphorePermit;

use crate::{Gateway, Holder, Plane, aggregate::Whole, session::Session, upstream::Way};

/// How long the ends of authority are collected before sessions are looked through again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often sessions are looked through although nobody heard of an end: deadlines pass in silence.
const LOOK_AGAIN: Duration = Duration::from_mins(1);
/// How many sessions of one batch are ended at once.
const CLOSINGS_AT_ONCE: usize = 8;
/// How long a server may take to end a session.
const CLOSING_WAIT: Duration = Duration::from_secs(5);

impl<P: Plane> Gateway<P> {
    /// Forgets sessions whose authority has ended, until the control plane is gone. To be run beside the router.
    ///
    /// A session without authority is of no use to anybody: each of its requests is refused. But it would keep a place
    /// here and one at the server.
    pub async fn tend(self: Arc<Self>) {
        let mut revocations = self.plane.revocations();
        loop {
            let over = self.without_authority(self.sessions.all());
            self.forget(over);
            self.forget_wholes();
            self.client.hang_up_unless(|upstream, inject| self.plane.is_current(upstream, inject));
            let now = self.config.clock.now();
            drop(self.parked.take_over(now));
            let is_over =
                |session: &Session| !self.plane.may_return(&session.holder, Some(&session.upstream));
            self.delivered.forget(now, is_over);
            tokio::select! {
                changed = revocations.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            tokio::time::sleep(PAUSE).await;
            revocations.borrow_and_update();
        }
    }

    /// Makes room where every place is taken: by sessions whose authority has ended, and by those that nobody used for
    /// long.
    pub(crate) fn make_room(self: &Arc<Self>) {
        let now = self.config.clock.now();
        let all = self.sessions.to_sweep(now);
        let (idle, used): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|session| self.sessions.is_idle(session, now));
        self.forget(idle);
        let over = self.without_authority(used);
        self.forget(over);
    }

    /// Those whose holders may not come back. Each holder is asked about once for each server.
    fn without_authority(&self, sessions: Vec<Arc<Session>>) -> Vec<Arc<Session>> {
        let mut asked: HashMap<(Holder, ServerId, Uri), bool> = HashMap::new();
        let mut is_over = |session: &Arc<Session>| {
            let upstream = &session.upstream;
            let key = (session.holder.clone(), upstream.id.clone(), upstream.url.clone());
            !*asked.entry(key).or_insert_with(|| self.plane.may_return(&session.holder, Some(upstream)))
        };
        sessions.into_iter().filter(|session| is_over(session)).collect()
    }

    /// Those of clients with all servers, and their parts with them.
    fn forget_wholes(self: &Arc<Self>) {
        let is_over = |whole: &Arc<Whole>| !self.plane.may_return(&whole.holder, None);
        for whole in self.wholes.all().into_iter().filter(is_over) {
            self.close_whole(&whole);
        }
    }

    /// Lets go of what waits for a client to come back to a session that is over.
    pub(crate) fn leave_nothing_of(&self, session: &Arc<Session>) {
        drop(self.parked.take_of(session));
        self.delivered.forget(self.config.clock.now(), |of| std::ptr::eq(of, Arc::as_ptr(session)));
    }

    pub(crate) fn forget(self: &Arc<Self>, sessions: Vec<Arc<Session>>) {
        let gone = sessions.into_iter().filter(|session| self.sessions.close(session)).collect();
        self.end_upstream(gone);
    }

    /// Ends sessions that were dropped here on their servers' side, in the background. When too many wait for that,
    /// they are left to their servers.
    pub(crate) fn end_upstream(self: &Arc<Self>, sessions: Vec<Arc<Session>>) {
        let sessions = sessions.into_iter().filter(|session| !self.client.hang_up(session));
        let with_turns = sessions.filter(|session| session.is_kept_by_server()).map_while(|session| {
            let turn = Arc::clone(&self.closings).try_acquire_owned().ok()?;
            Some((session, turn))
        });
        let batch: Vec<(Arc<Session>, OwnedSemaphorePermit)> = with_turns.collect();
        if batch.is_empty() {
            return;
        }
        let gate = Arc::clone(self);
        tokio::spawn(async move {
            let ends = stream::iter(batch).for_each_concurrent(CLOSINGS_AT_ONCE, |(session, turn)| {
                let gate = &gate;
                async move {
                    gate.end_one_upstream(&session).await;
                    drop(turn);
                }
            });
            ends.await;
        });
    }

    async fn end_one_upstream(&self, session: &Session) {
        let (upstream, standing) = (&session.upstream, session.standing());
        // SECURITY: looked at when it is sent: no credential goes to a server that was stopped or moved meanwhile, and
        // none that was replaced goes anywhere.
        if !self.plane.is_current(upstream, standing.headers()) {
            return;
        }
        let closing = self.client.close(&standing, Way::within(upstream, session));
        match tokio::time::timeout(CLOSING_WAIT, closing).await {
            Ok(Ok(_)) => {}
            // It may refuse to end sessions (405).
            Ok(Err(trouble)) => {
                tracing::debug!(server = %upstream.name, %trouble, "the server did not end a session");
            }
            Err(_elapsed) => {
                tracing::debug!(server = %upstream.name, "the server takes too long to end a session");
            }
        }
    }
}
