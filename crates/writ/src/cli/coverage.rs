//! What a task covers, in words, and whether what was named is there at all.

use base::nearest;
use serde_json::Value;

use super::output::{printable, talk};
use crate::api_client::ApiClient;

/// How many tools a sentence names.
const NAMED_MAX: usize = 8;

/// `task tsk_... until 2026-11-25T14:00:00.000Z; it covers shop/read_ticket`, from the details that came with a token.
pub(super) fn of_token(answer: &Value, agent: &str) -> Option<String> {
    let details = answer["authorization_details"].as_array()?.first()?;
    let task = details["task"].as_str()?;
    let until = details["deadline"]
        .as_i64()
        .map(|seconds| base::Timestamp::from_millis(seconds.saturating_mul(1000)));
    let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
    Some(format!("task {task}{until}; it covers {}", printable(&covered(details, agent))))
}

fn covered(details: &Value, agent: &str) -> String {
    let rules = |member: &str| details[member].as_array().map_or(&[][..], Vec::as_slice);
    let text = |rule: &Value, member: &str| rule[member].as_str().unwrap_or("*").to_owned();
    let tools: Vec<String> = rules("tools")
        .iter()
        .map(|rule| format!("{}/{}", text(rule, "server"), text(rule, "tool")))
        .collect();
    if tools.iter().any(|tool| tool == "*/*") {
        return format!("everything that {agent} was granted; narrow it with --purpose and --tool");
    }
    let mut words: Vec<String> = tools.iter().take(NAMED_MAX).cloned().collect();
    if let Some(more) = tools.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
        words.push(format!("{more} more tools"));
    }
    for (member, word) in [("resources", "resources"), ("prompts", "prompts")] {
        let servers = rules(member).iter().map(|rule| text(rule, "server"));
        words.extend(servers.map(|server| format!("{word} of {server}")));
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Warns of tools that the catalogue does not have: a task may name them, and no call of them can succeed. Who may not
/// see the catalogue gets no warning, and no hint of what is in it.
pub(super) async fn warn_of_unknown(client: &ApiClient, named: &[(String, String)]) {
    let named: Vec<String> = named
        .iter()
        .filter(|(server, tool)| server != "*" && tool != "*")
        .map(|(server, tool)| format!("{server}/{tool}"))
        .collect();
    if named.is_empty() {
        return;
    }
    let Ok(Value::Array(tools)) = client.get(&client.at(&["tools"])).await else { return };
    let known: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    for tool in named.iter().filter(|tool| !known.contains(&tool.as_str())) {
        let meant = nearest(tool, known.iter().copied());
        let hint = meant.map_or_else(
            || "see `writ tool list`".to_owned(),
            |meant| format!("did you mean `{}`?", printable(meant)),
        );
        talk(&format!("warning: there is no tool `{tool}` in the catalogue; {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::of_token;

    #[test]
    fn what_a_token_is_good_for() {
        let said = |details: serde_json::Value| {
            of_token(&json!({ "authorization_details": [details] }), "ada").unwrap()
        };
        let tools: Vec<_> = (0..10).map(|at| json!({ "server": "shop", "tool": format!("t{at}") })).collect();
        let narrow = said(json!({ "task": "tsk_1", "deadline": 60, "tools": tools }));
        assert_eq!(
            narrow,
            "task tsk_1 until 1970-01-01T00:01:00.000Z; it covers shop/t0, shop/t1, shop/t2, shop/t3, shop/t4, shop/t5, \
             shop/t6, shop/t7, 2 more tools"
        );
        let wide = said(json!({ "task": "tsk_1", "tools": [{ "server": "*", "tool": "*" }] }));
        assert!(wide.contains("everything that ada was granted"), "{wide}");
        let read = said(json!({ "task": "tsk_1", "tools": [], "resources": [{ "server": "files" }] }));
        assert_eq!(read, "task tsk_1; it covers resources of files");
        assert_eq!(of_token(&json!({ "access_token": "x" }), "ada"), None);
    }
}
