//! One JSON-RPC request in, one answer out: the methods of MCP that the sample serves.

use std::sync::PoisonError;

use serde_json::{Map, Value, json};

use super::crm::Refused;
use super::money::Cents;
use super::{Shared, tools};

/// The revisions served, newest first.
pub(super) const REVISIONS: [&str; 2] = ["2025-11-25", "2025-06-18"];

/// A JSON-RPC error: code and message.
pub(super) struct Failure(pub(super) i32, pub(super) String);

pub(super) const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const RESOURCE_NOT_FOUND: i32 = -32002;

/// Wraps the outcome for the wire.
pub(super) fn response(id: &Value, outcome: Result<Value, Failure>) -> Value {
    match outcome {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Failure(code, message)) => {
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
        }
    }
}

/// Answers every method but `initialize`, which the session layer serves, and the watching tool, which streams.
pub(super) fn answer(shared: &Shared, method: &str, params: &Value, body: &str) -> Result<Value, Failure> {
    match method {
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({"tools": definitions(shared)})),
        "tools/call" => call(shared, params, body),
        "resources/list" => Ok(json!({"resources": [{
            "uri": tools::POLICY_URI, "name": "refunds", "title": "Rules for refunds", "mimeType": "text/plain",
        }]})),
        "resources/templates/list" => Ok(json!({"resourceTemplates": []})),
        "resources/read" => read_resource(params),
        "prompts/list" => Ok(json!({"prompts": [{
            "name": tools::PROMPT_NAME,
            "description": "Answer a support ticket",
            "arguments": [{"name": "ticket", "description": "Ticket number", "required": true}],
        }]})),
        "prompts/get" => get_prompt(params),
        _ => Err(Failure(METHOD_NOT_FOUND, format!("unknown method `{method}`"))),
    }
}

/// The answer to `initialize`: the client's revision where it is served, else the newest.
pub(super) fn initialize(params: &Value) -> Value {
    let wanted = params["protocolVersion"].as_str().unwrap_or_default();
    let revision = REVISIONS.iter().find(|&&revision| revision == wanted).unwrap_or(&REVISIONS[0]);
    json!({
        "protocolVersion": revision,
        "capabilities": {"tools": {"listChanged": true}, "resources": {}, "prompts": {}},
        "serverInfo": {"name": "writ-sample", "title": "Sample shop", "version": env!("CARGO_PKG_VERSION")},
    })
}

fn definitions(shared: &Shared) -> Vec<Value> {
    let described = shared.described.lock().unwrap_or_else(PoisonError::into_inner);
    tools::definitions(|name| described.get(name).cloned())
}

fn call(shared: &Shared, params: &Value, body: &str) -> Result<Value, Failure> {
    let name = params["name"].as_str().unwrap_or_default();
    if !tools::NAMES.contains(&name) {
        return Err(Failure(INVALID_PARAMS, format!("unknown tool `{name}`")));
    }
    shared.journal.call(name, &params["arguments"], body);
    let arguments = Arguments::of(params, name)?;
    let mut crm = shared.crm.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = match name {
        "read_ticket" => crm.read_ticket(arguments.text("id")?),
        "search_customers" => Ok(crm.search_customers(arguments.text("query")?)),
        "send_mail" => {
            arguments.text("subject")?;
            arguments.text("body")?;
            crm.send_mail(arguments.text("to")?)
        }
        "issue_refund" => crm.issue_refund(arguments.text("order")?, arguments.euros("amount")?),
        "delete_customer" => crm.delete_customer(arguments.text("id")?),
        _ => Err(format!("`{name}` answers as a stream only")),
    };
    Ok(tool_result(outcome))
}

/// A tool's own failure is a result that the model reads, not an error of the protocol.
pub(super) fn tool_result(outcome: Result<Value, Refused>) -> Value {
    match outcome {
        Ok(value) => json!({
            "content": [{"type": "text", "text": value.to_string()}], "structuredContent": value, "isError": false,
        }),
        Err(text) => json!({"content": [{"type": "text", "text": text}], "isError": true}),
    }
}

/// The arguments of a call, checked against the names that the tool's schema knows.
pub(super) struct Arguments<'a> {
    tool: &'a str,
    values: &'a Map<String, Value>,
}

impl<'a> Arguments<'a> {
    pub(super) fn of(params: &'a Value, tool: &'a str) -> Result<Self, Failure> {
        let values = params["arguments"]
            .as_object()
            .ok_or_else(|| Failure(INVALID_PARAMS, format!("`{tool}` needs its arguments as an object")))?;
        let definition =
            tools::definitions(|_| None).into_iter().find(|definition| definition["name"] == tool);
        let known = |name: &str| {
            definition.as_ref().is_some_and(|found| found["inputSchema"]["properties"].get(name).is_some())
        };
        match values.keys().find(|name| !known(name)) {
            Some(name) => Err(Failure(INVALID_PARAMS, format!("`{tool}` has no argument `{name}`"))),
            None => Ok(Self { tool, values }),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, Failure> {
        self.values.get(name).and_then(Value::as_str).ok_or_else(|| self.missing(name, "a text"))
    }

    fn euros(&self, name: &str) -> Result<Cents, Failure> {
        let number = self.values.get(name).and_then(Value::as_number);
        number.and_then(Cents::from_euros).ok_or_else(|| self.missing(name, "a number of euros, whole cents"))
    }

    pub(super) fn seconds(&self, name: &str) -> Result<u64, Failure> {
        let number =
            self.values.get(name).and_then(Value::as_u64).filter(|number| (1..=600).contains(number));
        number.ok_or_else(|| self.missing(name, "a whole number from 1 to 600"))
    }

    fn missing(&self, name: &str, what: &str) -> Failure {
        Failure(INVALID_PARAMS, format!("`{}` needs `{name}`: {what}", self.tool))
    }
}

fn read_resource(params: &Value) -> Result<Value, Failure> {
    match params["uri"].as_str() {
        Some(tools::POLICY_URI) => Ok(json!({"contents": [{
            "uri": tools::POLICY_URI, "mimeType": "text/plain", "text": tools::POLICY_TEXT,
        }]})),
        other => {
            Err(Failure(RESOURCE_NOT_FOUND, format!("there is no resource `{}`", other.unwrap_or_default())))
        }
    }
}

fn get_prompt(params: &Value) -> Result<Value, Failure> {
    let ticket = params["arguments"]["ticket"].as_str();
    match (params["name"].as_str(), ticket) {
        (Some(tools::PROMPT_NAME), Some(ticket)) => Ok(json!({"messages": [{
            "role": "user",
            "content": {"type": "text", "text": format!("Read ticket {ticket} and answer the customer politely.")},
        }]})),
        (Some(tools::PROMPT_NAME), None) => Err(Failure(INVALID_PARAMS, "`ticket` is missing".into())),
        _ => Err(Failure(INVALID_PARAMS, "unknown prompt".into())),
    }
}
