//! A small HTTP client. Each request has a connection of its own, so that no test depends on what a pool remembers of
//! a server that was killed.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::{client::legacy, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long any answer may take.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A request in the making.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Bytes,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: &str, url: impl Into<String>) -> Self {
        let method = method.to_ascii_uppercase().parse().unwrap();
        Self { method, url: url.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    #[must_use]
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    #[must_use]
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    #[must_use]
    pub(crate) fn form(self, members: &[(&str, &str)]) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(members).finish();
        self.body("application/x-www-form-urlencoded", form)
    }

    #[must_use]
    pub(crate) fn body(mut self, media: &str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
        self.body = body.into();
        self
    }

    /// Sends it; the answer's body is still to be read.
    pub(crate) async fn open(self) -> Result<http::Response<Incoming>, String> {
        let client = legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.url.parse().unwrap();
        *request.headers_mut() = self.headers;
        let sent = tokio::time::timeout(ANSWER_TIME_MAX, client.request(request)).await;
        sent.map_err(|_| "no answer in time".to_owned())?.map_err(|error| error.to_string())
    }

    /// Sends it and reads the whole answer; an error when the server is not there or dies over it.
    pub(crate) async fn attempt(self) -> Result<Answer, String> {
        let (head, body) = self.open().await?.into_parts();
        let body = tokio::time::timeout(ANSWER_TIME_MAX, body.collect()).await;
        let body =
            body.map_err(|_| "the answer does not end".to_owned())?.map_err(|error| error.to_string())?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }

    /// Sends its head with another length of body, and no body; the answer as text. A server that answers early closes
    /// the connection, and a client that is still sending may never read the answer.
    pub(crate) async fn announce(self, length: usize) -> String {
        rest_of(self.send_head(length).await).await
    }

    /// Sends its head and waits until the server asks for the body (RFC 9110, section 10.1.1), which is held back: the
    /// server has seen the credential by then if it looks at it early.
    pub(crate) async fn hold(self) -> Held {
        let body = self.body.clone();
        let mut stream = self.header("expect", "100-continue").send_head(body.len()).await;
        let mut said = Vec::new();
        let asked = async {
            while !said.ends_with(b"\r\n\r\n") {
                said.push(stream.read_u8().await.unwrap());
            }
        };
        tokio::time::timeout(ANSWER_TIME_MAX, asked).await.expect("the body is not asked for");
        assert!(said.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&said));
        Held { stream, body }
    }

    /// A connection on which the head was sent.
    async fn send_head(&self, length: usize) -> TcpStream {
        let url: http::Uri = self.url.parse().unwrap();
        let mut stream = TcpStream::connect(url.authority().unwrap().as_str()).await.unwrap();
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, url.path(), url.authority().unwrap());
        for (name, value) in &self.headers {
            write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
        }
        write!(head, "content-length: {length}\r\nconnection: close\r\n\r\n").unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Sends it to a server that is there.
    pub(crate) async fn send(self) -> Answer {
        let what = format!("{} {}", self.method, self.url);
        self.attempt().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

/// A request whose head the server has, and whose body it waits for.
pub(crate) struct Held {
    stream: TcpStream,
    body: Bytes,
}

impl Held {
    /// Sends the body; the whole answer as text.
    pub(crate) async fn release(mut self) -> String {
        self.stream.write_all(&self.body).await.unwrap();
        rest_of(self.stream).await
    }
}

async fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    let reading = tokio::time::timeout(ANSWER_TIME_MAX, stream.read_to_string(&mut answer));
    reading.await.expect("no answer in time").unwrap();
    answer
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}: {}", self.status, self.text()))
    }

    /// The body of an answer that must be a success.
    #[track_caller]
    pub(crate) fn done(&self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text());
        self.json()
    }

    /// `status code` of an answer: what tests compare.
    pub(crate) fn outcome(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["code"].as_str().or_else(|| body["error"].as_str()).unwrap_or_default();
        format!("{} {code}", self.status.as_u16()).trim_end().to_owned()
    }
}
