//! Servers of HTTP+SSE (2024-11-05): one stream for all that they say, and a POST to an endpoint that they name on it.

use std::time::Duration;

use base::limit::ANSWER_BYTES_MAX;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use url::Url;

use super::lines::Stream;
use crate::{
    Upstream,
    upstream::{Standing, Trouble, Way, client::Client},
};

/// How long a server may take to name its endpoint once its stream is open.
const ENDPOINT_WAIT: Duration = Duration::from_secs(10);

/// Whether a refused `initialize` may mean that the server is of this kind (MCP 2025-03-26, transports, "Backwards
/// Compatibility").
pub(in crate::upstream) fn may_be(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
}

/// The server's stream and the endpoint that it names; `None` where it is no server of this kind.
pub(super) async fn connect(
    client: &Client,
    standing: &Standing,
    upstream: &Upstream,
) -> Option<Result<(Stream, Upstream), Trouble>> {
    let way = Way { upstream, tongue: None };
    let answer =
        client.send_http(Method::GET, (Bytes::new(), &HeaderMap::new()), standing, &way).await.ok()?;
    let media = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())?;
    if answer.status() != StatusCode::OK || !media.to_ascii_lowercase().starts_with("text/event-stream") {
        return None;
    }
    let mut stream = Stream::new(answer.into_body(), upstream.answer_bytes_max.min(ANSWER_BYTES_MAX));
    let first = tokio::time::timeout(ENDPOINT_WAIT, stream.next()).await.ok()?.ok()??;
    if first.name.as_deref() != Some("endpoint") {
        return None;
    }
    let endpoint = endpoint(&upstream.url, &first.data);
    Some(endpoint.map(|url| (stream, Upstream { url, ..upstream.clone() })))
}

/// The endpoint that a server names.
///
/// SECURITY: of the server's own origin. Another would get the credential, and what an agent sends.
fn endpoint(of: &Uri, named: &str) -> Result<Uri, Trouble> {
    let foreign = Trouble::Garbage("an endpoint of another origin");
    let base = Url::parse(&of.to_string()).map_err(|_| foreign.clone())?;
    let url = base.join(named.trim()).map_err(|_| foreign.clone())?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.origin() != base.origin() || !url.origin().is_tuple() || has_user {
        return Err(foreign);
    }
    url[..url::Position::AfterQuery].parse().map_err(|_| foreign)
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn an_endpoint_is_of_the_servers_own_origin() {
        let of = "https://crm.example/a/sse".parse().unwrap();
        let read = |named| endpoint(&of, named).map(|url| url.to_string()).ok();
        for (named, url) in [
            ("/messages?session=1", "https://crm.example/messages?session=1"),
            ("messages", "https://crm.example/a/messages"),
            ("https://crm.example:443/m", "https://crm.example/m"),
            ("https:\\\\crm.example\\m", "https://crm.example/m"),
        ] {
            assert_eq!(read(named).as_deref(), Some(url), "{named}");
        }
        for foreign in [
            "https://evil.example/m",
            "//evil.example/m",
            "\\\\evil.example/m",
            "http://crm.example/m",
            "https://crm.example:8443/m",
            "https://crm.example@evil.example/m",
            "https://user@crm.example/m",
            "https://crm.example.evil.example/m",
            "data:text/plain,x",
            "stdio://files",
        ] {
            assert_eq!(read(foreign), None, "{foreign}");
        }
    }
}
