//! A control plane for tests: it decides by a list of denials, seals real permits, and remembers what it was asked.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use base::{Actor, AgentId, Clock, Dice, Position, Receipt, TaskId, Timestamp};
use gateway::{
    Asked, Authorized, Holder, Item, Outcome, Plane, Presented, Refused, Request, ToolDefinition,
    Unauthorized, Upstream, View,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use policy::{
    Act, ActKind, Catalogue, Circumstances, Decision, Engine, EntityKind, EntityRef, Pattern, Permit,
    PolicySource, Question, Scope, Subject, ToolRule,
};
use tokio::sync::watch;
use wire::{json::Json, mcp::Denial};

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_359_845);
/// The credential that the gateway injects; must reach servers and nobody else.
pub(crate) const UPSTREAM_SECRET: &str = "upstream-secret-5d1f";

/// How many further callers there are, each with a task of its own: `crowd-0` and so on.
pub(crate) const CROWD: usize = 100;

/// A clock that is set.
pub(crate) struct SetClock(pub(crate) AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Dice that count: no two draws are alike.
pub(crate) struct CountingDice(AtomicI64);

impl CountingDice {
    pub(crate) const fn new() -> Self {
        Self(AtomicI64::new(1))
    }
}

impl Dice for CountingDice {
    fn fill(&self, out: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (index, byte) in out.iter_mut().rev().enumerate() {
            *byte = number[7 - index % 8];
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TestCaller {
    pub(crate) token: String,
    agent: AgentId,
    task: TaskId,
    /// The sender proof of its request.
    proof: Option<String>,
}

/// A server whose callers die while it is looked up.
pub(crate) const DEADLY: &str = "deadly";

/// What the plane was told, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
    Authorized(Request),
    Denied(Request),
    Admitted,
    Unknown(String),
    Observed(Vec<String>),
    Concluded(Outcome),
}

pub(crate) struct TestPlane {
    engine: Engine,
    dice: CountingDice,
    callers: HashMap<String, TestCaller>,
    pub(crate) upstreams: Mutex<HashMap<String, Arc<Upstream>>>,
    /// Denials by tool name, URI or prompt name.
    pub(crate) denials: Mutex<HashMap<String, Refused>>,
    /// Schemas of tools' arguments.
    pub(crate) schemas: Mutex<HashMap<String, Json>>,
    /// Items that nobody gets to see.
    pub(crate) hidden: Mutex<HashSet<String>>,
    /// Servers that nobody may know of.
    pub(crate) unknown_servers: Mutex<HashSet<String>>,
    pub(crate) rights: watch::Sender<Position>,
    /// What callers may use, by server; under none, of all of them.
    pub(crate) view: Mutex<HashMap<Option<String>, View>>,
    pub(crate) told: Mutex<Vec<Told>>,
    outcomes: watch::Sender<usize>,
    pub(crate) dead: Mutex<HashSet<String>>,
    pub(crate) revocations: Mutex<Option<watch::Sender<Position>>>,
    pub(crate) deadline: AtomicI64,
    /// Seals permits for another message than the one that was asked about.
    pub(crate) gives_wrong_permits: AtomicBool,
    pub(crate) inject_as: Mutex<HeaderName>,
    /// Whether the server has another credential than the one that was given.
    pub(crate) is_rotated: AtomicBool,
    pub(crate) is_stale: AtomicBool,
    positions: AtomicI64,
    /// The sender proofs that were used.
    proofs: Mutex<HashSet<String>>,
}

impl TestPlane {
    pub(crate) fn new(upstreams: HashMap<String, Arc<Upstream>>) -> Self {
        let dice = CountingDice::new();
        let caller = |token: &str| {
            let caller = TestCaller {
                token: token.to_owned(),
                agent: AgentId::new(NOW, &dice),
                task: TaskId::new(NOW, &dice),
                proof: None,
            };
            (token.to_owned(), caller)
        };
        let mut callers: HashMap<_, _> = ["alice", "bob", "carol"].map(caller).into();
        callers.extend((0..CROWD).map(|number| caller(&format!("crowd-{number}"))));
        // The same agent within another task.
        let agent = callers["alice"].agent.clone();
        let too = TestCaller { token: "alice-too".into(), agent, task: TaskId::new(NOW, &dice), proof: None };
        callers.insert(too.token.clone(), too);
        let policy = PolicySource {
            id: "open".into(),
            text: r#"@id("open") permit (principal is Agent, action, resource);"#.into(),
        };
        let catalogue = Catalogue { servers: vec!["main".parse().unwrap()], ..Catalogue::default() };
        Self {
            engine: Engine::compile(&catalogue, &[policy]).unwrap(),
            dice,
            callers,
            upstreams: Mutex::new(upstreams),
            denials: Mutex::default(),
            schemas: Mutex::default(),
            hidden: Mutex::default(),
            unknown_servers: Mutex::default(),
            rights: watch::Sender::new(Position(1)),
            view: Mutex::default(),
            told: Mutex::default(),
            outcomes: watch::Sender::new(0),
            dead: Mutex::default(),
            revocations: Mutex::new(Some(watch::Sender::new(Position(1)))),
            deadline: AtomicI64::new(NOW.plus_seconds(3600).millis()),
            gives_wrong_permits: AtomicBool::new(false),
            inject_as: Mutex::new(header::AUTHORIZATION),
            is_rotated: AtomicBool::new(false),
            is_stale: AtomicBool::new(false),
            positions: AtomicI64::new(1),
            proofs: Mutex::default(),
        }
    }

    pub(crate) fn caller(&self, token: &str) -> TestCaller {
        self.callers[token].clone()
    }

    pub(crate) fn deny(&self, name: &str, refused: Refused) {
        self.denials.lock().unwrap().insert(name.into(), refused);
    }

    pub(crate) fn revoke(&self, token: &str) {
        self.dead.lock().unwrap().insert(token.into());
        if let Some(revocations) = self.revocations.lock().unwrap().as_ref() {
            revocations.send_modify(|position| *position = position.plus(1));
        }
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.told()
            .into_iter()
            .filter_map(|told| if let Told::Concluded(o) = told { Some(o) } else { None })
            .collect()
    }

    /// The outcomes, once there are `count` of them.
    pub(crate) async fn outcomes_of(&self, count: usize) -> Vec<Outcome> {
        self.outcomes.subscribe().wait_for(|concluded| *concluded >= count).await.unwrap();
        self.outcomes()
    }

    /// A proof is good once.
    fn use_proof(&self, caller: &TestCaller) -> Result<(), Refused> {
        let is_fresh =
            caller.proof.as_ref().is_none_or(|proof| self.proofs.lock().unwrap().insert(proof.clone()));
        if is_fresh { Ok(()) } else { Err(unauthorized().into()) }
    }

    fn tell(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }

    /// A real permit: a real engine allowed something, and the receipt is for `digest`.
    fn permit(&self, digest: [u8; 32]) -> Permit {
        let role = EntityRef::role_on("any", "main");
        let agent = EntityRef::new(EntityKind::Agent, "bot");
        let agent = Subject::new(agent, BTreeMap::new(), [role.clone()], true).unwrap();
        let any = || Pattern::Any;
        let tools = vec![ToolRule { server: any(), tool: any(), effects: None, constraints: vec![] }];
        let scope = Scope { tools, resources: vec![], prompts: vec![], deadline: NOW.plus_seconds(86_400) };
        let act = Act {
            server: "main".parse().unwrap(),
            kind: ActKind::Open,
            arguments: Json::object::<&str, 0>([]),
        };
        let decision = self.engine.decide(&Question {
            act: &act,
            digest,
            person: None,
            agent: &agent,
            roles: &[role],
            scopes: &[&scope],
            circumstances: &Circumstances {
                now: NOW,
                purpose: "test".into(),
                depth: 1,
                calls_left: None,
                bytes_left: None,
                acr: None,
            },
            lifted: &[],
            prepared: None,
        });
        let Decision::Allow(allow) = decision else { panic!("{decision:?}") };
        let position = Position(self.positions.fetch_add(1, Ordering::SeqCst));
        Permit::seal(allow, Receipt::durable(position, digest)).unwrap()
    }
}

pub(crate) fn name_of(request: &Request) -> &str {
    match request {
        Request::Open => "open",
        Request::Listen => "listen",
        Request::Answer => "answer",
        Request::Tasks { of: None } => "tasks",
        Request::Tasks { of: Some(of) } => name_of(of),
        Request::SetLogLevel { .. } => "log level",
        Request::List(list) => list.member(),
        Request::CallTool { name, .. }
        | Request::GetPrompt { name, .. }
        | Request::CompletePrompt { name, .. } => name,
        Request::ReadResource { uri }
        | Request::CompleteResource { uri, .. }
        | Request::Subscribe { uri }
        | Request::Unsubscribe { uri } => uri,
    }
}

pub(crate) fn unauthorized() -> Unauthorized {
    let mut headers = HeaderMap::new();
    for line in ["Bearer error=\"invalid_token\"", "DPoP"] {
        headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(line));
    }
    headers.insert("dpop-nonce", HeaderValue::from_static("n1"));
    Unauthorized {
        status: StatusCode::UNAUTHORIZED,
        headers: headers.into(),
        body: r#"{"error":"invalid_token"}"#.into(),
    }
}

impl Plane for TestPlane {
    type Caller = TestCaller;

    fn authenticate(&self, presented: &Presented<'_>) -> Result<TestCaller, Unauthorized> {
        let path = presented.server.map_or_else(|| "/mcp".to_owned(), |server| format!("/mcp/{server}"));
        assert_eq!(presented.url, format!("https://writ.example{path}"));
        let mut headers = presented.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (headers.next(), headers.next()) else { return Err(unauthorized()) };
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let caller = token.and_then(|token| self.callers.get(token)).ok_or_else(unauthorized)?;
        if self.dead.lock().unwrap().contains(&caller.token) {
            Err(unauthorized())
        } else {
            let proof = presented.headers.get("dpop").and_then(|proof| proof.to_str().ok());
            Ok(TestCaller { proof: proof.map(str::to_owned), ..caller.clone() })
        }
    }

    fn holder(&self, caller: &TestCaller) -> Holder {
        Holder { actor: Actor::Agent(caller.agent.clone()), task: caller.task.clone() }
    }

    fn upstream(&self, caller: &TestCaller, server: &str) -> Option<Arc<Upstream>> {
        if server == DEADLY {
            self.revoke(&caller.token);
        }
        let is_hidden = self.unknown_servers.lock().unwrap().contains(server);
        let known = self.upstreams.lock().unwrap();
        known.get(server).filter(|_| !is_hidden).cloned()
    }

    fn upstreams(&self, caller: &TestCaller) -> Vec<Arc<Upstream>> {
        let names: Vec<_> = self.upstreams.lock().unwrap().keys().cloned().collect();
        let mut all: Vec<_> = names.iter().filter_map(|name| self.upstream(caller, name)).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    async fn authorize(&self, caller: &TestCaller, asked: Asked<'_>) -> Result<Authorized, Refused> {
        self.use_proof(caller)?;
        if let Some(refused) = self.denials.lock().unwrap().get(name_of(asked.request)) {
            self.tell(Told::Denied(asked.request.clone()));
            return Err(refused.clone());
        }
        assert!(!self.dead.lock().unwrap().contains(&caller.token));
        self.tell(Told::Authorized(asked.request.clone()));
        let mut digest = *asked.digest;
        if self.gives_wrong_permits.load(Ordering::SeqCst) {
            digest[0] ^= 1;
        }
        let name = self.inject_as.lock().unwrap().clone();
        let secret = HeaderValue::from_str(&format!("Bearer {UPSTREAM_SECRET}")).unwrap();
        Ok(Authorized {
            permit: self.permit(digest),
            inject: vec![(name, secret)],
            decision: base::DecisionId::new(NOW, &self.dice),
        })
    }

    fn proven(&self, caller: &TestCaller) -> TestCaller {
        TestCaller { proof: None, ..caller.clone() }
    }

    async fn admit(&self, caller: &TestCaller) -> Result<(), Refused> {
        self.use_proof(caller)?;
        self.tell(Told::Admitted);
        Ok(())
    }

    async fn deny_unknown(
        &self,
        caller: &TestCaller,
        _upstream: Option<&Upstream>,
        method: &str,
    ) -> Result<(), Refused> {
        self.use_proof(caller)?;
        self.tell(Told::Unknown(method.into()));
        Ok(())
    }

    fn visible(&self, _caller: &TestCaller, _upstream: &Upstream, item: Item<'_>) -> bool {
        let name = match item {
            Item::Tool(definition) => {
                // What is judged must have been reported before.
                assert!(
                    self.told().iter().any(
                        |told| matches!(told, Told::Observed(names) if names.contains(&definition.name))
                    )
                );
                &definition.name
            }
            Item::Resource(name) | Item::ResourceTemplate(name) | Item::Prompt(name) | Item::Called(name) => {
                name
            }
        };
        !self.hidden.lock().unwrap().contains(name)
    }

    fn input_schema(&self, _upstream: &Upstream, tool: &str) -> Option<Json> {
        self.schemas.lock().unwrap().get(tool).cloned()
    }

    fn seal(&self, plain: &[u8], bound_to: &[u8]) -> String {
        [plain, bound_to].map(hex::encode).join("-")
    }

    fn unseal(&self, sealed: &str, bound_to: &[u8]) -> Option<Vec<u8>> {
        let (plain, purpose) = sealed.split_once('-')?;
        (purpose == hex::encode(bound_to)).then(|| hex::decode(plain).ok()).flatten()
    }

    async fn observed(&self, _upstream: &Upstream, definitions: &[ToolDefinition]) {
        self.tell(Told::Observed(definitions.iter().map(|definition| definition.name.clone()).collect()));
    }

    fn conclude(&self, _caller: &TestCaller, outcome: Outcome) {
        self.tell(Told::Concluded(outcome));
        self.outcomes.send_modify(|count| *count += 1);
    }

    fn is_live(&self, caller: &TestCaller, _upstream: Option<&Upstream>) -> bool {
        !self.dead.lock().unwrap().contains(&caller.token)
    }

    fn may_return(&self, holder: &Holder, _upstream: Option<&Upstream>) -> bool {
        let dead = self.dead.lock().unwrap();
        self.callers.values().any(|caller| caller.task == holder.task && !dead.contains(&caller.token))
    }

    fn is_current(&self, _upstream: &Upstream, inject: &[(HeaderName, HeaderValue)]) -> bool {
        !self.is_rotated.load(Ordering::SeqCst) && inject.len() == 1
    }

    fn is_fresh(&self) -> bool {
        !self.is_stale.load(Ordering::SeqCst)
    }

    fn revocations(&self) -> watch::Receiver<Position> {
        self.revocations.lock().unwrap().as_ref().expect("the plane is there").subscribe()
    }

    fn rights(&self) -> watch::Receiver<Position> {
        self.rights.subscribe()
    }

    fn view(&self, _caller: &TestCaller, upstream: Option<&Upstream>) -> View {
        *self
            .view
            .lock()
            .unwrap()
            .get(&upstream.map(|upstream| upstream.name.clone()))
            .unwrap_or(&View::default())
    }

    fn deadline(&self, _caller: &TestCaller) -> Timestamp {
        Timestamp::from_millis(self.deadline.load(Ordering::SeqCst))
    }
}

pub(crate) fn denial() -> Refused {
    Refused::Denied(Box::new(Denial::new("not_granted", "agent `bot` has no grant", "ask for access")))
}
