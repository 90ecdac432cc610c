//! `writ check`: what would be decided, and why.

use clap::Args;
use serde_json::{Value, json};
use wire::json::Json;

use super::exit::{Exit, Outcome, Trouble};
use super::explain::explained;
use super::output::{emit, printable};
use super::setting::Setting;
use super::things::{given, server_and_tool};

/// Asks what would be decided, through the function that decides calls, with no effect and no record.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ check ada shop/send_mail --person maya --args '{\"to\": \"ines@duarte.example\"}' --explain",
    after_help = "Exit code: 0 allow, 3 deny, 4 a stronger login is needed, 5 a person must agree."
)]
pub(crate) struct Check {
    /// The agent
    agent: String,
    /// The tool
    #[arg(value_name = "SERVER/TOOL", value_parser = server_and_tool)]
    tool: (String, String),
    /// On behalf of whom; the agent itself when not given
    #[arg(long)]
    person: Option<String>,
    /// Within which task; one that covers everything when not given
    #[arg(long, value_name = "ID", conflicts_with = "person")]
    task: Option<String>,
    /// The arguments of the call
    #[arg(long, value_name = "JSON")]
    args: Option<String>,
    /// Say what each principal came to, by which policies, roles and grants, and which command changes it
    #[arg(long)]
    explain: bool,
}

impl Check {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let arguments = self.args.as_deref().map(arguments).transpose()?;
        let body = given([
            ("agent", Some(json!(self.agent))),
            ("person", self.person.map(Value::from)),
            ("task", self.task.map(Value::from)),
            ("server", Some(json!(self.tool.0))),
            ("tool", Some(json!(self.tool.1))),
            ("arguments", arguments),
        ]);
        let client = setting.client()?;
        let answer = client.post(&client.at(&["check"]), &body).await?;
        let exit = exit_of(&answer)?;
        if setting.format().is_for_programs() {
            setting.one(&answer)?;
            return Ok(exit);
        }
        let why = if self.explain { explained(&answer) } else { String::new() };
        emit(&(sentence(&answer) + &why))?;
        Ok(exit)
    }
}

fn arguments(text: &str) -> Result<Value, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::usage(format!("`--args`: {why}"));
    let json = Json::parse(text.as_bytes()).map_err(|error| wrong(&error))?;
    if json.as_object().is_none() {
        return Err(wrong(&"give a JSON object, for example '{\"id\": \"4711\"}'"));
    }
    serde_json::from_str(text).map_err(|error| wrong(&error))
}

/// SECURITY: whatever is not known to be an allow is no success.
fn exit_of(answer: &Value) -> Outcome {
    match answer["decision"].as_str() {
        Some("allow") => Ok(Exit::Done),
        Some("deny") => Ok(Exit::Denied),
        Some("step_up") => Ok(Exit::Login),
        Some("pending") => Ok(Exit::Pending),
        _ => Err(Trouble::new(Exit::Failed, "the server answered with an unknown decision")),
    }
}

fn sentence(answer: &Value) -> String {
    let text = |name: &str| answer[name].as_str().map(printable);
    let mut lines = text("decision").unwrap_or_default();
    if let Some(reason) = text("reason") {
        lines.push_str(": ");
        lines.push_str(&reason);
    }
    lines.push('\n');
    if let Some(help) = text("what_would_help") {
        lines.push_str("  what would help: ");
        lines.push_str(&help);
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Exit, arguments, exit_of, sentence};

    #[test]
    fn only_an_allow_is_a_success() {
        let exit = |decision: serde_json::Value| exit_of(&json!({ "decision": decision })).ok();
        assert_eq!(exit(json!("allow")), Some(Exit::Done));
        assert_eq!(exit(json!("deny")), Some(Exit::Denied));
        assert_eq!(exit(json!("pending")), Some(Exit::Pending));
        assert_eq!(exit(json!("step_up")), Some(Exit::Login));
        for odd in [json!("Allow"), json!(true), json!(null), json!("")] {
            assert_eq!(exit(odd.clone()), None, "{odd}");
        }
    }

    #[test]
    fn arguments_are_one_strict_object() {
        assert!(arguments(r#"{"a": 1}"#).is_ok());
        for bad in ["", "[]", "1", r#"{"a":1,"a":2}"#, r#"{"a":1} x"#] {
            assert!(arguments(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_denial_says_why_and_what_helps() {
        let answer = json!({"decision": "deny", "reason": "no grant", "what_would_help": "ask maya"});
        assert_eq!(sentence(&answer), "deny: no grant\n  what would help: ask maya\n");
        assert_eq!(sentence(&json!({"decision": "allow"})), "allow\n");
    }
}
