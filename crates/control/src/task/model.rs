//! The task as a value, and the rules of narrowing.

use base::{Actor, AgentId, Class, PersonId, Refuse, TaskId, Timestamp, TokenId, limit};
use policy::Scope;
use serde::{Deserialize, Serialize};

/// The unit of authority: one agent, on behalf of one person or of itself, for one purpose, with some tools,
/// limits and a deadline.
///
/// INVARIANT: what a task may do is what its scope **and every ancestor's** covers, asked at each call. A child
/// that were wider than its parent would therefore gain nothing; that one is refused at creation is for clarity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The agent that works on it.
    pub agent: AgentId,
    /// The person on whose behalf; none when the agent acts for itself.
    pub person: Option<PersonId>,
    /// The task it descends from.
    pub parent: Option<TaskId>,
    /// The first task of its tree; itself for a first one.
    pub root: TaskId,
    /// How deep in its tree, counted from the root's 1.
    pub depth: i64,
    /// What it is for, in one line.
    pub purpose: String,
    /// What the person asked for, in their words.
    pub instruction: Option<String>,
    /// What it covers, and until when.
    pub scope: Scope,
    /// What it may use up.
    pub limits: Limits,
    /// Its state.
    pub state: TaskState,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// Whether it was made by itself for an agent that named no task: such a task is joined again.
    pub joinable: bool,
    /// The API token by which a person delegated, where they used one: the task ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<TokenId>,
}

/// What a task may use up, in its own calls and in those of its descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Calls.
    pub calls_max: i64,
    /// Bytes in both directions.
    pub bytes_max: i64,
}

/// The life of a task. Only `open` is alive, and nothing leads back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// At work.
    Open,
    /// Ended by its agent or its person, done.
    Completed,
    /// Ended by a person, or because its parent was.
    Killed,
    /// Ended at its deadline.
    Expired,
}

impl TaskState {
    /// The state as written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Killed => "killed",
            Self::Expired => "expired",
        }
    }

    /// The state that is written like this.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Completed, Self::Killed, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What a task is refused for.
#[derive(Debug, thiserror::Error)]
pub enum TaskRefusal {
    /// There is no such task, or the asker may not know of it.
    #[error("there is no task `{0}`")]
    Missing(String),
    /// There is no such agent.
    #[error("`agent`: there is no agent `{0}`")]
    NoSuchAgent(String),
    /// The agent is there and not at work.
    #[error("`agent`: agent `{agent}` is {state} and takes no tasks")]
    AgentNotActive {
        /// The agent's name.
        agent: String,
        /// Its state.
        state: &'static str,
    },
    /// The parent, or what it rests on, is over.
    #[error("`parent`: {0}")]
    DeadParent(crate::snapshot::Dead),
    /// The child would be wider than its parent.
    #[error("`{field}`: wider than the parent task: {why}")]
    Wider {
        /// The member that is wider.
        field: String,
        /// How.
        why: String,
    },
    /// The tree would become too deep.
    #[error("the task would stand at depth {depth}, and at most {max} is admitted here")]
    TooDeep {
        /// The depth it would have.
        depth: i64,
        /// The most admitted.
        max: i64,
    },
    /// The deadline is in the past or too far off.
    #[error("`deadline`: must lie within the next {max_seconds} s")]
    Deadline {
        /// The longest life, in seconds.
        max_seconds: i64,
    },
    /// A limit is not within its bounds.
    #[error("`limits.{field}`: {value} is outside 1 to {max}")]
    Limit {
        /// Which limit.
        field: &'static str,
        /// What was asked.
        value: i64,
        /// The most admitted.
        max: i64,
    },
    /// A text is missing or too long.
    #[error("`{field}`: give 1 to {max} bytes of text")]
    Text {
        /// The member.
        field: &'static str,
        /// The longest admitted, in bytes.
        max: usize,
    },
    /// The agent does not act for this person.
    #[error("agent `{agent}` is {origin} and does not act {whom}")]
    NotForThem {
        /// The agent's name.
        agent: String,
        /// What its blueprint makes it.
        origin: &'static str,
        /// For whom it was asked to act.
        whom: &'static str,
    },
    /// Only the person themself delegates their authority.
    #[error("`person`: a task on behalf of a person is made by that person")]
    NotThemself,
    /// The task is over.
    #[error("task `{0}` is {1}")]
    Over(TaskId, &'static str),
    /// The scope is not well-formed.
    #[error(transparent)]
    Scope(#[from] policy::ScopeError),
    /// There are too many.
    #[error("there are too many open tasks of this {0}")]
    TooMany(&'static str),
    /// It covers nothing.
    #[error("`tools`: the task covers no tool, resource or prompt")]
    Empty,
}

impl Refuse for TaskRefusal {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_) | Self::NoSuchAgent(_) => Class::Missing,
            Self::Deadline { .. } | Self::Limit { .. } | Self::Text { .. } | Self::Scope(_) | Self::Empty => {
                Class::Invalid
            }
            Self::Wider { .. } | Self::TooDeep { .. } | Self::NotForThem { .. } | Self::NotThemself => {
                Class::Denied
            }
            Self::Over(..) | Self::AgentNotActive { .. } | Self::DeadParent(_) => Class::Conflict,
            Self::TooMany(_) => Class::Limited,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::NoSuchAgent(_) => "not_found",
            Self::AgentNotActive { .. } => "agent_not_active",
            Self::Wider { .. } => "task_wider_than_parent",
            Self::TooDeep { .. } => "task_too_deep",
            Self::Deadline { .. } => "bad_deadline",
            Self::Limit { .. } => "bad_limit",
            Self::Text { .. } => "bad_text",
            Self::NotForThem { .. } => "agent_not_for_person",
            Self::NotThemself => "not_your_authority",
            Self::Over(..) | Self::DeadParent(_) => "task_ended",
            Self::TooMany(_) => "too_many_tasks",
            Self::Scope(_) => "bad_scope",
            Self::Empty => "task_empty",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Wider { .. } => {
                Some("ask for no more than the parent task covers, or have a person make a wider task".into())
            }
            Self::TooDeep { .. } => Some("let a task nearer to the root delegate".into()),
            Self::NotThemself => Some("let the person make the task with their own token".into()),
            Self::Over(..) | Self::DeadParent(_) => Some("begin a new task".into()),
            Self::AgentNotActive { agent, state: "suspended" | "staged" } => {
                Some(format!("let it work: writ agent resume {agent}"))
            }
            Self::AgentNotActive { state: "retired", .. } => {
                Some("retired is final; make a new agent".into())
            }
            Self::AgentNotActive { agent, state: "expired" } => {
                Some(format!("give it a later end: `expires` of agent `{agent}`"))
            }
            Self::AgentNotActive { agent, .. } => {
                Some(format!("enable its owner, or give it another one: writ agent show {agent}"))
            }
            Self::TooMany(_) => Some("complete tasks that are done".into()),
            _ => None,
        }
    }
}

/// A purpose or an instruction: not empty, bounded; a purpose is one line.
pub(super) fn text(field: &'static str, text: &str, max: usize) -> Result<String, TaskRefusal> {
    let text = text.trim();
    let one_line = field != "purpose" || !text.chars().any(char::is_control);
    if text.is_empty() || text.len() > max || !one_line {
        Err(TaskRefusal::Text { field, max })
    } else {
        Ok(text.to_owned())
    }
}

/// Checks a child against its parent. The decision would refuse what this misses; here it gets a clear answer.
pub fn narrows(child: &Scope, limits: Limits, parent: &Task) -> Result<(), TaskRefusal> {
    child
        .is_within(&parent.scope)
        .map_err(|wider| TaskRefusal::Wider { field: wider.field, why: wider.why })?;
    let wider = |field: &str, asked: i64, has: i64| TaskRefusal::Wider {
        field: format!("limits.{field}"),
        why: format!("asks for {asked}, the parent has {has}"),
    };
    if limits.calls_max > parent.limits.calls_max {
        return Err(wider("calls", limits.calls_max, parent.limits.calls_max));
    }
    if limits.bytes_max > parent.limits.bytes_max {
        return Err(wider("bytes", limits.bytes_max, parent.limits.bytes_max));
    }
    Ok(())
}

/// The depth of a child, if the tree may become that deep.
pub fn child_depth(parent: &Task, depth_max: i64) -> Result<i64, TaskRefusal> {
    let depth = parent.depth + 1;
    let max = depth_max.min(i64::try_from(limit::TASK_DEPTH_MAX).unwrap_or(1));
    if depth > max { Err(TaskRefusal::TooDeep { depth, max }) } else { Ok(depth) }
}
