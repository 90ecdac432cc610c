//! From a caller and an act to a permit, or to an answer that says why not.
//!
//! The order is the law: alive, decided, durable, and only then a permit. A decision rests on one snapshot; if
//! authority may have ended between that snapshot and the moment the intent becomes durable, the store keeps
//! nothing and the decision is made again.

mod caller;
mod evidence;
mod facts;
mod held;
mod left;
mod outcome;
mod promise;
mod refused;
mod slice;
mod unknown;
mod view;

pub use caller::{Caller, Chain};
pub(crate) use caller::{Grounds, Standing, tasks};
pub use held::{HeldGrant, grants_behind, least_role};
pub use outcome::Outcome;
pub(crate) use outcome::UnderWay;
pub use refused::Refused;
pub(crate) use slice::Slices;
pub use view::View;

use base::{Actor, Ctx, DecisionId, EventKind, Fault, Place, ServerId, Timestamp};
use futures_util::FutureExt as _;
use policy::{Act, ActKind, Circumstances, Decision, Permit, Question, Scope};
use store::{Debit, Entry, Intent, Origin, Submitted};

use crate::{catalogue::ServerState, control::Control, snapshot::Snapshot, task::Task};
use evidence::{About, Telling, event};
use facts::Held;
use left::Left;

/// How often a decision is made again because authority changed under it, before the caller is asked to come back.
const ATTEMPTS_MAX: usize = 16;

/// The largest arguments that are kept of a refused act, in bytes.
const REFUSED_BYTES_KEPT_MAX: i64 = 16 * 1024;

/// An allowed act: the permit for it, and where its record stands.
#[derive(Debug)]
pub struct Authorized {
    /// The permit: taken by value by whoever forwards.
    pub permit: Permit,
    /// The decision's id, in the record and in answers.
    pub decision: DecisionId,
    /// Where the intent stands, for its outcome.
    pub intent: Place,
    /// The header that proves Writ to the server, from the snapshot that was decided on.
    pub credential: Option<(http::HeaderName, http::HeaderValue)>,
}

/// The exact message that an act would send, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The server.
    pub server: &'a ServerId,
    /// The address to which it would go, as it was when the request came.
    pub url: &'a str,
    /// SHA-256 of the message.
    pub digest: [u8; 32],
    /// Its size.
    pub bytes: i64,
    /// Whether it counts as a call, where the act is one. What asks for the result of a call does not.
    pub is_call: bool,
}

impl Message<'_> {
    /// The credential for the server, if the server is still at work and still where the message would go.
    ///
    /// SECURITY: asked on the snapshot of the decision. A server that was stopped or moved while the client was still
    /// sending gets nothing, least of all the credential that belongs to the new address.
    fn reach(&self, known: &Snapshot) -> Result<Option<(http::HeaderName, http::HeaderValue)>, Refused> {
        let server = known.servers.get(self.server).ok_or(Refused::ServerGone)?;
        if server.body.state != ServerState::Active || server.body.url.as_str() != self.url {
            return Err(Refused::ServerGone);
        }
        Ok(server.body.lease(known)?)
    }
}

impl Control {
    /// Decides an act of an authenticated caller and makes the decision durable.
    pub async fn authorize(
        &self,
        caller: &Caller,
        act: &Act,
        message: &Message<'_>,
    ) -> Result<Authorized, Refused> {
        let ctx = self.ctx(Actor::Agent(caller.agent.clone()));
        let authorized = self.decide_and_record(&ctx, caller, act, message).await;
        if let Err(refused) = &authorized {
            self.note_refusal(&ctx, caller, act, message.digest, refused).boxed().await;
        }
        authorized
    }

    async fn decide_and_record(
        &self,
        ctx: &Ctx,
        caller: &Caller,
        act: &Act,
        message: &Message<'_>,
    ) -> Result<Authorized, Refused> {
        let &Message { digest, bytes, .. } = message;
        let decision_id = DecisionId::new(ctx.now, ctx.dice.as_ref());
        for _ in 0..ATTEMPTS_MAX {
            // The present again at each attempt: a deadline may pass while we wait.
            let now = self.now();
            let snapshot = self.snapshot();
            if !self.is_fresh(now) {
                return Err(Refused::Stale);
            }
            let chain = caller.alive(&snapshot, now)?;
            let chain = tasks(&chain);
            let credential = message.reach(&snapshot)?;
            let decision = self.decide(&snapshot, &chain, act, digest, now)?;
            let decided = Some((&decision_id, snapshot.position));
            let telling =
                Telling { act, digest: &digest, chain: &chain, decision: decided, is_promised: false };
            let payload = self.keep_arguments(ctx, act)?;
            let allow = match decision {
                Decision::Allow(allow) => allow,
                refused @ (Decision::StepUp(_) | Decision::Pending(_) | Decision::Deny(_)) => {
                    // A refusal costs the caller nothing, so it may not cost the database much either.
                    let payload = payload.filter(|_| bytes <= REFUSED_BYTES_KEPT_MAX);
                    let about = About { ctx, caller, payload };
                    let recorded = self.record_refusal(about, telling, &refused, decision_id.clone());
                    return Err(recorded.boxed().await?);
                }
            };
            let reserved = self.reserve(&snapshot, caller, &chain, act, message)?;
            let telling = Telling { is_promised: reserved.is_some(), ..telling };
            let intent = Intent {
                origin: Origin::from(ctx),
                event: event(
                    EventKind::CallAllowed,
                    caller,
                    telling.facts(Some(allow.reasons()), payload.as_ref(), None),
                ),
                guard: snapshot.position,
                digest,
                debits: debits(&chain, act, message),
                proof: caller.proof.clone(),
                payload,
            };
            drop(snapshot);
            if let Some(reserved) = reserved {
                let Some(promise) = reserved.promise(intent)? else {
                    self.catch_up().boxed().await?;
                    continue;
                };
                let intent = promise.place().clone();
                let permit = Permit::seal_promised(allow, promise);
                let permit = permit.map_err(|error| Fault::new("making a permit", error))?;
                self.inner().under_way.begin(intent.clone());
                return Ok(Authorized { permit, decision: decision_id, intent, credential });
            }
            match self.store().submit(Entry::Intent(Box::new(intent))).await? {
                Submitted::Durable(receipt) => {
                    let intent = Place::from(receipt.position());
                    let permit =
                        Permit::seal(allow, receipt).map_err(|error| Fault::new("making a permit", error))?;
                    self.inner().under_way.begin(intent.clone());
                    return Ok(Authorized { permit, decision: decision_id, intent, credential });
                }
                Submitted::Moved => self.catch_up().boxed().await?,
                Submitted::Limited(task, limit) => {
                    return Err(self.record_limit(ctx, caller, &task, limit, decision_id).boxed().await?);
                }
                Submitted::Replayed => return Err(Refused::ProofReplayed),
                Submitted::Busy => return Err(Refused::Busy),
                Submitted::Recorded(_) | Submitted::Noted => {
                    return Err(Fault::new("recording an intent", "the log answered another question").into());
                }
            }
        }
        Err(Refused::Busy)
    }

    /// Uses up the proof of a message that is no act, for a caller that is alive.
    pub async fn admit(&self, caller: &Caller) -> Result<(), Refused> {
        let now = self.now();
        if !self.is_fresh(now) {
            return Err(Refused::Stale);
        }
        caller.alive(&self.snapshot(), now)?;
        let Some(proof) = caller.proof.clone() else { return Ok(()) };
        match self.store().submit(Entry::Proof(proof)).await? {
            Submitted::Noted => Ok(()),
            Submitted::Replayed => Err(Refused::ProofReplayed),
            Submitted::Busy => Err(Refused::Busy),
            Submitted::Durable(_) | Submitted::Recorded(_) | Submitted::Moved | Submitted::Limited(..) => {
                Err(Fault::new("using up a proof", "the log answered another question").into())
            }
        }
    }

    /// The decision alone, with no effect and no record: for checks, previews and filters of lists.
    pub fn decide(
        &self,
        snapshot: &Snapshot,
        chain: &[&Task],
        act: &Act,
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Decision, Fault> {
        let judge = self.inner().judge.load();
        let fault = |why: &'static str| Fault::new("deciding", why);
        let engine = judge.engine().ok_or_else(|| fault("the policies do not compile"))?;
        let own = chain.first().ok_or_else(|| fault("an act without a task"))?;
        let slice = snapshot.slice(chain, act, now).map_err(|error| Fault::new("gathering facts", error))?;
        let scopes: Vec<&Scope> = chain.iter().map(|task| &task.scope).collect();
        let left = Left::of(chain, snapshot)?;
        let circumstances = Circumstances {
            now,
            purpose: own.purpose.clone(),
            depth: u32::try_from(own.depth).unwrap_or(u32::MAX),
            calls_left: Some(left.calls),
            bytes_left: Some(left.bytes),
            acr: None,
        };
        let person = slice.person.as_ref();
        let mut strictest: Option<Decision> = None;
        for seat in &slice.agents {
            let decision = engine.decide(&Question {
                act,
                digest,
                person: person.map(|person| &person.subject),
                agent: &seat.agent.subject,
                roles: &seat.roles,
                scopes: &scopes,
                circumstances: &circumstances,
                lifted: &[],
                prepared: seat.prepared(engine, act, person),
            });
            strictest = Some(match strictest {
                Some(before) if strictness(&before) > strictness(&decision) => before,
                Some(_) | None => decision,
            });
        }
        strictest.ok_or_else(|| fault("a chain without agents"))
    }

    /// Whether a caller's task names a server at all: enough to tell it, with reasons, what is missing. A server that
    /// the task does not name does not exist for the caller.
    pub fn may_know(&self, caller: &Caller, open: &Act) -> bool {
        let (snapshot, now) = (self.snapshot(), self.now());
        let Ok(chain) = caller.alive(&snapshot, now) else { return false };
        chain.iter().all(|task| task.scope.mentions(open, now))
    }

    /// Whether a caller may use something that a server lists: a decision without arguments.
    pub fn may_see(&self, caller: &Caller, act: &Act) -> bool {
        let (snapshot, now) = (self.snapshot(), self.now());
        let Ok(chain) = caller.alive(&snapshot, now) else { return false };
        Self::sees(&snapshot, &tasks(&chain), act, now)
    }

    fn sees(snapshot: &Snapshot, chain: &[&Task], act: &Act, now: Timestamp) -> bool {
        let scopes: Vec<&Scope> = chain.iter().map(|task| &task.scope).collect();
        // A constraint on arguments narrows a tool; it does not hide it. Policies that users wrote decide the call.
        view::holds(snapshot, chain, act, now) && scopes.iter().all(|scope| scope.mentions(act, now))
    }
}

/// Deny before step-up before pending before allow.
const fn strictness(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow(_) => 0,
        Decision::Pending(_) => 1,
        Decision::StepUp(_) => 2,
        Decision::Deny(_) => 3,
    }
}

/// What an act takes from the limits of its task and of every ancestor: one call and the bytes that go up.
fn debits(chain: &[&Task], act: &Act, message: &Message<'_>) -> Vec<Debit> {
    // Opening and listing are no calls, but their bytes go up all the same.
    let calls = match act.kind {
        ActKind::Tool { .. } | ActKind::Resource { .. } | ActKind::Prompt { .. } => message.is_call.into(),
        ActKind::Open | ActKind::List => 0,
    };
    let bytes = message.bytes;
    chain.iter().map(|task| Debit { task: task.id.clone(), calls, bytes }).collect()
}
