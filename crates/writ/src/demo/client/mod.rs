//! The demonstration agent's MCP client: a small, real one over HTTP.
//!
//! It speaks the streamable HTTP transport of MCP 2025-11-25: `initialize`, `notifications/initialized`, requests
//! whose answers come as JSON or as server-sent events, a session by header. It authenticates as an agent does,
//! with a bearer token or with a DPoP-bound one (RFC 9449), and it knows nothing of Writ: a refusal reaches it
//! exactly as it would reach anybody.

mod answer;
mod credential;
mod error;
mod sse;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

pub(crate) use answer::{Answer, ToolResult};
pub(crate) use credential::{Credential, Prove};
pub(crate) use error::ClientError;

/// The revision that is asked for.
const REVISION: &str = "2025-11-25";
/// How long the head of an answer may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// A connected client: `initialize` has been answered.
pub(crate) struct Client {
    url: http::Uri,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    credential: Credential,
    session: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    server: Value,
    ids: AtomicU64,
}

impl Client {
    /// Opens a session at `url`, a plain `http` address.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] when the server asks for other credentials, with its challenge.
    pub(crate) async fn connect(url: &str, credential: Credential) -> Result<Self, ClientError> {
        let url = url.parse().map_err(|_| ClientError::Protocol(format!("`{url}` is not an address")))?;
        let http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let ids = AtomicU64::new(1);
        let mut client =
            Self { url, http, credential, session: None, revision: None, server: Value::Null, ids };
        client.initialize().await?;
        Ok(client)
    }

    /// The result of `initialize`: revision, capabilities, name of the server.
    pub(crate) const fn server(&self) -> &Value {
        &self.server
    }

    /// The tools that the server lists for this caller, all pages of them.
    pub(crate) async fn list_tools(&self) -> Result<Vec<Value>, ClientError> {
        const PAGES_MAX: usize = 100;
        let mut tools = Vec::new();
        let mut params = json!({});
        for _ in 0..PAGES_MAX {
            let mut page = self.request("tools/list", &params).await?;
            match page["tools"].take() {
                Value::Array(found) => tools.extend(found),
                other => return Err(ClientError::Protocol(format!("a list of tools that is none: {other}"))),
            }
            match page["nextCursor"].take() {
                Value::Null => return Ok(tools),
                cursor => params = json!({ "cursor": cursor }),
            }
        }
        Err(ClientError::Protocol("a list of tools without an end".into()))
    }

    /// Calls a tool and waits for its result. A tool's own failure, and a refusal that is meant for the model, are
    /// results with `is_error`.
    pub(crate) async fn call_tool(&self, name: &str, arguments: &Value) -> Result<ToolResult, ClientError> {
        self.start_tool(name, arguments).await?.finish().await.map(ToolResult::from)
    }

    /// Calls a tool and returns as soon as the answer begins, to read it piece by piece.
    pub(crate) async fn start_tool(&self, name: &str, arguments: &Value) -> Result<Answer, ClientError> {
        let id = self.next_id();
        let params = json!({"name": name, "arguments": arguments, "_meta": {"progressToken": id}});
        self.start(id, "tools/call", &params).await
    }

    /// Any request; the result of the answer.
    pub(crate) async fn request(&self, method: &str, params: &Value) -> Result<Value, ClientError> {
        self.start(self.next_id(), method, params).await?.finish().await
    }

    /// Ends the session, as a polite client does.
    pub(crate) async fn close(self) -> Result<(), ClientError> {
        if self.session.is_some() {
            self.send(Method::DELETE, &self.headers(), Bytes::new()).await?;
        }
        Ok(())
    }

    async fn initialize(&mut self) -> Result<(), ClientError> {
        let params = json!({
            "protocolVersion": REVISION,
            "capabilities": {},
            "clientInfo": {"name": "writ-demo-agent", "version": env!("CARGO_PKG_VERSION")},
        });
        let answer = self.start(self.next_id(), "initialize", &params).await?;
        self.session = answer.session();
        self.server = answer.finish().await?;
        let revision = self.server["protocolVersion"].as_str().unwrap_or_default();
        self.revision = HeaderValue::from_str(revision).ok();

        let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.send(Method::POST, &self.headers(), notification.to_string().into()).await?;
        Ok(())
    }

    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    async fn start(&self, id: u64, method: &str, params: &Value) -> Result<Answer, ClientError> {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let response = self.send(Method::POST, &self.headers(), message.to_string().into()).await?;
        Answer::new(id, response)
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(session) = &self.session {
            headers.insert("mcp-session-id", session.clone());
        }
        if let Some(revision) = &self.revision {
            headers.insert("mcp-protocol-version", revision.clone());
        }
        headers
    }

    /// Sends, and sends once more when the server wants a nonce of its own in the proof (RFC 9449, section 9).
    async fn send(
        &self,
        method: Method,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let response = self.send_once(&method, headers, body.clone(), None).await?;
        let nonce =
            response.headers().get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
        let response = match (response.status(), nonce) {
            (StatusCode::UNAUTHORIZED, Some(nonce)) => {
                self.send_once(&method, headers, body, Some(&nonce)).await?
            }
            _ => response,
        };
        if response.status().is_success() { Ok(response) } else { Err(ClientError::refused(response).await) }
    }

    async fn send_once(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: Bytes,
        nonce: Option<&str>,
    ) -> Result<Response<Incoming>, ClientError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers.clone();
        self.credential.authorise(&mut request, nonce)?;
        let answered = tokio::time::timeout(HEAD_TIME_MAX, self.http.request(request)).await;
        answered.map_err(|_| ClientError::Silent)?.map_err(ClientError::transport)
    }
}
