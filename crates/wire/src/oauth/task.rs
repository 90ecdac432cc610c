//! Tasks as authorization details (RFC 9396) of type `writ_task`.

use base::{
    TaskId, Timestamp,
    limit::{BODY_BYTES_MAX, INSTRUCTION_BYTES_MAX, LINE_BYTES_MAX, TASK_SECONDS_MAX},
};

use super::{ErrorCode, OAuthError};
use crate::json::{Json, Limits, Object};

/// The `type` of a task's authorization details.
pub const TASK_DETAILS_TYPE: &str = "writ_task";

/// The most rules of one list.
const RULES_MAX: usize = 256;

/// A task as a client asks for it: either one that exists, by its id alone, or a new one.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskDetails {
    /// A token for a task that exists.
    Existing(TaskId),
    /// A new task.
    New(Box<NewTask>),
}

/// A new task as a client asks for it. Whether it may have it is for the control plane to say.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// What it is for, in one line.
    pub purpose: String,
    /// What the person asked for, in their words.
    pub instruction: Option<String>,
    /// Which tools with which arguments: objects in the grammar of a task's scope. Kept as JSON because policy
    /// owns that grammar, and refuses members that it does not know.
    pub tools: Vec<Json>,
    /// Which resources, likewise.
    pub resources: Vec<Json>,
    /// Which prompts, likewise.
    pub prompts: Vec<Json>,
    /// What it may use up.
    pub limits: TaskLimits,
    /// Until when; the blueprint's default when not said.
    pub until: Option<TaskUntil>,
    /// The task whose child it shall be.
    pub parent: Option<TaskId>,
}

/// What a task may use up, where the client says so. At least 1 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskLimits {
    /// Calls.
    pub calls: Option<i64>,
    /// Bytes in both directions.
    pub bytes: Option<i64>,
}

/// When a task shall end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskUntil {
    /// So many seconds after it began (`expires_in`).
    ExpiresIn(i64),
    /// At this instant (`deadline`, whole seconds since 1970 as in JWT claims).
    Deadline(Timestamp),
}

impl TaskUntil {
    /// The instant.
    pub const fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::ExpiresIn(seconds) => now.plus_seconds(seconds),
            Self::Deadline(deadline) => deadline,
        }
    }
}

impl TaskDetails {
    /// Reads the parameter `authorization_details`: a JSON array with exactly one object of type `writ_task`.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let limits = Limits { bytes: BODY_BYTES_MAX, depth: 32, values: 1 << 14, ..Limits::default() };
        let json = Json::parse_with(text.as_bytes(), limits)
            .map_err(|error| refuse(format!("`authorization_details`: {error}")))?;
        Self::of(&json)
    }

    /// Reads authorization details that are already parsed.
    pub fn of(details: &Json) -> Result<Self, OAuthError> {
        let [Json::Object(members)] = details.as_array().unwrap_or_default() else {
            return Err(refuse("`authorization_details` must be an array with exactly one object".into()));
        };
        if members.get("type").and_then(Json::as_str) != Some(TASK_DETAILS_TYPE) {
            return Err(refuse(format!("`type` must be `{TASK_DETAILS_TYPE}`; there is no other type here")));
        }
        if members.contains("task") {
            only(members, &["type", "task"], " beside `task`: an existing task is named by its id alone")?;
            return Ok(Self::Existing(
                task_id(members, "task")?.ok_or_else(|| wrong("task", "a task's id"))?,
            ));
        }
        NewTask::of(members).map(|task| Self::New(Box::new(task)))
    }
}

impl NewTask {
    fn of(members: &Object) -> Result<Self, OAuthError> {
        const MEMBERS: [&str; 10] = [
            "type",
            "purpose",
            "instruction",
            "tools",
            "resources",
            "prompts",
            "limits",
            "expires_in",
            "deadline",
            "parent",
        ];
        only(members, &MEMBERS, "")?;
        let purpose = text(members, "purpose", LINE_BYTES_MAX)?
            .filter(|purpose| !purpose.chars().any(char::is_control))
            .ok_or_else(|| wrong("purpose", "one line of text"))?;
        let until = match (integer(members, "expires_in", TASK_SECONDS_MAX)?, members.get("deadline")) {
            (Some(_), Some(_)) => {
                return Err(refuse("`expires_in` and `deadline` exclude each other".into()));
            }
            (Some(seconds), None) => Some(TaskUntil::ExpiresIn(seconds)),
            (None, Some(_)) => integer(members, "deadline", 253_402_300_799)?
                .map(|seconds| TaskUntil::Deadline(Timestamp::from_seconds(seconds))),
            (None, None) => None,
        };
        let limits = match members.get("limits") {
            None => TaskLimits::default(),
            Some(Json::Object(limits)) => {
                only(limits, &["calls", "bytes"], " in `limits`")?;
                TaskLimits {
                    calls: integer(limits, "calls", i64::MAX)?,
                    bytes: integer(limits, "bytes", i64::MAX)?,
                }
            }
            Some(_) => return Err(wrong("limits", "an object")),
        };
        Ok(Self {
            purpose,
            instruction: text(members, "instruction", INSTRUCTION_BYTES_MAX)?,
            tools: rules(members, "tools")?,
            resources: rules(members, "resources")?,
            prompts: rules(members, "prompts")?,
            limits,
            until,
            parent: task_id(members, "parent")?,
        })
    }
}

fn refuse(description: String) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidAuthorizationDetails, description)
}

fn wrong(name: &str, wanted: &str) -> OAuthError {
    refuse(format!("`{name}` must be {wanted}"))
}

/// Refuses members that nobody knows: a misspelt limit must not silently be no limit.
fn only(members: &Object, known: &[&str], place: &str) -> Result<(), OAuthError> {
    match members.names().find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let shown: String = name.chars().take(64).collect();
            Err(refuse(format!("there is no member `{shown}`{place}")))
        }
    }
}

fn text(members: &Object, name: &str, bytes_max: usize) -> Result<Option<String>, OAuthError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::String(text)) if !text.trim().is_empty() && text.len() <= bytes_max => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(wrong(name, &format!("1 to {bytes_max} bytes of text"))),
    }
}

fn integer(members: &Object, name: &str, max: i64) -> Result<Option<i64>, OAuthError> {
    match members.get(name).map(Json::as_i64) {
        None => Ok(None),
        Some(Some(value)) if (1..=max).contains(&value) => Ok(Some(value)),
        Some(_) => Err(wrong(name, &format!("a whole number from 1 to {max}"))),
    }
}

fn task_id(members: &Object, name: &str) -> Result<Option<TaskId>, OAuthError> {
    let parse = |value: &Json| value.as_str().and_then(|text| text.parse().ok());
    members.get(name).map(|value| parse(value).ok_or_else(|| wrong(name, "a task's id"))).transpose()
}

fn rules(members: &Object, name: &str) -> Result<Vec<Json>, OAuthError> {
    match members.get(name) {
        None => Ok(Vec::new()),
        Some(Json::Array(rules))
            if rules.len() <= RULES_MAX && rules.iter().all(|rule| rule.as_object().is_some()) =>
        {
            Ok(rules.clone())
        }
        Some(_) => Err(wrong(name, &format!("an array of at most {RULES_MAX} objects"))),
    }
}
