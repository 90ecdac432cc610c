//! JSON-RPC messages.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use base::limit::ANSWER_BYTES_MAX;

use super::{RpcError, code};
use crate::json::{Json, Limits, Object, write_string};

/// The longest text that serves as an id or a progress token, in bytes.
const ID_BYTES_MAX: usize = 256;
/// The members of `_meta` that carry a message and are no part of the act: they differ each time it is tried.
const TRACE_MEMBERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The id of a request, or a progress token.
///
/// `1` and `"1"` are different ids. A whole number in another spelling (`1.0`, `1e0`) is refused: some readers would
/// take it for the same id and some would not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// A text of at most 256 bytes.
    Text(String),
}

impl Id {
    /// Reads an id; `None` for anything that is none.
    pub fn read(value: &Json) -> Option<Self> {
        match value {
            Json::String(text) if text.len() <= ID_BYTES_MAX => Some(Self::Text(text.clone())),
            Json::Number(number) => {
                let is_plain = |value: &i64| number.as_text() == itoa::Buffer::new().format(*value);
                number.as_i64().filter(is_plain).map(Self::Number)
            }
            _ => None,
        }
    }

    /// The id as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Number(value) => Json::from(*value),
            Self::Text(text) => Json::from(text.as_str()),
        }
    }

    fn write_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
            Self::Text(text) => write_string(text, out),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => value.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Wants a response.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Is one.
    Response(Response),
}

/// A request. `params` is an object where present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Names the request until it is answered.
    pub id: Id,
    /// What is asked for.
    pub method: String,
    /// With what.
    pub params: Option<Json>,
    /// Further members, kept.
    pub rest: Object,
}

/// A notification. `params` is an object where present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What is told.
    pub method: String,
    /// With what.
    pub params: Option<Json>,
    /// Further members, kept.
    pub rest: Object,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request's id; `None` only in errors about messages that could not be read.
    pub id: Option<Id>,
    /// The result, an object, or the error.
    pub outcome: Result<Json, RpcError>,
    /// Further members, kept.
    pub rest: Object,
}

/// Why something is not one message, with the id that it had, where that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The request's id.
    pub id: Option<Id>,
    /// What to answer.
    pub error: RpcError,
}

impl Message {
    /// Reads one message from JSON text. Batches, which only revision 2025-03-26 knew, are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        Self::parse_with(bytes, Limits::default())
    }

    /// The same of what a server says, which may be longer.
    pub fn parse_answer(bytes: &[u8]) -> Result<Self, Invalid> {
        Self::parse_with(bytes, Limits { bytes: ANSWER_BYTES_MAX, ..Limits::default() })
    }

    fn parse_with(bytes: &[u8], limits: Limits) -> Result<Self, Invalid> {
        let value = Json::parse_with(bytes, limits).map_err(|error| Invalid {
            id: None,
            error: RpcError::new(code::PARSE_ERROR, format!("parse error: {error}")),
        })?;
        Self::read(value)
    }

    /// Reads one message.
    pub fn read(value: Json) -> Result<Self, Invalid> {
        let invalid = |id: Option<Id>, why: &str| Invalid {
            id,
            error: RpcError::new(code::INVALID_REQUEST, format!("invalid request: {why}")),
        };
        let mut members = match value {
            Json::Object(members) => members,
            Json::Array(_) => {
                return Err(invalid(None, "batches are not supported; send one message per request"));
            }
            other => return Err(invalid(None, &format!("the message is {}; send an object", other.kind()))),
        };
        let id = match members.remove("id") {
            None => GivenId::Absent,
            Some(Json::Null) => GivenId::Null,
            Some(value) => GivenId::Id(Id::read(&value).ok_or_else(|| {
                invalid(None, "`id` must be a whole number or a string of at most 256 bytes")
            })?),
        };
        let shown = if let GivenId::Id(id) = &id { Some(id.clone()) } else { None };
        if members.remove("jsonrpc").as_ref().and_then(Json::as_str) != Some("2.0") {
            return Err(invalid(shown, "`jsonrpc` must be \"2.0\""));
        }
        if members.contains("method") {
            Self::read_call(id, members).map_err(|why| invalid(shown, why))
        } else {
            Self::read_response(id, members).map_err(|why| invalid(shown, why))
        }
    }

    fn read_call(id: GivenId, mut members: Object) -> Result<Self, &'static str> {
        let Some(Json::String(method)) = members.remove("method") else {
            return Err("`method` must be a string");
        };
        if members.contains("result") || members.contains("error") {
            return Err("a message with `method` cannot have `result` or `error`");
        }
        let params = members.remove("params");
        if params.as_ref().is_some_and(|params| params.as_object().is_none()) {
            return Err("`params` must be an object");
        }
        if params
            .as_ref()
            .and_then(|params| params.get("_meta"))
            .is_some_and(|meta| meta.as_object().is_none())
        {
            return Err("`params._meta` must be an object");
        }
        match id {
            GivenId::Id(id) => Ok(Self::Request(Request { id, method, params, rest: members })),
            GivenId::Null => Err("`id` must not be null"),
            GivenId::Absent => Ok(Self::Notification(Notification { method, params, rest: members })),
        }
    }

    fn read_response(id: GivenId, mut members: Object) -> Result<Self, &'static str> {
        let outcome = match (members.remove("result"), members.remove("error")) {
            (Some(result @ Json::Object(_)), None) => Ok(result),
            (Some(_), None) => return Err("`result` must be an object"),
            (None, Some(error)) => Err(RpcError::read(error)
                .ok_or("`error` must have a whole number `code` and a text `message`")?),
            (Some(_), Some(_)) => return Err("a response has either `result` or `error`"),
            (None, None) => return Err("a message has `method`, `result` or `error`"),
        };
        let id = if let GivenId::Id(id) = id { Some(id) } else { None };
        if id.is_none() && outcome.is_ok() {
            return Err("a result needs the `id` of its request");
        }
        Ok(Self::Response(Response { id, outcome, rest: members }))
    }
}

/// The member `id` as it stands in a message.
enum GivenId {
    Absent,
    Null,
    Id(Id),
}

/// What carries a request and is no part of the act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// `_meta.progressToken`: the client wants to hear of progress under this token.
    pub progress_token: Option<Id>,
    /// `_meta.traceparent`, `tracestate` and `baggage` (W3C Trace Context), where they are texts.
    pub trace: Vec<(&'static str, String)>,
}

impl Request {
    /// A request of this method.
    pub fn new(id: Id, method: impl Into<String>, params: Option<Json>) -> Self {
        Self { id, method: method.into(), params, rest: Object::new() }
    }

    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&Json> {
        self.params.as_ref()?.get(name)
    }

    /// Takes out of `_meta` what only carries the message. An empty `_meta` goes, too; every other member of it
    /// stays and belongs to the act.
    ///
    /// Fails when the progress token is neither a string nor a whole number.
    pub fn detach(&mut self) -> Result<Carried, RpcError> {
        let mut carried = Carried::default();
        let Some(params) = self.params.as_mut().and_then(Json::as_object_mut) else { return Ok(carried) };
        let Some(meta) = params.get_mut("_meta").and_then(Json::as_object_mut) else { return Ok(carried) };
        if let Some(token) = meta.remove("progressToken") {
            let token = Id::read(&token).ok_or_else(|| {
                RpcError::invalid_params("`params._meta.progressToken` must be a string or a whole number")
            })?;
            carried.progress_token = Some(token);
        }
        for name in TRACE_MEMBERS {
            if let Some(Json::String(text)) = meta.remove(name) {
                carried.trace.push((name, text));
            }
        }
        if meta.is_empty() {
            params.remove("_meta");
        }
        Ok(carried)
    }

    /// SHA-256 over the act: server, method, canonical parameters and further members. Not over the id, so that the
    /// same act has the same digest when it is tried again.
    ///
    /// Call it on a [detached](Self::detach) request. INVARIANT: each part is preceded by its length, so no two
    /// acts share an input.
    pub fn digest(&self, server: &str) -> [u8; 32] {
        let params = self.params.as_ref().map(Json::canonical).unwrap_or_default();
        let rest = (!self.rest.is_empty()).then(|| Json::Object(self.rest.clone()).canonical());
        let mut parts: Vec<&[u8]> =
            vec![b"writ mcp act 1", server.as_bytes(), self.method.as_bytes(), &params];
        parts.extend(rest.as_deref());
        digest_of(&parts)
    }

    /// The text of the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_call(Some(&self.id), &self.method, self.params.as_ref(), &self.rest)
    }

    /// Puts `carried` into `_meta`: the opposite of [`detach`](Self::detach).
    pub fn attach(&mut self, carried: Carried) {
        if carried == Carried::default() {
            return;
        }
        let params = self.params.get_or_insert_with(|| Json::Object(Object::new()));
        let Some(params) = params.as_object_mut() else { return };
        if !params.contains("_meta") {
            params.insert("_meta", Object::new());
        }
        let Some(meta) = params.get_mut("_meta").and_then(Json::as_object_mut) else { return };
        if let Some(token) = carried.progress_token {
            meta.insert("progressToken", token.to_json());
        }
        for (name, text) in carried.trace {
            meta.insert(name, text);
        }
    }
}

impl Notification {
    /// A parameter.
    pub fn param(&self, name: &str) -> Option<&Json> {
        self.params.as_ref()?.get(name)
    }

    /// The text of the notification.
    pub fn to_bytes(&self) -> Vec<u8> {
        write_call(None, &self.method, self.params.as_ref(), &self.rest)
    }
}

impl Response {
    /// A result.
    pub const fn result(id: Id, result: Json) -> Self {
        Self { id: Some(id), outcome: Ok(result), rest: Object::new() }
    }

    /// An error.
    pub const fn error(id: Option<Id>, error: RpcError) -> Self {
        Self { id, outcome: Err(error), rest: Object::new() }
    }

    /// SHA-256 of the response's text.
    pub fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        context.update(&self.to_bytes());
        finish(context)
    }

    /// SHA-256 over the response as an act: a client answers what a server asked.
    pub fn act_digest(&self, server: &str) -> [u8; 32] {
        digest_of(&[b"writ mcp answer 1", server.as_bytes(), &self.to_bytes()])
    }

    /// The text of the response.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = br#"{"jsonrpc":"2.0","id":"#.to_vec();
        match &self.id {
            Some(id) => id.write_into(&mut out),
            None => out.extend_from_slice(b"null"),
        }
        match &self.outcome {
            Ok(result) => {
                out.extend_from_slice(br#","result":"#);
                result.write_into(&mut out);
            }
            Err(error) => {
                out.extend_from_slice(br#","error":"#);
                error.clone().into_json().write_into(&mut out);
            }
        }
        write_rest(&self.rest, &mut out);
        out
    }
}

/// SHA-256 over parts, each after its length.
fn digest_of(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    finish(context)
}

fn finish(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn write_call(id: Option<&Id>, method: &str, params: Option<&Json>, rest: &Object) -> Vec<u8> {
    let mut out = br#"{"jsonrpc":"2.0""#.to_vec();
    if let Some(id) = id {
        out.extend_from_slice(br#","id":"#);
        id.write_into(&mut out);
    }
    out.extend_from_slice(br#","method":"#);
    write_string(method, &mut out);
    if let Some(params) = params {
        out.extend_from_slice(br#","params":"#);
        params.write_into(&mut out);
    }
    write_rest(rest, &mut out);
    out
}

fn write_rest(rest: &Object, out: &mut Vec<u8>) {
    for (name, value) in rest.iter() {
        out.push(b',');
        write_string(name, out);
        out.push(b':');
        value.write_into(out);
    }
    out.push(b'}');
}
