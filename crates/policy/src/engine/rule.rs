//! A policy, ready for evaluation.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use cedar_policy_core::ast::{
    self, ActionConstraint, EntityReference, EntityUID, Expr, ExprKind, PrincipalOrResourceConstraint, Var,
};

use crate::{
    EntityKind,
    decision::{Need, RuleInfo, RuleRef},
};

/// A policy, ready for evaluation.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) info: Arc<RuleInfo>,
    pub(crate) kind: RuleKind,
    /// The scope as Cedar wrote it, then the conditions.
    pub(crate) condition: Expr,
    pub(crate) scope: RuleScope,
    pub(crate) reads: Reads,
    /// `@help`: what would help whom the rule stops.
    pub(crate) help: Option<String>,
}

/// What a policy does when it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RuleKind {
    Permit,
    Forbid,
    /// A forbid that a confirmation, an approval or a sign-in lifts.
    Liftable(Need),
}

/// For which requests a policy can match at all. Cedar decides in the end; this only spares it the hopeless.
#[derive(Debug)]
pub(crate) struct RuleScope {
    pub(crate) principal_kind: EntityKind,
    pub(crate) principal: Near,
    pub(crate) action: ActionScope,
    pub(crate) resource_type: Option<ast::EntityType>,
    pub(crate) resource: Near,
}

/// Where an entity must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Near {
    Anywhere,
    /// It is this one.
    Is(EntityUID),
    /// It is this one or belongs to it.
    In(EntityUID),
}

#[derive(Debug)]
pub(crate) enum ActionScope {
    Any,
    Is(EntityUID),
    In(Vec<EntityUID>),
}

/// Which arguments a policy reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// All of them: it takes the record as a whole, or asks what could not be read.
    pub(crate) all_arguments: bool,
    /// These.
    pub(crate) arguments: BTreeSet<String>,
    /// The present time, too.
    pub(crate) now: bool,
}

impl Rule {
    pub(crate) fn reference(&self) -> RuleRef {
        RuleRef(Arc::clone(&self.info))
    }
}

impl RuleScope {
    /// Whether the policy can match this request.
    pub(crate) fn admits(
        &self,
        principal: &ast::Entity,
        action: &ast::Entity,
        resource: &ast::Entity,
    ) -> bool {
        self.principal_kind.as_str() == principal.uid().entity_type().name().basename_as_ref().as_ref()
            && self.principal.admits(principal)
            && self.action.admits(action)
            && self.resource_type.as_ref().is_none_or(|ty| ty == resource.uid().entity_type())
            && self.resource.admits(resource)
    }
}

impl Near {
    /// From the scope of a policy; a template's slot is nowhere here.
    pub(crate) fn of(constraint: &PrincipalOrResourceConstraint) -> Self {
        match constraint {
            PrincipalOrResourceConstraint::Eq(EntityReference::EUID(uid)) => Self::Is(uid.as_ref().clone()),
            PrincipalOrResourceConstraint::In(EntityReference::EUID(uid))
            | PrincipalOrResourceConstraint::IsIn(_, EntityReference::EUID(uid)) => {
                Self::In(uid.as_ref().clone())
            }
            _ => Self::Anywhere,
        }
    }

    fn admits(&self, entity: &ast::Entity) -> bool {
        match self {
            Self::Anywhere => true,
            Self::Is(uid) => entity.uid() == uid,
            Self::In(uid) => entity.uid() == uid || entity.is_descendant_of(uid),
        }
    }
}

impl ActionScope {
    pub(crate) fn of(constraint: &ActionConstraint) -> Self {
        match constraint {
            ActionConstraint::Any => Self::Any,
            ActionConstraint::Eq(uid) => Self::Is(uid.as_ref().clone()),
            ActionConstraint::In(uids) => Self::In(uids.iter().map(|uid| uid.as_ref().clone()).collect()),
        }
    }

    fn admits(&self, action: &ast::Entity) -> bool {
        match self {
            Self::Any => true,
            Self::Is(uid) => action.uid() == uid,
            Self::In(uids) => uids.iter().any(|uid| action.uid() == uid || action.is_descendant_of(uid)),
        }
    }
}

impl Reads {
    /// Which arguments an expression reads.
    ///
    /// Every use of `context` is counted against the uses that go to a named attribute, and every use of
    /// `context.arguments` against those that go to a named argument: when the counts differ, the record went
    /// somewhere as a whole.
    pub(crate) fn of(condition: &Expr) -> Self {
        let (mut contexts, mut attributes, mut records, mut named) = (0, 0, 0, 0);
        let mut reads = Self::default();
        for expr in condition.subexpressions() {
            let step = match expr.expr_kind() {
                ExprKind::Var(Var::Context) => {
                    contexts += 1;
                    continue;
                }
                ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => (expr, attr),
                ExprKind::ExtHasAttr { expr, attrs } if is_context(expr) => {
                    // `context has arguments.amount`: as `context has arguments && context.arguments has amount`.
                    attributes += 1;
                    reads.now |= attrs.first() == "now";
                    reads.all_arguments |= attrs.first() == "unmapped";
                    if let (true, Some(name)) = (attrs.first() == "arguments", attrs.get(1)) {
                        reads.arguments.insert(name.to_string());
                    }
                    continue;
                }
                ExprKind::ExtHasAttr { expr, attrs } => (expr, attrs.first()),
                _ => continue,
            };
            let (inner, attr) = step;
            if is_context(inner) {
                attributes += 1;
                reads.now |= attr == "now";
                if attr == "arguments" && matches!(expr.expr_kind(), ExprKind::GetAttr { .. }) {
                    records += 1;
                }
                reads.all_arguments |= attr == "unmapped";
            } else if is_arguments(inner) {
                named += 1;
                reads.arguments.insert(attr.to_string());
            }
        }
        reads.all_arguments |= contexts != attributes || records != named;
        reads.now |= contexts != attributes;
        reads
    }

    /// Whether it reads any argument.
    pub(crate) fn some_argument(&self) -> bool {
        self.all_arguments || !self.arguments.is_empty()
    }

    /// Whether it reads the argument called `name`.
    pub(crate) fn argument(&self, name: &str) -> bool {
        self.all_arguments || self.arguments.contains(name)
    }
}

/// Whether a group of actions stands elsewhere than to the right of `in`. The action of a request is never a group,
/// so `action == Action::"write"` would be false without an error.
pub(crate) fn equates_a_group(condition: &Expr, groups: &HashSet<EntityUID>) -> bool {
    let named = |expr: &Expr| {
        let is_group = |expr: &&Expr| matches!(expr.expr_kind(), ExprKind::Lit(ast::Literal::EntityUID(uid)) if groups.contains(uid.as_ref()));
        expr.subexpressions().filter(is_group).count()
    };
    let under_in = |expr: &Expr| match expr.expr_kind() {
        ExprKind::BinaryApp { op: ast::BinaryOp::In, arg2, .. } => named(arg2),
        _ => 0,
    };
    named(condition) != condition.subexpressions().map(under_in).sum::<usize>()
}

/// The attributes that an expression reads, for explanations: `principal.department`, `context.task.depth`.
pub(crate) fn attributes(condition: &Expr) -> Vec<String> {
    let paths: BTreeSet<String> = condition
        .subexpressions()
        .filter_map(|expr| match expr.expr_kind() {
            ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => Some((path(expr)?, attr)),
            _ => None,
        })
        .map(|(path, attr)| format!("{path}.{attr}"))
        .collect();
    // `context.task` is said by `context.task.depth`.
    let prefix = |short: &String| {
        let dotted = format!("{short}.");
        paths.iter().any(|long| long.starts_with(&dotted))
    };
    paths.iter().filter(|path| !prefix(path)).cloned().collect()
}

fn path(expr: &Expr) -> Option<String> {
    match expr.expr_kind() {
        ExprKind::Var(var) => Some(var.to_string()),
        ExprKind::GetAttr { expr, attr } => Some(format!("{}.{attr}", path(expr)?)),
        _ => None,
    }
}

fn is_context(expr: &Expr) -> bool {
    matches!(expr.expr_kind(), ExprKind::Var(Var::Context))
}

fn is_arguments(expr: &Expr) -> bool {
    matches!(expr.expr_kind(), ExprKind::GetAttr { expr, attr } if attr == "arguments" && is_context(expr))
}
