//! The one door to the control plane.
//!
//! The gateway knows nothing of stores, policies' texts or keys. It asks [`Plane`], and everything it learns comes
//! back as a value: a caller, a permit, headers to inject, a "no" that is ready to be printed.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use base::{Actor, DecisionId, Place, Position, ServerId, TaskId, Timestamp, TraceId};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use tokio::sync::watch;
use wire::{json::Json, mcp::Denial};

use crate::Request;

/// The control plane as the data plane sees it.
///
/// Functions that are not `async` answer from memory and never block.
pub trait Plane: Send + Sync + 'static {
    /// Who calls, as this one HTTP request proves it, with whatever the plane must remember until the request is
    /// authorised: token, proof of possession, instant, trace.
    type Caller: Clone + Send + Sync + 'static;

    /// Verifies the credentials of one HTTP request for one endpoint: a server's, or that of all servers.
    ///
    /// SECURITY: called before the body is read. A sender proof is verified here and used up by
    /// [`authorize`](Self::authorize) or [`admit`](Self::admit); one of the two follows before anything happens.
    fn authenticate(&self, presented: &Presented<'_>) -> Result<Self::Caller, Unauthorized>;

    /// To whom sessions of this caller belong. Two callers with equal holders may use each other's sessions.
    fn holder(&self, caller: &Self::Caller) -> Holder;

    /// The server of this name in the catalogue; `None` is answered as missing (404), whether it does not exist or
    /// the caller may not know of it.
    fn upstream(&self, caller: &Self::Caller, server: &str) -> Option<Arc<Upstream>>;

    /// All servers that the caller may know of, by name: those that [`upstream`](Self::upstream) finds.
    fn upstreams(&self, caller: &Self::Caller) -> Vec<Arc<Upstream>>;

    /// Decides one act and makes its intent durable, or has the log promise it.
    ///
    /// INVARIANT: the permit's digest is [`Asked::digest`]; the gateway sends nothing on a permit of another digest.
    fn authorize(
        &self,
        caller: &Self::Caller,
        asked: Asked<'_>,
    ) -> impl Future<Output = Result<Authorized, Refused>> + Send;

    /// The caller after [`authorize`](Self::authorize) decided on an act of the same HTTP request: its sender proof is used
    /// up, and the acts that follow from that one show none. They are decided like any other.
    fn proven(&self, caller: &Self::Caller) -> Self::Caller;

    /// Uses up the sender proof of a message that is no act: notifications, `ping`, the listening stream, the end of
    /// a session.
    fn admit(&self, caller: &Self::Caller) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Puts on record that a caller asked for a method that is not carried, and uses up the sender proof. Without a server
    /// where all servers were asked.
    fn deny_unknown(
        &self,
        caller: &Self::Caller,
        upstream: Option<&Upstream>,
        method: &str,
    ) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Whether a caller gets to see a listed item. A pure filter: no record.
    fn visible(&self, caller: &Self::Caller, upstream: &Upstream, item: Item<'_>) -> bool;

    /// The schema of a tool's arguments, as its pinned definition has it.
    fn input_schema(&self, upstream: &Upstream, tool: &str) -> Option<Json>;

    /// Seals something that a client keeps for the gate, for one purpose: equal contents for equal purposes look alike,
    /// and nothing else can be told. On all nodes alike. As text of `A-Z a-z 0-9 - _`.
    fn seal(&self, plain: &[u8], bound_to: &[u8]) -> String;

    /// What was [sealed](Self::seal) for this purpose; `None` for everything else.
    fn unseal(&self, sealed: &str, bound_to: &[u8]) -> Option<Vec<u8>>;

    /// Takes note of the definitions on one page of a server's tool list, before any of them is shown: they are
    /// compared with the pinned ones, and what has changed is no longer visible.
    fn observed(
        &self,
        upstream: &Upstream,
        definitions: &[ToolDefinition],
    ) -> impl Future<Output = ()> + Send;

    /// Records what became of a permitted act. Queued; the answer does not wait for it.
    fn conclude(&self, caller: &Self::Caller, outcome: Outcome);

    /// Whether nothing that the caller's authority rests on has been revoked, suspended or completed, and the server, if it
    /// is about one, is still there for them.
    fn is_live(&self, caller: &Self::Caller, upstream: Option<&Upstream>) -> bool;

    /// Whether a holder may come back to a session: with a new token perhaps, but as the same agent within the same task,
    /// both alive, and, where the session is with one server, to a server that is still at this address. One that is only
    /// stopped may start again.
    fn may_return(&self, holder: &Holder, upstream: Option<&Upstream>) -> bool;

    /// Whether these headers are what a message to the server would carry now: it is at work at this address, and its
    /// credential is this one.
    fn is_current(&self, upstream: &Upstream, inject: &[(HeaderName, HeaderValue)]) -> bool;

    /// Whether this node can prove that it knows the latest revocations.
    fn is_fresh(&self) -> bool;

    /// Moves whenever authority may have ended somewhere, and while the node is not [fresh](Self::is_fresh); live streams ask [`is_live`](Self::is_live) then. A
    /// channel whose sender is gone ends all streams.
    fn revocations(&self) -> watch::Receiver<Position>;

    /// Moves whenever what callers may use may have changed, in whichever direction. What a caller is shown after it moved
    /// says whether it did for that one.
    fn rights(&self) -> watch::Receiver<Position>;

    /// A digest of what the caller may use of a server, or of all servers, as far as the control plane knows it.
    fn view(&self, caller: &Self::Caller, upstream: Option<&Upstream>) -> View;

    /// When the caller's authority ends by itself: the earlier of its token's and its task's end.
    fn deadline(&self, caller: &Self::Caller) -> Timestamp;
}

/// What one HTTP request shows to prove who sends it. Nothing in it has been verified.
#[derive(Debug)]
pub struct Presented<'a> {
    /// All headers of the request. The plane reads `Authorization` and `DPoP` in all their repetitions, nothing else.
    pub headers: &'a HeaderMap,
    /// The HTTP method, for `htm`.
    pub method: &'a Method,
    /// The public URL of the endpoint, without query: the token's audience, and `htu`.
    pub url: &'a str,
    /// The server's name as it stands in the path; well-formed, not looked up. None for the endpoint of all servers.
    pub server: Option<&'a str>,
    /// The instant of the request.
    pub now: Timestamp,
    /// Correlates log lines, records and answers.
    pub trace: TraceId,
}

/// The owner of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The agent that acts.
    pub actor: Actor,
    /// The task it acts within.
    pub task: TaskId,
}

/// A server of the catalogue, as far as the gateway needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its id.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Its MCP endpoint, `http` or `https`.
    pub url: Uri,
    /// How long it may take.
    pub patience: Patience,
    /// How much it may answer to one request, in bytes: one JSON text, or all events of a stream together.
    pub answer_bytes_max: usize,
    /// What passes between it and clients although it does not by itself.
    pub passes: Passes,
    /// The certificates (PEM) of its own authority; it is trusted by these alone. None where everybody's authorities hold.
    pub authority: Option<Arc<str>>,
}

/// What an operator lets pass for one server. All of it is off unless somebody says otherwise: it lets a server use
/// the client's model, see the client's folders, or speak to whoever reads the client's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passes {
    /// `sampling/createMessage`
    pub sampling: bool,
    /// `roots/list`
    pub roots: bool,
    /// `notifications/message`
    pub logging: bool,
}

/// What a caller may use, digested by what is listed. Two that are equal list the same, unless a server changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Of tools.
    pub tools: [u8; 32],
    /// Of resources and their templates.
    pub resources: [u8; 32],
    /// Of prompts.
    pub prompts: [u8; 32],
}

/// How long an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until the headers of its answer are there.
    pub headers: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { headers: Duration::from_mins(1), idle: Duration::from_mins(5) }
    }
}

/// One act on its way to a decision.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where it would go.
    pub upstream: &'a Upstream,
    /// What is asked.
    pub request: &'a Request,
    /// SHA-256 of the exact message that would be sent; see [`wire::mcp::Request::digest`]. The same act has the
    /// same digest when it is tried again.
    pub digest: &'a [u8; 32],
    /// How large the message is, in bytes.
    pub bytes: u64,
}

/// A "yes", with all that forwarding takes.
pub struct Authorized {
    /// Made for this act alone; forwarding uses it up.
    pub permit: policy::Permit,
    /// Headers that carry the upstream's credential.
    ///
    /// SECURITY: leased for this request; never shown, never logged.
    pub inject: Vec<(HeaderName, HeaderValue)>,
    /// The decision, for asking about it.
    pub decision: DecisionId,
}

impl fmt::Debug for Authorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.inject.iter().map(|(name, _)| name).collect();
        f.debug_struct("Authorized")
            .field("intent", &self.permit.intent())
            .field("inject", &names)
            .field("decision", &self.decision)
            .finish_non_exhaustive()
    }
}

/// A "no".
#[derive(Clone, Debug)]
pub enum Refused {
    /// The credential no longer holds, its proof was used before, or consent could widen it: an HTTP challenge.
    Unauthorized(Unauthorized),
    /// A decision, or why there can be none. HTTP 200: an answer that a model can read.
    Denied(Box<Denial>),
}

impl From<Unauthorized> for Refused {
    fn from(unauthorized: Unauthorized) -> Self {
        Self::Unauthorized(unauthorized)
    }
}

/// An HTTP challenge, made by the control plane and printed as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unauthorized {
    /// 401 without a valid credential, 400 for a malformed one, 403 where consent can help, 503 where nobody can be
    /// recognised just now.
    pub status: StatusCode,
    /// `WWW-Authenticate`, one line each, in this order, and what else belongs to it, for example `DPoP-Nonce`.
    pub headers: Box<HeaderMap>,
    /// The body, JSON.
    pub body: Bytes,
}

/// Something that a server lists.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// A tool.
    Tool(&'a ToolDefinition),
    /// A resource, by URI.
    Resource(&'a str),
    /// A template of resource URIs (RFC 6570).
    ResourceTemplate(&'a str),
    /// A prompt, by name.
    Prompt(&'a str),
    /// What came of calling a tool, by the tool's name.
    Called(&'a str),
}

/// A tool as its server describes it just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolDefinition {
    /// Its name: the member `name` of the definition.
    pub name: String,
    /// The whole definition: name, description, schemas, annotations and whatever else it holds.
    pub definition: Json,
}

/// What became of a permitted act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The record of the intent.
    pub intent: Place,
    /// How it ended.
    pub result: Ending,
    /// Why, as a stable code, where it did not simply end well.
    pub code: Option<&'static str>,
    /// How many bytes came back, decoded from framing.
    pub bytes: u64,
    /// SHA-256 of the JSON-RPC response as it was given to the client, where it was the server's.
    pub digest: Option<[u8; 32]>,
    /// When it ended.
    pub at: Timestamp,
}

/// How a permitted act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The server answered with a result that is no error.
    Done,
    /// The server answered with an error, or it was never reached.
    Failed,
    /// We cut it off: authority ended. The server may have done it.
    Cut,
    /// The server was reached and gave no readable answer, or the client left. The server may have done it.
    Unknown,
}

impl Ending {
    /// The ending as written in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Unknown => "unknown",
        }
    }
}
