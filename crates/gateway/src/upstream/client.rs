//! The HTTP client: pooled connections, no redirects, no header but our own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use policy::Permit;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio::time::Instant;
use wire::mcp::{Revision, STATELESS};

use super::{
    Outbound, Trouble,
    breaker::Breaker,
    link::{Body, Links, Local, NotStarted, may_be_elder},
};
use crate::{
    Upstream,
    front::Route,
    session::{Session, lock},
    tongue::Tongue,
};

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const BOTH_FORMS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// The right to keep an opened session up: to say that it is open, cancel its requests, listen and close it. Made
/// only from a permit, or for the control plane's own [`Question`](super::Question)s; it holds the credential.
#[derive(Clone)]
pub(crate) struct Standing {
    pub(super) inject: Arc<[(HeaderName, HeaderValue)]>,
}

impl Standing {
    /// From the headers that came with a permit.
    pub(crate) fn new(inject: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { inject: inject.into() }
    }

    /// What is sent, to be compared with what would be sent now.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.inject
    }
}

/// The way to one server, and how it is spoken to there; before a session is open, nothing is agreed on.
pub(crate) struct Way<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) tongue: Option<&'a Tongue>,
}

impl<'a> Way<'a> {
    pub(crate) fn of(upstream: &'a Upstream, route: &'a Route) -> Self {
        let tongue = match route {
            Route::Opening => None,
            Route::Within(session) => Some(&session.tongue),
            Route::Alone => Some(&Tongue::Stateless),
        };
        Self { upstream, tongue }
    }

    /// Whether the server may answer that it does not know the session.
    pub(crate) const fn is_in_session(&self) -> bool {
        matches!(self.tongue, Some(Tongue::Session { id: Some(_), .. }))
    }

    pub(crate) const fn within(upstream: &'a Upstream, session: &'a Session) -> Self {
        Self { upstream, tongue: Some(&session.tongue) }
    }
}

/// How long a connection that nobody uses is kept. Node.js ends one after five seconds unless told otherwise: a request that
/// crosses that end on the way is lost, and nobody knows whether it was carried out.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// How many private authorities are remembered with their connections.
const AUTHORITIES_MAX: usize = 1000;

type Http = legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Connections to all servers. Clones share them.
#[derive(Clone)]
pub(crate) struct Client {
    /// With the authorities that everybody trusts.
    http: Http,
    /// With a private authority alone, by its certificates as text.
    private: Arc<Mutex<HashMap<Arc<str>, Http>>>,
    breaker: Arc<Breaker>,
    /// Conversations with servers that are not reached by streamable HTTP.
    links: Links,
}

impl Client {
    /// Fails only when the platform's cryptography offers no usable version of TLS.
    pub(crate) fn new(local: Arc<dyn Local>) -> Result<Self, rustls::Error> {
        let builder = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::aws_lc_rs::default_provider())?;
        Ok(Self {
            http: http(builder),
            private: Arc::default(),
            breaker: Arc::default(),
            links: Links::new(local),
        })
    }

    /// The connections by which a server is reached: it is trusted by its own authority alone, where it has one.
    fn http(&self, upstream: &Upstream) -> Result<Http, Trouble> {
        let Some(authority) = &upstream.authority else { return Ok(self.http.clone()) };
        let mut private = lock(&self.private);
        if let Some(http) = private.get(authority) {
            return Ok(http.clone());
        }
        let made = with_authority(authority).ok_or(Trouble::Authority)?;
        if private.len() >= AUTHORITIES_MAX {
            private.clear();
        }
        private.insert(Arc::clone(authority), made.clone());
        Ok(made)
    }

    /// Sends one permitted message, and nothing else, and waits for the head of the answer.
    ///
    /// SECURITY: uses the permit up, and sends only when it is of this very message. What is sent is `outbound`'s
    /// body, the headers of MCP, and the injected credential: no header of the client is in reach here.
    pub(crate) async fn forward(
        &self,
        permit: Permit,
        inject: Vec<(HeaderName, HeaderValue)>,
        outbound: &Outbound,
        way: Way<'_>,
    ) -> (Standing, Result<Response<Body>, Trouble>) {
        let standing = Standing::new(inject);
        if permit.digest() != outbound.digest() {
            tracing::error!(intent = %permit.intent(), "a permit was given for another message; nothing was sent");
            return (standing, Err(Trouble::NotPermitted));
        }
        let message = (outbound.body().clone(), outbound.headers());
        let answer = self.send(Method::POST, message, &standing, &way).await;
        (standing, answer)
    }

    /// Sends a message of a session's upkeep: no request of a client.
    pub(crate) async fn tell(
        &self,
        standing: &Standing,
        message: Vec<u8>,
        way: Way<'_>,
    ) -> Result<StatusCode, Trouble> {
        Ok(self.send(Method::POST, (message.into(), &HeaderMap::new()), standing, &way).await?.status())
    }

    /// Opens a subscription at a server that knows no sessions.
    pub(crate) async fn subscribe(
        &self,
        standing: &Standing,
        outbound: &Outbound,
        way: Way<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let message = (outbound.body().clone(), outbound.headers());
        self.send(Method::POST, message, standing, &way).await
    }

    /// Opens the server's listening stream.
    pub(crate) async fn listen(&self, standing: &Standing, way: Way<'_>) -> Result<Response<Body>, Trouble> {
        self.send(Method::GET, (Bytes::new(), &HeaderMap::new()), standing, &way).await
    }

    /// Asks the server to go on with the stream of a permitted request, after this event.
    pub(crate) async fn resume(
        &self,
        standing: &Standing,
        way: Way<'_>,
        event: &str,
    ) -> Result<Response<Body>, Trouble> {
        let mut headers = HeaderMap::new();
        let event =
            HeaderValue::from_str(event).map_err(|_| Trouble::Garbage("an id that no header holds"))?;
        headers.insert(LAST_EVENT_ID, event);
        self.send(Method::GET, (Bytes::new(), &headers), standing, &way).await
    }

    /// Ends the session on the server's side.
    pub(crate) async fn close(&self, standing: &Standing, way: Way<'_>) -> Result<StatusCode, Trouble> {
        Ok(self.send(Method::DELETE, (Bytes::new(), &HeaderMap::new()), standing, &way).await?.status())
    }

    /// Ends a session that is a conversation here; whether it is one. Nothing is sent.
    pub(crate) fn hang_up(&self, session: &Session) -> bool {
        let Tongue::Session { id: Some(id), .. } = &session.tongue else { return false };
        let link = self.links.find(id, &session.upstream);
        link.is_some_and(|link| {
            link.close();
            true
        })
    }

    /// Ends the conversations with servers that are no longer at work, or get another credential by now.
    pub(crate) fn hang_up_unless(
        &self,
        is_current: impl Fn(&Upstream, &[(HeaderName, HeaderValue)]) -> bool,
    ) {
        self.links.retain(|upstream, standing| is_current(upstream, standing.headers()));
    }

    pub(super) async fn send(
        &self,
        method: Method,
        message: (Bytes, &HeaderMap),
        standing: &Standing,
        way: &Way<'_>,
    ) -> Result<Response<Body>, Trouble> {
        let is_opening = way.tongue.is_none() && method == Method::POST;
        let is_local = is_opening && way.upstream.url.scheme_str() == Some("stdio");
        if is_local && !self.breaker.admits(&way.upstream.id, Instant::now()) {
            return Err(Trouble::Resting);
        }
        let text = message.0.clone();
        if let Some(sent) = Box::pin(self.links.serve(self, &method, &text, standing, way)).await {
            if is_local && !matches!(sent, Err(Trouble::Launch(NotStarted::Crowded))) {
                // One that dies before its first words is left alone for a while, like one that is not there.
                let is_there = !matches!(&sent, Err(Trouble::Broken | Trouble::Launch(_)));
                self.breaker.note(&way.upstream.id, is_there, Instant::now());
            }
            return sent;
        }
        let answer = self.send_http(method, message, standing, way).await?;
        if is_opening && may_be_elder(answer.status()) {
            let begun = Box::pin(self.links.begin_elder(self, &text, standing, way.upstream)).await;
            if let Some(begun) = begun {
                return begun;
            }
        }
        Ok(answer.map(Body::Http))
    }

    pub(super) async fn send_http(
        &self,
        method: Method,
        (body, repeated): (Bytes, &HeaderMap),
        standing: &Standing,
        way: &Way<'_>,
    ) -> Result<Response<Incoming>, Trouble> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = way.upstream.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, BOTH_FORMS);
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else if method == Method::GET {
            headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        *request.method_mut() = method;
        let headers = request.headers_mut();
        match way.tongue {
            None => {}
            Some(Tongue::Session { revision, id }) => {
                if *revision > Revision::V20250326 {
                    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(revision.as_str()));
                }
                if let Some(id) = id {
                    headers.insert(SESSION_ID, id.clone());
                }
            }
            Some(Tongue::Stateless) => {
                headers.insert(PROTOCOL_VERSION, HeaderValue::from_static(STATELESS));
            }
        }
        for (name, value) in repeated {
            headers.insert(name, value.clone());
        }
        for (name, value) in standing.inject.iter() {
            if is_ours(name) {
                tracing::error!(header = %name, server = %way.upstream.name, "a credential may not be injected as this header; nothing was sent");
                return Err(Trouble::NotPermitted);
            }
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        let (http, server) = (self.http(way.upstream)?, &way.upstream.id);
        if !self.breaker.admits(server, Instant::now()) {
            return Err(Trouble::Resting);
        }
        match tokio::time::timeout(way.upstream.patience.headers, http.request(request)).await {
            Ok(Ok(answer)) => {
                self.breaker.note(server, true, Instant::now());
                Ok(answer)
            }
            Ok(Err(error)) => {
                let trouble = if error.is_connect() { Trouble::Unreachable } else { Trouble::Broken };
                if trouble == Trouble::Unreachable {
                    self.breaker.note(server, false, Instant::now());
                }
                // The error's text names addresses and causes, never headers or bodies.
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(server = %way.upstream.name, %error, cause, "request to the server failed");
                Err(trouble)
            }
            Err(_elapsed) => Err(Trouble::Silent),
        }
    }
}

fn http(builder: HttpsConnectorBuilder<WantsSchemes>) -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_WAIT));
    connector.enforce_http(false);
    let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(64)
        .build(connector)
}

/// Connections that trust these certificates (PEM) and no others; `None` where there are none to read.
fn with_authority(pem: &str) -> Option<Http> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.ok()?).ok()?;
    }
    if roots.is_empty() {
        return None;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Some(http(HttpsConnectorBuilder::new().with_tls_config(config)))
}

/// Headers that frame or route a message: what is injected there would change what is sent.
fn is_ours(name: &HeaderName) -> bool {
    let is_repeated = name.as_str().starts_with("mcp-param-");
    is_repeated
        || [
            header::HOST,
            header::CONTENT_LENGTH,
            header::CONTENT_TYPE,
            header::ACCEPT,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
            header::UPGRADE,
            header::TE,
            header::TRAILER,
            header::EXPECT,
            SESSION_ID,
            PROTOCOL_VERSION,
            METHOD,
            NAME,
            LAST_EVENT_ID,
        ]
        .contains(name)
}
