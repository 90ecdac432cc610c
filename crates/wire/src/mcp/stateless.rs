//! Revision 2026-07-28: no sessions. Each request says by itself what it needs to be understood.
//!
//! The version, the client and its capabilities stand in `params._meta` of every request (basic, "Per-request
//! protocol fields"); HTTP headers repeat what intermediaries route by, and must agree with the body (transports,
//! "Standard headers").

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Method, Request, RpcError};
use crate::json::{Json, Object};

/// The revision, as written in messages and headers.
pub const STATELESS: &str = "2026-07-28";

/// The extension by which a server answers with a task instead of a result.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Members of `_meta` that the protocol itself uses.
pub mod meta {
    /// The revision that a request is written in.
    pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
    /// What the client can do.
    pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
    /// What the client says that it is.
    pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
    /// From which level on the client wants to see the server's log.
    pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
    /// What the server says that it is.
    pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
    /// The subscription that a notification belongs to: the id of its `subscriptions/listen`.
    pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
    /// The task of the server that something belongs to (2025-11-25).
    pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
}

/// What a request says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// What the client can do.
    pub capabilities: Object,
    /// What the client says that it is. Shown and passed on, never believed.
    pub client_info: Option<Json>,
    /// From which level on the client wants to see the server's log.
    pub log_level: Option<String>,
}

impl Envelope {
    /// Takes the envelope out of a request. An empty `_meta` stays where it stands: it is the client's.
    ///
    /// Fails with `-32602` when something that is required is missing, and when the version is no text. Which version
    /// it is, is the caller's to judge.
    pub fn take(request: &mut Request) -> Result<(String, Self), RpcError> {
        let meta =
            request.params.as_mut().and_then(Json::as_object_mut).and_then(|params| params.get_mut("_meta"));
        let meta = meta.and_then(Json::as_object_mut).ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
        let version = match meta.remove(meta::PROTOCOL_VERSION) {
            Some(Json::String(version)) => version,
            Some(_) => return Err(wrong(meta::PROTOCOL_VERSION, "a string")),
            None => return Err(missing(meta::PROTOCOL_VERSION)),
        };
        let capabilities = match meta.remove(meta::CLIENT_CAPABILITIES) {
            Some(Json::Object(capabilities)) => capabilities,
            Some(_) => return Err(wrong(meta::CLIENT_CAPABILITIES, "an object")),
            None => return Err(missing(meta::CLIENT_CAPABILITIES)),
        };
        let client_info = match meta.remove(meta::CLIENT_INFO) {
            Some(info @ Json::Object(_)) => Some(info),
            Some(_) => return Err(wrong(meta::CLIENT_INFO, "an object")),
            None => None,
        };
        let log_level = match meta.remove(meta::LOG_LEVEL) {
            Some(Json::String(level)) => Some(level),
            Some(_) => return Err(wrong(meta::LOG_LEVEL, "a string")),
            None => None,
        };
        Ok((version, Self { capabilities, client_info, log_level }))
    }

    /// Writes the envelope into a request.
    pub fn put(&self, request: &mut Request) {
        let params = request.params.get_or_insert_with(|| Json::Object(Object::new()));
        let Some(params) = params.as_object_mut() else { return };
        if params.get("_meta").and_then(Json::as_object).is_none() {
            params.insert("_meta", Object::new());
        }
        let Some(meta) = params.get_mut("_meta").and_then(Json::as_object_mut) else { return };
        meta.insert(meta::PROTOCOL_VERSION, STATELESS);
        meta.insert(meta::CLIENT_CAPABILITIES, self.capabilities.clone());
        if let Some(info) = &self.client_info {
            meta.insert(meta::CLIENT_INFO, info.clone());
        }
        if let Some(level) = &self.log_level {
            meta.insert(meta::LOG_LEVEL, level.as_str());
        }
    }

    /// Whether a request is written in this form, whatever its headers say.
    pub fn is_in(request: &Request) -> bool {
        request.param("_meta").is_some_and(|meta| meta.get(meta::PROTOCOL_VERSION).is_some())
    }
}

fn missing(member: &str) -> RpcError {
    RpcError::invalid_params(format!("`params._meta` must have the member `{member}`"))
}

fn wrong(member: &str, kind: &str) -> RpcError {
    RpcError::invalid_params(format!("`params._meta[\"{member}\"]` must be {kind}"))
}

/// The parameter that the header `Mcp-Name` repeats, for the methods that have one.
pub fn named_param(method: &str) -> Option<&'static str> {
    match Method::parse(method)? {
        Method::ToolsCall | Method::PromptsGet => Some("name"),
        Method::ResourcesRead => Some("uri"),
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => Some("taskId"),
        _ => None,
    }
}

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// A text as the value of a header: as it is where that is printable ASCII without outer spaces, else in Base64
/// between `=?base64?` and `?=`.
pub fn encode_header(text: &str) -> String {
    let is_printable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let looks_encoded = text.starts_with(SENTINEL.0) && text.ends_with(SENTINEL.1);
    if is_printable && text.trim() == text && !looks_encoded {
        text.to_owned()
    } else {
        format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1)
    }
}

/// The text that a header's value stands for; `None` when it is neither plain nor canonical Base64 of UTF-8.
pub fn decode_header(value: &str) -> Option<String> {
    let encoded = value.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1));
    match encoded {
        None => Some(value.to_owned()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
    }
}

/// An argument of a tool that a header repeats, because the tool's schema says so (`x-mcp-header`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderParam {
    /// The names of the members that lead to the argument.
    pub path: Vec<String>,
    /// What follows `Mcp-Param-` in the header's name.
    pub name: String,
    /// Whether the schema says that the argument is a whole number.
    pub is_integer: bool,
}

const ANNOTATION: &str = "x-mcp-header";
/// Keywords of JSON Schema 2020-12 that hold one schema.
const ONE_SCHEMA: [&str; 12] = [
    "items",
    "contains",
    "unevaluatedItems",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
    "additionalItems",
];
/// Keywords that hold a list of schemas.
const LIST_OF_SCHEMAS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords that hold schemas by name.
const MAP_OF_SCHEMAS: [&str; 4] = ["patternProperties", "dependentSchemas", "$defs", "definitions"];

impl HeaderParam {
    /// The arguments that headers repeat, by a tool's `inputSchema`.
    ///
    /// Empty when an annotation stands where the standard does not allow one (off the chain of `properties`, on
    /// something that is no string, integer or boolean, twice the same name): clients send no such headers then.
    pub fn of_schema(schema: &Json) -> Vec<Self> {
        let mut found = Vec::new();
        if collect(schema, Some(&mut Vec::new()), &mut found).is_none() {
            return Vec::new();
        }
        let mut names: Vec<String> = found.iter().map(|param| param.name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        let is_ambiguous = names.windows(2).any(|pair| pair[0] == pair[1]);
        if is_ambiguous { Vec::new() } else { found }
    }

    /// The argument as a header has it, before it is encoded; `None` where there is nothing to repeat.
    pub fn value_in(&self, arguments: &Json) -> Option<String> {
        let value = self.path.iter().try_fold(arguments, |value, name| value.get(name))?;
        match value {
            Json::String(text) => Some(text.clone()),
            Json::Bool(value) => Some(value.to_string()),
            Json::Number(number) => Some(number.as_text().into_owned()),
            Json::Null | Json::Array(_) | Json::Object(_) => None,
        }
    }

    /// Whether a header's value, as it stands, says what the argument says.
    pub fn agrees(&self, value: &str, arguments: &Json) -> bool {
        let (Some(told), Some(meant)) = (decode_header(value), self.value_in(arguments)) else {
            return false;
        };
        let is_number =
            |text: &str| Json::parse(text.as_bytes()).ok().filter(|value| value.as_number().is_some());
        // `42` and `42.0` are one whole number.
        told == meant
            || self.is_integer && is_number(&told).is_some_and(|told| Some(told) == is_number(&meant))
    }
}

/// Walks through a schema. `path` is the chain of `properties` that leads here, `None` off that chain. `None` when an
/// annotation stands where none may.
fn collect(schema: &Json, path: Option<&mut Vec<String>>, found: &mut Vec<HeaderParam>) -> Option<()> {
    let Some(members) = schema.as_object() else { return Some(()) };
    let mut path = path;
    if let Some(annotation) = members.get(ANNOTATION) {
        let path = path.as_deref().filter(|path| !path.is_empty())?;
        let name = annotation.as_str().filter(|name| is_token(name))?;
        let kind = members.get("type").and_then(Json::as_str)?;
        if !matches!(kind, "string" | "integer" | "boolean") {
            return None;
        }
        found.push(HeaderParam { path: path.clone(), name: name.to_owned(), is_integer: kind == "integer" });
    }
    for (keyword, value) in members.iter() {
        if keyword == "properties" {
            for (name, property) in value.as_object().into_iter().flat_map(Object::iter) {
                match path.as_deref_mut() {
                    Some(path) => {
                        path.push(name.to_owned());
                        collect(property, Some(path), found)?;
                        path.pop();
                    }
                    None => collect(property, None, found)?,
                }
            }
        } else if ONE_SCHEMA.contains(&keyword) {
            collect(value, None, found)?;
        } else if LIST_OF_SCHEMAS.contains(&keyword) {
            value.as_array().into_iter().flatten().try_for_each(|schema| collect(schema, None, found))?;
        } else if MAP_OF_SCHEMAS.contains(&keyword) {
            let mut schemas = value.as_object().into_iter().flat_map(Object::iter);
            schemas.try_for_each(|(_, schema)| collect(schema, None, found))?;
        }
    }
    Some(())
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}
