//! Who looks at a page.

use axum::extract::FromRequestParts;
use base::Error;
use http::{header, request::Parts};
use pages::{Language, Notice, Page};

use super::{Cookie, Trouble};
use crate::{
    control::Control,
    http::address,
    session::{InSession, SessionSecret, Visitor},
};

/// The longest name of a browser that is kept, in characters.
const BROWSER_CHARACTERS_MAX: usize = 80;

/// Who looks at a page: in which language, from where, and in which session.
pub(crate) struct Guest {
    pub(crate) language: Language,
    /// Whether the language was just chosen and is to be remembered.
    pub(crate) chose: bool,
    pub(crate) visitor: Visitor,
    pub(crate) session: Option<InSession>,
    /// The page with its query, as long as it can be asked for again.
    pub(crate) here: String,
}

impl Guest {
    /// Who sent a request.
    pub(super) async fn of(parts: &Parts, control: &Control) -> Result<Self, Trouble> {
        let (language, chose) = language(parts);
        if !control.is_fresh(control.now()) {
            return Err(Trouble::Busy(language));
        }
        let secret = Cookie::Session.of(&parts.headers).and_then(SessionSecret::parse);
        let session = match secret {
            None => None,
            Some(secret) => match control.in_session(&secret).await {
                Ok(session) => Some(session),
                // Whoever has no session that counts has none.
                Err(Error::Refused(refusal)) if refusal.class == base::Class::Unauthenticated => None,
                Err(error) => return Err(Trouble::of(error, language)),
            },
        };
        let agent =
            parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let visitor = Visitor { browser: browser(agent), address: address(parts) };
        Ok(Self { language, chose, visitor, session, here: here(parts) })
    }

    /// What all pages have, for this guest.
    pub(crate) fn page(&self, control: &Control) -> Page {
        let known = control.snapshot();
        let person = self.session.as_ref().and_then(|session| known.people.get(session.person()));
        Page {
            language: self.language,
            person: person.map(|person| person.body.display_name.clone()),
            notice: None,
            here: self.here.clone(),
        }
    }

    /// The same with what just happened.
    pub(crate) fn page_with(&self, control: &Control, notice: Option<Notice>) -> Page {
        Page { notice, ..self.page(control) }
    }
}

impl FromRequestParts<Control> for Guest {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, control: &Control) -> Result<Self, Trouble> {
        Self::of(parts, control).await
    }
}

/// The language that was just chosen, was chosen earlier, or is preferred by the browser.
fn language(parts: &Parts) -> (Language, bool) {
    let query = parts.uri.query().unwrap_or_default();
    let chosen = query.split('&').find_map(|pair| pair.strip_prefix("lang=")).and_then(Language::of);
    if let Some(language) = chosen {
        return (language, true);
    }
    let kept = Cookie::Language.of(&parts.headers).and_then(Language::of);
    let accepted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    (kept.or_else(|| accepted.and_then(Language::accepted)).unwrap_or_default(), false)
}

fn here(parts: &Parts) -> String {
    let query = parts.uri.query().unwrap_or_default();
    let kept: Vec<&str> =
        query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("lang=")).collect();
    let path = parts.uri.path();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// A browser and its system as people call them.
fn browser(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    let program = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS X", "macOS"),
        ("Windows", "Windows"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program}, {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => {
            let text: String =
                agent.chars().filter(|c| !c.is_control()).take(BROWSER_CHARACTERS_MAX).collect();
            if text.is_empty() { "?".to_owned() } else { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_are_called_what_people_call_them() {
        for (agent, name) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
                "Chrome, Linux",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1",
                "Safari, iPhone",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox, Windows",
            ),
            ("curl/8.0", "curl/8.0"),
            ("", "?"),
        ] {
            assert_eq!(browser(agent), name);
        }
    }
}
