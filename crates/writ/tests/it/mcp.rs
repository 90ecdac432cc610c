//! An MCP client that sends what it is told, also what no good client would.

use std::sync::atomic::{AtomicU64, Ordering};

use base::Timestamp;
use bytes::Bytes;
use serde_json::{Value, json};
use wire::{
    dpop::{TargetUri, make_proof},
    jose::SigningKey,
};

use crate::web::{Answer, Ask};

/// By what a client proves itself.
pub(crate) enum Pass {
    Bearer(String),
    /// A bound token, with the key and the server's present.
    Dpop {
        token: String,
        key: Box<SigningKey>,
    },
}

/// A client in a session.
pub(crate) struct Mcp {
    pub(crate) url: String,
    pass: Pass,
    session: Option<String>,
    ids: AtomicU64,
}

impl Mcp {
    /// A client without a session.
    pub(crate) fn new(server: &str, pass: Pass) -> Self {
        Self { url: format!("{server}/mcp/notes"), pass, session: None, ids: AtomicU64::new(1) }
    }

    /// A client in a session with the notes.
    pub(crate) async fn open(server: &str, pass: Pass) -> Self {
        Self::try_open(server, pass).await.unwrap()
    }

    /// A client in a session with all servers.
    pub(crate) async fn open_all(server: &str, pass: Pass) -> Self {
        let mcp = Self { url: format!("{server}/mcp"), ..Self::new(server, pass) };
        mcp.opened().await.unwrap()
    }

    /// The same with a server that may die over it.
    pub(crate) async fn try_open(server: &str, pass: Pass) -> Result<Self, String> {
        Self::new(server, pass).opened().await
    }

    async fn opened(self) -> Result<Self, String> {
        let mut mcp = self;
        let answer = mcp.opening().attempt().await?;
        assert_eq!(answer.status, 200, "{}", answer.text());
        mcp.session = answer.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        Ok(mcp)
    }

    pub(crate) async fn initialize(&self) -> Answer {
        self.opening().send().await
    }

    /// The request that opens a session.
    pub(crate) fn opening(&self) -> Ask {
        let params = json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" },
        });
        self.request("initialize", &params)
    }

    /// A request, ready to be sent.
    pub(crate) fn request(&self, method: &str, params: &Value) -> Ask {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.raw(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string())
    }

    /// A body as it is.
    pub(crate) fn raw(&self, body: impl Into<Bytes>) -> Ask {
        let ask = self.unauthenticated(body);
        match &self.pass {
            Pass::Bearer(token) => ask.bearer(token),
            Pass::Dpop { token, key } => {
                let proof = proof(key, &self.url, Some(token));
                ask.header("authorization", &format!("DPoP {token}")).header("dpop", &proof)
            }
        }
    }

    /// A body as it is, from nobody.
    pub(crate) fn unauthenticated(&self, body: impl Into<Bytes>) -> Ask {
        let ask = Ask::new("POST", &self.url)
            .body("application/json", body)
            .header("accept", "application/json, text/event-stream");
        match &self.session {
            Some(session) => ask.header("mcp-session-id", session),
            None => ask,
        }
    }

    /// Asks for the stream of what the server says on its own.
    pub(crate) fn listen(&self) -> Ask {
        let Pass::Bearer(token) = &self.pass else { panic!("listening needs a bearer token here") };
        let ask = Ask::new("GET", &self.url).bearer(token).header("accept", "text/event-stream");
        ask.header("mcp-session-id", self.session.as_deref().expect("a session"))
    }

    /// Ends the session.
    pub(crate) fn close(&self) -> Ask {
        let Pass::Bearer(token) = &self.pass else { panic!("this needs a bearer token here") };
        let ask = Ask::new("DELETE", &self.url).bearer(token);
        ask.header("mcp-session-id", self.session.as_deref().expect("a session"))
    }

    pub(crate) fn call(&self, tool: &str, arguments: &Value) -> Ask {
        self.request(
            "tools/call",
            &json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": 1 } }),
        )
    }

    /// Calls a tool; the message in the answer.
    pub(crate) async fn called(&self, tool: &str, arguments: &Value) -> Value {
        let answer = self.call(tool, arguments).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        message(&answer)
    }

    /// The names of the tools that the client is shown.
    pub(crate) async fn listed(&self) -> Vec<String> {
        let answer = message(&self.request("tools/list", &json!({})).send().await);
        let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("no tools: {answer}"));
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The last message of an answer: a JSON text, or the last event of a stream.
pub(crate) fn message(answer: &Answer) -> Value {
    let streamed =
        answer.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event"));
    if !streamed {
        return answer.json();
    }
    let data =
        answer.text().lines().filter_map(|line| line.strip_prefix("data:")).rfind(|data| data.contains('{'));
    serde_json::from_str(data.expect("an event")).unwrap()
}

/// Whether a call's answer is its result, and not a refusal.
pub(crate) fn is_done(message: &Value) -> bool {
    message["result"].is_object() && message["result"]["isError"] != json!(true)
}

/// The code of a refusal, wherever it stands.
pub(crate) fn refusal(message: &Value) -> &str {
    let details = &message["result"]["structuredContent"];
    details["code"].as_str().or_else(|| message["error"]["data"]["code"].as_str()).unwrap_or_default()
}

/// A proof of possession for a request to `url`.
pub(crate) fn proof(key: &SigningKey, url: &str, token: Option<&str>) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let jti = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let target = TargetUri::parse(url).unwrap();
    make_proof(key, "POST", &target, token, &jti, None, now()).unwrap()
}

/// The present: the server under test has the machine's clock, and proofs must be fresh.
#[expect(clippy::disallowed_methods, reason = "this test process is an edge of its own")]
pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}
