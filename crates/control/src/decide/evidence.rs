//! What is written of a decision: its record, the call's arguments apart from it, and every refusal.

use base::{Ctx, DecisionId, Event, EventKind, Facts, Fault, PersonId, Position};
use policy::{Act, ActKind, Answer, Decision, Reasons, RuleRef, Verdict};
use serde_json::json;
use store::{Denied, Entry, Origin, SealedPayload, Submitted};
use wire::json::Members;

use super::{Caller, Refused};
use crate::{control::Control, task::Task};

/// How much of a name is written down, in characters.
const NAME_CHARS_MAX: usize = 256;

/// What a refusal's record needs beside its facts.
pub(super) struct About<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) caller: &'a Caller,
    pub(super) payload: Option<SealedPayload>,
}

impl Control {
    /// Keeps a call's arguments apart from its record.
    pub(super) fn keep_arguments(&self, ctx: &Ctx, act: &Act) -> Result<Option<SealedPayload>, Fault> {
        if act.arguments.as_object().is_none_or(|arguments| arguments.iter().len() == 0) {
            return Ok(None);
        }
        self.store().seal_payload(ctx, &act.arguments.canonical()).map(Some)
    }

    pub(super) async fn record_refusal(
        &self,
        about: About<'_>,
        telling: Telling<'_>,
        decision: &Decision,
        id: DecisionId,
    ) -> Result<Refused, Fault> {
        let answer =
            decision.answer(id, None).ok_or_else(|| Fault::new("refusing", "an allow is not a refusal"))?;
        let refusal = (answer.code, decision.as_str());
        let facts = telling.facts(Some(decision.reasons()), about.payload.as_ref(), Some(refusal));
        if let Decision::Deny(denial) = decision
            && denial.alarm
        {
            tracing::error!(code = answer.code, policies = ?answer.policies, "a decision could not be made and was refused");
            metrics::counter!("writ_policy_errors_total").increment(1);
        }
        self.refuse(about, facts, answer).await
    }

    pub(super) async fn record_limit(
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
        self.refuse(About { ctx, caller, payload: None }, facts.into(), answer).await
    }

    /// Puts a refusal on record that was made before there was a decision, or without one: whoever reads the log must
    /// find every act that was stopped. Where the log itself is the trouble, the refusal is counted.
    pub(super) async fn note_refusal(
        &self,
        ctx: &Ctx,
        caller: &Caller,
        act: &Act,
        digest: [u8; 32],
        refused: &Refused,
    ) {
        let can_be_noted = match refused {
            Refused::Denied(_) => return,
            Refused::Dead(_) | Refused::ServerGone | Refused::ProofReplayed | Refused::Stale => true,
            Refused::Busy | Refused::Fault(_) => false,
        };
        let telling = Telling { act, digest: &digest, chain: &[], decision: None, is_promised: false };
        let facts = telling.facts(None, None, Some((refused.code(), "deny")));
        let denied = Denied {
            origin: Origin::from(ctx),
            event: event(EventKind::CallDenied, caller, facts),
            proof: None,
            payload: None,
        };
        let noted = can_be_noted
            && matches!(
                self.store().submit(Entry::Denied(Box::new(denied))).await,
                Ok(Submitted::Recorded(_))
            );
        if !noted {
            metrics::counter!("writ_refusals_without_record_total", "code" => refused.code()).increment(1);
        }
    }

    async fn refuse(&self, about: About<'_>, facts: Facts, answer: Answer) -> Result<Refused, Fault> {
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

pub(super) fn event(kind: EventKind, caller: &Caller, data: Facts) -> Event {
    Event { kind, subject: Some((&caller.agent).into()), task: Some(caller.task.clone()), data }
}

/// What an act's record says about it: ids and digests, never arguments.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) act: &'a Act,
    pub(super) digest: &'a [u8; 32],
    /// Empty where the act was stopped before anybody asked whose it is.
    pub(super) chain: &'a [&'a Task],
    /// The decision, and the position of the snapshot that it rests on.
    pub(super) decision: Option<(&'a DecisionId, Position)>,
    /// Whether the act goes on before this record is durable.
    pub(super) is_promised: bool,
}

impl Telling<'_> {
    /// The facts of the record. Members in canonical order.
    pub(super) fn facts(
        &self,
        reasons: Option<&Reasons>,
        payload: Option<&SealedPayload>,
        refusal: Option<(&str, &str)>,
    ) -> Facts {
        let Self { act, digest, chain, decision, is_promised } = *self;
        let (what, name, tool) = match &act.kind {
            ActKind::Tool { name, effect, definition_hash } => {
                ("tool", name.as_str(), Some((*effect, definition_hash)))
            }
            ActKind::Resource { uri } => ("resource", uri.as_str(), None),
            ActKind::Prompt { name } => ("prompt", name.as_str(), None),
            ActKind::Open => ("open", "", None),
            ActKind::List => ("list", "", None),
        };
        let mut facts = Members::with_capacity(1024);
        facts.hex("act", digest);
        facts.texts("agents", chain.iter().map(|task| task.agent.as_str()));
        if let Some(payload) = payload {
            facts.object("arguments", |kept| {
                kept.hex("hmac_sha256", payload.digest());
                kept.text("payload", payload.id().as_str());
            });
        }
        if let Some((code, _)) = refusal {
            facts.text("code", code);
        }
        if let Some((id, _)) = decision {
            facts.text("decision", id.as_str());
        }
        if let Some((effect, definition)) = tool {
            facts.hex("definition", definition);
            facts.text("effect", effect.as_str());
        }
        if let Some((_, guard)) = decision {
            facts.number("guard", guard.0);
        }
        if is_promised {
            facts.text("mode", "asynchronous");
        }
        if !name.is_empty() {
            let end = name.char_indices().nth(NAME_CHARS_MAX).map_or(name.len(), |(end, _)| end);
            facts.text("name", &name[..end]);
        }
        let person = chain.first().and_then(|task| task.person.as_ref());
        facts.opt_text("person", person.map(PersonId::as_str));
        if let Some(reasons) = reasons {
            facts.objects("reasons", &reasons.verdicts, say);
        }
        facts.text("server", act.server.as_str());
        if let Some((_, verdict)) = refusal {
            facts.text("verdict", verdict);
        }
        facts.text("what", what);
        facts.into_facts()
    }
}

fn say(facts: &mut Members, verdict: &Verdict) {
    facts.texts("forbids", verdict.forbids.iter().map(RuleRef::id));
    facts.texts("permits", verdict.permits.iter().map(RuleRef::id));
    // The kind alone: who it is stands in the record by id, and names have no place in what is never erased.
    facts.text("principal", verdict.principal.split("::").next().unwrap_or_default());
    facts.texts("roles", verdict.roles.iter().map(String::as_str));
}
