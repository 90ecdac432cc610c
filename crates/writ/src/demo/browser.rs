//! A person's browser without scripts: it keeps cookies, follows links, and sends forms as the pages hold them.

use anyhow::{Context as _, bail, ensure};
use base::Secret;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use url::{Url, form_urlencoded};

/// The largest page, in bytes.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 8;
/// The cookie of a session.
const SESSION: &str = "__Host-writ-session=";

/// A browser with one site open.
pub(super) struct Browser {
    site: Url,
    http: Client<HttpConnector, Full<Bytes>>,
    session: Option<Secret>,
}

/// Where somebody ended up: on a page of the site, or elsewhere.
pub(super) enum Seen {
    /// A page, with its address.
    Page { address: Url, html: String },
    /// Sent to an address that is not of the site.
    Away(Url),
}

impl Seen {
    /// A page that says `words`.
    pub(super) fn page(self, words: &str) -> anyhow::Result<String> {
        match self {
            Self::Page { html, .. } if html.contains(words) => Ok(html),
            Self::Page { address, .. } => bail!("the page at {} does not say \"{words}\"", address.path()),
            Self::Away(_) => bail!("sent elsewhere instead of to a page that says \"{words}\""),
        }
    }

    /// Where it leads outside of the site.
    pub(super) fn away(self) -> anyhow::Result<Url> {
        match self {
            Self::Away(address) => Ok(address),
            Self::Page { address, .. } => bail!("still on the page at {}", address.path()),
        }
    }
}

impl Browser {
    pub(super) fn new(site: &Url) -> Self {
        let http = Client::builder(TokioExecutor::new()).build_http();
        Self { site: site.clone(), http, session: None }
    }

    /// Opens an address of the site, and goes where it leads.
    pub(super) async fn open(&mut self, address: &str) -> anyhow::Result<Seen> {
        let address = self.site.join(address).context("an address of the site")?;
        self.go(Method::GET, address, Bytes::new()).await
    }

    /// Sends a form of a page of the site, and goes where the answer leads.
    pub(super) async fn send(&mut self, path: &str, form: &[(&str, &str)]) -> anyhow::Result<Seen> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let address = self.site.join(path).context("an address of the site")?;
        self.go(Method::POST, address, body.into()).await
    }

    async fn go(&mut self, mut method: Method, mut address: Url, mut body: Bytes) -> anyhow::Result<Seen> {
        for _ in 0..REDIRECTS_MAX {
            let mut request = Request::builder().method(&method).uri(address.as_str());
            if method == Method::POST {
                request = request
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header(header::ORIGIN, self.site.origin().ascii_serialization());
            }
            if let Some(session) = &self.session {
                request = request.header(header::COOKIE, format!("{SESSION}{}", session.expose()));
            }
            let answer = self.http.request(request.body(Full::new(body))?).await?;
            self.keep(answer.headers());
            let (status, headers) = (answer.status(), answer.headers().clone());
            if !status.is_redirection() {
                let read = Limited::new(answer.into_body(), PAGE_BYTES_MAX).collect().await;
                let read = read.map_err(|error| anyhow::anyhow!("reading a page: {error}"))?.to_bytes();
                ensure!(status == StatusCode::OK, "{} answers with {status}", address.path());
                return Ok(Seen::Page { address, html: String::from_utf8(read.to_vec())? });
            }
            let location = headers.get(header::LOCATION).context("a redirect without an address")?;
            address = address.join(location.to_str()?)?;
            if address.origin() != self.site.origin() {
                return Ok(Seen::Away(address));
            }
            (method, body) = (Method::GET, Bytes::new());
        }
        bail!("too many redirects")
    }

    fn keep(&mut self, headers: &header::HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let value = cookie.to_str().ok().and_then(|cookie| cookie.strip_prefix(SESSION));
            if let Some(value) = value {
                let value = value.split(';').next().unwrap_or_default();
                self.session = (!value.is_empty()).then(|| Secret::new(value.to_owned()));
            }
        }
    }
}

/// The value of an input of a page.
pub(super) fn input(html: &str, name: &str) -> anyhow::Result<String> {
    let mark = format!("name=\"{name}\" value=\"");
    let rest = html.split_once(&mark).with_context(|| format!("the page has no input `{name}`"))?.1;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

/// The boxes of a page that can be ticked.
pub(super) fn boxes(html: &str) -> Vec<&str> {
    html.split("type=\"checkbox\" name=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}
