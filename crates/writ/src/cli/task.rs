//! `writ task`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::coverage;
use super::exit::{Outcome, Trouble};
use super::file;
use super::kill;
use super::output::Column;
use super::setting::Setting;
use super::things::{given, seconds, server_and_tool};
use super::tool::EFFECTS;

const COLUMNS: &[Column] = &[
    Column::new("ID", "/id"),
    Column::new("AGENT", "/agent"),
    Column::new("PERSON", "/person"),
    Column::new("STATE", "/state"),
    Column::new("ENDS", "/deadline"),
    Column::new("PURPOSE", "/purpose"),
    Column::wide("PARENT", "/parent"),
    Column::wide("CREATED", "/created"),
];

/// Tasks: what an agent may do, for whom, for which purpose and until when.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Make a task; with --person, on behalf of yourself
    #[command(
        before_help = "$ writ task create --agent ada --person maya --purpose \"answer ticket 4711\" --tool shop/read_ticket --tool shop/send_mail --for 1h"
    )]
    Create(Create),
    /// List open tasks that you may see
    #[command(before_help = "$ writ task list --agent ada")]
    List {
        /// Only this agent's
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// Only those on behalf of this person
        #[arg(long, value_name = "NAME")]
        person: Option<String>,
    },
    /// Show one task with what it covers and what it has used
    #[command(before_help = "$ writ task show tsk_01k9m3x8q2v4t6y8b0d2f4h6j8")]
    Show(OneTask),
    /// End a task and its descendants as done
    #[command(before_help = "$ writ task complete tsk_01k9m3x8q2v4t6y8b0d2f4h6j8")]
    Complete(OneTask),
    /// Stop a task and its descendants at once
    #[command(
        before_help = "$ writ task kill tsk_01k9m3x8q2v4t6y8b0d2f4h6j8 --reason \"wrong customer\" --yes"
    )]
    Kill {
        #[command(flatten)]
        task: OneTask,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// A task by its id.
#[derive(Debug, Args)]
pub(crate) struct OneTask {
    /// Its id
    id: String,
}

/// What a task is made of.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The agent that shall work on it
    #[arg(long)]
    agent: String,
    /// On behalf of whom: yourself; the agent itself when not given
    #[arg(long)]
    person: Option<String>,
    /// The task that it descends from
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// What you ask for, in your words, from a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    instruction: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArgs,
    /// How long it lives
    #[arg(long = "for", value_name = "SPAN", value_parser = seconds, default_value = "1h")]
    seconds: i64,
    /// Calls that it may make, its descendants included
    #[arg(long, value_name = "N", requires = "bytes_max")]
    calls_max: Option<i64>,
    /// Bytes in both directions, its descendants included
    #[arg(long, value_name = "N", requires = "calls_max")]
    bytes_max: Option<i64>,
}

/// What a task covers.
#[derive(Debug, Args)]
pub(crate) struct ScopeArgs {
    /// A tool that may be called; `*` stands for all of them; may be given several times
    #[arg(long = "tool", value_name = "SERVER/TOOL", value_parser = server_and_tool)]
    pub(crate) tools: Vec<(String, String)>,
    /// Only those of these tools that have this effect; may be given several times
    #[arg(long = "effect", value_parser = EFFECTS, requires = "tools")]
    effects: Vec<String>,
    /// Further `tools`, `resources` and `prompts` with their constraints, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    scope: Option<PathBuf>,
}

impl TaskCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        match self {
            Self::Create(create) => {
                coverage::warn_of_unknown(&client, &create.scope.tools).await;
                let answer = client.post(&client.at(&["tasks"]), &create.body()?).await?;
                let id = answer["id"].as_str().unwrap_or_default();
                setting.done(&format!("task {id} created"), &answer)
            }
            Self::List { agent, person } => {
                let target = client.at(&["tasks"]).with("agent", agent).with("person", person);
                setting.list(COLUMNS, &client.get(&target).await?)
            }
            Self::Show(OneTask { id }) => setting.one(&client.get(&client.at(&["tasks", &id])).await?),
            Self::Complete(OneTask { id }) => {
                let answer = client.act(&client.at(&["tasks", &id, "complete"])).await?;
                setting.done(&format!("task {id} completed"), &answer)
            }
            Self::Kill { task, reason } => kill::stop(setting, "task", &task.id, &reason).await,
        }
    }
}

impl Create {
    fn body(self) -> Result<Value, Trouble> {
        let instruction = self.instruction.as_deref().map(file::text).transpose()?;
        let limits = self
            .calls_max
            .zip(self.bytes_max)
            .map(|(calls, bytes)| json!({ "calls_max": calls, "bytes_max": bytes }));
        let mut body = given([
            ("agent", Some(json!(self.agent))),
            ("person", self.person.map(Value::from)),
            ("parent", self.parent.map(Value::from)),
            ("purpose", Some(json!(self.purpose))),
            ("instruction", instruction.map(Value::from)),
            ("limits", limits),
            ("seconds", Some(json!(self.seconds))),
        ]);
        if let Some(members) = body.as_object_mut() {
            members.extend(self.scope.members()?);
        }
        Ok(body)
    }
}

impl ScopeArgs {
    /// `tools`, `resources` and `prompts`, as the API and `writ_task` take them.
    pub(crate) fn members(&self) -> Result<Map<String, Value>, Trouble> {
        let mut members = match &self.scope {
            Some(path) => scope_file(path)?,
            None => Map::new(),
        };
        let effects = (!self.effects.is_empty()).then(|| json!(self.effects));
        let rules = self.tools.iter().map(|(server, tool)| {
            given([
                ("server", Some(json!(server))),
                ("tool", Some(json!(tool))),
                ("effects", effects.clone()),
            ])
        });
        let tools = members.entry("tools").or_insert_with(|| json!([]));
        let tools =
            tools.as_array_mut().ok_or_else(|| Trouble::usage("`tools` in the scope file is not a list"))?;
        tools.extend(rules);
        Ok(members)
    }
}

fn scope_file(path: &std::path::Path) -> Result<Map<String, Value>, Trouble> {
    let wrong = |why: &dyn std::fmt::Display| Trouble::usage(format!("`{}`: {why}", path.display()));
    // By way of YAML's own value, which refuses members that stand twice.
    let parsed: serde_norway::Value =
        serde_norway::from_str(&file::text(path)?).map_err(|error| wrong(&error))?;
    let value = serde_json::to_value(parsed).map_err(|error| wrong(&error))?;
    let Value::Object(members) = value else {
        return Err(wrong(&"not an object with tools, resources and prompts"));
    };
    match members.keys().find(|name| !["tools", "resources", "prompts"].contains(&name.as_str())) {
        None => Ok(members),
        Some(name) => Err(wrong(&format!("there is no member `{name}`; use tools, resources and prompts"))),
    }
}
