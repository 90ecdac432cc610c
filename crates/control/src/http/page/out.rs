//! How a page goes out.

use axum::response::{IntoResponse, Response};
use base::{Class, Error};
use http::{HeaderValue, StatusCode, header};
use pages::{ASSETS, Language, Message, Page};

use super::{Cookie, Guest};

/// What went wrong where a page was wanted.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// A form that did not come from a page of ours.
    Origin(Language),
    /// There is nothing there.
    Missing(Language),
    /// The request cannot be read.
    Broken(Language),
    /// Not now.
    Busy(Language),
    /// A link that does not work.
    Link(Language),
    /// Something else comes first, at this address of ours: mostly to sign in.
    First(String),
    /// Something of ours broke; it is logged.
    Fault(Language),
}

impl Trouble {
    /// What an error of a service means to somebody who looks at a page.
    pub(crate) fn of(error: Error, language: Language) -> Self {
        match error {
            Error::Refused(refusal) => match refusal.class {
                Class::Missing => Self::Missing(language),
                Class::Busy | Class::Limited => Self::Busy(language),
                Class::Unauthenticated => Self::First("/login".into()),
                Class::Invalid | Class::Denied | Class::Conflict => Self::Broken(language),
                Class::Fault => Self::Fault(language),
            },
            Error::Fault(fault)
                if store::is_busy(&fault) || store::is_undecided(&fault) || store::is_gone(&fault) =>
            {
                Self::Busy(language)
            }
            Error::Fault(fault) => {
                // Logged once, here; the person learns that it was us and nothing else.
                tracing::error!(error = %fault, "a page failed");
                Self::Fault(language)
            }
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let (status, language, key) = match self {
            Self::First(address) => return redirect(&address, &[]),
            Self::Origin(language) => (StatusCode::FORBIDDEN, language, "error-origin"),
            Self::Missing(language) => (StatusCode::NOT_FOUND, language, "error-missing"),
            Self::Broken(language) => (StatusCode::BAD_REQUEST, language, "error-expired"),
            Self::Link(language) => (StatusCode::NOT_FOUND, language, "error-link"),
            Self::Busy(language) => (StatusCode::SERVICE_UNAVAILABLE, language, "error-broken"),
            Self::Fault(language) => (StatusCode::INTERNAL_SERVER_ERROR, language, "error-broken"),
        };
        let page = Page { language, person: None, notice: None, here: String::new() };
        let mut response = document(status, Message::of(page, key).html(), None);
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A page for a guest. `target` is where a form of it may end up beside us: browsers hold a form to that over redirects.
pub(crate) fn html(guest: &Guest, status: StatusCode, text: String, target: Option<&str>) -> Response {
    let mut response = document(status, text, target);
    if guest.chose
        && let Some(cookie) = Cookie::Language.set(guest.language.code(), Some(365 * 24 * 3600))
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn document(status: StatusCode, text: String, target: Option<&str>) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    let wider =
        target.and_then(source).and_then(|source| HeaderValue::from_str(&format!("{POLICY} {source}")).ok());
    // No page goes out without one.
    let policy = wider.unwrap_or(const { HeaderValue::from_static(POLICY) });
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Where forms may go stands last, so that one more place can be added.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'none'; \
                      base-uri 'none'; frame-ancestors 'none'; form-action 'self'";

/// `same-origin` and not `no-referrer`: with that, browsers say `Origin: null` of our own forms.
const GUARDS: [(&str, &str); 7] = [
    ("cache-control", "no-store"),
    ("referrer-policy", "same-origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self), publickey-credentials-create=(self)",
    ),
];

/// An address as a policy names it: scheme and host for the web, the scheme alone for an app.
fn source(target: &str) -> Option<String> {
    let (scheme, rest) = target.split_once(':')?;
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:[]".contains(&byte));
    if !plain(scheme) {
        return None;
    }
    match rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default()) {
        Some(host) if !host.is_empty() => plain(host).then(|| format!("{scheme}://{host}")),
        Some(_) | None => Some(format!("{scheme}:")),
    }
}

/// On to another page, with cookies on the way. Always by `GET`, whatever was sent.
pub(crate) fn redirect(to: &str, cookies: &[Option<HeaderValue>]) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for cookie in cookies.iter().flatten() {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// A file that pages refer to. Its address changes with it, so browsers keep it.
pub(crate) fn asset(name: &str) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Trouble::Missing(Language::default()).into_response();
    };
    let mut response = asset.content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.media));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::source;

    #[test]
    fn a_policy_names_where_a_form_may_end_up_and_nothing_more() {
        for (target, named) in [
            ("https://a.example/cb?x=1", Some("https://a.example")),
            ("http://127.0.0.1:49152/cb", Some("http://127.0.0.1:49152")),
            ("http://[::1]:1/cb", Some("http://[::1]:1")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("https://a.example;script-src *", None),
            ("https://a'b/", None),
        ] {
            assert_eq!(source(target).as_deref(), named, "{target}");
        }
    }
}
