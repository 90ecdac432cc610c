//! `writ check --explain`: who was asked, what each of them came to, and which command changes it.

use serde_json::Value;

use super::output::printable;

/// The built-in policies say nothing more than that a role covers the act.
const BY_ROLE: &str = "builtin-";

/// The answer in words, a line per principal. What says nothing is left out.
pub(super) fn explained(answer: &Value) -> String {
    let mut lines: Vec<String> = Vec::new();
    for verdict in list(&answer["reasons"]["verdicts"]) {
        let principal = principal_words(verdict["principal"].as_str().unwrap_or_default());
        lines.push(format!("{principal}: {}", verdict_words(verdict, &principal, &answer["grants"])));
    }
    for scope in list(&answer["reasons"]["chain"]) {
        if let Some(why) = scope["uncovered"].as_str() {
            let which = match scope["ancestor"].as_u64() {
                Some(0) | None => "the task".to_owned(),
                Some(up) => format!("the task {up} above it"),
            };
            lines.push(format!("{which}: {why}"));
        }
    }
    let chain: Vec<&str> = list(&answer["chain"]).filter_map(Value::as_str).collect();
    if !chain.is_empty() {
        lines.push(format!("the chain: {}", chain.join(", then ")));
    }
    lines.extend(
        list(&answer["to_change_it"])
            .filter_map(Value::as_str)
            .map(|command| format!("to change it: {command}")),
    );
    lines.iter().map(|line| "  ".to_owned() + &printable(line) + "\n").collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `Person::"maya"` as `person maya`.
fn principal_words(cedar: &str) -> String {
    cedar.split_once("::").map_or_else(
        || cedar.to_owned(),
        |(kind, name)| format!("{} {}", kind.to_lowercase(), name.trim_matches('"')),
    )
}

fn verdict_words(verdict: &Value, principal: &str, grants: &Value) -> String {
    let ids = |member: &str| list(&verdict[member]).filter_map(Value::as_str).collect::<Vec<_>>();
    let named =
        |ids: &[&str]| format!("{} {}", if ids.len() == 1 { "policy" } else { "policies" }, ids.join(", "));
    if let Some(error) = list(&verdict["errors"]).next() {
        let (policy, why) = (error[0].as_str().unwrap_or_default(), error[1].as_str().unwrap_or_default());
        return format!("no decision, policy {policy} failed: {why}");
    }
    let (forbids, blind, obstacles) = (ids("forbids"), ids("blind"), ids("obstacles"));
    if !forbids.is_empty() {
        return format!("forbidden by {}", named(&forbids));
    }
    if !blind.is_empty() {
        return format!("stopped by {}, for want of an argument that can be read exactly", named(&blind));
    }
    if !obstacles.is_empty() {
        return format!("somebody must agree first, says {}", named(&obstacles));
    }
    let permits = ids("permits");
    if permits.is_empty() {
        return "not permitted: no grant covers it".to_owned();
    }
    let mut by: Vec<String> = Vec::new();
    if permits.iter().any(|id| id.starts_with(BY_ROLE)) {
        let own = principal.replacen(' ', "/", 1);
        by.extend(list(grants).filter(|grant| grant["principal"].as_str() == Some(own.as_str())).map(
            |grant| {
                let text = |member: &str| grant[member].as_str().unwrap_or_default();
                format!("role {} on {} (grant {})", text("role"), text("on"), text("grant"))
            },
        ));
    }
    let own: Vec<&str> = permits.into_iter().filter(|id| by.is_empty() || !id.starts_with(BY_ROLE)).collect();
    if !own.is_empty() {
        by.push(named(&own));
    }
    format!("permitted by {}", by.join(" and "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::explained;

    fn verdict(principal: &str, member: &str, ids: &[&str]) -> serde_json::Value {
        json!({ "principal": principal, member: ids })
    }

    #[test]
    fn each_principal_gets_a_line_and_what_is_empty_none() {
        let answer = json!({
            "decision": "deny",
            "reasons": {
                "verdicts": [
                    verdict("Person::\"maya\"", "permits", &["builtin-person-roles"]),
                    verdict("Agent::\"ada\"", "forbids", &["large-refunds"]),
                    verdict("Agent::\"kid\"", "permits", &["builtin-agent-roles", "own"]),
                    verdict("Agent::\"eve\"", "permits", &[]),
                    verdict("Agent::\"lin\"", "blind", &["a", "b"]),
                    verdict("Agent::\"kim\"", "obstacles", &["ask-first"]),
                    { "principal": "Agent::\"bob\"", "errors": [["broken", "no such attribute"]] },
                ],
                "chain": [{ "ancestor": 0, "uncovered": null }, { "ancestor": 1, "uncovered": "no rule names `x`" }],
            },
            "chain": ["person maya", "agent ada"],
            "grants": [
                { "principal": "person/maya", "grant": "maya-supports", "role": "support", "on": "server/shop" },
                { "principal": "agent/kid", "grant": "kid-reads", "role": "reader", "on": "catalogue" },
                { "principal": "agent/kid", "grant": "kid-writes", "role": "editor", "on": "tool/shop/x" },
            ],
            "to_change_it": ["writ policy show large-refunds"],
        });
        insta::assert_snapshot!(explained(&answer));
        assert_eq!(explained(&json!({ "decision": "deny", "reasons": [], "chain": [] })), "");
    }
}
