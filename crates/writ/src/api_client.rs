//! The command line's way to a Writ server: JSON over HTTP, strictly.

mod held;

use std::path::Path;
use std::time::Duration;

use base::Secret;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::time::Instant;
use url::{Host, Url};
use wire::json::{Json, Limits};

use crate::cli::environment::now;
pub(crate) use held::{CLI_CLIENT, Held, Renewal};

/// How long the head of an answer may take.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the next piece of an answer may take.
const PIECE_TIME_MAX: Duration = Duration::from_secs(30);
/// For how long a stop is asked for again.
const INSIST_TIME: Duration = Duration::from_secs(3);
/// How long to wait before it is.
const INSIST_PAUSE: Duration = Duration::from_millis(100);
/// The largest answer that is read as one, in bytes: an export of a large configuration fits.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The address is none, or not one to send a token to.
    #[error("the address `{0}` {1}")]
    Address(String, &'static str),
    /// The file with the certificates to trust.
    #[error("the certificates in `{0}`: {1}")]
    Trust(String, String),
    /// The token cannot stand in a header.
    #[error("the token holds signs that no header can carry; check WRIT_TOKEN")]
    Token,
    /// Whoever signed in is signed in no more.
    #[error("you are signed out: {0}")]
    SignedOut(String),
    /// No connection.
    #[error("`{url}` cannot be reached: {why}")]
    Unreachable {
        /// The server.
        url: String,
        /// What the connection failed with.
        why: String,
    },
    /// No answer in time.
    #[error("`{0}` did not answer in time")]
    Silent(String),
    /// The server says no.
    #[error("{message} ({code})")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The stable code.
        code: String,
        /// What happened and why.
        message: String,
        /// What to do next.
        help: Option<String>,
        /// The nonce that a DPoP proof shall hold.
        nonce: Option<String>,
    },
    /// The answer is not what a Writ server says.
    #[error("the answer is not one of a Writ server: {0}")]
    Malformed(String),
}

impl ApiError {
    /// Whether the same request may go through a moment later, and nothing was done so far that was not asked for.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, code, .. } => {
                *status == StatusCode::SERVICE_UNAVAILABLE
                    && ["busy", "authority_moved"].contains(&code.as_str())
            }
            Self::Address(..)
            | Self::Trust(..)
            | Self::Token
            | Self::SignedOut(_)
            | Self::Silent(_)
            | Self::Malformed(_) => false,
        }
    }

    /// The code of a refusal.
    pub(crate) fn oauth_code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// A client of one server.
pub(crate) struct ApiClient {
    base: Url,
    token: Option<Secret>,
    /// How the token is renewed, where it is one of somebody who signed in.
    renewal: Option<Renewal>,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// An address below the server's.
#[derive(Clone, Debug)]
pub(crate) struct Target(Url);

impl Target {
    /// With a query parameter, where there is a value.
    pub(crate) fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.0.query_pairs_mut().append_pair(name, &value.to_string());
        }
        self
    }

    pub(crate) fn into_url(self) -> Url {
        self.0
    }
}

impl ApiClient {
    /// A client of the server at `base`. With `ca_file` (PEM) only the certificates in it are trusted; otherwise
    /// the public ones of the web.
    pub(crate) fn new(base: &str, token: Option<Secret>, ca_file: Option<&Path>) -> Result<Self, ApiError> {
        let refuse = |why| ApiError::Address(base.to_owned(), why);
        let url = Url::parse(base).map_err(|_| refuse("is not an absolute URL"))?;
        if url.cannot_be_a_base() || !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("is not a plain http or https URL"));
        }
        match url.scheme() {
            "https" => {}
            // SECURITY: a token that travels in the clear belongs to whoever listens.
            "http" if is_loopback(&url) => {}
            "http" => return Err(refuse("is not encrypted; use https, plain http is for this machine only")),
            _ => return Err(refuse("is neither http nor https")),
        }
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(ca_file)?)
            .https_or_http()
            .enable_http1()
            .build();
        let http = legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { base: url, token, renewal: None, http })
    }

    /// The same with a token that is renewed.
    pub(crate) fn renewing(mut self, renewal: Option<Renewal>) -> Self {
        self.renewal = renewal;
        self
    }

    /// The server's address.
    pub(crate) const fn base(&self) -> &Url {
        &self.base
    }

    /// An address of the API; each part is one segment of the path, whatever signs it holds.
    pub(crate) fn at(&self, path: &[&str]) -> Target {
        self.outside(&[&["api", "v1"], path].concat())
    }

    /// An address outside of the API.
    pub(crate) fn outside(&self, path: &[&str]) -> Target {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Target(url)
    }

    pub(crate) async fn get(&self, target: &Target) -> Result<Value, ApiError> {
        self.call(Method::GET, target, None).await
    }

    pub(crate) async fn put(&self, target: &Target, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::PUT, target, Some(body)).await
    }

    pub(crate) async fn post(&self, target: &Target, body: &Value) -> Result<Value, ApiError> {
        self.call(Method::POST, target, Some(body)).await
    }

    /// A POST that may be repeated, because what it asks for is so after the first time. Where the server has no room for
    /// it, it is asked again for a while.
    pub(crate) async fn insist(&self, target: &Target, body: &Value) -> Result<Value, ApiError> {
        let until = Instant::now() + INSIST_TIME;
        loop {
            match self.post(target, body).await {
                Err(error) if error.may_pass() && Instant::now() < until => {
                    tokio::time::sleep(INSIST_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// A POST without a body.
    pub(crate) async fn act(&self, target: &Target) -> Result<Value, ApiError> {
        self.call(Method::POST, target, None).await
    }

    pub(crate) async fn delete(&self, target: &Target) -> Result<Value, ApiError> {
        self.call(Method::DELETE, target, None).await
    }

    /// A public document of any server: the API token stays here.
    pub(crate) async fn get_openly(&self, url: &Url) -> Result<Value, ApiError> {
        unlistened(url)?;
        let request = request(Method::GET, url, "application/json", Bytes::new())?;
        whole(self.send(request, url).await?, url).await
    }

    /// A form to an endpoint that authenticates by its own parameters: the API token stays here.
    pub(crate) async fn form(
        &self,
        url: &str,
        form: &[(&str, &str)],
        headers: &[(HeaderName, &Secret)],
    ) -> Result<Value, ApiError> {
        let url = Url::parse(url).map_err(|_| ApiError::Address(url.to_owned(), "is not an absolute URL"))?;
        unlistened(&url)?;
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = request(Method::POST, &url, "application/x-www-form-urlencoded", body.into())?;
        for (name, value) in headers {
            request.headers_mut().insert(name, sensitive(value.expose())?);
        }
        let response = self.send(request, &url).await?;
        whole(response, &url).await
    }

    /// Opens an answer to be read piece by piece.
    pub(crate) async fn open(&self, target: &Target) -> Result<Pieces, ApiError> {
        let response = self.send(self.request(Method::GET, target, None).await?, &target.0).await?;
        if !response.status().is_success() {
            return Err(refused(response, &target.0).await);
        }
        Ok(Pieces { body: response.into_body(), url: target.0.to_string() })
    }

    /// The status and headers of an answer, whatever they are: for checks of health.
    pub(crate) async fn probe(&self, target: &Target) -> Result<Response<()>, ApiError> {
        let response = self.send(self.request(Method::GET, target, None).await?, &target.0).await?;
        Ok(response.map(drop))
    }

    /// [`ApiClient::probe`], with what the answer says.
    pub(crate) async fn told(&self, target: &Target) -> Result<Response<String>, ApiError> {
        let response = self.send(self.request(Method::GET, target, None).await?, &target.0).await?;
        let status = response.status();
        let body = collect(response, &target.0).await?;
        let mut answer = Response::new(String::from_utf8_lossy(&body).into_owned());
        *answer.status_mut() = status;
        Ok(answer)
    }

    async fn call(&self, method: Method, target: &Target, body: Option<&Value>) -> Result<Value, ApiError> {
        let response = self.send(self.request(method, target, body).await?, &target.0).await?;
        whole(response, &target.0).await
    }

    async fn request(
        &self,
        method: Method,
        target: &Target,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, ApiError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut request = request(method, &target.0, "application/json", body.into())?;
        let token = match &self.renewal {
            // Boxed: renewing sends a request of its own.
            Some(renewal) => Some(Box::pin(renewal.token(self, now())).await?),
            None => self.token.clone(),
        };
        if let Some(token) = token {
            let value = sensitive(&format!("Bearer {}", token.expose()))?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    async fn send(&self, request: Request<Full<Bytes>>, url: &Url) -> Result<Response<Incoming>, ApiError> {
        let answered = tokio::time::timeout(HEAD_TIME_MAX, self.http.request(request)).await;
        answered
            .map_err(|_| ApiError::Silent(origin(url)))?
            .map_err(|error| ApiError::Unreachable { url: origin(url), why: why(url, causes(&error)) })
    }
}

/// An answer that is read piece by piece.
pub(crate) struct Pieces {
    body: Incoming,
    url: String,
}

impl Pieces {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let frame = tokio::time::timeout(PIECE_TIME_MAX, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| ApiError::Silent(self.url.clone()))? else { return Ok(None) };
            let frame =
                frame.map_err(|error| ApiError::Malformed(format!("it broke off: {}", causes(&error))))?;
            if let Ok(bytes) = frame.into_data() {
                return Ok(Some(bytes));
            }
        }
    }
}

fn request(
    method: Method,
    url: &Url,
    kind: &'static str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, ApiError> {
    let refuse = || ApiError::Address(url.to_string(), "cannot be asked for");
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = url.as_str().parse().map_err(|_| refuse())?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json, text/plain"));
    Ok(request)
}

/// SECURITY: values marked like this are not printed by `Debug`.
fn sensitive(text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| ApiError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The whole answer as JSON; nothing at all is null.
async fn whole(response: Response<Incoming>, url: &Url) -> Result<Value, ApiError> {
    if !response.status().is_success() {
        return Err(refused(response, url).await);
    }
    let bytes = collect(response, url).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let limits = Limits { bytes: ANSWER_BYTES_MAX, values: 1 << 23, ..Limits::default() };
    let malformed = |why: &dyn std::fmt::Display| ApiError::Malformed(why.to_string());
    Json::parse_with(&bytes, limits).map_err(|error| malformed(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(&error))
}

async fn collect(response: Response<Incoming>, url: &Url) -> Result<Bytes, ApiError> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect();
    let body =
        tokio::time::timeout(4 * PIECE_TIME_MAX, body).await.map_err(|_| ApiError::Silent(origin(url)))?;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        ApiError::Malformed(if error.is::<LengthLimitError>() {
            format!("it is larger than {ANSWER_BYTES_MAX} bytes")
        } else {
            format!("it broke off: {error}")
        })
    })
}

/// A refusal in the API's form or in OAuth's (RFC 6749, section 5.2); anything else keeps its status.
async fn refused(response: Response<Incoming>, url: &Url) -> ApiError {
    let status = response.status();
    let nonce = response.headers().get("dpop-nonce").and_then(|nonce| nonce.to_str().ok()).map(str::to_owned);
    let body = collect(response, url).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[name].as_str()).map(str::to_owned);
    ApiError::Refused {
        status,
        code: text(["code", "error"]).unwrap_or_else(|| format!("http_{}", status.as_u16())),
        message: text(["message", "error_description"])
            .unwrap_or_else(|| format!("`{}` answered {status}", origin(url))),
        help: body["help"].as_str().map(str::to_owned),
        nonce,
    }
}

/// SECURITY: what is had or sent over a line that others can reach could be anybody's.
fn unlistened(url: &Url) -> Result<(), ApiError> {
    if url.scheme() == "https" || is_loopback(url) {
        return Ok(());
    }
    let why = "is not encrypted; let the server have an https public URL";
    Err(ApiError::Address(url.to_string(), why))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn causes(error: &dyn std::error::Error) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    // Each layer tends to repeat the one below; the last says what really happened.
    chain.last().map(ToString::to_string).unwrap_or_default()
}

/// What a connection failed with, in the words of what to do where they are known.
fn why(url: &Url, cause: String) -> String {
    // An answer in plain HTTP is no TLS record, which is all that the layer below can say.
    if url.scheme() == "https" && cause.contains("InvalidContentType") {
        let plain = origin(url).replacen("https", "http", 1);
        return format!("the server there does not speak TLS; {plain}?");
    }
    cause
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, ApiError> {
    use hyper_rustls::ConfigBuilderExt as _;
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let refuse = |why: &dyn std::fmt::Display| {
        ApiError::Trust(ca_file.map(|path| path.display().to_string()).unwrap_or_default(), why.to_string())
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| refuse(&e))?;
    let Some(path) = ca_file else { return Ok(builder.with_webpki_roots().with_no_client_auth()) };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refuse(&error))? {
        roots.add(certificate.map_err(|error| refuse(&error))?).map_err(|error| refuse(&error))?;
    }
    if roots.is_empty() {
        return Err(refuse(&"there is none"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests;
