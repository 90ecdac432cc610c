//! An answer on its way: JSON at once, or events until the result comes.

use std::collections::VecDeque;

use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;

use super::ClientError;
use super::sse::Events;

/// The answer to one request, not read to its end yet.
pub(crate) struct Answer {
    id: u64,
    session: Option<HeaderValue>,
    body: Body,
    /// Messages that came with a piece and were not asked for yet.
    waiting: VecDeque<Value>,
}

enum Body {
    Json(Option<Incoming>),
    Events(Incoming, Events),
}

impl Answer {
    pub(super) fn new(id: u64, response: Response<Incoming>) -> Result<Self, ClientError> {
        let (head, body) = response.into_parts();
        let kind =
            head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let body = match kind.split(';').next().unwrap_or_default().trim() {
            "application/json" => Body::Json(Some(body)),
            "text/event-stream" => Body::Events(body, Events::default()),
            other => return Err(ClientError::Protocol(format!("an answer of type `{other}`"))),
        };
        Ok(Self { id, session: head.headers.get("mcp-session-id").cloned(), body, waiting: VecDeque::new() })
    }

    pub(super) fn session(&self) -> Option<HeaderValue> {
        self.session.clone()
    }

    /// The next message of the answer: notifications, then the response; none at the end.
    ///
    /// # Errors
    ///
    /// [`ClientError::Cut`] when the connection breaks within the answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, ClientError> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Ok(Some(message));
            }
            match &mut self.body {
                Body::Json(body) => {
                    let Some(body) = body.take() else { return Ok(None) };
                    let read = Limited::new(body, base::limit::JSON_BYTES_MAX).collect().await;
                    let bytes = read.map_err(|_| ClientError::Cut)?.to_bytes();
                    return parse(&bytes).map(Some);
                }
                Body::Events(body, events) => {
                    let Some(frame) = body.frame().await else { return Ok(None) };
                    // An error here is a connection that broke: trailers and the like are no errors.
                    let Ok(data) = frame.map_err(|_| ClientError::Cut)?.into_data() else { continue };
                    let events = events.feed(&data);
                    let events =
                        events.map_err(|_| ClientError::Protocol("an endless or garbled event".into()))?;
                    for event in events.iter().filter(|event| !event.is_empty()) {
                        self.waiting.push_back(parse(event.as_bytes())?);
                    }
                }
            }
        }
    }

    /// Reads on until the response and returns its result.
    ///
    /// # Errors
    ///
    /// [`ClientError::Rpc`] for an error response, [`ClientError::Cut`] when the answer ends without a response.
    pub(crate) async fn finish(mut self) -> Result<Value, ClientError> {
        while let Some(mut message) = self.next().await? {
            if message["id"] != self.id || message.get("method").is_some() {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(ClientError::Rpc {
                    code: error["code"].as_i64().unwrap_or_default(),
                    message: error["message"].as_str().unwrap_or_default().to_owned(),
                    data: error["data"].clone(),
                });
            }
            return match message.get_mut("result") {
                Some(result) => Ok(result.take()),
                None => Err(ClientError::Protocol("a response with neither result nor error".into())),
            };
        }
        Err(ClientError::Cut)
    }
}

fn parse(bytes: &[u8]) -> Result<Value, ClientError> {
    serde_json::from_slice(bytes)
        .map_err(|error| ClientError::Protocol(format!("a message that is not JSON: {error}")))
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ToolResult {
    /// The tool failed, or the call was refused; the text says why.
    pub(crate) is_error: bool,
    /// The text blocks, one per line.
    pub(crate) text: String,
    /// The structured content, or null.
    pub(crate) structured: Value,
}

impl From<Value> for ToolResult {
    fn from(mut result: Value) -> Self {
        let blocks = result["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts: Vec<&str> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        Self {
            is_error: result["isError"] == true,
            text: texts.join("\n"),
            structured: result["structuredContent"].take(),
        }
    }
}
