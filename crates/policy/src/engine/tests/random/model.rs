//! The slow, obvious evaluator: the same world as plain data, decided by plain code, without Cedar.

use super::dice::Dice;
use crate::Effect;

pub(super) const TOOLS: [(&str, &str, Effect); 4] = [
    ("crm", "find", Effect::Read),
    ("crm", "refund", Effect::Write),
    ("mail", "send", Effect::Send),
    ("mail", "read", Effect::Read),
];
pub(super) const GROUPS: [&str; 2] = ["g0", "g1"];
pub(super) const ROLES: [&str; 2] = ["r0@x", "r1@x"];
pub(super) const KINDS: [&str; 2] = ["k0", "k1"];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    Permit,
    Forbid,
    Confirm,
    Approval,
    StepUp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Who {
    Any,
    Is,
    In(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    Any,
    Tool(usize),
    Effects([Effect; 2]),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Where {
    Any,
    Server(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum If {
    Always,
    OrderAbove(i64),
    /// Fails when the order is above zero.
    Overflow,
    KindIs(usize),
    HoldsRole,
}

/// A policy as data.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Policy {
    pub(super) id: usize,
    pub(super) what: What,
    /// About persons; else about agents.
    pub(super) person: bool,
    pub(super) who: Who,
    pub(super) doing: Doing,
    pub(super) at: Where,
    pub(super) condition: If,
}

/// A principal as data.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    pub(super) person: bool,
    /// Whether it is the one that policies name.
    pub(super) named: bool,
    pub(super) groups: Vec<usize>,
    pub(super) kind: Option<usize>,
    pub(super) roles: Vec<usize>,
    pub(super) active: bool,
}

/// What a scope covers, as data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cover {
    Everything,
    Nothing,
    Server(&'static str),
    OrderAtMost(i64),
    Expired,
}

/// The value of the argument `order`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Is(i64),
    Huge,
    Missing,
}

/// A whole question as data.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) tool: usize,
    pub(super) order: Order,
    pub(super) person: Option<Principal>,
    pub(super) agent: Principal,
    /// The roles that cover the act.
    pub(super) covering: Vec<usize>,
    pub(super) chain: Vec<Cover>,
    pub(super) spent: bool,
    /// Policies that are lifted for this act.
    pub(super) lifted: Vec<usize>,
}

/// The decision in one word, and the policies that stand in the way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) word: &'static str,
    pub(super) obstacles: Vec<usize>,
}

fn verdict(word: &'static str) -> Verdict {
    Verdict { word, obstacles: Vec::new() }
}

/// What the engine must answer.
pub(super) fn decide(policies: &[Policy], case: &Case) -> Verdict {
    let principals: Vec<&Principal> = case.person.iter().chain([&case.agent]).collect();
    if principals.iter().any(|principal| !principal.active) {
        return verdict("principal_inactive");
    }
    if case.chain.is_empty() {
        return verdict("no_task");
    }
    for cover in &case.chain {
        let (server, _, _) = TOOLS[case.tool];
        let refused = match cover {
            Cover::Everything => None,
            Cover::Nothing => Some("task_scope"),
            Cover::Server(name) => (*name != server).then_some("task_scope"),
            Cover::OrderAtMost(most) => match case.order {
                Order::Is(order) if order <= *most => None,
                _ => Some("task_scope"),
            },
            Cover::Expired => Some("task_expired"),
        };
        if let Some(word) = refused {
            return verdict(word);
        }
    }
    if case.spent {
        return verdict("limit_reached");
    }
    let matching = |principal: &Principal, liftable: bool| -> Vec<(Policy, Result<bool, &'static str>)> {
        let which = |policy: &&Policy| matches!(policy.what, What::Permit | What::Forbid) != liftable;
        let policies = policies.iter().filter(which).filter(|policy| applies(policy, principal, case));
        policies.map(|policy| (policy.clone(), holds(policy, principal, case))).collect()
    };
    let base: Vec<_> = principals.iter().map(|principal| matching(principal, false)).collect();
    if let Some(word) = broken(&base, true) {
        return verdict(word);
    }
    for (principal, found) in principals.iter().zip(&base) {
        let granted = principal.roles.iter().any(|role| case.covering.contains(role));
        if !granted && !found.iter().any(|(policy, holds)| policy.what == What::Permit && *holds == Ok(true))
        {
            return verdict("not_granted");
        }
    }
    let lift: Vec<_> = principals.iter().map(|principal| matching(principal, true)).collect();
    if let Some(word) = broken(&lift, false) {
        return verdict(word);
    }
    let in_the_way: Vec<&Policy> = lift
        .iter()
        .flatten()
        .filter(|(policy, holds)| *holds == Ok(true) && !case.lifted.contains(&policy.id))
        .map(|(policy, _)| policy)
        .collect();
    let word = match () {
        () if in_the_way.is_empty() => "allow",
        () if in_the_way.iter().any(|policy| policy.what == What::StepUp) => "step_up",
        () => "pending",
    };
    Verdict { word, obstacles: in_the_way.iter().map(|policy| policy.id).collect() }
}

/// What ends the decision before anything is permitted.
fn broken(found: &[Vec<(Policy, Result<bool, &'static str>)>], base: bool) -> Option<&'static str> {
    let all = || found.iter().flatten();
    if all().any(|(_, holds)| *holds == Err("policy_error")) {
        return Some("policy_error");
    }
    if base && all().any(|(policy, holds)| policy.what == What::Forbid && *holds == Ok(true)) {
        return Some("forbidden");
    }
    all().filter(|(policy, _)| policy.what != What::Permit).find_map(|(_, holds)| holds.err())
}

fn applies(policy: &Policy, principal: &Principal, case: &Case) -> bool {
    let (server, _, effect) = TOOLS[case.tool];
    policy.person == principal.person
        && match policy.who {
            Who::Any => true,
            Who::Is => principal.named,
            Who::In(group) => principal.groups.contains(&group),
        }
        && match policy.doing {
            Doing::Any => true,
            Doing::Tool(tool) => tool == case.tool,
            Doing::Effects(effects) => effects.contains(&effect),
        }
        && match policy.at {
            Where::Any => true,
            Where::Server(name) => name == server,
        }
}

fn holds(policy: &Policy, principal: &Principal, case: &Case) -> Result<bool, &'static str> {
    match (policy.condition, case.order) {
        (If::OrderAbove(_) | If::Overflow, Order::Huge) => Err("argument_unreadable"),
        (If::OrderAbove(_) | If::Overflow, Order::Missing) => Err("arguments_invalid"),
        (If::OrderAbove(least), Order::Is(order)) => Ok(order > least),
        (If::Overflow, Order::Is(order)) if order > 0 => Err("policy_error"),
        (If::Always, _) | (If::Overflow, Order::Is(_)) => Ok(true),
        (If::KindIs(kind), _) => Ok(principal.kind == Some(kind)),
        (If::HoldsRole, _) => Ok(principal.roles.iter().any(|role| case.covering.contains(role))),
    }
}

pub(super) fn policy(dice: &mut Dice, id: usize) -> Policy {
    use {Doing as D, If as I, What as W};
    let what = dice.pick(&[W::Permit, W::Permit, W::Permit, W::Forbid, W::Confirm, W::Approval, W::StepUp]);
    let doing = match dice.below(4) {
        0 => D::Any,
        1 => D::Effects([dice.pick(&Effect::ALL), dice.pick(&Effect::ALL)]),
        _ => D::Tool(dice.below(TOOLS.len())),
    };
    // A policy on one tool at the server of another can never match, but Cedar does not see that: it stays in.
    let at = dice.pick(&[Where::Any, Where::Any, Where::Server("crm"), Where::Server("mail")]);
    let condition = match dice.below(8) {
        0 | 1 => I::OrderAbove(dice.pick(&[-1, 0, 5])),
        2 if dice.below(3) == 0 => I::Overflow,
        3 | 4 => I::KindIs(dice.below(KINDS.len())),
        5 => I::HoldsRole,
        _ => I::Always,
    };
    let who = match dice.below(4) {
        0 => Who::Is,
        1 => Who::In(dice.below(GROUPS.len())),
        _ => Who::Any,
    };
    Policy { id, what, person: dice.flip(), who, doing, at, condition }
}

pub(super) fn case(dice: &mut Dice, policies: usize) -> Case {
    let chain = (0..dice.pick(&[0, 1, 1, 1, 2, 3]))
        .map(|_| match dice.below(12) {
            0 => Cover::Nothing,
            1 => Cover::Expired,
            2 => Cover::Server(dice.pick(&["crm", "mail"])),
            3 => Cover::OrderAtMost(dice.pick(&[0, 5])),
            _ => Cover::Everything,
        })
        .collect();
    Case {
        tool: dice.below(TOOLS.len()),
        order: dice.pick(&[
            Order::Is(-3),
            Order::Is(0),
            Order::Is(1),
            Order::Is(6),
            Order::Huge,
            Order::Missing,
        ]),
        person: if dice.below(4) > 0 { Some(principal(dice, true)) } else { None },
        agent: principal(dice, false),
        covering: dice.some(ROLES.len()),
        chain,
        spent: dice.below(20) == 0,
        lifted: dice.some(policies),
    }
}

fn principal(dice: &mut Dice, person: bool) -> Principal {
    Principal {
        person,
        named: dice.flip(),
        groups: dice.some(GROUPS.len()),
        kind: dice.pick(&[None, Some(0), Some(1)]),
        roles: dice.some(ROLES.len()),
        active: dice.below(20) > 0,
    }
}
