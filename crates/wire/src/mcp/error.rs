//! JSON-RPC errors (JSON-RPC 2.0, section 5.1).

use crate::json::{Json, Object};

/// Error codes.
pub mod code {
    /// The text is not acceptable JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON is not one JSON-RPC message.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist or is not carried.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters have the wrong shape.
    pub const INVALID_PARAMS: i64 = -32602;
    /// Something behind the answering party failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The HTTP request around the message is not acceptable. From the range for implementations; the official
    /// SDKs answer with it, and clients of two generations fall back to `initialize` on it.
    pub const BAD_REQUEST: i64 = -32000;
    /// The session is not known (any more). As the official SDKs answer.
    pub const NO_SESSION: i64 = -32001;
    /// A header says something else than the body, or is missing (2026-07-28).
    pub const HEADER_MISMATCH: i64 = -32020;
    /// The request needs a capability that the client did not declare (2026-07-28).
    pub const MISSING_CAPABILITY: i64 = -32021;
    /// The revision is not spoken here (2026-07-28).
    pub const UNSUPPORTED_VERSION: i64 = -32022;
    /// The resource is not there (until 2025-11-25; afterwards `INVALID_PARAMS`).
    pub const RESOURCE_NOT_FOUND: i64 = -32002;
    /// The user has to go to a URL first (`URLElicitationRequired`, 2025-11-25).
    pub const URL_REQUIRED: i64 = -32042;
    /// The act is denied. Ours, from the range for implementations.
    pub const DENIED: i64 = -32003;
}

/// The member `error` of a response. Unknown members are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// What kind of error; see [`code`].
    pub code: i64,
    /// A short text.
    pub message: String,
    /// More, in any form.
    pub data: Option<Json>,
    /// Further members.
    pub rest: Object,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None, rest: Object::new() }
    }

    /// The method is unknown, or is not carried here.
    pub fn method_not_found(method: &str) -> Self {
        let shown: String = method.chars().take(64).collect();
        Self::new(code::METHOD_NOT_FOUND, format!("method `{shown}` does not exist here"))
    }

    /// The parameters have the wrong shape.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(code::INVALID_PARAMS, message)
    }

    /// An error with a stable code in its data.
    #[must_use]
    pub fn with_code(mut self, stable: &str) -> Self {
        self.data = Some(Json::object([("code", Json::from(stable))]));
        self
    }

    /// Reads the member `error`; `None` unless it has an integer `code` and a text `message`.
    pub(super) fn read(value: Json) -> Option<Self> {
        let mut members = value.into_object()?;
        let code = members.remove("code")?.as_i64()?;
        let Json::String(message) = members.remove("message")? else { return None };
        let data = members.remove("data");
        Some(Self { code, message, data, rest: members })
    }

    /// The member `error`.
    pub fn into_json(self) -> Json {
        let mut members = Object::new();
        members.insert("code", self.code);
        members.insert("message", self.message);
        if let Some(data) = self.data {
            members.insert("data", data);
        }
        for (name, value) in self.rest {
            members.insert(name, value);
        }
        Json::Object(members)
    }
}
