//! The client.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::is_public;

/// How long one exchange may take, from the name to the last byte.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How many exchanges there are at once.
const AT_ONCE: usize = 16;
/// The longest address, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// What an operator sets.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Hosts, with port where it is not 443, whose addresses need not be public: services of one's own.
    pub own_hosts: BTreeSet<String>,
    /// Certificates of authorities beside the public ones, DER.
    pub authorities: Vec<Vec<u8>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The body.
    pub body: Bytes,
    /// For how many seconds it may be kept, where the server says so.
    pub max_age: Option<u64>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// The address is none that is fetched.
    #[error("the address must be an https URL without user information and fragment")]
    Address,
    /// The host has an address that is not public. What it is stays here.
    #[error("the host cannot be reached from here")]
    Unreachable,
    /// The server answered with something else than 200 and JSON.
    #[error("the server did not answer with status 200 and `application/json`; redirects are not followed")]
    Answer,
    /// The answer is too large.
    #[error("the answer is larger than 16 KiB")]
    Large,
    /// It took too long.
    #[error("the server took too long")]
    Late,
    /// Too many exchanges.
    #[error("too many requests to other servers are under way; try again shortly")]
    Busy,
}

/// The client for addresses that strangers chose. Clones share everything.
#[derive(Clone)]
pub struct Egress {
    rules: Arc<Rules>,
    tls: Arc<ClientConfig>,
    places: Arc<Semaphore>,
}

impl Egress {
    /// A client with these rules. Certificates that cannot be read are refused.
    pub fn new(rules: Rules) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        for authority in &rules.authorities {
            roots.add(authority.clone().into())?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { rules: Arc::new(rules), tls: Arc::new(tls), places: Arc::new(Semaphore::new(AT_ONCE)) })
    }

    /// Fetches a JSON document.
    pub async fn get(&self, url: &str) -> Result<Fetched, EgressRefusal> {
        let answer = self.exchange(Method::GET, url, Bytes::new()).await?;
        let is_json = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let is_json =
            is_json.map(|media| media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        let is_json = is_json.is_some_and(|media| media == "application/json" || media.ends_with("+json"));
        if answer.status() != StatusCode::OK || !is_json {
            return Err(EgressRefusal::Answer);
        }
        let max_age = max_age(answer.headers());
        Ok(Fetched { body: answer.into_body(), max_age })
    }

    /// Sends a form; whether the server took it.
    pub async fn post_form(&self, url: &str, form: String) -> Result<bool, EgressRefusal> {
        let answer = self.exchange(Method::POST, url, Bytes::from(form)).await?;
        Ok(answer.status().is_success())
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, EgressRefusal> {
        let target = Target::parse(url)?;
        let _place = self.places.try_acquire().map_err(|_| EgressRefusal::Busy)?;
        match tokio::time::timeout(PATIENCE, self.perform(method, &target, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(EgressRefusal::Late),
        }
    }

    async fn perform(
        &self,
        method: Method,
        target: &Target,
        body: Bytes,
    ) -> Result<http::Response<Bytes>, EgressRefusal> {
        let stream = self.connect(target).await?;
        let name = ServerName::try_from(target.host.clone()).map_err(|_| EgressRefusal::Address)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(|_| EgressRefusal::Unreachable)?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|_| EgressRefusal::Unreachable)?;
        let mut request = Request::builder()
            .method(&method)
            .uri(&target.path)
            .header(header::HOST, &target.authority)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "Writ");
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(Full::new(body)).map_err(|_| EgressRefusal::Address)?;
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(|_| EgressRefusal::Unreachable)?;
            let (parts, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|_| EgressRefusal::Large)?.to_bytes();
            Ok(http::Response::from_parts(parts, body))
        };
        tokio::select! {
            answer = exchange => answer,
            // The connection ended before the answer did; what it says of that says nothing of use.
            _ = connection => Err(EgressRefusal::Unreachable),
        }
    }

    /// SECURITY: the connection goes to an address that was looked at. A name that is resolved a second time may lead
    /// elsewhere.
    async fn connect(&self, target: &Target) -> Result<TcpStream, EgressRefusal> {
        let resolved = tokio::net::lookup_host((target.host.as_str(), target.port)).await;
        let addresses: Vec<SocketAddr> = resolved.map_err(|_| EgressRefusal::Unreachable)?.collect();
        let is_own = self.rules.own_hosts.contains(&target.authority);
        if !is_own && !addresses.iter().all(|address| is_public(address.ip())) {
            return Err(EgressRefusal::Unreachable);
        }
        for address in addresses {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Ok(stream);
            }
        }
        Err(EgressRefusal::Unreachable)
    }
}

/// Where to.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    host: String,
    port: u16,
    /// The host, with the port where it is not 443.
    authority: String,
    /// The path with the query.
    path: String,
}

impl Target {
    fn parse(text: &str) -> Result<Self, EgressRefusal> {
        let suspicious = |byte: u8| byte <= b' ' || byte >= 0x7f || byte == b'\\';
        if text.len() > URL_BYTES_MAX || text.bytes().any(suspicious) || !text.starts_with("https://") {
            return Err(EgressRefusal::Address);
        }
        let url = Url::parse(text).map_err(|_| EgressRefusal::Address)?;
        // Another spelling may mean another host to somebody else: there is one.
        let plain = url.scheme() == "https"
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.as_str() == text;
        let (Some(host), true) = (url.host(), plain) else { return Err(EgressRefusal::Address) };
        let host = match host {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => IpAddr::V4(address).to_string(),
            Host::Ipv6(address) => IpAddr::V6(address).to_string(),
        };
        let shown = url.host_str().unwrap_or_default();
        let authority = url.port().map_or_else(|| shown.to_owned(), |port| format!("{shown}:{port}"));
        let path =
            url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Ok(Self { host, port: url.port().unwrap_or(443), authority, path })
    }
}

/// For how long an answer may be kept (RFC 9111, section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut directives = values.flat_map(|value| value.split(',')).map(str::trim);
    let mut age = None;
    directives
        .try_for_each(|directive| {
            if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache") {
                return Err(());
            }
            if let Some(seconds) = directive.strip_prefix("max-age=") {
                age = seconds.parse().ok();
            }
            Ok(())
        })
        .map_or(Some(0), |()| age)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::{Egress, EgressRefusal, Rules, Target, max_age};

    #[test]
    fn there_is_one_spelling_of_an_address() {
        let target = Target::parse("https://c.example/a?b=c").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("c.example", 443, "/a?b=c"));
        assert_eq!(Target::parse("https://c.example:8443/a").unwrap().authority, "c.example:8443");
        for text in [
            "http://c.example/a",
            "HTTPS://c.example/a",
            "https://C.example/a",
            "https://c.example:443/a",
            "https://c.example",
            "https://u@c.example/a",
            "https://@c.example/a",
            "https://u:p@c.example/a",
            "https://c.example/a#b",
            "https://c.example/./a",
            "https://c.example/../a",
            "https://c.example\\a",
            "https://c.example /a",
            "https://2130706433/a",
            "https://0x7f.0.0.1/a",
            "https://0177.0.0.1/a",
            "https://127.1/a",
            "https://[::ffff:7f00:1]:443/a",
            "https://[fe80::1%25eth0]/a",
            "https://c\u{f6}.example/a",
            "gopher://c.example/a",
            "file:///etc/passwd",
            "ftp://c.example/a",
            "//c.example/a",
            "",
            "https://",
            "https:///a",
        ] {
            assert_eq!(Target::parse(text), Err(EgressRefusal::Address), "{text}");
        }
    }

    #[test]
    fn what_may_be_kept_is_what_the_server_says() {
        let age = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, value.parse().unwrap());
            max_age(&headers)
        };
        assert_eq!(age("public, max-age=60"), Some(60));
        assert_eq!(age("no-store"), Some(0));
        assert_eq!(age("max-age=60, no-cache"), Some(0));
        assert_eq!(age("public"), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }

    /// Nothing listens to a stranger's wish: a canary on each of these would see a connection.
    #[tokio::test]
    async fn addresses_that_are_not_public_see_no_connection() {
        let canary = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = canary.local_addr().unwrap().port();
        let egress = Egress::new(Rules::default()).unwrap();
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.0.0.2"]
        {
            let Err(refused) = egress.get(&format!("https://{host}:{port}/a")).await else {
                panic!("{host}")
            };
            assert!(
                matches!(refused, EgressRefusal::Unreachable | EgressRefusal::Address),
                "{host}: {refused}"
            );
        }
        let seen = tokio::time::timeout(std::time::Duration::from_millis(200), canary.accept()).await;
        assert!(seen.is_err(), "a connection was opened");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = format!("127.0.0.1:{}", silent.local_addr().unwrap().port());
        let rules = Rules { own_hosts: [host.clone()].into(), authorities: Vec::new() };
        let egress = Egress::new(rules).unwrap();
        let url = format!("https://{host}/a");
        let refused = egress.get(&url);
        let (refused, _held) = tokio::join!(refused, silent.accept());
        assert_eq!(refused.err(), Some(EgressRefusal::Late));
    }
}
