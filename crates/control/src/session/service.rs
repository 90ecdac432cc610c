//! Beginning, finding, raising and ending sessions.

use std::sync::Arc;

use base::{Actor, AnyId, Ctx, Error, Event, EventKind, PersonId, SessionId, TenantId, Timestamp};
use moka::sync::Cache;
use serde_json::json;
use store::Unrecorded;

use super::{
    model::{
        IDLE_SECONDS, LINK_SECONDS_MAX, SECONDS_MAX, SESSIONS_MAX, Session, SessionRefusal, SessionSecret,
        Visitor,
    },
    store as rows,
};
use crate::{
    authority::{Authority, System},
    control::Control,
    principal::{Level, Proof},
    readers::Reader,
    snapshot::{Life, Snapshot},
};

/// How often it is written down that a session is in use, in seconds.
const TOUCH_SECONDS: i64 = 60;
/// Sessions of which this node knows when they were last used here.
const SEEN_MAX: u64 = 65_536;

/// When this node last saw a session in use and wrote it down.
pub(crate) type SeenCache = Cache<SessionId, Timestamp>;

/// An empty one.
pub(crate) fn seen_cache() -> SeenCache {
    Cache::new(SEEN_MAX)
}

/// A person within a session that is alive. Made only by [`Control::in_session`].
#[derive(Clone, Debug)]
pub(crate) struct InSession {
    ctx: Ctx,
    pub(crate) session: Arc<Session>,
    digest: [u8; 32],
}

impl InSession {
    pub(crate) fn person(&self) -> &PersonId {
        &self.session.proof.person
    }

    pub(crate) const fn now(&self) -> Timestamp {
        self.ctx.now
    }
}

impl Authority for InSession {
    fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    fn stands(&self, known: &Snapshot) -> Result<(), Error> {
        known.session_lives(&self.digest, &self.ctx.tenant, self.ctx.now).map(drop)
    }
}

impl Control {
    /// Begins a session for a person who proved themself. Answers with the secret that goes into the cookie.
    pub(crate) async fn start_session(
        &self,
        proof: &Proof,
        visitor: &Visitor,
    ) -> Result<(SessionSecret, Arc<Session>), Error> {
        let person = &proof.person;
        let by = self.arriving(person);
        let ctx = by.ctx();
        let seconds = if proof.level == Level::Link { LINK_SECONDS_MAX } else { SECONDS_MAX };
        let secret = SessionSecret::new(ctx.dice.as_ref());
        let plan = |known: &Snapshot| {
            Ok(Session {
                id: SessionId::new(ctx.now, ctx.dice.as_ref()),
                proof: proof.clone(),
                proved: ctx.now,
                began: ctx.now,
                expires: ctx.now.plus_seconds(seconds),
                generation: known.generation,
                position: known.position,
                visitor: visitor.clone(),
            })
        };
        let (mut tx, session) = self.begin(&by, plan).await?;
        let mut events = Vec::new();
        let open = rows::of_person(&mut tx, person).await?;
        for (id, _) in open.iter().take((open.len() + 1).saturating_sub(SESSIONS_MAX)) {
            rows::end(&mut tx, person, id).await?;
            events.push(ended(id, "too_many"));
        }
        rows::insert(&mut tx, &session, &secret.digest()).await?;
        let facts = json!({ "person": person, "acr": proof.level.acr(), "amr": proof.methods });
        events.push(Event::new(EventKind::SessionStarted, &session.id, facts));
        self.keep(tx, events).await?;
        Ok((secret, Arc::new(session)))
    }

    /// Notes that the person of a session proved themself again. The session gets another secret: who knew the old one
    /// is out.
    pub(crate) async fn raise_session(
        &self,
        by: &InSession,
        proof: &Proof,
    ) -> Result<(SessionSecret, Arc<Session>), Error> {
        let secret = SessionSecret::new(by.ctx.dice.as_ref());
        let raised = Session {
            proof: proof.clone(),
            proved: by.ctx.now,
            expires: by.session.began.plus_seconds(SECONDS_MAX),
            ..Session::clone(&by.session)
        };
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        if !rows::replace(&mut tx, &raised, &by.digest, &secret.digest()).await? {
            return Err(SessionRefusal::Over.into());
        }
        let facts = json!({ "person": proof.person, "acr": proof.level.acr(), "amr": proof.methods });
        self.keep(tx, vec![Event::new(EventKind::SessionRaised, &raised.id, facts)]).await?;
        Ok((secret, Arc::new(raised)))
    }

    /// The session behind a cookie, if it is alive.
    pub(crate) async fn in_session(&self, secret: &SessionSecret) -> Result<InSession, Error> {
        let digest = secret.digest();
        let ctx = self.ctx(Actor::Anonymous);
        let mut known = Arc::clone(&self.snapshot());
        if !known.sessions.contains_key(&digest) {
            // It may have begun on another node a moment ago.
            let _place = self.inner().readers.admit(Reader::Stranger).await?;
            self.catch_up().await?;
            known = Arc::clone(&self.snapshot());
        }
        let session = known.session_lives(&digest, &ctx.tenant, ctx.now)?.clone();
        self.notice(&session.id, ctx.now).await?;
        Ok(InSession { ctx: ctx.acting_as(Actor::Person(session.proof.person.clone())), session, digest })
    }

    /// Ends a session that nobody used for a while, and writes down of others that they are used.
    async fn notice(&self, id: &SessionId, now: Timestamp) -> Result<(), Error> {
        let seen_here = &self.inner().seen;
        if seen_here.get(id).is_some_and(|seen| now < seen.plus_seconds(TOUCH_SECONDS)) {
            return Ok(());
        }
        let seen = {
            let _place = self.inner().readers.admit(Reader::Owner).await?;
            rows::seen(&mut *self.store().read().await?, id).await?
        };
        let idle = seen.is_none_or(|seen| seen.plus_seconds(IDLE_SECONDS) <= now);
        if idle {
            return Err(SessionRefusal::Over.into());
        }
        let (mut tx, ()) = self.begin(&self.system("sessions"), |_| Ok(())).await?;
        rows::touch(&mut tx, id, now).await?;
        tx.commit_unrecorded(Unrecorded::Observed).await?;
        seen_here.insert(id.clone(), now);
        Ok(())
    }

    /// The sessions of a person with when each was last used, the newest first.
    pub(crate) async fn sessions_of(
        &self,
        person: &PersonId,
    ) -> Result<Vec<(Arc<Session>, Timestamp)>, Error> {
        let _place = self.inner().readers.admit(Reader::Owner).await?;
        let open = rows::of_person(&mut *self.store().read().await?, person).await?;
        let known = self.snapshot();
        let now = self.now();
        let alive = open.into_iter().rev().filter_map(|(id, seen)| {
            let digest = known.session_digests.get(&id)?;
            let session = known.session_lives(digest, &TenantId::first(), now).ok()?.clone();
            (now < seen.plus_seconds(IDLE_SECONDS)).then_some((session, seen))
        });
        Ok(alive.collect())
    }

    /// Ends sessions of a person: the one named, or all but the one named.
    pub(crate) async fn end_sessions(
        &self,
        by: &impl Authority,
        person: &PersonId,
        which: Which<'_>,
        reason: &str,
    ) -> Result<Vec<SessionId>, Error> {
        let (mut tx, ()) = self.begin(by, |_| Ok(())).await?;
        let open = rows::of_person(&mut tx, person).await?.into_iter().map(|(id, _)| id);
        let wanted: Vec<SessionId> = match which {
            Which::One(wanted) => open.filter(|id| id == wanted).collect(),
            Which::AllBut(spared) => open.filter(|id| Some(id) != spared).collect(),
        };
        if wanted.is_empty() {
            tx.rollback().await?;
            return if matches!(which, Which::One(_)) {
                Err(SessionRefusal::Missing.into())
            } else {
                Ok(Vec::new())
            };
        }
        let mut events = Vec::new();
        for id in &wanted {
            rows::end(&mut tx, person, id).await?;
            events.push(ended(id, reason));
        }
        self.keep(tx, events).await?;
        Ok(wanted)
    }

    /// Forgets sessions whose time is over; run from time to time.
    pub async fn forget_sessions(&self, by: &System) -> Result<u64, Error> {
        self.forget(by, 0, &[rows::FORGET]).await
    }
}

/// Which sessions end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which<'a> {
    /// This one.
    One(&'a SessionId),
    /// All, but for this one.
    AllBut(Option<&'a SessionId>),
}

fn ended(id: &SessionId, reason: &str) -> Event {
    Event::new(EventKind::SessionEnded, id, json!({ "reason": reason }))
}

impl Snapshot {
    /// The session with this digest, if it is alive: neither over nor ended, its person alive, and no revocation later.
    pub(crate) fn session_lives(
        &self,
        digest: &[u8; 32],
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<&Arc<Session>, Error> {
        let session = self.sessions.get(digest).filter(|session| now < session.expires);
        let session = session.ok_or(SessionRefusal::Over)?;
        self.person_lives(&session.proof.person)?;
        let life = Life { generation: session.generation, position: session.position, tenant, token: None };
        self.credential_lives(&life, &[AnyId::from(&session.proof.person), AnyId::from(&session.id)])?;
        Ok(session)
    }

    pub(crate) fn keep_session(&mut self, digest: [u8; 32], session: Arc<Session>) {
        self.session_digests.insert_mut(session.id.clone(), digest);
        self.sessions.insert_mut(digest, session);
    }

    pub(crate) fn forget_session(&mut self, id: &SessionId) {
        if let Some(digest) = self.session_digests.get(id).copied() {
            self.sessions.remove_mut(&digest);
            self.session_digests.remove_mut(id);
        }
    }
}
