//! Redirect URIs (RFC 9700, section 4.1.3; RFC 8252, section 7.3).

use std::fmt;

use url::Url;

use super::{ErrorCode, OAuthError};

/// The longest redirect URI, in bytes.
const BYTES_MAX: usize = 2048;

/// An address to which a client wants its answer, as the client wrote it.
///
/// INVARIANT: compared as text. Only the port of a loopback address is free, because native apps listen wherever the
/// system lets them; everything else of it is text, too.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedirectUri(String);

/// A loopback address of a native app without its port: what stands before and after.
#[derive(PartialEq, Eq)]
struct Loopback<'a> {
    host: &'a str,
    rest: &'a str,
}

impl RedirectUri {
    /// Reads a redirect URI: absolute, without fragment, user information, spaces, backslashes and anything but ASCII.
    /// `https`, `http` on loopback, or a scheme of an app's own, which has a dot in it (RFC 8252, section 7.1).
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let refuse =
            |why: &str| Err(OAuthError::new(ErrorCode::InvalidRequest, format!("`redirect_uri`: {why}")));
        if text.len() > BYTES_MAX {
            return refuse("it is longer than 2048 bytes");
        }
        if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'\\') {
            return refuse("it must be printable ASCII without spaces and backslashes");
        }
        let Ok(url) = Url::parse(text) else { return refuse("it is not an absolute URI") };
        if text.contains('#') {
            return refuse("it must not have a fragment");
        }
        let authority =
            text.split_once("://").map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or_default());
        if authority.is_some_and(|authority| authority.contains('@')) {
            return refuse("it must not have user information");
        }
        match url.scheme() {
            "https"
                if url.host_str().is_some() && authority.is_some_and(|authority| !authority.is_empty()) => {}
            "http" if loopback(text).is_some() => {}
            "http" => return refuse("`http` is for loopback addresses only; use `https`"),
            scheme if scheme.contains('.') && authority.is_none_or(str::is_empty) => {}
            _ => return refuse("it must be `https`, a loopback address, or have a scheme with a dot in it"),
        }
        Ok(Self(text.to_owned()))
    }

    /// As the client wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this registered one: the same text, but for the port of a loopback address. Clients register
    /// `http://localhost/callback`, too, and come with a port (RFC 8252 names only the numeric forms).
    pub fn is(&self, registered: &Self) -> bool {
        if self.0 == registered.0 {
            return true;
        }
        loopback(&self.0).is_some_and(|own| loopback(&registered.0) == Some(own))
    }

    /// Whether the answer stays on the machine of whoever asked.
    pub fn is_loopback(&self) -> bool {
        loopback(&self.0).is_some()
    }

    /// The host to which the answer goes, for people to read; the scheme, where there is none.
    pub fn host(&self) -> &str {
        let (scheme, rest) = self.0.split_once(':').unwrap_or((&self.0, ""));
        let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        host.filter(|host| !host.is_empty()).unwrap_or(scheme)
    }

    /// The address with an answer's parameters: appended to its query, whatever that is.
    pub fn with(&self, answer: &[(&str, &str)]) -> String {
        let mut url = self.0.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        for (name, value) in answer {
            url.push(separator);
            url.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
            url.push('=');
            url.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
            separator = '&';
        }
        url
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for RedirectUri {
    type Err = OAuthError;

    fn from_str(text: &str) -> Result<Self, OAuthError> {
        Self::parse(text)
    }
}

impl serde::Serialize for RedirectUri {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RedirectUri {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as serde::Deserialize>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The parts of `http://127.0.0.1:PORT/...`, `http://[::1]:PORT/...` and `http://localhost:PORT/...`, spelled so.
fn loopback(text: &str) -> Option<Loopback<'_>> {
    let rest = text.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]", "localhost"].into_iter().find(|host| rest.starts_with(host))?;
    let after = &rest[host.len()..];
    let rest = match after.strip_prefix(':') {
        None => after,
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            port[..digits].parse::<u16>().ok()?;
            &port[digits..]
        }
    };
    matches!(rest.as_bytes().first(), None | Some(b'/' | b'?')).then_some(Loopback { host, rest })
}

#[cfg(test)]
mod tests {
    use super::RedirectUri;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn only_the_port_of_a_loopback_address_is_free() {
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"),
            ("http://localhost/callback", "http://localhost:3118/callback"),
            ("http://[::1]:1/cb", "http://[::1]:65535/cb"),
            ("http://localhost:8080", "http://localhost:1"),
            ("https://a.example/cb?x=1", "https://a.example/cb?x=1"),
            ("com.example.app:/cb", "com.example.app:/cb"),
        ] {
            assert!(uri(asked).is(&uri(registered)), "{asked} for {registered}");
        }
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://localhost/cb"),
            ("http://127.0.0.1/cb", "http://[::1]/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb/"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/CB"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/%63b"),
            ("https://a.example/cb", "https://a.example:443/cb"),
            ("https://a.example/cb", "https://A.example/cb"),
            ("https://a.example/cb", "https://a.example/cb/../cb"),
            ("https://a.example", "https://a.example/"),
        ] {
            assert!(!uri(asked).is(&uri(registered)), "{asked} for {registered}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_no_redirect_uri() {
        for text in [
            "",
            "/cb",
            "cb",
            "//a.example/cb",
            "https:///cb",
            "https://",
            "http://a.example/cb",
            "https://a.example/cb#",
            "https://a.example/cb#x",
            "https://u@a.example/cb",
            "https://@a.example/cb",
            "https://a.example\\@b.example/cb",
            "https://a.example /cb",
            "https://\u{e4}.example/cb",
            "http://127.0.0.1.a.example/cb",
            "http://127.0.0.1:80a/cb",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1@a.example/cb",
            "http://localhost.a.example/cb",
            "http://127.1/cb",
            "http://0x7f000001/cb",
            "http://localhost:/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "ftp://a.example/",
            "app:/cb",
            "com.example.app://a.example/cb",
            "https://a.example/\r\nx",
        ] {
            assert!(RedirectUri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_are_appended_and_encoded() {
        assert_eq!(
            uri("https://a.example/cb").with(&[("code", "a b&c"), ("iss", "https://w")]),
            "https://a.example/cb?code=a+b%26c&iss=https%3A%2F%2Fw"
        );
        assert_eq!(
            uri("https://a.example/cb?x=1").with(&[("state", "\u{e4}")]),
            "https://a.example/cb?x=1&state=%C3%A4"
        );
    }

    #[test]
    fn people_read_where_the_answer_goes() {
        assert_eq!(uri("https://a.example:8443/cb?x").host(), "a.example:8443");
        assert_eq!(uri("com.example.app:/cb").host(), "com.example.app");
    }
}
