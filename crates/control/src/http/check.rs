//! Asking what would be decided, with the reasons, and with no effect.

use std::collections::BTreeSet;

use axum::{Json, extract::State};
use base::{DecisionId, TaskId};
use policy::{Act, ActKind, Decision, Effect, Pattern, Scope, ToolRule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api::{Api, Need, Operation},
    asker::Asked,
    body::Input,
    error::ApiError,
    remedy::remedies,
};
use crate::{
    catalogue::{CatalogueRefusal, ServerState},
    control::Control,
    decide::{HeldGrant, grants_behind},
    snapshot::{Dead, Snapshot},
    task::{Limits, Task, TaskRefusal, TaskState},
};

/// What to ask.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Check {
    /// The agent, by name or id.
    agent: String,
    /// On behalf of whom, by name or id; absent for the agent itself.
    #[serde(default)]
    person: Option<String>,
    /// Within which task; absent asks what a task that covers everything would admit.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    task: Option<TaskId>,
    /// The server.
    server: String,
    /// The tool, as the server spells it.
    tool: String,
    /// The arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Option<Value>,
}

/// The decision that would be made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Checked {
    /// `allow`, `step_up`, `pending` or `deny`.
    decision: &'static str,
    /// The stable code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What would help.
    #[serde(skip_serializing_if = "Option::is_none")]
    what_would_help: Option<String>,
    /// Each principal's verdict, with the policies that decided.
    #[schema(value_type = Object)]
    reasons: Value,
    /// The chain of principals.
    chain: Vec<String>,
    /// The grants by which they hold a role that covers the act.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grants: Vec<HeldGrant>,
    /// The commands that show what decided, or give what is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_change_it: Vec<String>,
}

impl Checked {
    /// A denial without a decision.
    fn denied(code: &'static str, reason: String, to_change_it: Vec<String>) -> Self {
        Self {
            decision: "deny",
            code: Some(code),
            reason: Some(reason),
            what_would_help: to_change_it.first().cloned(),
            reasons: json!([]),
            chain: Vec::new(),
            grants: Vec::new(),
            to_change_it,
        }
    }
}

pub(super) fn operations(api: Api) -> Api {
    let what = "What would be decided, and why; through the same function as a real call, with no effect and no record.";
    api.takes::<Check, Checked, _, _>(
        Operation::new("post", "/api/v1/check", "check", Need::Audit, what),
        check,
    )
}

async fn check(
    State(control): State<Control>,
    asked: Asked,
    Input(check): Input<Check>,
) -> Result<Json<Checked>, ApiError> {
    // A real call would not get through: its intent could not be recorded.
    if !control.store().takes_writes() {
        return Err(ApiError::unrecordable());
    }
    let known = control.snapshot();
    let now = asked.ctx.now;
    let act = act(&known, &check)?;
    let wide;
    let chain: Result<Vec<&Task>, Dead> = if let Some(task) = &check.task {
        known.living_chain(task, now)
    } else {
        wide = widest(&known, &check, &asked)?;
        Ok(vec![&wide])
    };
    if known.servers.named(&check.server).is_none_or(|server| server.body.state != ServerState::Active) {
        let (name, code) = (&check.server, "server_gone");
        let start = vec![format!("writ server start {name}")];
        return Ok(Json(Checked::denied(code, format!("server `{name}` is stopped"), start)));
    }
    let chain = match chain {
        Ok(chain) => chain,
        Err(dead) => {
            return Ok(Json(Checked::denied(base::Refuse::code(&dead), dead.to_string(), Vec::new())));
        }
    };
    let decision = control.decide(&known, &chain, &act, [0; 32], now)?;
    let id = DecisionId::new(now, asked.ctx.dice.as_ref());
    let answer = decision.answer(id, None);
    let people = chain
        .first()
        .and_then(|task| task.person.as_ref())
        .map(|person| format!("person {}", known.people.name_of(person)));
    let agents = chain.iter().rev().map(|task| format!("agent {}", known.agents.name_of(&task.agent)));
    Ok(Json(Checked {
        decision: decision.as_str(),
        code: answer.as_ref().map(|answer| answer.code),
        reason: answer.as_ref().map(|answer| answer.reason.clone()),
        what_would_help: answer.map(|answer| answer.what_would_help),
        reasons: explained(&decision),
        chain: people.into_iter().chain(agents).collect(),
        grants: grants_behind(&chain, &act, &known, now),
        to_change_it: remedies(&decision, &act, &chain, &known),
    }))
}

fn explained(decision: &Decision) -> Value {
    serde_json::to_value(decision.reasons()).unwrap_or(Value::Null)
}

fn act(known: &Snapshot, check: &Check) -> Result<Act, ApiError> {
    let path = format!("{}/{}", check.server, check.tool);
    let no_tool = || CatalogueRefusal::no_such_tool(&check.server, &check.tool, known);
    let tool = known.tools.named(&path).ok_or_else(no_tool)?;
    Ok(Act {
        server: check.server.parse().map_err(|_| no_tool())?,
        kind: ActKind::Tool {
            name: tool.body.tool.clone(),
            definition_hash: tool.body.shown_digest(),
            effect: tool.body.effect,
        },
        arguments: check.arguments.clone().unwrap_or_else(|| json!({})).into(),
    })
}

/// A task that covers everything and lives for a minute: what is left is what grants and policies say.
fn widest(known: &Snapshot, check: &Check, asked: &Asked) -> Result<Task, ApiError> {
    let now = asked.ctx.now;
    let agent =
        known.agents.find(&check.agent).ok_or_else(|| TaskRefusal::NoSuchAgent(check.agent.clone()))?;
    let person = match &check.person {
        Some(name) => Some(known.people.find(name).ok_or_else(ApiError::missing)?.id.clone()),
        None => None,
    };
    let everything = ToolRule {
        server: Pattern::Any,
        tool: Pattern::Any,
        effects: Some(BTreeSet::from(Effect::ALL)),
        constraints: Vec::new(),
    };
    let id = TaskId::new(now, asked.ctx.dice.as_ref());
    Ok(Task {
        root: id.clone(),
        id,
        agent: agent.id.clone(),
        person,
        parent: None,
        depth: 1,
        purpose: "check".into(),
        instruction: None,
        scope: Scope { tools: vec![everything], ..Scope::nothing(now.plus_seconds(60)) },
        limits: Limits { calls_max: 1, bytes_max: 1 },
        state: TaskState::Open,
        created: now,
        created_by: asked.ctx.actor.clone(),
        joinable: false,
        source: None,
    })
}
