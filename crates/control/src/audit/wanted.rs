//! What somebody wants to find, and the ids that it comes to: names are for people, records hold ids.

use base::{AgentId, AnyId, Class, DecisionId, Error, EventKind, PersonId, Refuse, TaskId, ToolId, nearest};
use serde::Deserialize;

use crate::{
    kind::Kind,
    principal::{Agent, Person, Workload},
    snapshot::Snapshot,
};

/// The longest name of a piece of the server's work that is looked for.
const WORK_BYTES_MAX: usize = 100;

/// Which records, as they are asked for. Everything that is given must match; a decision is asked for alone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// From this position on.
    pub from: Option<i64>,
    /// Up to this position.
    pub until: Option<i64>,
    /// Of this kind.
    pub kind: Option<String>,
    /// About this thing: an id, or `KIND/NAME`.
    pub subject: Option<String>,
    /// Within this task, or about it.
    pub task: Option<String>,
    /// Caused by this actor: an id, a name, or `KIND/NAME`.
    pub actor: Option<String>,
    /// Of this decision: what was decided, and what became of the act.
    pub decision: Option<String>,
    /// That name this agent anywhere, by id or name.
    pub agent: Option<String>,
    /// That name this person anywhere, by id or name.
    pub person: Option<String>,
    /// Calls of this tool, and what became of the tool itself: `SERVER/TOOL`.
    pub tool: Option<String>,
    /// At most so many; 100 when absent, 1,000 at most.
    pub limit: i64,
}

/// The same with ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    pub(super) from: Option<i64>,
    pub(super) until: Option<i64>,
    pub(super) kind: Option<EventKind>,
    pub(super) subject: Option<String>,
    pub(super) task: Option<TaskId>,
    pub(super) actor: Option<String>,
    pub(super) decision: Option<DecisionId>,
    pub(super) agent: Option<AgentId>,
    pub(super) person: Option<PersonId>,
    pub(super) tool: Option<WantedTool>,
    pub(super) limit: i64,
}

/// A tool as records of calls spell it, and its id while it is in the catalogue.
#[derive(Clone, Debug)]
pub(super) struct WantedTool {
    pub(super) server: String,
    pub(super) tool: String,
    pub(super) id: Option<ToolId>,
}

/// What a search is refused for.
#[derive(Debug, thiserror::Error)]
pub enum AuditRefusal {
    /// There is no such kind of record.
    #[error("`kind`: there is no kind of record `{0}`")]
    Kind(String),
    /// It is neither an id nor a name of anything.
    #[error("`{field}`: `{text}` is neither an id nor the name of {wanted}")]
    Unknown {
        /// The parameter.
        field: &'static str,
        /// What was given.
        text: String,
        /// What it should name.
        wanted: &'static str,
    },
    /// More than one thing is called so.
    #[error("`{field}`: `{text}` is the name of more than one: {found}")]
    Ambiguous {
        /// The parameter.
        field: &'static str,
        /// What was given.
        text: String,
        /// What is called so.
        found: String,
    },
    /// A decision is one record.
    #[error("`decision` is asked for alone")]
    NotAlone,
    /// The record is too new.
    #[error("no checkpoint covers the record yet")]
    NotCovered,
}

impl Refuse for AuditRefusal {
    fn class(&self) -> Class {
        match self {
            Self::NotCovered => Class::Busy,
            Self::Kind(_) | Self::Unknown { .. } | Self::Ambiguous { .. } | Self::NotAlone => Class::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Kind(_) => "no_such_kind",
            Self::Unknown { .. } => "no_such_reference",
            Self::Ambiguous { .. } => "ambiguous_name",
            Self::NotAlone => "bad_request",
            Self::NotCovered => "not_covered_yet",
        }
    }

    fn help(&self) -> Option<String> {
        let kinds = || EventKind::ALL.iter().map(|kind| kind.as_str());
        match self {
            Self::Kind(text) => {
                let meant = nearest(text, kinds()).map(|kind| format!("did you mean `{kind}`? "));
                let all: Vec<_> = kinds().collect();
                Some(format!("{}the kinds are: {}", meant.unwrap_or_default(), all.join(", ")))
            }
            Self::Ambiguous { .. } => Some("give KIND/NAME, for example `agent/ada`, or the id".into()),
            Self::NotCovered => Some("one is made each second; try again shortly".into()),
            Self::Unknown { .. } | Self::NotAlone => None,
        }
    }
}

impl Wanted {
    /// The ids behind the names.
    pub(super) fn resolved(self, known: &Snapshot) -> Result<Search, Error> {
        let alone = Self { decision: self.decision.clone(), limit: self.limit, ..Self::default() };
        if self.decision.is_some() && !self.same_filters(&alone) {
            return Err(AuditRefusal::NotAlone.into());
        }
        let kind = |text: String| EventKind::parse(&text).ok_or_else(|| AuditRefusal::Kind(short(&text)));
        Ok(Search {
            from: self.from,
            until: self.until,
            kind: self.kind.map(kind).transpose()?,
            subject: self.subject.map(|text| anything("subject", &text, known)).transpose()?,
            task: self.task.map(|text| id("task", &text, "a task")).transpose()?,
            actor: self.actor.map(|text| actor(&text, known)).transpose()?,
            decision: self.decision.map(|text| id("decision", &text, "a decision")).transpose()?,
            agent: self.agent.map(|text| found::<Agent>("agent", &text, known)).transpose()?,
            person: self.person.map(|text| found::<Person>("person", &text, known)).transpose()?,
            tool: self.tool.map(|text| tool(&text, known)).transpose()?,
            limit: self.limit,
        })
    }

    fn same_filters(&self, other: &Self) -> bool {
        let numbers = |one: &Self| (one.from, one.until);
        let texts = |one: &Self| {
            [&one.kind, &one.subject, &one.task, &one.actor, &one.agent, &one.person, &one.tool]
                .map(Clone::clone)
        };
        numbers(self) == numbers(other) && texts(self) == texts(other)
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn unknown(field: &'static str, text: &str, wanted: &'static str) -> AuditRefusal {
    AuditRefusal::Unknown { field, text: short(text), wanted }
}

/// An id of one kind, where there are no names.
fn id<I: std::str::FromStr>(
    field: &'static str,
    text: &str,
    wanted: &'static str,
) -> Result<I, AuditRefusal> {
    text.parse().map_err(|_| unknown(field, text, wanted))
}

/// The id of a thing of one kind. An id that nothing has any more may still stand in records.
fn found<K: Kind>(field: &'static str, text: &str, known: &Snapshot) -> Result<K::Id, AuditRefusal> {
    let named = K::shelf(known).named(text).map(|thing| thing.id.clone());
    let wanted = if field == "agent" { "an agent" } else { "a person" };
    named.map_or_else(|| id(field, text, wanted), Ok)
}

/// Who may have caused something: what records call `actor`.
fn actor(text: &str, known: &Snapshot) -> Result<String, AuditRefusal> {
    if text == "anonymous" || text.strip_prefix("system:").is_some_and(is_work) {
        return Ok(text.to_owned());
    }
    if text.contains('/') || text.parse::<AnyId>().is_ok() {
        return anything("actor", text, known);
    }
    let called: Vec<(&str, AnyId)> = [
        ("person", named::<Person>(text, known)),
        ("agent", named::<Agent>(text, known)),
        ("workload", named::<Workload>(text, known)),
    ]
    .into_iter()
    .filter_map(|(word, id)| Some((word, id?)))
    .collect();
    match called.as_slice() {
        [(_, id)] => Ok(id.to_string()),
        [] => Err(unknown("actor", text, "a person, an agent or a workload")),
        many => {
            let found: Vec<String> = many.iter().map(|(word, _)| format!("`{word}/{text}`")).collect();
            Err(AuditRefusal::Ambiguous { field: "actor", text: short(text), found: found.join(", ") })
        }
    }
}

/// Whether the server may call a piece of its work so. Not all databases take every sign in a text.
fn is_work(text: &str) -> bool {
    text.len() <= WORK_BYTES_MAX && !text.contains(char::is_control)
}

/// An id of any kind, or `KIND/NAME`.
fn anything(field: &'static str, text: &str, known: &Snapshot) -> Result<String, AuditRefusal> {
    const WANTED: &str = "anything as KIND/NAME, for example `agent/ada`";
    if text.parse::<AnyId>().is_ok() {
        return Ok(text.to_owned());
    }
    let (word, name) = text.split_once('/').ok_or_else(|| unknown(field, text, WANTED))?;
    let id = match word {
        "person" => named::<Person>(name, known),
        "agent" => named::<Agent>(name, known),
        "workload" => named::<Workload>(name, known),
        "group" => named::<crate::principal::Group>(name, known),
        "blueprint" => named::<crate::principal::Blueprint>(name, known),
        "server" => named::<crate::catalogue::Server>(name, known),
        "tool" => named::<crate::catalogue::Tool>(name, known),
        "role" => named::<crate::grant::Role>(name, known),
        "grant" => named::<crate::grant::Grant>(name, known),
        "policy" => named::<crate::rule::Rule>(name, known),
        "secret" => named::<crate::secret::KeptSecret>(name, known),
        _ => None,
    };
    id.map(|id| id.to_string()).ok_or_else(|| unknown(field, text, WANTED))
}

fn named<K: Kind>(name: &str, known: &Snapshot) -> Option<AnyId> {
    K::shelf(known).named(name).map(|thing| thing.id.clone().into())
}

fn tool(text: &str, known: &Snapshot) -> Result<WantedTool, AuditRefusal> {
    let (server, tool) = text
        .split_once('/')
        .filter(|(server, tool)| server.parse::<base::Name>().is_ok() && !tool.is_empty())
        .ok_or_else(|| unknown("tool", text, "a tool as SERVER/TOOL"))?;
    let id = known.tools.named(text).map(|tool| tool.id.clone());
    Ok(WantedTool { server: server.to_owned(), tool: tool.to_owned(), id })
}

#[cfg(test)]
mod tests {
    use super::actor;
    use crate::snapshot::Snapshot;

    #[test]
    fn the_server_s_work_has_a_name_that_every_database_takes() {
        let known = Snapshot::default();
        for good in ["system:sweep", "system:forget what is over", "system:", "anonymous"] {
            assert_eq!(actor(good, &known).unwrap(), good);
        }
        let long = format!("system:{}", "x".repeat(101));
        for bad in ["system:\0", "system:a\nb", "system:\u{85}", &long] {
            assert!(actor(bad, &known).is_err(), "{bad:?}");
        }
    }
}
