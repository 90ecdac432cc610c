//! The control plane as a server runs it: store, follower, routes; a clock that stands still.

use axum::{Router, body::Body, http::Request};
use base::{Event, EventKind, Sender};
use control::{
    authenticator::Cost,
    authority::System,
    control::{Control, Settings},
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testkit::Bench;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;

/// The issuer of every app here.
pub(crate) const ISSUER: &str = "https://writ.example";

/// A running control plane.
pub(crate) struct App {
    pub(crate) bench: Bench,
    pub(crate) control: Control,
    routes: Router,
    follower: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body where it is JSON.
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) text: String,
}

impl Answer {
    /// The OAuth error code of a refusal.
    pub(crate) fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// The access token of a successful answer.
    pub(crate) fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["access_token"].as_str().expect("a token").to_owned()
    }
}

impl App {
    /// The first start on a bench.
    pub(crate) async fn start(bench: Bench) -> Self {
        Self::start_with(bench, |_| {}).await
    }

    async fn start_with(bench: Bench, set: impl FnOnce(&mut Settings)) -> Self {
        let app = Self::run_with(bench, set).await;
        let system = app.system();
        app.control.ensure_keys(&system).await.expect("keys");
        let kept = app.control.bootstrap(&system, |_| Ok::<(), std::convert::Infallible>(())).await;
        kept.expect("a bootstrap").unwrap();
        app
    }

    async fn run(bench: Bench) -> Self {
        Self::run_with(bench, |_| {}).await
    }

    async fn run_with(bench: Bench, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            public_url: ISSUER.parse().unwrap(),
            asynchronous_reads: false,
            password_cost: Cost::TOKEN,
            registration: true,
            dpop_nonces: false,
        };
        set(&mut settings);
        let (control, follower) =
            Control::start(bench.store.clone(), settings, bench.clock.clone(), bench.dice.clone())
                .await
                .expect("a control plane");
        let routes = control::http::router(&control)
            .merge(control::oauth::http::router(&control))
            .merge(control::login::http::router(&control))
            .merge(control::account::http::router(&control));
        let routes = routes.layer(axum::Extension(base::Bodies::default()));
        Self { bench, control, routes, follower: tokio::spawn(follower.run()) }
    }

    /// Another node on the same database.
    pub(crate) async fn second_node(&self) -> Self {
        self.second_node_with(|_| {}).await
    }

    /// Another node on the same database, which is set up differently.
    pub(crate) async fn second_node_with(&self, set: impl FnOnce(&mut Settings)) -> Self {
        let mut bench = self.bench.clone();
        bench.store = self.bench.second_node().await.expect("a second node");
        Self::run_with(bench, set).await
    }

    /// Waits until this node has seen everything that another has.
    pub(crate) async fn catch_up(&self, other: &Self) {
        let head = other.bench.store.head().await.unwrap().position;
        // What a node's own calls wrote it need not read.
        while self.bench.store.own_until(self.control.snapshot().position) < head {
            tokio::task::yield_now().await;
        }
    }

    /// Stops everything, does something to what lies on the disk, and starts again.
    pub(crate) async fn restart(mut self, between: impl FnOnce(&mut Bench)) -> Self {
        self.follower.abort();
        self.bench.store.close().await.expect("a clean end");
        between(&mut self.bench);
        self.bench.store = self.bench.open(self.bench.config.clone()).await.expect("a store");
        Self::run(self.bench.clone()).await
    }

    /// The right of the system at work.
    pub(crate) fn system(&self) -> System {
        self.control.system("test")
    }

    /// Moves the clock, and lets the node see that it is still fresh.
    pub(crate) async fn advance(&self, seconds: i64) {
        self.bench.clock.advance_seconds(seconds);
        // Any record wakes the follower, which then asks for the head.
        self.control
            .note(&self.system(), Event::global(EventKind::NodeStarted, json!({})))
            .await
            .expect("a record");
        while !self.control.is_fresh(self.control.now()) {
            tokio::task::yield_now().await;
        }
    }

    /// Sends a request without a body.
    pub(crate) async fn get(&self, path: &str, headers: HeaderMap) -> Answer {
        self.send(Method::GET, path, headers, Body::empty()).await
    }

    /// Sends a JSON body; none where it is null.
    pub(crate) async fn api(&self, method: Method, path: &str, token: &str, body: &Value) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(method, path, headers, body).await
    }

    /// Sends a form.
    pub(crate) async fn form(&self, path: &str, mut headers: HeaderMap, form: &[(&str, &str)]) -> Answer {
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.send(Method::POST, path, headers, Body::from(body)).await
    }

    /// The same from an address.
    pub(crate) async fn form_from(
        &self,
        address: &str,
        path: &str,
        mut headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Answer {
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::builder().method(Method::POST).uri(path).body(Body::from(body)).unwrap();
        *request.headers_mut() = headers;
        request.extensions_mut().insert(Sender::Stranger(address.into()));
        self.serve(request).await
    }

    /// Sends anything.
    pub(crate) async fn send(&self, method: Method, path: &str, headers: HeaderMap, body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(body).unwrap();
        *request.headers_mut() = headers;
        self.serve(request).await
    }

    async fn serve(&self, request: Request<Body>) -> Answer {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, body, text }
    }

    /// How many records of a kind there are.
    pub(crate) async fn records(&self, kind: EventKind) -> i64 {
        let sql = "select count(*) from record where kind = $1";
        let mut read = self.bench.store.read().await.unwrap();
        read.row(sql, &[kind.as_str().into()]).await.unwrap().unwrap().int(0).unwrap()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

/// Runs a test on a fresh app on SQLite, then on PostgreSQL.
pub(crate) async fn each_database<F, Fut>(test: F)
where
    F: Fn(App) -> Fut,
    Fut: Future<Output = ()>,
{
    each_database_with(|_| {}, test).await;
}

/// The same on an app that is set up differently.
pub(crate) async fn each_database_with<F, Fut>(set: impl Fn(&mut Settings), test: F)
where
    F: Fn(App) -> Fut,
    Fut: Future<Output = ()>,
{
    test(App::start_with(Bench::sqlite().await, &set).await).await;
    test(App::start_with(Bench::postgres().await, &set).await).await;
}
