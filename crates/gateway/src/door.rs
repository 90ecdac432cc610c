//! Who may knock: `Host` and `Origin`.
//!
//! SECURITY: a page that rebinds its own name to a loopback address reaches a local server with the page's name in
//! `Host` and `Origin` (threat class 28). Both are compared with what we are called.

use http::{HeaderMap, Uri, header};
use url::{Host, Origin, Url};

/// The names under which the gateway answers.
pub(crate) struct Door {
    origin: Origin,
    authorities: Vec<String>,
}

impl Door {
    pub(crate) fn new(public_url: &Url, hosts: &[String]) -> Self {
        let mut authorities = hosts.to_vec();
        if let (Some(host), Some(port)) = (public_url.host_str(), public_url.port_or_known_default()) {
            authorities.push(format!("{host}:{port}"));
            if public_url.port().is_none() {
                authorities.push(host.to_owned());
            }
        }
        Self { origin: public_url.origin(), authorities }
    }

    /// Says what is wrong with the request's `Host` or `Origin`, if anything is.
    pub(crate) fn objection(&self, uri: &Uri, headers: &HeaderMap) -> Option<&'static str> {
        if !self.answers_to(uri, headers) {
            return Some("the `Host` of the request is not this server's; use its public URL");
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        match (origins.next().map(|origin| origin.to_str()), origins.next()) {
            (None, _) => None,
            (Some(Ok(origin)), None) if self.welcomes(origin) => None,
            _ => Some("the `Origin` of the request is not this server's"),
        }
    }

    /// HTTP/2 carries the name in the URI, HTTP/1 in exactly one `Host`.
    fn answers_to(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = match (hosts.next(), hosts.next(), uri.authority()) {
            (Some(host), None, None) => host.to_str().ok(),
            (None, None, Some(authority)) => Some(authority.as_str()),
            (Some(host), None, Some(authority)) => {
                host.to_str().ok().filter(|host| *host == authority.as_str())
            }
            _ => None,
        };
        let Some(named) = named.map(str::to_ascii_lowercase) else { return false };
        self.authorities.contains(&named) || is_loopback_authority(&named)
    }

    fn welcomes(&self, origin: &str) -> bool {
        // An origin is exactly scheme, host and port; a URL that holds more is something else.
        let Ok(url) = Url::parse(origin) else { return false };
        let is_bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && !origin.ends_with('/');
        is_bare
            && matches!(url.scheme(), "http" | "https")
            && (url.origin() == self.origin || is_loopback(&url))
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `localhost`, `127.0.0.1` or `[::1]`, with any port.
fn is_loopback_authority(authority: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| {
        authority.strip_prefix(name).is_some_and(|rest| {
            rest.is_empty()
                || rest.strip_prefix(':').is_some_and(|port| {
                    !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
                })
        })
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Uri, header};

    use super::Door;

    fn objects(host: &[&str], origin: &[&str], uri: &str) -> bool {
        let door = Door::new(&"https://writ.example".parse().unwrap(), &["proxy.internal:8080".into()]);
        let mut headers = HeaderMap::new();
        for host in host {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        for origin in origin {
            headers.append(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        door.objection(&uri.parse::<Uri>().unwrap(), &headers).is_some()
    }

    #[test]
    fn only_our_names_are_answered_to() {
        for host in [
            "writ.example",
            "WRIT.example:443",
            "proxy.internal:8080",
            "localhost",
            "127.0.0.1:1",
            "[::1]:65535",
        ] {
            assert!(!objects(&[host], &[], "/mcp/a"), "{host}");
        }
        for host in [
            "evil.example",
            "writ.example:80",
            "writ.example.evil",
            "proxy.internal",
            "localhost.evil",
            "localhost:",
            "localhost:x",
            "127.0.0.1.nip.io",
            "127.0.0.2",
            "user@localhost",
            "",
        ] {
            assert!(objects(&[host], &[], "/mcp/a"), "{host}");
        }
        assert!(objects(&[], &[], "/mcp/a"));
        assert!(objects(&["localhost", "localhost"], &[], "/mcp/a"));
        assert!(objects(&["localhost"], &[], "http://evil.example/mcp/a"));
        assert!(!objects(&[], &[], "https://writ.example/mcp/a"));
    }

    #[test]
    fn only_our_pages_and_local_ones_may_call() {
        for origin in
            ["https://writ.example", "https://writ.example:443", "http://localhost:6274", "http://[::1]:1"]
        {
            assert!(!objects(&["localhost"], &[origin], "/"), "{origin}");
        }
        for origin in [
            "null",
            "http://writ.example",
            "https://writ.example:444",
            "https://writ.example.evil",
            "https://evil.example",
            "https://evil.example/#https://writ.example",
            "https://localhost@evil.example",
            "http://localhost/",
            "file://localhost",
            "chrome-extension://abc",
            "",
        ] {
            assert!(objects(&["localhost"], &[origin], "/"), "{origin}");
        }
        assert!(objects(&["localhost"], &["http://localhost", "http://localhost"], "/"));
    }
}
