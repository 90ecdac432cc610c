//! The engine that decides, compiled from what the snapshot holds.

use base::{Class, Error, EventKind, Name, Refuse};
use policy::{Catalogue, Engine, PolicyProblem, PolicySource, ToolDefinition, Vocabulary};
use wire::json::Json;

use crate::snapshot::Snapshot;

/// The compiled policies and catalogue, or why there are none.
pub struct Judge {
    engine: Result<Engine, Vec<PolicyProblem>>,
}

/// A policy set that does not compile.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct PolicyRefusal(Vec<PolicyProblem>);

impl Refuse for PolicyRefusal {
    fn class(&self) -> Class {
        Class::Invalid
    }

    fn code(&self) -> &'static str {
        "policy_invalid"
    }

    fn help(&self) -> Option<String> {
        Some("correct the policy; the present set stays in force".into())
    }
}

impl Judge {
    /// Compiles what a snapshot holds.
    pub fn compile(snapshot: &Snapshot) -> Result<Engine, Error> {
        Ok(engine(snapshot).map_err(PolicyRefusal)?)
    }

    /// The judge for a snapshot. When its policies do not compile, which checks before each commit prevent, there is
    /// no engine and every decision is a denial.
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let engine = engine(snapshot);
        if let Err(problems) = &engine {
            for problem in problems {
                tracing::error!(%problem, "policies do not compile; every decision is a denial");
            }
        }
        Self { engine }
    }

    /// The engine, if there is one.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref().ok()
    }

    /// Whether an event changes what the engine is compiled from.
    pub(crate) const fn rests_on(kind: EventKind) -> bool {
        matches!(
            kind,
            EventKind::GenerationStarted
                | EventKind::ServerCreated
                | EventKind::ServerUpdated
                | EventKind::ServerDeleted
                | EventKind::ToolPinned
                | EventKind::ToolLabelled
                | EventKind::ToolQuarantined
                | EventKind::ToolDeleted
                | EventKind::PolicyStored
                | EventKind::PolicyDeleted
        )
    }
}

/// The Cedar schema that policies are checked against; with `tool`, as far as that one needs it. None where there is no
/// such tool.
pub(crate) fn schema(snapshot: &Snapshot, tool: Option<&str>) -> Result<Option<String>, Error> {
    let mut catalogue = catalogue(snapshot);
    if let Some(wanted) = tool {
        catalogue.tools.retain(|tool| format!("{}/{}", tool.server, tool.name) == wanted);
        if catalogue.tools.is_empty() {
            return Ok(None);
        }
    }
    Ok(Some(policy::schema_text(&catalogue).map_err(PolicyRefusal)?))
}

fn engine(snapshot: &Snapshot) -> Result<Engine, Vec<PolicyProblem>> {
    let policies: Vec<PolicySource> = snapshot
        .rules
        .iter()
        .map(|rule| PolicySource { id: rule.name.to_string(), text: rule.body.text.clone() })
        .collect();
    Engine::compile(&catalogue(snapshot), &policies)
}

fn catalogue(snapshot: &Snapshot) -> Catalogue {
    let servers: Vec<Name> = snapshot.servers.iter().filter_map(|server| server.name.parse().ok()).collect();
    let tools = snapshot.tools.iter().filter_map(|tool| {
        let server = snapshot.servers.get(&tool.body.server)?.name.parse().ok()?;
        let definition = Json::parse(tool.body.definition.as_bytes()).ok()?;
        Some(ToolDefinition {
            server,
            name: tool.body.tool.clone(),
            effect: tool.body.effect,
            definition_hash: digest(&tool.body.digest)?,
            input_schema: definition.get("inputSchema").cloned()?,
            labels: Vec::new(),
        })
    });
    Catalogue { servers, tools: tools.collect(), vocabulary: Vocabulary::default() }
}

/// A stored hexadecimal SHA-256.
pub fn digest(hexadecimal: &str) -> Option<[u8; 32]> {
    hex::decode(hexadecimal).ok()?.try_into().ok()
}
