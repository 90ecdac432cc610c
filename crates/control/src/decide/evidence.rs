//! What is written of a decision: its record, the call's arguments apart from it, and every refusal.

use base::{Ctx, DecisionId, Event, EventKind, Fault};
use policy::{Act, ActKind, Answer, Decision};
use serde_json::json;
use store::{Denied, Entry, Origin, SealedPayload, Submitted};

use super::{Caller, Refused};
use crate::{control::Control, task::Task};

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
        self.refuse(About { ctx, caller, payload: None }, facts, answer).await
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
        let facts = json!({ "act": hex::encode(digest), "code": refused.code(), "verdict": "deny" });
        let denied = Denied {
            origin: Origin::from(ctx),
            event: event(EventKind::CallDenied, caller, describe(facts, act, &[])),
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

    async fn refuse(
        &self,
        about: About<'_>,
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

pub(super) fn event(kind: EventKind, caller: &Caller, facts: serde_json::Value) -> Event {
    Event { kind, subject: Some((&caller.agent).into()), task: Some(caller.task.clone()), data: facts }
}

/// What an act's record says about it: ids and digests, never arguments.
pub(super) fn describe(mut facts: serde_json::Value, act: &Act, chain: &[&Task]) -> serde_json::Value {
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

pub(super) fn with_reasons(
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
