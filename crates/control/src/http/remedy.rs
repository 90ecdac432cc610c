//! The commands that would change a decision, with real names, for whoever asked as an operator.

use policy::{Act, ActKind, Decision, DenialCode, Reasons, Verdict};

use crate::{decide::least_role, snapshot::Snapshot, task::Task};

/// The longest name that a grant can have.
const NAME_LENGTH_MAX: usize = base::Name::LENGTH_MAX;

/// What to type to look at what decided, or to give what is missing. Nothing for an allow.
pub(super) fn remedies(decision: &Decision, act: &Act, chain: &[&Task], known: &Snapshot) -> Vec<String> {
    let code = match decision {
        Decision::Allow(_) => return Vec::new(),
        Decision::Deny(denial) => denial.code,
        Decision::StepUp(_) | Decision::Pending(_) => return policies(decision.reasons(), known),
    };
    let tool = match &act.kind {
        ActKind::Tool { name, .. } => format!("{}/{name}", act.server),
        ActKind::Resource { .. } | ActKind::Prompt { .. } | ActKind::Open | ActKind::List => {
            act.server.to_string()
        }
    };
    match code {
        DenialCode::NotGranted => {
            let missing = decision.reasons().verdicts.iter().filter(|verdict| verdict.permits.is_empty());
            missing.filter_map(|verdict| grant(verdict, act, known)).collect()
        }
        DenialCode::Forbidden | DenialCode::ArgumentUnreadable | DenialCode::PolicyError => {
            policies(decision.reasons(), known)
        }
        DenialCode::DefinitionChanged => vec![format!("writ tool approve {tool}")],
        DenialCode::ArgumentsInvalid => vec![format!("writ tool show {tool}")],
        DenialCode::UnknownTarget => vec![format!("writ server discover {}", act.server)],
        DenialCode::PrincipalInactive => chain
            .first()
            .map(|task| format!("writ agent show {}", known.agents.name_of(&task.agent)))
            .into_iter()
            .collect(),
        DenialCode::TaskScope | DenialCode::TaskExpired | DenialCode::LimitReached => chain
            .iter()
            .filter(|task| known.tasks.contains_key(&task.id))
            .map(|task| format!("writ task show {}", task.id))
            .collect(),
        DenialCode::NoTask => Vec::new(),
    }
}

/// The policies that stood in the way, those that users wrote.
fn policies(reasons: &Reasons, known: &Snapshot) -> Vec<String> {
    let mut shown = Vec::new();
    for verdict in &reasons.verdicts {
        let failed = verdict.errors.iter().map(|(rule, _)| rule);
        let stood = verdict.forbids.iter().chain(&verdict.blind).chain(&verdict.obstacles).chain(failed);
        for rule in stood.filter(|rule| known.rules.named(rule.source()).is_some()) {
            let command = format!("writ policy show {}", rule.source());
            if !shown.contains(&command) {
                shown.push(command);
            }
        }
    }
    shown
}

/// `writ grant create ada-reader-shop --to agent/ada --role reader --on server/shop --reason "..."`
fn grant(verdict: &Verdict, act: &Act, known: &Snapshot) -> Option<String> {
    let (word, name) = verdict.principal.split_once("::")?;
    let (word, name) = (word.to_lowercase(), name.trim_matches('"'));
    let Some(role) = least_role(act, known) else {
        let effect = if let ActKind::Tool { effect, .. } = &act.kind { effect.as_str() } else { "read" };
        return Some(format!("writ role create NAME --description \"...\" --effect {effect}"));
    };
    let called = format!("{name}-{role}-{}", act.server);
    let called = if called.len() <= NAME_LENGTH_MAX { called } else { "NAME".to_owned() };
    Some(format!(
        "writ grant create {called} --to {word}/{name} --role {role} --on server/{} --reason \"...\"",
        act.server
    ))
}
