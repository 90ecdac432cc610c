//! The control plane as a whole: what its services share.

use std::{ops::ControlFlow, sync::Arc};

use arc_swap::{ArcSwap, Guard};
use base::{Actor, Clock, Ctx, Error, Event, Fault, Position, SharedDice, TenantId, Timestamp, TraceId};
use store::Store;
use tokio::{sync::watch, time::Instant};
use url::Url;

use crate::{
    authenticator::{Cost, Hasher},
    authority::{Authority, PATIENCE, System, Turns, Write},
    catalogue::AskServer,
    client::{Documents, Fetch},
    decide::UnderWay,
    draft::Draft,
    follow::Follower,
    judge::Judge,
    login::{Post, Tries},
    oauth::Tell,
    readers::Readers,
    session::{SeenCache, seen_cache},
    snapshot::Snapshot,
};

/// What an operator sets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address by which clients reach Writ: scheme, host and port, without a path. Also the issuer.
    pub public_url: Url,
    /// Whether calls of tools that a person has confirmed as `read` go on before their intents are durable, which they are
    /// within 100 ms then.
    pub asynchronous_reads: bool,
    /// What hashing a password costs.
    pub password_cost: Cost,
    /// Whether clients may register themselves (RFC 7591).
    pub registration: bool,
    /// Whether DPoP proofs count only with a nonce of ours (RFC 9449, sections 8 and 9).
    pub dpop_nonces: bool,
}

impl Settings {
    /// The issuer identifier: the public URL without a slash at its end, the one spelling used everywhere.
    pub fn issuer(&self) -> String {
        self.public_url.as_str().trim_end_matches('/').to_owned()
    }
}

/// The control plane. Clones share everything.
#[derive(Clone)]
pub struct Control {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dice: SharedDice,
    pub(crate) now_true: ArcSwap<Snapshot>,
    pub(crate) judge: ArcSwap<Judge>,
    /// The position up to which the snapshot is complete.
    pub(crate) applied: watch::Sender<Position>,
    /// The last position at which authority may have ended: what live streams watch.
    pub(crate) narrowed: watch::Sender<Position>,
    pub(crate) moved: watch::Sender<Position>,
    /// Asks servers for their tools; the data plane attaches it.
    pub(crate) ask_server: std::sync::OnceLock<AskServer>,
    /// Access tokens whose signature was checked.
    pub(crate) tokens: crate::oauth::TokenCache,
    /// When the log's head was last seen to be no further than the snapshot.
    pub(crate) fresh: watch::Sender<Timestamp>,
    /// Fetches addresses that strangers chose; the binary attaches it.
    pub(crate) fetch: std::sync::OnceLock<Fetch>,
    /// Sends a form to an address that a client chose; the binary attaches it.
    pub(crate) tell: std::sync::OnceLock<Tell>,
    /// Sends mail; the binary attaches it where mail can be sent.
    pub(crate) post: std::sync::OnceLock<Post>,
    /// Clients that are described at their URL.
    pub(crate) documents: Documents,
    /// Hashes passwords.
    pub(crate) hasher: Hasher,
    /// When sessions were last seen here.
    pub(crate) seen: SeenCache,
    /// How often somebody may try to sign in.
    pub(crate) tries: Tries,
    /// The relying party of passkeys, where this address can be one.
    pub(crate) passkeys: Option<passkey::RelyingParty>,
    /// Who of this node may write next.
    pub(crate) turns: Turns,
    /// Who may read the database now.
    pub(crate) readers: Readers,
    /// Intents whose acts are under way here.
    pub(crate) under_way: UnderWay,
}

impl Control {
    /// The longest that a node may answer without having asked the log, in milliseconds.
    pub const STALE_MS_MAX: i64 = 3000;

    /// Loads what is true now. The [`Follower`] keeps it true and must be run.
    pub async fn start(
        store: Store,
        settings: Settings,
        clock: Arc<dyn Clock>,
        dice: SharedDice,
    ) -> Result<(Self, Follower), Fault> {
        let snapshot = crate::snapshot::load(&store).await?;
        let judge = Judge::of(&snapshot);
        let inner = Inner {
            applied: watch::Sender::new(snapshot.position),
            narrowed: watch::Sender::new(snapshot.position),
            moved: watch::Sender::new(snapshot.position),
            fresh: watch::Sender::new(clock.now()),
            ask_server: std::sync::OnceLock::new(),
            fetch: std::sync::OnceLock::new(),
            tell: std::sync::OnceLock::new(),
            post: std::sync::OnceLock::new(),
            documents: Documents::default(),
            hasher: Hasher::new(settings.password_cost),
            seen: seen_cache(),
            tries: Tries::default(),
            passkeys: passkey::RelyingParty::at(&settings.public_url),
            turns: Turns::default(),
            readers: Readers::default(),
            under_way: UnderWay::default(),
            tokens: crate::oauth::token_cache(),
            judge: ArcSwap::from_pointee(judge),
            now_true: ArcSwap::new(snapshot.published()),
            store,
            settings,
            clock,
            dice,
        };
        let control = Self { inner: Arc::new(inner) };
        let follower = Follower::new(control.clone());
        Ok((control, follower))
    }

    /// Attaches the data plane's way of asking servers what they speak and have; the first one stays.
    pub fn attach(&self, ask_server: AskServer) {
        drop(self.inner.ask_server.set(ask_server));
    }

    /// Attaches the way of fetching addresses that strangers chose; the first one stays.
    pub fn attach_fetch(&self, fetch: Fetch) {
        drop(self.inner.fetch.set(fetch));
    }

    /// Attaches the way of telling clients something at an address that they chose; the first one stays.
    pub fn attach_tell(&self, tell: Tell) {
        drop(self.inner.tell.set(tell));
    }

    /// Attaches the way of sending mail; the first one stays.
    pub fn attach_post(&self, post: Post) {
        drop(self.inner.post.set(post));
    }

    pub(crate) fn ask_server(&self) -> Option<AskServer> {
        self.inner.ask_server.get().cloned()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The store, for the parts that read records and payloads.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What the operator set.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// What is true now. Hold it for one request, not longer.
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.inner.now_true.load()
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// The circumstances of a request: made once, at the edge.
    pub fn ctx(&self, actor: Actor) -> Ctx {
        let trace = TraceId(self.inner.dice.bytes());
        Ctx { actor, tenant: TenantId::first(), now: self.now(), dice: self.inner.dice.clone(), trace }
    }

    /// Whether this node knows that it knows: the log was asked recently and had nothing newer.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.fresh_for(now) >= 0
    }

    /// How long this node stays fresh if it does not ask the log again, in milliseconds; negative when it is not.
    pub(crate) fn fresh_for(&self, now: Timestamp) -> i64 {
        Self::STALE_MS_MAX - now.millis_since(*self.inner.fresh.borrow())
    }

    /// Moves with each record that may have given or taken rights, once the snapshot has it.
    pub fn moved(&self) -> watch::Receiver<Position> {
        self.inner.moved.subscribe()
    }

    /// Says each time authority may have ended anywhere, and goes on saying it while the node is not fresh.
    pub fn narrowed(&self) -> watch::Receiver<Position> {
        self.inner.narrowed.subscribe()
    }

    /// Waits until this node's snapshot holds the record at `position`, so that whoever is answered finds what they
    /// wrote. The write is durable already: when the follower is slow or gone, the answer does not wait for ever.
    pub async fn settle(&self, position: Position) {
        let patience = std::time::Duration::from_millis(Self::STALE_MS_MAX.unsigned_abs());
        self.settle_by(position, Instant::now() + patience).await;
    }

    /// The same until an instant; whether it holds the record.
    async fn settle_by(&self, position: Position, until: Instant) -> bool {
        let mut applied = self.inner.applied.subscribe();
        let seen = applied.wait_for(|&applied| applied >= position);
        tokio::time::timeout_at(until, seen).await.is_ok_and(|seen| seen.is_ok())
    }

    /// Waits until the snapshot holds what moved the log past a decision or a plan.
    pub(crate) async fn catch_up(&self) -> Result<(), Fault> {
        self.has_caught_up().await.map(drop)
    }

    /// Waits until the snapshot holds all that any node has changed up to now, for as long as a write waits; whether it
    /// does.
    pub(crate) async fn has_caught_up(&self) -> Result<bool, Fault> {
        let until = Instant::now() + PATIENCE;
        let head = self.inner.store.head().await?;
        Ok(self.settle_by(head.state, until).await)
    }

    /// Makes changes and keeps them, all or none. Policies and the catalogue are compiled first: a set that does not
    /// compile changes nothing. Answers with what `make` said and the position of the last record, or none when
    /// nothing changed.
    ///
    /// `make` may be run several times, each time on a newer state of the world.
    pub async fn change<T: Send>(
        &self,
        by: &impl Authority,
        make: impl Fn(&mut Draft) -> Result<T, Error> + Send,
    ) -> Result<(T, Option<Position>), Error> {
        let plan = move |known: &Snapshot| {
            let (said, draft) = drafted(by, known, &make)?;
            Ok(if draft.is_empty() { ControlFlow::Break(said) } else { ControlFlow::Continue((said, draft)) })
        };
        match self.begin_unless(by, plan).await? {
            ControlFlow::Break(said) => Ok((said, None)),
            ControlFlow::Continue((mut tx, (said, draft))) => {
                let events = draft.write_to(&mut tx).await?;
                Ok((said, Some(self.keep(tx, events).await?)))
            }
        }
    }

    /// What [`Control::change`] would say, by the same way and without an effect.
    pub fn preview<T>(
        &self,
        by: &impl Authority,
        make: impl Fn(&mut Draft) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let known = self.snapshot();
        by.stands(&known)?;
        drafted(by, &known, make).map(|(said, _draft)| said)
    }

    /// Records an event that changes nothing else.
    pub async fn note(&self, by: &System, event: Event) -> Result<Position, Error> {
        let (tx, ()) = self.begin(by, |_| Ok(())).await?;
        self.keep(tx, vec![event]).await
    }

    /// Keeps the writes of a transaction with their records, and waits until they are seen.
    ///
    /// The turn ends here: whoever comes next plans on a state that knows this change.
    pub(crate) async fn keep(&self, write: Write, events: Vec<Event>) -> Result<Position, Error> {
        let (tx, turn, until) = write.into_parts();
        let position = tx.commit(events).await?;
        // No longer than others wait for it. A plan that does not know this change is made again.
        self.settle_by(position, until).await;
        drop(turn);
        self.settle(position).await;
        Ok(position)
    }
}

/// Changes to what is known, made and found to compile.
fn drafted<T>(
    by: &impl Authority,
    known: &Snapshot,
    make: impl Fn(&mut Draft) -> Result<T, Error>,
) -> Result<(T, Draft), Error> {
    let mut draft = Draft::new(by.ctx(), known);
    let said = make(&mut draft)?;
    draft.check()?;
    Ok((said, draft))
}
