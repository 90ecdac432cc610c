//! From a caller and an act to a permit, or to an answer that says why not.
//!
//! The order is the law: alive, decided, durable, and only then a permit. A decision rests on one snapshot; if
//! authority may have ended between that snapshot and the moment the intent becomes durable, the store keeps
//! nothing and the decision is made again.

mod caller;
mod facts;
mod left;
mod outcome;
mod refused;

pub use caller::Caller;
pub use outcome::{Outcome, Outcomes};
pub use refused::Refused;

use base::{Actor, AgentId, Ctx, DecisionId, Event, EventKind, Fault, Position, ServerId, Timestamp};
use policy::{Act, ActKind, Answer, Circumstances, Decision, Permit, Question, Scope};
use serde_json::json;
use store::{Debit, Denied, Entry, Intent, Origin, SealedPayload, Submitted};

use crate::{
    catalogue::ServerState,
    control::Control,
    snapshot::{Dead, Snapshot},
    task::Task,
};
use facts::{Target, agent, person};
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
    /// The intent's position, for its outcome.
    pub intent: Position,
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
        let &Message { digest, bytes, .. } = message;
        let ctx = self.ctx(Actor::Agent(caller.agent.clone()));
        let decision_id = DecisionId::new(ctx.now, ctx.dice.as_ref());
        for _ in 0..ATTEMPTS_MAX {
            // The present again at each attempt: a deadline may pass while we wait.
            let now = self.now();
            let snapshot = self.snapshot();
            if !self.is_fresh(now) {
                return Err(Refused::Stale);
            }
            let chain = caller.alive(&snapshot, now)?;
            let credential = message.reach(&snapshot)?;
            let decision = self.decide(&snapshot, &chain, act, digest, now)?;
            let facts =
                json!({ "decision": decision_id, "act": hex::encode(digest), "guard": snapshot.position });
            let facts = describe(facts, act, &chain);
            let payload = self.keep_arguments(&ctx, caller, act)?;
            let allow = match decision {
                Decision::Allow(allow) => allow,
                refused @ (Decision::StepUp(_) | Decision::Pending(_) | Decision::Deny(_)) => {
                    // A refusal costs the caller nothing, so it may not cost the database much either.
                    let payload = payload.filter(|_| bytes <= REFUSED_BYTES_KEPT_MAX);
                    let chain = Chain { ctx: &ctx, caller, payload };
                    return Err(self.record_refusal(chain, facts, &refused, decision_id).await?);
                }
            };
            let intent = Intent {
                origin: Origin::from(&ctx),
                event: event(
                    EventKind::CallAllowed,
                    caller,
                    with_reasons(facts, allow.reasons(), payload.as_ref()),
                ),
                guard: snapshot.position,
                digest,
                server: snapshot.servers.named(act.server.as_str()).map(|server| server.id.clone()),
                debits: debits(&chain, act, bytes),
                proof: caller.proof.clone(),
                payload,
            };
            drop(snapshot);
            match self.store().submit(Entry::Intent(Box::new(intent))).await? {
                Submitted::Durable(receipt) => {
                    let intent = receipt.position();
                    let permit =
                        Permit::seal(allow, receipt).map_err(|error| Fault::new("making a permit", error))?;
                    return Ok(Authorized { permit, decision: decision_id, intent, credential });
                }
                Submitted::Moved => self.catch_up().await?,
                Submitted::Limited(task, limit) => {
                    return Err(self.record_limit(&ctx, caller, &task, limit, decision_id).await?);
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
        let target = Target::of(act, snapshot);
        let wrong = |error| Fault::new("gathering facts", error);
        let person =
            own.person.as_ref().map(|id| person(id, &target, snapshot, now)).transpose().map_err(wrong)?;
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
        // SECURITY: each agent of the chain is a principal. A task handed down to an agent with more grants must not
        // do what the agent that handed it down may not. The acting agent comes last: its decision is the one that
        // is acted on.
        let mut agents: Vec<&AgentId> = Vec::new();
        for task in chain.iter().rev() {
            agents.retain(|known| *known != &task.agent);
            agents.push(&task.agent);
        }
        let mut strictest: Option<Decision> = None;
        for id in agents {
            let agent = agent(id, &target, snapshot, now).map_err(wrong)?;
            let mut roles = agent.roles;
            roles.extend(person.iter().flat_map(|person| person.roles.iter().cloned()));
            let decision = engine.decide(&Question {
                act,
                digest,
                person: person.as_ref().map(|person| &person.subject),
                agent: &agent.subject,
                roles: &roles,
                scopes: &scopes,
                circumstances: &circumstances,
                lifted: &[],
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
        Self::sees(&snapshot, &chain, act, now)
    }

    fn sees(snapshot: &Snapshot, chain: &[&Task], act: &Act, now: Timestamp) -> bool {
        let target = Target::of(act, snapshot);
        let Some(own) = chain.first() else { return false };
        let agents_hold = chain.iter().all(|task| {
            agent(&task.agent, &target, snapshot, now).is_ok_and(|agent| !agent.roles.is_empty())
        });
        let Ok(person) = own.person.as_ref().map(|id| person(id, &target, snapshot, now)).transpose() else {
            return false;
        };
        let held = agents_hold && person.as_ref().is_none_or(|person| !person.roles.is_empty());
        let scopes: Vec<&Scope> = chain.iter().map(|task| &task.scope).collect();
        // A constraint on arguments narrows a tool; it does not hide it. Policies that users wrote decide the call.
        held && scopes.iter().all(|scope| scope.mentions(act, now))
    }

    /// Keeps a call's arguments apart from its record.
    fn keep_arguments(&self, ctx: &Ctx, caller: &Caller, act: &Act) -> Result<Option<SealedPayload>, Fault> {
        if act.arguments.as_object().is_none_or(|arguments| arguments.iter().len() == 0) {
            return Ok(None);
        }
        self.store().seal_payload(ctx, Some(&caller.task), &act.arguments.canonical()).map(Some)
    }

    async fn record_refusal(
        &self,
        about: Chain<'_>,
        facts: serde_json::Value,
        decision: &Decision,
        id: DecisionId,
    ) -> Result<Refused, Fault> {
        let answer =
            decision.answer(id, None).ok_or_else(|| Fault::new("refusing", "an allow is not a refusal"))?;
        let mut facts = with_reasons(facts, decision.reasons(), about.payload.as_ref());
        facts["code"] = json!(answer.code);
        facts["verdict"] = json!(decision.as_str());
        if let Decision::Deny(denial) = decision
            && denial.alarm
        {
            tracing::error!(code = answer.code, policies = ?answer.policies, "a decision could not be made and was refused");
            metrics::counter!("writ_policy_errors_total").increment(1);
        }
        self.refuse(about, facts, answer).await
    }

    async fn record_limit(
        &self,
        ctx: &Ctx,
        caller: &Caller,
        task: &base::TaskId,
        limit: store::Limit,
        id: DecisionId,
    ) -> Result<Refused, Fault> {
        let which = match limit {
            store::Limit::Calls => "calls",
            store::Limit::Bytes => "bytes",
            store::Limit::Absent => "no limits on record",
        };
        let answer = Answer {
            code: policy::DenialCode::LimitReached.as_str(),
            reason: format!("task `{task}` has used up its {which}"),
            policies: Vec::new(),
            what_would_help: "ask the person for a new task".into(),
            approval_url: None,
            retry_after: None,
            decision_id: id.clone(),
        };
        let facts =
            json!({ "decision": id, "code": answer.code, "verdict": "deny", "limit": which, "of": task });
        self.refuse(Chain { ctx, caller, payload: None }, facts, answer).await
    }

    async fn refuse(
        &self,
        about: Chain<'_>,
        facts: serde_json::Value,
        answer: Answer,
    ) -> Result<Refused, Fault> {
        let denied = Denied {
            origin: Origin::from(about.ctx),
            event: event(EventKind::CallDenied, about.caller, facts),
            proof: about.caller.proof.clone(),
            payload: about.payload,
        };
        Ok(match self.store().submit(Entry::Denied(Box::new(denied))).await? {
            Submitted::Recorded(_) => Refused::Denied(Box::new(answer)),
            Submitted::Replayed => Refused::ProofReplayed,
            Submitted::Busy => Refused::Busy,
            Submitted::Durable(_) | Submitted::Noted | Submitted::Moved | Submitted::Limited(..) => {
                return Err(Fault::new("recording a refusal", "the log answered another question"));
            }
        })
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

/// What a refusal's record needs beside its facts.
struct Chain<'a> {
    ctx: &'a Ctx,
    caller: &'a Caller,
    payload: Option<SealedPayload>,
}

impl From<Dead> for Refused {
    fn from(dead: Dead) -> Self {
        Self::Dead(dead)
    }
}

fn event(kind: EventKind, caller: &Caller, facts: serde_json::Value) -> Event {
    Event { kind, subject: Some((&caller.agent).into()), task: Some(caller.task.clone()), data: facts }
}

/// What an act's record says about it: ids and digests, never arguments.
fn describe(mut facts: serde_json::Value, act: &Act, chain: &[&Task]) -> serde_json::Value {
    facts["server"] = json!(act.server);
    let (what, name) = match &act.kind {
        ActKind::Tool { name, effect, definition_hash } => {
            facts["effect"] = json!(effect);
            facts["definition"] = json!(hex::encode(definition_hash));
            ("tool", name.as_str())
        }
        ActKind::Resource { uri } => ("resource", uri.as_str()),
        ActKind::Prompt { name } => ("prompt", name.as_str()),
        ActKind::Open => ("open", ""),
        ActKind::List => ("list", ""),
    };
    facts["what"] = json!(what);
    if !name.is_empty() {
        facts["name"] = json!(name.chars().take(256).collect::<String>());
    }
    facts["person"] = json!(chain.first().and_then(|task| task.person.as_ref()));
    facts["agents"] = json!(chain.iter().map(|task| &task.agent).collect::<Vec<_>>());
    facts
}

fn with_reasons(
    mut facts: serde_json::Value,
    reasons: &policy::Reasons,
    payload: Option<&SealedPayload>,
) -> serde_json::Value {
    let ids = |rules: &[policy::RuleRef]| rules.iter().map(|rule| rule.id().to_owned()).collect::<Vec<_>>();
    let verdicts = reasons.verdicts.iter().map(|verdict| {
        // The kind alone: who it is stands in the record by id, and names have no place in what is never erased.
        let principal = verdict.principal.split("::").next().unwrap_or_default();
        json!({ "principal": principal, "permits": ids(&verdict.permits), "forbids": ids(&verdict.forbids), "roles": verdict.roles })
    });
    facts["reasons"] = verdicts.collect();
    if let Some(payload) = payload {
        facts["arguments"] = json!({ "payload": payload.id(), "hmac_sha256": hex::encode(payload.digest()) });
    }
    facts
}

/// What an act takes from the limits of its task and of every ancestor: one call and the bytes that go up.
fn debits(chain: &[&Task], act: &Act, bytes: i64) -> Vec<Debit> {
    // Opening and listing are no calls, but their bytes go up all the same.
    let calls = match act.kind {
        ActKind::Tool { .. } | ActKind::Resource { .. } | ActKind::Prompt { .. } => 1,
        ActKind::Open | ActKind::List => 0,
    };
    chain.iter().map(|task| Debit { task: task.id.clone(), calls, bytes }).collect()
}
