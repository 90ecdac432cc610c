//! Whose a request is that came through a reverse proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The most proxies behind each other.
const HOPS_MAX: usize = 16;

/// The proxies whose word about their clients counts: addresses, and networks of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Whether this peer is one of them.
    pub(super) fn trust(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// Who sent a request that one of them passed on: in `X-Forwarded-For`, the last address that is not one of theirs.
    ///
    /// SECURITY: whatever stands before that one came from the client, which may write what it likes (threat class 26); so does
    /// everything where the last word is not an address, and then it is the proxy itself that sent it.
    pub(super) fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let lines = headers.get_all(FORWARDED_FOR).iter();
        let lines = lines.map(|line| line.to_str().unwrap_or("?")).collect::<Vec<_>>().join(",");
        let mut last = None;
        for hop in lines.rsplit(',').take(HOPS_MAX) {
            let Some(address) = address(hop.trim()) else { break };
            last = Some(address);
            if !self.trust(address) {
                break;
            }
        }
        last
    }
}

/// An address as proxies write it: bare, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let network = |text: &String| {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            let wrong =
                || D::Error::custom(format!("`trusted_proxies`: `{text}` is no address and no network"));
            text.parse::<IpNet>().or_else(|_| alone()).map_err(|_| wrong())
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::Proxies;

    fn proxies(text: &str) -> Proxies {
        toml::from_str::<std::collections::HashMap<String, Proxies>>(&format!("it = {text}")).unwrap()["it"]
            .clone()
    }

    fn client(proxies: &Proxies, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies.client(&headers).map(|address| address.to_string())
    }

    #[test]
    fn the_last_word_that_is_not_a_proxys_counts() {
        let proxies = proxies(r#"["10.0.0.0/8", "fd00::/8", "192.0.2.1"]"#);
        for (lines, expected) in [
            (&["203.0.113.7"][..], Some("203.0.113.7")),
            // What the client wrote itself stands before what the proxies added.
            (&["127.0.0.1, 198.51.100.1, 203.0.113.7"], Some("203.0.113.7")),
            (&["127.0.0.1", "203.0.113.7, 10.1.2.3"], Some("203.0.113.7")),
            (&["203.0.113.7, 192.0.2.1, fd00::1, 10.0.0.1"], Some("203.0.113.7")),
            (&["203.0.113.7:1234"], Some("203.0.113.7")),
            (&["[2001:db8::1]:443, 10.0.0.1"], Some("2001:db8::1")),
            (&["::ffff:203.0.113.7"], Some("203.0.113.7")),
            // Nobody but proxies: the first of them.
            (&["10.0.0.2, 10.0.0.1"], Some("10.0.0.2")),
            (&["evil, 10.0.0.1"], Some("10.0.0.1")),
            (&["203.0.113.7, unknown"], None),
            (&["203.0.113.7, "], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(client(&proxies, lines).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn networks_and_single_addresses_are_trusted() {
        let proxies = proxies(r#"["10.0.0.0/8", "192.0.2.1"]"#);
        for (peer, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("11.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(proxies.trust(peer.parse().unwrap()), trusted, "{peer}");
        }
        assert!(!Proxies::default().trust("127.0.0.1".parse().unwrap()));
        for wrong in [r#"["10.0.0.0/33"]"#, r#"["proxy.internal"]"#, r#"[""]"#, r#""10.0.0.1""#] {
            assert!(
                toml::from_str::<std::collections::HashMap<String, Proxies>>(&format!("it = {wrong}"))
                    .is_err()
            );
        }
    }
}
