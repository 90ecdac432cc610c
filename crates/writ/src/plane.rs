//! The control plane as the gateway sees it: a translation, and nothing else.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base::{Actor, Error, Fault, Position, ServerId, Timestamp};
use control::{
    catalogue::{Observed, Pass, Server, ServerState, ToolBody, ToolState},
    control::Control,
    decide::{self, Caller},
    kind::Thing,
    oauth::{Audience, Challenged},
    snapshot::Snapshot,
};
use gateway::{
    Asked, Authorized, Holder, Item, List, Passes, Patience, Plane, Presented, Refused, Request,
    Unauthorized, Upstream, View,
};
use http::{HeaderName, HeaderValue};
use policy::{Act, ActKind, Effect};
use tokio::sync::watch;
use wire::{json::Json, mcp::Denial};

/// How much a server may answer to one request, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How many servers are kept in the gateway's form.
const UPSTREAMS_MAX: usize = 10_000;

/// The control plane behind the gateway's door.
pub(crate) struct ControlPlane {
    control: Control,
    /// Servers as the gateway knows them, made once for each version of each.
    upstreams: RwLock<HashMap<ServerId, (i64, Arc<Upstream>)>>,
}

impl ControlPlane {
    pub(crate) fn new(control: Control) -> Self {
        Self { control, upstreams: RwLock::default() }
    }

    fn upstream_of(&self, server: &Thing<Server>) -> Arc<Upstream> {
        let known = self.upstreams.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, upstream)) = known.get(&server.id)
            && *version == server.version
        {
            return Arc::clone(upstream);
        }
        drop(known);
        let made = Arc::new(upstream(server));
        let mut known = self.upstreams.write().unwrap_or_else(PoisonError::into_inner);
        // Of servers that were removed nothing is kept for long.
        if known.len() >= UPSTREAMS_MAX {
            known.clear();
        }
        known.insert(server.id.clone(), (server.version, Arc::clone(&made)));
        made
    }

    fn unauthorized(&self, endpoint: &Audience, error: &Error) -> Unauthorized {
        unauthorized(self.control.mcp_challenge(endpoint, error))
    }

    /// A refusal at the endpoint that the caller's token is for.
    fn refused(&self, caller: &Caller, refused: decide::Refused) -> Refused {
        let challenge = |error: Error| {
            let endpoint = Audience::parse(caller.audience(), &self.control.settings().issuer());
            Refused::Unauthorized(self.unauthorized(&endpoint.unwrap_or(Audience::AllServers), &error))
        };
        match refused {
            decide::Refused::Denied(answer) => Refused::Denied(Box::new(Denial {
                code: answer.code,
                reason: answer.reason,
                policy: answer.policies,
                what_would_help: answer.what_would_help,
                approval_url: answer.approval_url,
                retry_after: answer.retry_after,
                decision_id: Some(answer.decision_id),
                output_is_typed: false,
            })),
            decide::Refused::Dead(dead) => challenge(dead.into()),
            decide::Refused::ProofReplayed => challenge(control::oauth::ProofReplayed.into()),
            other @ (decide::Refused::ServerGone | decide::Refused::Stale | decide::Refused::Busy) => {
                Refused::Denied(Box::new(not_now(other.code(), &other)))
            }
            decide::Refused::Fault(fault) => {
                tracing::error!(error = %fault, "a call was refused because something failed");
                metrics::counter!("writ_call_faults_total").increment(1);
                let code = decide::Refused::Fault(fault);
                Refused::Denied(Box::new(not_now(
                    code.code(),
                    &"the call could not be decided and recorded; it was not made",
                )))
            }
        }
    }
}

fn unauthorized(challenged: Challenged) -> Unauthorized {
    let Challenged { status, headers, body } = challenged;
    Unauthorized { status, headers: headers.into(), body }
}

/// A "no" that says nothing about the act, only about this moment.
fn not_now(code: &'static str, reason: &dyn std::fmt::Display) -> Denial {
    Denial {
        code,
        reason: reason.to_string(),
        policy: Vec::new(),
        what_would_help: "try again shortly".into(),
        approval_url: None,
        retry_after: Some(1),
        decision_id: None,
        output_is_typed: false,
    }
}

impl Plane for ControlPlane {
    type Caller = Caller;

    fn authenticate(&self, presented: &Presented<'_>) -> Result<Caller, Unauthorized> {
        let Presented { headers, method, url, server, now, .. } = *presented;
        let endpoint = server.map_or(Audience::AllServers, |server| Audience::Mcp(server.to_owned()));
        self.control
            .verify_mcp_token(headers, method, url, &endpoint, now)
            .map_err(|error| self.unauthorized(&endpoint, &error))
    }

    fn holder(&self, caller: &Caller) -> Holder {
        Holder { actor: Actor::Agent(caller.agent.clone()), task: caller.task.clone() }
    }

    fn upstream(&self, caller: &Caller, server: &str) -> Option<Arc<Upstream>> {
        let known = self.control.snapshot();
        let thing = known.servers.named(server)?;
        let open = Act { server: server.parse().ok()?, kind: ActKind::Open, arguments: Json::Null };
        let visible = thing.body.state == ServerState::Active && self.control.may_know(caller, &open);
        visible.then(|| self.upstream_of(thing))
    }

    fn upstreams(&self, caller: &Caller) -> Vec<Arc<Upstream>> {
        let known = self.control.snapshot();
        let is_seen = |thing: &Thing<Server>| {
            let Ok(server) = thing.name.parse() else { return false };
            let open = Act { server, kind: ActKind::Open, arguments: Json::Null };
            thing.body.state == ServerState::Active && self.control.may_see(caller, &open)
        };
        let mut seen: Vec<_> = known
            .servers
            .iter()
            .filter(|thing| is_seen(thing))
            .map(|thing| self.upstream_of(thing))
            .collect();
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        seen
    }

    async fn authorize(&self, caller: &Caller, asked: Asked<'_>) -> Result<Authorized, Refused> {
        let server = &asked.upstream.name;
        let refuse = |refused| self.refused(caller, refused);
        let fault = |why: &'static str| refuse(decide::Refused::Fault(Fault::new("reading an act", why)));
        let act = {
            let known = self.control.snapshot();
            act(&known, server, asked.request).ok_or_else(|| fault("the server's name is not a name"))?
        };
        let bytes = i64::try_from(asked.bytes).unwrap_or(i64::MAX);
        let url = asked.upstream.url.to_string();
        let is_call = !matches!(asked.request, Request::Tasks { .. });
        let message =
            decide::Message { server: &asked.upstream.id, url: &url, digest: *asked.digest, bytes, is_call };
        let authorized = self.control.authorize(caller, &act, &message).await.map_err(|refused| {
            if let decide::Refused::Denied(answer) = &refused
                && let Some(challenged) = self.control.consent_that_helps(caller, &act, answer)
            {
                return Refused::Unauthorized(unauthorized(challenged));
            }
            refuse(refused)
        })?;
        let inject = authorized.credential.into_iter().collect();
        Ok(Authorized { permit: authorized.permit, inject, decision: authorized.decision })
    }

    fn proven(&self, caller: &Caller) -> Caller {
        caller.without_proof()
    }

    async fn admit(&self, caller: &Caller) -> Result<(), Refused> {
        self.control.admit(caller).await.map_err(|refused| self.refused(caller, refused))
    }

    async fn deny_unknown(
        &self,
        caller: &Caller,
        upstream: Option<&Upstream>,
        method: &str,
    ) -> Result<(), Refused> {
        let server = upstream.map(|upstream| upstream.name.as_str());
        let denied = self.control.deny_unknown(caller, server, method).await;
        denied.map_err(|refused| self.refused(caller, refused))
    }

    fn visible(&self, caller: &Caller, upstream: &Upstream, item: Item<'_>) -> bool {
        let known = self.control.snapshot();
        let Ok(server) = upstream.name.parse() else { return false };
        let kind = match item {
            Item::Tool(shown) => {
                let Some(tool) = known.tools.named(&format!("{}/{}", upstream.name, shown.name)) else {
                    return false;
                };
                // What the client would see must be what was pinned, to the byte.
                let same =
                    Observed::new(shown.definition.clone()).is_ok_and(|seen| seen.digest == tool.body.digest);
                if !same || tool.body.state != ToolState::Pinned {
                    return false;
                }
                tool_kind(&tool.body)
            }
            Item::Resource(uri) | Item::ResourceTemplate(uri) => ActKind::Resource { uri: uri.to_owned() },
            Item::Prompt(name) => ActKind::Prompt { name: name.to_owned() },
            Item::Called(tool) => {
                let Some(tool) = known.tools.named(&format!("{}/{tool}", upstream.name)) else {
                    return false;
                };
                tool_kind(&tool.body)
            }
        };
        self.control.may_see(caller, &Act { server, kind, arguments: Json::Null })
    }

    fn input_schema(&self, upstream: &Upstream, tool: &str) -> Option<Json> {
        let known = self.control.snapshot();
        let pinned = known.tools.named(&format!("{}/{tool}", upstream.name))?;
        // Few schemas name a header; the others need not be read.
        let definition = &pinned.body.definition;
        let names_header = definition.contains("x-mcp-header");
        names_header.then(|| Json::parse(definition.as_bytes()).ok()?.get("inputSchema").cloned()).flatten()
    }

    fn seal(&self, plain: &[u8], bound_to: &[u8]) -> String {
        // What could not be sealed opens for nobody.
        self.control.store().seal_keepsake(plain, bound_to).unwrap_or_default()
    }

    fn unseal(&self, sealed: &str, bound_to: &[u8]) -> Option<Vec<u8>> {
        self.control.store().open_keepsake(sealed, bound_to)
    }

    async fn observed(&self, upstream: &Upstream, definitions: &[gateway::ToolDefinition]) {
        let seen: Vec<Observed> =
            definitions.iter().filter_map(|shown| Observed::new(shown.definition.clone()).ok()).collect();
        if let Err(error) = self.control.observe(&upstream.id, &seen).await {
            // Nothing is shown because of it: `visible` compares each definition itself.
            tracing::error!(%error, server = upstream.name, "changed tools could not be quarantined");
        }
    }

    fn conclude(&self, caller: &Caller, outcome: gateway::Outcome) {
        self.control.conclude(decide::Outcome {
            caller: caller.clone(),
            intent: outcome.intent,
            result: outcome.result.as_str(),
            code: outcome.code,
            bytes: i64::try_from(outcome.bytes).unwrap_or(i64::MAX),
            answer: outcome.digest,
            ended: outcome.at,
        });
    }

    fn is_live(&self, caller: &Caller, upstream: Option<&Upstream>) -> bool {
        let known = self.control.snapshot();
        let Some(upstream) = upstream else { return caller.alive(&known, self.control.now()).is_ok() };
        let is_there = server_at(&known, upstream).is_some();
        let Ok(server) = upstream.name.parse() else { return false };
        let open = Act { server, kind: ActKind::Open, arguments: Json::Null };
        is_there && self.control.may_see(caller, &open)
    }

    fn may_return(&self, holder: &Holder, upstream: Option<&Upstream>) -> bool {
        let Actor::Agent(agent) = &holder.actor else { return false };
        let known = self.control.snapshot();
        let chain = known.living_chain(&holder.task, self.control.now());
        let is_alive = chain.is_ok_and(|chain| chain.first().is_some_and(|task| task.agent == *agent));
        let is_there = |upstream: &Upstream| {
            let server = known.servers.get(&upstream.id);
            server.is_some_and(|server| upstream.url == *server.body.url.as_str())
        };
        is_alive && upstream.is_none_or(is_there)
    }

    fn is_current(&self, upstream: &Upstream, inject: &[(HeaderName, HeaderValue)]) -> bool {
        let known = self.control.snapshot();
        let Some(server) = server_at(&known, upstream) else { return false };
        server.body.lease(&known).is_ok_and(|lease| lease.as_slice() == inject)
    }

    fn is_fresh(&self) -> bool {
        self.control.is_fresh(self.control.now())
    }

    fn revocations(&self) -> watch::Receiver<Position> {
        self.control.narrowed()
    }

    fn rights(&self) -> watch::Receiver<Position> {
        self.control.moved()
    }

    fn view(&self, caller: &Caller, upstream: Option<&Upstream>) -> View {
        let seen = self.control.view_of(caller, upstream.map(|upstream| &upstream.id));
        View { tools: seen.tools, resources: seen.resources, prompts: seen.prompts }
    }

    fn deadline(&self, caller: &Caller) -> Timestamp {
        let known = self.control.snapshot();
        let chain = caller.alive(&known, self.control.now()).unwrap_or_default();
        chain.iter().map(|task| task.scope.deadline).fold(caller.expires, Timestamp::min)
    }
}

/// The server, if it is at work at the address by which it is known here.
fn server_at<'a>(known: &'a Snapshot, upstream: &Upstream) -> Option<&'a Thing<Server>> {
    let server = known.servers.get(&upstream.id)?;
    let is_there = server.body.state == ServerState::Active && upstream.url == *server.body.url.as_str();
    is_there.then_some(server)
}

fn upstream(thing: &Thing<Server>) -> Upstream {
    let headers = Duration::from_secs(thing.body.timeout_seconds.unsigned_abs());
    Upstream {
        id: thing.id.clone(),
        name: thing.name.to_string(),
        url: thing.body.url.as_str().parse().unwrap_or_default(),
        patience: Patience { headers, ..Patience::default() },
        answer_bytes_max: ANSWER_BYTES_MAX,
        passes: passes(&thing.body.passes),
        authority: thing.body.tls_ca.clone(),
    }
}

/// What passes at a server, in the gate's words.
pub(crate) fn passes(given: &BTreeSet<Pass>) -> Passes {
    let has = |pass| given.contains(&pass);
    Passes { sampling: has(Pass::Sampling), roots: has(Pass::Roots), logging: has(Pass::Logging) }
}

/// The policy's act behind a gateway's request: the catalogue adds effect and definition.
fn act(known: &Snapshot, server: &str, request: &Request) -> Option<Act> {
    let name = server.parse().ok()?;
    let (kind, arguments) = match request {
        // What came of a call is decided as that call.
        Request::Tasks { of: Some(of) } => return act(known, server, of),
        Request::Open
        | Request::Listen
        | Request::Answer
        | Request::Tasks { of: None }
        | Request::SetLogLevel { .. } => (ActKind::Open, Json::Null),
        Request::List(List::Tools | List::Resources | List::ResourceTemplates | List::Prompts) => {
            (ActKind::List, Json::Null)
        }
        Request::CallTool { name: tool, arguments } => {
            let pinned = known.tools.named(&format!("{server}/{tool}"));
            let unknown =
                || ActKind::Tool { name: tool.clone(), definition_hash: [0; 32], effect: Effect::Admin };
            (pinned.map_or_else(unknown, |pinned| tool_kind(&pinned.body)), arguments.clone())
        }
        Request::ReadResource { uri } | Request::Subscribe { uri } | Request::Unsubscribe { uri } => {
            (ActKind::Resource { uri: uri.clone() }, Json::Null)
        }
        Request::CompleteResource { uri, arguments } => {
            (ActKind::Resource { uri: uri.clone() }, arguments.clone())
        }
        Request::GetPrompt { name, arguments } => (ActKind::Prompt { name: name.clone() }, arguments.clone()),
        Request::CompletePrompt { name, arguments } => {
            (ActKind::Prompt { name: name.clone() }, arguments.clone())
        }
    };
    Some(Act { server: name, kind, arguments })
}

fn tool_kind(tool: &ToolBody) -> ActKind {
    ActKind::Tool { name: tool.tool.clone(), definition_hash: tool.shown_digest(), effect: tool.effect }
}
