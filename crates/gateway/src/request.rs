//! What a client asks a server to do.

use wire::{
    json::Json,
    mcp::{Method, RpcError},
};

/// An act at the level of MCP. The control plane turns it into a policy's act: it knows the definitions and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens a session with the server.
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

impl Request {
    /// Reads a message. A method that is no act, is unknown or is not carried gives `-32601`; parameters of the
    /// wrong shape give `-32602`, naming the member.
    pub fn read(message: &wire::mcp::Request) -> Result<Self, RpcError> {
        let text = |member| required_text(message, member);
        Ok(match Method::parse(&message.method) {
            Some(Method::Initialize) => Self::Open,
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
            Some(Method::Ping | Method::LoggingSetLevel) | None => {
                return Err(RpcError::method_not_found(&message.method));
            }
        })
    }
}

fn required_text(message: &wire::mcp::Request, member: &str) -> Result<String, RpcError> {
    match message.param(member) {
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
        let text = reference.get(member).and_then(Json::as_str).map(str::to_owned);
        text.ok_or_else(|| RpcError::invalid_params(format!("`params.ref.{member}` is missing or no string")))
    };
    match reference.get("type").and_then(Json::as_str) {
        Some("ref/prompt") => Ok(Request::CompletePrompt { name: text("name")?, arguments }),
        Some("ref/resource") => Ok(Request::CompleteResource { uri: text("uri")?, arguments }),
        _ => Err(RpcError::invalid_params("`params.ref.type` is neither `ref/prompt` nor `ref/resource`")),
    }
}
