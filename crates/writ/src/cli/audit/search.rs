//! `writ audit search`: what is certain to be a slip is answered here, with the words that would be right.

use base::{DecisionId, EventKind, TaskId, nearest};
use clap::Args;
use http::StatusCode;

use super::words;
use crate::api_client::{ApiClient, ApiError, Target};
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::output::{emit, talk};
use crate::cli::setting::Setting;
use crate::cli::things::server_and_tool;

/// Which records to find; everything that is given must match.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Of this kind, for example call.denied
    #[arg(long, value_parser = kind)]
    kind: Option<String>,
    /// That name this agent anywhere: as actor, in a chain, as holder of a key
    #[arg(long, value_name = "NAME|ID")]
    agent: Option<String>,
    /// That name this person anywhere: as actor, as the one on whose behalf
    #[arg(long, value_name = "NAME|ID")]
    person: Option<String>,
    /// Calls of this tool, and what became of the tool itself
    #[arg(long, value_name = "SERVER/TOOL", value_parser = tool)]
    tool: Option<String>,
    /// Within this task, or about it
    #[arg(long, value_name = "ID", value_parser = task)]
    task: Option<String>,
    /// Of this decision: what was decided, and what became of the act
    #[arg(long, value_name = "ID", value_parser = decision,
          conflicts_with_all = ["kind", "agent", "person", "tool", "task", "actor", "subject", "from", "until"])]
    decision: Option<String>,
    /// Caused by this actor: a name, KIND/NAME or an id
    #[arg(long, value_name = "NAME|ID")]
    actor: Option<String>,
    /// About this thing: KIND/NAME, for example server/shop, or an id
    #[arg(long, value_name = "KIND/NAME|ID")]
    subject: Option<String>,
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<i64>,
    /// Up to this position
    #[arg(long, value_name = "POSITION")]
    until: Option<i64>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

impl Search {
    pub(super) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let mut found = client.get(&self.target(&client)).await.map_err(slip)?;
        emit(&words::table(setting.format(), &found["records"].take()))?;
        if let Some(from) = found["searched_from"].as_i64() {
            talk(&format!(
                "only records from position {from} on were looked at; go on: add --until {}",
                from.saturating_sub(1)
            ));
        }
        Ok(Exit::Done)
    }

    fn target(self, client: &ApiClient) -> Target {
        client
            .at(&["audit", "records"])
            .with("kind", self.kind)
            .with("agent", self.agent)
            .with("person", self.person)
            .with("tool", self.tool)
            .with("task", self.task)
            .with("decision", self.decision)
            .with("actor", self.actor)
            .with("subject", self.subject)
            .with("from", self.from)
            .with("until", self.until)
            .with("limit", Some(self.limit))
    }
}

/// A name that nothing has is a slip in the command, like a flag that does not exist.
fn slip(error: ApiError) -> Trouble {
    let is_slip = matches!(&error, ApiError::Refused { status, .. } if *status == StatusCode::BAD_REQUEST);
    let trouble = Trouble::from(error);
    if is_slip { Trouble { exit: Exit::Usage, ..trouble } } else { trouble }
}

fn kind(text: &str) -> Result<String, String> {
    if EventKind::parse(text).is_some() {
        return Ok(text.to_owned());
    }
    let all: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let meant = nearest(text, all.iter().copied()).map(|kind| format!("did you mean `{kind}`? "));
    Err(format!("{}the kinds are: {}", meant.unwrap_or_default(), all.join(", ")))
}

fn task(text: &str) -> Result<String, String> {
    text.parse::<TaskId>().map(|id| id.to_string()).map_err(|error| error.to_string())
}

fn decision(text: &str) -> Result<String, String> {
    text.parse::<DecisionId>().map(|id| id.to_string()).map_err(|error| error.to_string())
}

fn tool(text: &str) -> Result<String, String> {
    server_and_tool(text).map(|(server, tool)| format!("{server}/{tool}"))
}
