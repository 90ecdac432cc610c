//! Loading policies: parsing, naming, linting and strict validation, so that what is loaded can be evaluated.

use std::collections::{BTreeMap, HashSet};

use aws_lc_rs::digest::{SHA256, digest};
use cedar_policy_core::{
    ast::{self, EntityUID, PolicyID, PrincipalOrResourceConstraint},
    parser::{Loc, parse_policyset_and_also_return_policy_text},
    validator::{ValidationMode, ValidationWarning, Validator},
};
use miette::Diagnostic;

use super::{
    catalogue::{PolicyProblem, PolicySource},
    rule::{ActionScope, Near, Reads, Rule, RuleKind, RuleScope, attributes, equates_a_group},
};
use crate::{
    EntityKind,
    decision::{Need, RuleInfo},
};

/// The annotations that have a meaning. Others are refused: a misspelt `@confirm` must not be overlooked.
const ANNOTATIONS: [&str; 6] = ["id", "description", "help", "confirm", "approval", "step_up"];

/// Turns policy texts into rules.
pub(crate) struct Loader<'a> {
    validator: &'a Validator,
    groups: &'a Groups,
    taken: HashSet<String>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) problems: Vec<PolicyProblem>,
}

/// The groups of actions.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// All of them.
    pub(crate) all: HashSet<EntityUID>,
    /// Those without a tool at present.
    pub(crate) empty: HashSet<EntityUID>,
}

/// The place of a problem.
struct Place<'a> {
    source: &'a PolicySource,
    policy: String,
    line: usize,
}

impl Place<'_> {
    fn problem(&self, message: impl Into<String>, help: impl Into<String>) -> PolicyProblem {
        PolicyProblem {
            source: self.source.id.clone(),
            policy: self.policy.clone(),
            line: self.line,
            message: message.into(),
            help: help.into(),
        }
    }
}

impl<'a> Loader<'a> {
    pub(crate) fn new(validator: &'a Validator, groups: &'a Groups) -> Self {
        Self { validator, groups, taken: HashSet::new(), rules: Vec::new(), problems: Vec::new() }
    }

    /// Takes in all policies of a text, in their order.
    pub(crate) fn load(&mut self, source: &PolicySource) {
        let whole = |line| Place { source, policy: source.id.clone(), line };
        let (texts, set) = match parse_policyset_and_also_return_policy_text(&source.text) {
            Ok(parsed) => parsed,
            Err(errors) => {
                for error in errors.iter() {
                    let help =
                        error.help().map_or_else(|| "correct the syntax".to_owned(), |help| help.to_string());
                    let place = whole(line_of_label(&source.text, error).unwrap_or(1));
                    self.problems.push(place.problem(error.to_string(), help));
                }
                return;
            }
        };
        for template in set.templates() {
            let place = whole(line_of(&source.text, template.loc()));
            self.problems.push(place.problem(
                "a template has slots that nothing fills",
                "write the entity itself instead of `?principal` or `?resource`, or use a grant",
            ));
        }
        let mut policies: Vec<&ast::Policy> = set.policies().collect();
        policies.sort_by_key(|policy| policy.loc().map_or(0, Loc::start));
        let alone = policies.len() == 1;
        for policy in policies {
            let text = texts.get(policy.id()).copied().flatten().unwrap_or(&source.text);
            match self.rule(source, policy, text, alone) {
                Ok(rule) => self.rules.push(rule),
                Err(problems) => self.problems.extend(problems),
            }
        }
    }

    fn rule(
        &mut self,
        source: &PolicySource,
        policy: &ast::Policy,
        text: &str,
        alone: bool,
    ) -> Result<Rule, Vec<PolicyProblem>> {
        let annotations: BTreeMap<&str, &str> =
            policy.annotations().map(|(name, value)| (name.as_ref(), value.val.as_str())).collect();
        let id = annotations.get("id").copied().filter(|id| !id.is_empty());
        let line = line_of(&source.text, policy.loc());
        let mut place = Place { source, policy: id.unwrap_or(&source.id).to_owned(), line };
        let Some(id) = id.or_else(|| alone.then_some(source.id.as_str())) else {
            return Err(vec![place.problem(
                "a policy has no id, and its text holds several",
                "put `@id(\"a-name\")` before it: ids by position would change when policies are moved",
            )]);
        };
        id.clone_into(&mut place.policy);
        if !self.taken.insert(id.to_owned()) {
            return Err(vec![place.problem("another policy has the same id", "give it another `@id`")]);
        }
        let kind = kind(policy, &annotations, &place).map_err(|problem| vec![problem])?;
        let scope = scope(policy, &place).map_err(|problem| vec![problem])?;
        let policy = policy.new_id(PolicyID::from_string(id));
        let condition = policy.condition();
        if equates_a_group(&condition, &self.groups.all) {
            return Err(vec![place.problem(
                "it compares an action with a group of actions, which no action ever equals",
                "write `action in Action::\"...\"` instead of `==`",
            )]);
        }
        self.validate(&policy, &scope, &place)?;
        let info = RuleInfo {
            id: id.to_owned(),
            hash: sha256(text),
            line,
            source: source.id.clone(),
            reads: attributes(&condition),
        };
        let help = annotations.get("help").map(|&help| help.to_owned());
        Ok(Rule { info: info.into(), kind, scope, reads: Reads::of(&condition), condition, help })
    }

    /// Strict validation at level 1 (Cedar RFC 76): only what stands in the request itself is looked into, because
    /// nothing else is loaded, and a look into what is not loaded is false without an error.
    fn validate(
        &self,
        policy: &ast::Policy,
        scope: &RuleScope,
        place: &Place<'_>,
    ) -> Result<(), Vec<PolicyProblem>> {
        // A policy on groups that have no tool yet may well name arguments that no tool has yet.
        let waits = matches!(&scope.action, ActionScope::In(uids) if uids.iter().all(|uid| self.groups.empty.contains(uid)));
        let set = ast::PolicySet::singleton(policy.clone());
        let result = self.validator.validate_with_level(&set, ValidationMode::Strict, 1);
        let errors = result.validation_errors().map(|error| (error as &dyn Diagnostic, None));
        let warnings = result
            .validation_warnings()
            .filter_map(|warning| Some((warning as &dyn Diagnostic, Some(grave(warning, waits)?))));
        let problems: Vec<PolicyProblem> = errors
            .chain(warnings)
            .map(|(error, help)| {
                let line = line_of_label(&place.source.text, error).unwrap_or(place.line);
                let place = Place { source: place.source, policy: place.policy.clone(), line };
                let message = strip_prefix(&error.to_string());
                place.problem(message, help.map_or_else(|| advice(error), str::to_owned))
            })
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// What to do about a warning that we do not accept; `None` for those that we do.
fn grave(warning: &ValidationWarning, waits: bool) -> Option<&'static str> {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) | ValidationWarning::InvalidActionApplication(_) if waits => {
            None
        }
        ValidationWarning::ImpossiblePolicy(_) => Some(
            "it can never match: look for a misspelt attribute after `has`, or a condition against itself",
        ),
        ValidationWarning::InvalidActionApplication(_) => Some(
            "it can never match: the action never meets this principal and this resource; correct the scope",
        ),
        // SECURITY: text that reads differently from what it says (Trojan Source).
        ValidationWarning::BidiCharsInString(_) | ValidationWarning::BidiCharsInIdentifier(_) => {
            Some("remove the characters that change the direction of writing")
        }
        _ => None,
    }
}

fn advice(error: &dyn Diagnostic) -> String {
    match error.help() {
        Some(help) => help.to_string(),
        None if error.to_string().contains("unable to guarantee safety of access to optional") => {
            "ask first whether it is there: `principal has x && principal.x == ...`, or `if ... has x then ... else ...`"
                .to_owned()
        }
        None => "compare it with the schema of the catalogue".to_owned(),
    }
}

/// Cedar begins its messages with the policy's id, which stands beside them here.
fn strip_prefix(message: &str) -> String {
    match message.strip_prefix("for policy `").and_then(|rest| rest.split_once("`, ")) {
        Some((_, rest)) => rest.to_owned(),
        None => message.to_owned(),
    }
}

fn kind(
    policy: &ast::Policy,
    annotations: &BTreeMap<&str, &str>,
    place: &Place<'_>,
) -> Result<RuleKind, PolicyProblem> {
    if let Some(unknown) = annotations.keys().find(|name| !ANNOTATIONS.contains(name)) {
        return Err(place.problem(
            format!("`@{unknown}` means nothing here"),
            format!("use one of @{}", ANNOTATIONS.join(", @")),
        ));
    }
    let named = |name: &str| match annotations.get(name) {
        Some(&"") => {
            Err(place.problem(format!("`@{name}` needs a value"), format!("write `@{name}(\"...\")`")))
        }
        value => Ok(value.map(|value| (*value).to_owned())),
    };
    let confirm = annotations.contains_key("confirm").then_some(Need::Confirm);
    let needs: Vec<Need> =
        [confirm, named("approval")?.map(Need::Approval), named("step_up")?.map(Need::StepUp)]
            .into_iter()
            .flatten()
            .collect();
    match (policy.effect(), needs.as_slice()) {
        (ast::Effect::Permit, []) => Ok(RuleKind::Permit),
        (ast::Effect::Permit, _) => Err(place.problem(
            "a permit cannot ask for a confirmation, an approval or a sign-in",
            "write a forbid with that annotation beside the permit",
        )),
        (ast::Effect::Forbid, []) => Ok(RuleKind::Forbid),
        (ast::Effect::Forbid, [need]) => Ok(RuleKind::Liftable(need.clone())),
        (ast::Effect::Forbid, _) => Err(place.problem(
            "a forbid carries only one of `@confirm`, `@approval` and `@step_up`",
            "write one forbid for each",
        )),
    }
}

/// The scope, once it is clear which principals it is about.
///
/// SECURITY: an unscoped `permit(principal, ...)` would cover persons, agents and workloads alike.
fn scope(policy: &ast::Policy, place: &Place<'_>) -> Result<RuleScope, PolicyProblem> {
    let principal = policy.principal_constraint();
    let principal = principal.as_inner();
    let ty = match principal {
        PrincipalOrResourceConstraint::Is(ty) | PrincipalOrResourceConstraint::IsIn(ty, _) => {
            Some(ty.to_string())
        }
        PrincipalOrResourceConstraint::Eq(_) => principal.get_euid().map(|uid| uid.entity_type().to_string()),
        PrincipalOrResourceConstraint::Any | PrincipalOrResourceConstraint::In(_) => None,
    };
    let principal_kind = ty.as_deref().and_then(EntityKind::parse).filter(|kind| kind.is_principal());
    let Some(principal_kind) = principal_kind else {
        return Err(place.problem(
            "it does not say which kind of principal it is about",
            "write `principal is Person`, `principal is Agent` or `principal is Workload`, also before `in`",
        ));
    };
    let resource = policy.resource_constraint();
    let resource = resource.as_inner();
    let resource_type = match resource {
        PrincipalOrResourceConstraint::Is(ty) | PrincipalOrResourceConstraint::IsIn(ty, _) => {
            Some(ty.as_ref().clone())
        }
        _ => None,
    };
    Ok(RuleScope {
        principal_kind,
        principal: Near::of(principal),
        action: ActionScope::of(policy.action_constraint()),
        resource_type,
        resource: Near::of(resource),
    })
}

fn line_of(text: &str, loc: Option<&Loc>) -> usize {
    loc.map_or(1, |loc| line_at(text, loc.start()))
}

fn line_of_label(text: &str, error: &dyn Diagnostic) -> Option<usize> {
    error.labels()?.next().map(|label| line_at(text, label.offset()))
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

pub(crate) fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}
