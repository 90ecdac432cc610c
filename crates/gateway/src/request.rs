//! What a client asks a server to do.

use wire::{
    json::Json,
    mcp::{Method, RpcError},
};

use crate::Passes;

/// An act at the level of MCP. The control plane turns it into a policy's act: it knows the definitions and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens a session with the server, or asks what it offers.
    Open,
    /// Listens to what the server says on its own.
    Listen,
    /// Asks what there is.
    List(List),
    /// Calls a tool.
    CallTool {
        /// The tool, verbatim.
        name: String,
        /// Its arguments: an object, empty where the client sent none.
        arguments: Json,
    },
    /// Reads a resource.
    ReadResource {
        /// The resource, verbatim.
        uri: String,
    },
    /// Renders a prompt.
    GetPrompt {
        /// The prompt, verbatim.
        name: String,
        /// Its arguments: an object, empty where the client sent none.
        arguments: Json,
    },
    /// Completes an argument of a prompt.
    CompletePrompt {
        /// The prompt, verbatim.
        name: String,
        /// What is typed so far, `{name, value}`, and what was chosen before, `context`.
        arguments: Json,
    },
    /// Completes a variable of a resource template.
    CompleteResource {
        /// The template, verbatim.
        uri: String,
        /// What is typed so far, `{name, value}`, and what was chosen before, `context`.
        arguments: Json,
    },
    /// Asks to be told when a resource changes.
    Subscribe {
        /// The resource, verbatim.
        uri: String,
    },
    /// Ends a subscription.
    Unsubscribe {
        /// The resource, verbatim.
        uri: String,
    },
    /// Answers what the server asked in the course of another act.
    Answer,
    /// Asks about, answers or ends tasks of the server that came of the caller's own acts.
    Tasks {
        /// The call that the task came of, where that is known. Its arguments are `null` where they were too many to keep.
        of: Option<Box<Self>>,
    },
    /// Says how much of the server's log the client wants to see.
    SetLogLevel {
        /// The lowest level.
        level: String,
    },
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// `tools/list`
    Tools,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    ResourceTemplates,
    /// `prompts/list`
    Prompts,
}

impl List {
    /// The member of the result that holds the items.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }
}

/// The two generations of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Generation {
    /// Until 2025-11-25.
    Sessions,
    /// From 2026-07-28 on.
    Stateless,
}

impl Generation {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Sessions => Self::Stateless,
            Self::Stateless => Self::Sessions,
        }
    }
}

impl Request {
    /// Reads a message. A method that is no act, is unknown, does not pass or is not of this generation gives
    /// `-32601`; parameters of the wrong shape give `-32602`, naming the member.
    pub(crate) fn read(
        message: &wire::mcp::Request,
        generation: Generation,
        passes: Passes,
    ) -> Result<Self, RpcError> {
        let text = |member| required_text(message, member);
        let method = Method::parse(&message.method).filter(|method| is_known_to(*method, generation));
        Ok(match method {
            Some(Method::Initialize | Method::ServerDiscover) => Self::Open,
            Some(Method::SubscriptionsListen) => Self::Listen,
            Some(Method::ToolsList) => Self::List(List::Tools),
            Some(Method::ResourcesList) => Self::List(List::Resources),
            Some(Method::ResourceTemplatesList) => Self::List(List::ResourceTemplates),
            Some(Method::PromptsList) => Self::List(List::Prompts),
            Some(Method::ToolsCall) => Self::CallTool { name: text("name")?, arguments: arguments(message)? },
            Some(Method::ResourcesRead) => Self::ReadResource { uri: text("uri")? },
            Some(Method::ResourcesSubscribe) => Self::Subscribe { uri: text("uri")? },
            Some(Method::ResourcesUnsubscribe) => Self::Unsubscribe { uri: text("uri")? },
            Some(Method::PromptsGet) => {
                Self::GetPrompt { name: text("name")?, arguments: arguments(message)? }
            }
            Some(Method::Complete) => completion(message)?,
            Some(
                Method::TasksGet
                | Method::TasksResult
                | Method::TasksList
                | Method::TasksCancel
                | Method::TasksUpdate,
            ) => Self::Tasks { of: None },
            Some(Method::LoggingSetLevel) if passes.logging => Self::SetLogLevel { level: text("level")? },
            Some(Method::Ping | Method::LoggingSetLevel) | None => {
                return Err(RpcError::method_not_found(&message.method));
            }
        })
    }
}

impl Request {
    /// The same about a task that came of this act.
    pub(crate) fn about(self, of: Option<Self>) -> Self {
        match self {
            Self::Tasks { .. } => Self::Tasks { of: of.map(Box::new) },
            other => other,
        }
    }

    pub(crate) const fn is_about_tasks(&self) -> bool {
        matches!(self, Self::Tasks { .. })
    }
}

/// Whether a method belongs to a generation.
const fn is_known_to(method: Method, generation: Generation) -> bool {
    match method {
        Method::Initialize
        | Method::Ping
        | Method::LoggingSetLevel
        | Method::TasksResult
        | Method::TasksList
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe => matches!(generation, Generation::Sessions),
        Method::ServerDiscover | Method::SubscriptionsListen | Method::TasksUpdate => {
            matches!(generation, Generation::Stateless)
        }
        Method::ToolsList
        | Method::ToolsCall
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::ResourcesRead
        | Method::PromptsList
        | Method::PromptsGet
        | Method::Complete
        | Method::TasksGet
        | Method::TasksCancel => true,
    }
}

/// The longest name, URI or level, in bytes. They are looked up, remembered and compared; arguments are not.
pub(crate) const TEXT_BYTES_MAX: usize = 8 * 1024;

fn required_text(message: &wire::mcp::Request, member: &str) -> Result<String, RpcError> {
    match message.param(member) {
        Some(Json::String(text)) if text.len() > TEXT_BYTES_MAX => {
            Err(RpcError::invalid_params(format!("`params.{member}` is longer than {TEXT_BYTES_MAX} bytes")))
        }
        Some(Json::String(text)) => Ok(text.clone()),
        Some(other) => {
            Err(RpcError::invalid_params(format!("`params.{member}` is {}; send a string", other.kind())))
        }
        None => Err(RpcError::invalid_params(format!("`params.{member}` is missing; send a string"))),
    }
}

fn arguments(message: &wire::mcp::Request) -> Result<Json, RpcError> {
    match message.param("arguments") {
        None => Ok(Json::object::<&str, 0>([])),
        Some(arguments @ Json::Object(_)) => Ok(arguments.clone()),
        Some(other) => {
            Err(RpcError::invalid_params(format!("`params.arguments` is {}; send an object", other.kind())))
        }
    }
}

fn completion(message: &wire::mcp::Request) -> Result<Request, RpcError> {
    let reference =
        message.param("ref").ok_or_else(|| RpcError::invalid_params("`params.ref` is missing"))?;
    let argument = message.param("argument").filter(|argument| argument.as_object().is_some());
    let argument = argument
        .ok_or_else(|| RpcError::invalid_params("`params.argument` is missing or no object"))?
        .clone();
    let context = message.param("context").cloned().unwrap_or_default();
    let arguments = Json::object([("argument", argument), ("context", context)]);
    let text = |member| {
        let text = reference.get(member).and_then(Json::as_str);
        let text = text.filter(|text| text.len() <= TEXT_BYTES_MAX).map(str::to_owned);
        text.ok_or_else(|| RpcError::invalid_params(format!("`params.ref.{member}` is missing or no string")))
    };
    match reference.get("type").and_then(Json::as_str) {
        Some("ref/prompt") => Ok(Request::CompletePrompt { name: text("name")?, arguments }),
        Some("ref/resource") => Ok(Request::CompleteResource { uri: text("uri")?, arguments }),
        _ => Err(RpcError::invalid_params("`params.ref.type` is neither `ref/prompt` nor `ref/resource`")),
    }
}
