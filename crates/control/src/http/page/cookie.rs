//! Cookies (RFC 6265bis): host-only, for every path, unreadable for scripts.

use http::{HeaderMap, HeaderValue, header};

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The session's secret.
    Session,
    /// The language that was chosen.
    Language,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::Session => "__Host-writ-session",
            Self::Language => "__Host-writ-language",
        }
    }

    /// What a request holds of it. Two of one name count as none: one of them was put there by somebody else.
    pub(crate) fn of(self, headers: &HeaderMap) -> Option<&str> {
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(name, _)| *name == self.name()).map(|(_, value)| value);
        let value = values.next();
        if values.next().is_some() { None } else { value }
    }

    /// The header that sets it, until the browser closes where `seconds` is none.
    ///
    /// `Lax`, so that whoever comes from a client's page is still signed in; what changes anything is a form of ours.
    pub(crate) fn set(self, value: &str, seconds: Option<i64>) -> Option<HeaderValue> {
        let life = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
        let text = format!("{}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{life}", self.name());
        HeaderValue::from_str(&text).ok()
    }

    /// The header that takes it away.
    pub(crate) fn clear(self) -> Option<HeaderValue> {
        self.set("", Some(0))
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header};

    use super::Cookie;

    #[test]
    fn only_one_of_a_name_counts() {
        let of = |cookies: &[&str]| {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(header::COOKIE, cookie.parse().unwrap());
            }
            Cookie::Session.of(&headers).map(str::to_owned)
        };
        assert_eq!(of(&["a=b; __Host-writ-session=x"]).as_deref(), Some("x"));
        assert_eq!(of(&["__Host-writ-session=x; __Host-writ-session=y"]), None);
        assert_eq!(of(&["__Host-writ-session=x", "__Host-writ-session=x"]), None);
        assert_eq!(of(&["__host-writ-session=x", "x__Host-writ-session=x"]), None);
        assert_eq!(of(&[]), None);
    }
}
