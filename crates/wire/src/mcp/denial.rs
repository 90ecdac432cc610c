//! A "no" that a model can read and act on.

use std::fmt::Write;

use base::DecisionId;

use super::{RpcError, code};
use crate::json::{Json, Object};

/// The denial contract: `{code, reason, policy, what_would_help, approval_url | retry_after, decision_id}`.
///
/// A denial is an answer, not a transport error: with HTTP 403 the official clients end the exchange, and the model
/// never reads why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The stable code, for example `not_granted`.
    pub code: &'static str,
    /// Why, in words for the caller: no secrets, no names of other people.
    pub reason: String,
    /// The policies that decided, by id.
    pub policy: Vec<String>,
    /// What the caller can do next.
    pub what_would_help: String,
    /// Where somebody can say yes.
    pub approval_url: Option<String>,
    /// After how many seconds it is worth trying again.
    pub retry_after: Option<u32>,
    /// The decision, for asking about it. `None` where no decision was made, because nothing could be recorded.
    pub decision_id: Option<DecisionId>,
    /// The tool declares an `outputSchema`. Clients judge `structuredContent` by it, even that of an error, and
    /// would report a schema violation instead of the denial; so the details go to `_meta` instead.
    pub output_is_typed: bool,
}

impl Denial {
    /// A denial without policies, links or a decision.
    pub fn new(code: &'static str, reason: impl Into<String>, what_would_help: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            policy: Vec::new(),
            what_would_help: what_would_help.into(),
            approval_url: None,
            retry_after: None,
            decision_id: None,
            output_is_typed: false,
        }
    }

    /// The contract's members; those that are absent are left out, never null.
    pub fn details(&self) -> Json {
        let mut members = Object::new();
        members.insert("code", self.code);
        members.insert("reason", self.reason.as_str());
        if !self.policy.is_empty() {
            members.insert("policy", Json::array(self.policy.iter().map(String::as_str)));
        }
        members.insert("what_would_help", self.what_would_help.as_str());
        if let Some(url) = &self.approval_url {
            members.insert("approval_url", url.as_str());
        }
        if let Some(seconds) = self.retry_after {
            members.insert("retry_after", i64::from(seconds));
        }
        if let Some(decision) = &self.decision_id {
            members.insert("decision_id", decision.as_str());
        }
        Json::Object(members)
    }

    /// One paragraph for the model.
    pub fn text(&self) -> String {
        let mut text =
            format!("Denied ({}): {}. To go on: {}.", self.code, self.reason, self.what_would_help);
        // Writing to a text cannot fail.
        if let Some(url) = &self.approval_url {
            let _ = write!(text, " A person can agree at {url}.");
        }
        if let Some(seconds) = self.retry_after {
            let _ = write!(text, " Try again in {seconds} s.");
        }
        if let Some(decision) = &self.decision_id {
            let _ = write!(text, " Decision {decision}.");
        }
        text
    }

    /// The result of `tools/call`.
    pub fn tool_result(&self) -> Json {
        let text = Json::object([("type", Json::from("text")), ("text", Json::from(self.text()))]);
        let mut members = Object::new();
        members.insert("content", Json::Array(vec![text]));
        if self.output_is_typed {
            members.insert("_meta", Json::object([("writ/denial", self.details())]));
        } else {
            members.insert("structuredContent", self.details());
        }
        members.insert("isError", true);
        Json::Object(members)
    }

    /// The error for every other method.
    pub fn error(&self) -> RpcError {
        RpcError { data: Some(self.details()), ..RpcError::new(code::DENIED, self.reason.clone()) }
    }
}
