//! The decision.
//!
//! Refusals are looked for in this order; the first one found is the answer.
//!
//! 1. **Is everyone active?** Ended authority comes first: who has been stopped learns nothing else.
//! 2. **Does the task cover it?** Each scope of the chain, the task's own first. Before the catalogue, so that an
//!    agent cannot find out what exists beyond its task.
//! 3. **Is anything left of the limits?** A task that is used up is not worth an evaluation.
//! 4. **Is the target known and unchanged?** Policies speak about the pinned definition, so only it is put to them.
//! 5. **Did a policy fail?** Before any verdict: a failed policy makes all verdicts doubtful, and Cedar would pass
//!    over it.
//! 6. **Does a plain forbid match, or is one blind?** A forbid wins over every permit. One that needs an argument
//!    whose value it cannot see exactly counts as matching.
//! 7. **Does nothing permit it?** No grant, no access.
//! 8. **Is an annotated forbid in the way?** Last, because asking a person makes no sense for what would be denied.
//!    Of those left after lifting, a sign-in comes before a confirmation or an approval.
//!
//! Steps 5 to 7 look at the person and at the agent before any answer is given: both must be permitted.

use std::sync::Arc;

use cedar_policy_core::{
    ast::{self, Literal, SlotEnv, ValueKind},
    entities::Entities,
    evaluator::Evaluator,
    extensions::Extensions,
};

use crate::{
    ActKind, Allow, Decision, DenialCode, Effect, Engine, Need, Obstacle, Pending, Question, Reasons,
    RuleRef, ScopeVerdict, StepUp, Verdict,
    act::shorten,
    decision::Cause,
    engine::{Arguments, Rule, RuleKind, Unreadable},
    prepared::{Prepared, Principal},
};

impl Engine {
    /// Decides. The same question always has the same answer.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let mut reasons = Reasons::default();
        match self.obstacles(question, &mut reasons) {
            Err(cause) => Decision::Deny(cause.into_denial(reasons)),
            Ok(obstacles) => conclude(question, obstacles, reasons),
        }
    }

    /// Everything that a person could still lift; a denial when something cannot be lifted.
    fn obstacles(&self, question: &Question<'_>, reasons: &mut Reasons) -> Result<Vec<Obstacle>, Cause> {
        everyone_is_active(question)?;
        the_chain_covers(question, reasons)?;
        limits_are_left(question)?;
        let Question { act, person, agent, roles, .. } = *question;
        let made;
        let prepared = if let Some(prepared) = question.prepared.filter(|it| it.is_for(question, self)) {
            prepared
        } else {
            made = self.prepared(act, person, agent, roles)?;
            &made
        };
        let mut cases = self.cases(question, prepared)?;
        for case in &mut cases {
            case.evaluate(|kind| matches!(kind, RuleKind::Permit | RuleKind::Forbid), question);
        }
        let verdict = base_verdict(&cases, question);
        if verdict.is_ok() {
            for case in &mut cases {
                case.evaluate(|kind| matches!(kind, RuleKind::Liftable(_)), question);
            }
        }
        let verdict = verdict.and_then(|()| lift_verdict(&cases));
        let obstacles = cases.iter().flat_map(Case::obstacles).collect();
        reasons.verdicts = cases.into_iter().map(|case| case.verdict).collect();
        verdict.map(|()| obstacles)
    }

    /// One case per principal, ready for evaluation.
    fn cases<'e>(&'e self, question: &Question<'_>, prepared: &'e Prepared) -> Result<Vec<Case<'e>>, Cause> {
        let arguments = self.arguments_of(prepared, question);
        let context = Self::context(question.circumstances, &arguments, question.person.is_some())
            .ok_or_else(|| Cause::broken("the time cannot be expressed"))?;
        let case = |principal: &'e Principal| {
            let verdict = Verdict {
                principal: principal.name.clone(),
                permits: Vec::new(),
                forbids: Vec::new(),
                blind: Vec::new(),
                obstacles: Vec::new(),
                lifted: Vec::new(),
                errors: Vec::new(),
                roles: principal.roles.clone(),
                candidates: principal.candidates.len(),
            };
            Ok(Case {
                candidates: principal.candidates.iter().map(|&at| self.rule(at)).collect(),
                request: self.request(prepared, principal, context.clone())?,
                entities: &principal.entities,
                arguments: Arc::clone(&arguments),
                verdict,
                needs: Vec::new(),
                blind: None,
                help: None,
            })
        };
        prepared.principals().iter().map(case).collect()
    }
}

/// The evaluation for one principal.
struct Case<'e> {
    candidates: Vec<&'e Rule>,
    request: ast::Request,
    entities: &'e Entities,
    arguments: Arc<Arguments>,
    verdict: Verdict,
    /// What would lift each of `verdict.obstacles`.
    needs: Vec<Need>,
    /// Why the first of `verdict.blind` is blind: the argument and the reason.
    blind: Option<(String, Unreadable)>,
    /// The `@help` of the first forbid that matches.
    help: Option<String>,
}

impl Case<'_> {
    /// Evaluates the candidates of some kinds, each by itself.
    fn evaluate(&mut self, which: impl Fn(&RuleKind) -> bool, question: &Question<'_>) {
        let evaluator = Evaluator::new(self.request.clone(), self.entities, Extensions::all_available());
        let slots = SlotEnv::new();
        for rule in self.candidates.iter().filter(|rule| which(&rule.kind)) {
            if let Some((name, why)) = self.arguments.unreadable_for(rule) {
                // A permit that cannot see does not permit; a forbid that cannot see stops.
                if rule.kind != RuleKind::Permit {
                    self.verdict.blind.push(rule.reference());
                    self.blind.get_or_insert_with(|| (name.to_owned(), why.clone()));
                }
                continue;
            }
            match evaluator.interpret(&rule.condition, &slots).map(|value| value.value_kind().clone()) {
                Ok(ValueKind::Lit(Literal::Bool(false))) => {}
                Ok(ValueKind::Lit(Literal::Bool(true))) => match &rule.kind {
                    RuleKind::Permit => self.verdict.permits.push(rule.reference()),
                    RuleKind::Forbid => {
                        self.help = self.help.take().or_else(|| rule.help.clone());
                        self.verdict.forbids.push(rule.reference());
                    }
                    RuleKind::Liftable(_) if is_lifted(rule, question) => {
                        self.verdict.lifted.push(rule.reference());
                    }
                    RuleKind::Liftable(need) => {
                        self.verdict.obstacles.push(rule.reference());
                        self.needs.push(need.clone());
                    }
                },
                Ok(_) => self
                    .verdict
                    .errors
                    .push((rule.reference(), "the condition is not a truth value".to_owned())),
                Err(error) => self.verdict.errors.push((rule.reference(), error.to_string())),
            }
        }
    }

    fn obstacles(&self) -> impl Iterator<Item = Obstacle> {
        let rules = self.verdict.obstacles.iter().cloned();
        rules.zip(self.needs.iter().cloned()).map(|(rule, need)| Obstacle { rule, need })
    }
}

fn everyone_is_active(question: &Question<'_>) -> Result<(), Cause> {
    let inactive = |who: &str| {
        Err(Cause::new(
            DenialCode::PrincipalInactive,
            format!("{who} is not active"),
            "stop; an administrator can say why",
        ))
    };
    if !question.agent.is_active() {
        return inactive("this agent, or the person who answers for it,");
    }
    if question.person.is_some_and(|person| !person.is_active()) {
        return inactive("the person behind this task");
    }
    Ok(())
}

fn the_chain_covers(question: &Question<'_>, reasons: &mut Reasons) -> Result<(), Cause> {
    if question.scopes.is_empty() {
        return Err(Cause::new(
            DenialCode::NoTask,
            "the act belongs to no task",
            "start a task that covers it, and call with its token",
        ));
    }
    for (ancestor, scope) in question.scopes.iter().enumerate() {
        let covered = scope.covers(question.act, question.circumstances.now);
        let uncovered = covered.as_ref().err().map(|not| not.why.clone());
        reasons.chain.push(ScopeVerdict { ancestor, uncovered });
        if let Err(not) = covered {
            let code = if not.expired { DenialCode::TaskExpired } else { DenialCode::TaskScope };
            return Err(Cause::new(code, not.why, not.help));
        }
    }
    Ok(())
}

fn limits_are_left(question: &Question<'_>) -> Result<(), Cause> {
    let circumstances = question.circumstances;
    let spent = [("calls", circumstances.calls_left), ("bytes", circumstances.bytes_left)];
    match spent.into_iter().find(|(_, left)| *left == Some(0)) {
        None => Ok(()),
        Some((what, _)) => Err(Cause::new(
            DenialCode::LimitReached,
            format!("the task has used up its {what}"),
            "finish with what is there, or ask for a task with a higher limit",
        )),
    }
}

/// Permits and plain forbids, over all principals.
fn base_verdict(cases: &[Case<'_>], question: &Question<'_>) -> Result<(), Cause> {
    no_errors(cases)?;
    if let Some(case) = cases.iter().find(|case| !case.verdict.forbids.is_empty()) {
        let cause = Cause::new(
            DenialCode::Forbidden,
            format!("a policy forbids {}", question.act.describe()),
            case.help
                .clone()
                .unwrap_or_else(|| "do it another way; repeating the call changes nothing".to_owned()),
        );
        return Err(cause.by(&case.verdict.forbids));
    }
    no_blind_forbid(cases)?;
    for (case, subject) in cases.iter().zip(question.person.into_iter().chain([question.agent])) {
        if case.verdict.permits.is_empty() {
            let is_agent = std::ptr::eq(subject, question.agent);
            let who = if is_agent { "this agent" } else { "the person behind this task" };
            return Err(Cause::new(
                DenialCode::NotGranted,
                format!("{who} has no grant that covers {}", question.act.describe()),
                "ask for access: an administrator can grant a role that covers it",
            ));
        }
    }
    Ok(())
}

/// What can go wrong among the annotated forbids.
fn lift_verdict(cases: &[Case<'_>]) -> Result<(), Cause> {
    no_errors(cases)?;
    no_blind_forbid(cases)
}

fn no_errors(cases: &[Case<'_>]) -> Result<(), Cause> {
    let failed: Vec<&RuleRef> =
        cases.iter().flat_map(|case| &case.verdict.errors).map(|(rule, _)| rule).collect();
    // The message of the failure stays with the reasons: it may quote values that the caller must not see.
    if failed.is_empty() { Ok(()) } else { Err(Cause::broken("a policy failed").by(failed)) }
}

fn no_blind_forbid(cases: &[Case<'_>]) -> Result<(), Cause> {
    for case in cases {
        let Some((name, why)) = &case.blind else { continue };
        let name = shorten(name);
        let cause = match why {
            Unreadable::Mismatch(why) => Cause::new(
                DenialCode::ArgumentsInvalid,
                format!("argument `{name}` does not fit the tool's schema: {why}"),
                "correct the argument",
            ),
            Unreadable::Inexact(help) => Cause::new(
                DenialCode::ArgumentUnreadable,
                format!("a policy must know argument `{name}` exactly, and its value has no exact form"),
                *help,
            ),
        };
        return Err(cause.by(&case.verdict.blind));
    }
    Ok(())
}

/// Whether the rule has been lifted for this very act.
fn is_lifted(rule: &Rule, question: &Question<'_>) -> bool {
    question.lifted.iter().any(|lift| {
        lift.rule == rule.info.id && lift.rule_hash == rule.info.hash && lift.digest == question.digest
    })
}

/// The only place in which an allow is made.
fn conclude(question: &Question<'_>, mut obstacles: Vec<Obstacle>, reasons: Reasons) -> Decision {
    obstacles.dedup();
    let sign_in = obstacles.iter().find_map(|obstacle| match &obstacle.need {
        Need::StepUp(acr) => Some(acr.clone()),
        Need::Confirm | Need::Approval(_) => None,
    });
    match sign_in {
        Some(acr) => Decision::StepUp(StepUp { acr, obstacles, reasons }),
        None if obstacles.is_empty() => {
            let only_reads = matches!(question.act.kind, ActKind::Tool { effect: Effect::Read, .. });
            Decision::Allow(Allow::new(question.digest, only_reads, reasons))
        }
        None => Decision::Pending(Pending { obstacles, reasons }),
    }
}
