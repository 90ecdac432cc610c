//! More than a person agreed to at first: the agent meets what its task does not cover, its client asks for exactly that, and
//! the person adds it to the task or does not (`insufficient_scope`: RFC 6750, section 3.1).
//!
//! Only tasks that cover tools by their effects are widened, and only by what consent can change: whoever may not do it, or
//! said no to it, is not asked again.

use std::{collections::BTreeSet, sync::Arc};

use base::PersonId;
use http::StatusCode;
use policy::{Act, ActKind, Answer, Decision, DenialCode, Effect, Scope};
use wire::oauth::{Challenge, DpopChallenge, ErrorCode, protected_resource_path};

use super::{
    asked::{Answering, Asked},
    audience::Audience,
    challenge::{Challenged, body, set_challenge},
};
use crate::{
    control::Control,
    decide::Caller,
    delegation::{Delegation, Powers},
    task::Task,
};

/// What scopes that stand for effects of tools begin with.
const PREFIX: &str = "tools:";

/// The scope that stands for tools of an effect.
pub(super) fn tools_scope(effect: Effect) -> String {
    format!("{PREFIX}{effect}")
}

/// The effects that scopes stand for. Administration is described, never named.
pub(super) fn effects_of<'a>(scopes: impl Iterator<Item = &'a str>) -> BTreeSet<Effect> {
    let effects = scopes.filter_map(|scope| Effect::parse(scope.strip_prefix(PREFIX)?));
    effects.filter(|effect| *effect != Effect::Admin).collect()
}

/// What a request would add to.
pub(super) struct ToWiden {
    /// What the person agreed to before.
    pub(super) earlier: Arc<Delegation>,
    /// Its task.
    pub(super) task: Arc<Task>,
    /// The effects that it has.
    pub(super) has: BTreeSet<Effect>,
    /// Those that it would get.
    pub(super) new: BTreeSet<Effect>,
}

impl Control {
    /// The task that a request would add to; nothing where it asks for something else.
    pub(super) fn to_widen(
        &self,
        (answering, asked): (&Answering, &Asked),
        person: &PersonId,
    ) -> Option<ToWiden> {
        if asked.effects.is_empty() {
            return None;
        }
        let earlier = self.agreed_before((answering, asked), person, &[])?;
        self.lacks(&earlier, asked)
    }

    /// What a delegation's task would have to get to have all that is asked; nothing where it has, or is described otherwise.
    pub(super) fn lacks(&self, earlier: &Arc<Delegation>, asked: &Asked) -> Option<ToWiden> {
        let task = Arc::clone(self.snapshot().tasks.get(earlier.task()?)?);
        let has = task.scope.by_effects()?;
        let new: BTreeSet<Effect> = asked.effects.difference(&has).copied().collect();
        (!new.is_empty()).then(|| ToWiden { earlier: Arc::clone(earlier), task, has, new })
    }

    /// The challenge for an act that was refused because the task does not cover it, where its person could change that.
    pub fn consent_that_helps(&self, caller: &Caller, act: &Act, refused: &Answer) -> Option<Challenged> {
        let ActKind::Tool { effect, .. } = act.kind else { return None };
        if refused.code != DenialCode::TaskScope.as_str() || effect == Effect::Admin {
            return None;
        }
        let (known, now) = (self.snapshot(), self.now());
        known.delegation_lives(caller.grounds.delegation.as_ref()?, now).ok()?;
        let task = known.tasks.get(&caller.task)?;
        let mut effects = task.scope.by_effects()?;
        let rests = |delegation: &&Arc<Delegation>| matches!(&delegation.powers, Powers::Agent { task, .. } if *task == caller.task);
        let is_declined =
            known.delegations.values().filter(rests).any(|delegation| delegation.declined.contains(&effect));
        if is_declined || !effects.insert(effect) {
            return None;
        }
        let scopes: Vec<String> = effects.iter().copied().map(tools_scope).collect();
        let wider = Task { scope: Scope::of_effects(effects, task.scope.deadline), ..Task::clone(task) };
        let decision = self.decide(&known, &[&wider], act, [0; 32], now).ok()?;
        if matches!(decision, Decision::Deny(_)) {
            return None;
        }
        let endpoint = Audience::parse(caller.audience(), &self.settings().issuer())?;
        let metadata =
            format!("{}{}", self.settings().issuer(), protected_resource_path(&endpoint.to_string()));
        let mut headers = http::HeaderMap::new();
        let challenge = Challenge {
            resource_metadata: Some(&metadata),
            // With those that the task has: some clients ask for exactly these.
            scope: &scopes.iter().map(String::as_str).collect::<Vec<_>>(),
            error: Some(ErrorCode::InsufficientScope),
            description: Some(&refused.reason),
            dpop: Some(DpopChallenge::Offered),
            ..Challenge::default()
        };
        set_challenge(&mut headers, &challenge);
        let help = "ask the person to add it: send them to the authorization endpoint with this scope";
        let body = body(ErrorCode::InsufficientScope, &refused.reason, Some(help));
        Some(Challenged { status: StatusCode::FORBIDDEN, headers, body })
    }
}
