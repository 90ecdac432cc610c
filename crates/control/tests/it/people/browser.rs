//! A browser without scripts: it keeps cookies, follows links, and sends forms as it finds them.

use axum::body::Body;
use base::PersonId;
use http::{HeaderMap, Method};
use serde_json::Value;

use crate::{
    app::{Answer, App, ISSUER},
    client::headers,
};

/// The password of everybody here.
pub(super) const PASSWORD: &str = "correct horse battery staple";
/// RFC 7636, appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Where the clients here want their answers.
pub(super) const CALLBACK: &str = "https://client.example/callback";

/// A page as it came, or where it leads.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) html: String,
    pub(super) headers: HeaderMap,
}

impl Seen {
    /// The value of a hidden field.
    pub(super) fn hidden(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let rest = self.html.split(&mark).nth(1).unwrap_or_else(|| panic!("no `{name}` in {}", self.html));
        rest.split('"').next().unwrap().to_owned()
    }

    /// A parameter of where it leads.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location.as_deref()?;
        let url = url::Url::parse(ISSUER).unwrap().join(location).unwrap();
        url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
    }
}

/// A browser.
#[derive(Clone, Default)]
pub(super) struct Browser {
    session: Option<String>,
}

impl Browser {
    pub(super) async fn get(&mut self, app: &App, path: &str) -> Seen {
        let path = path.strip_prefix(ISSUER).unwrap_or(path).to_owned();
        self.keep(app.send(Method::GET, &path, self.headers(), Body::empty()).await)
    }

    /// Sends a form from a page of ours.
    pub(super) async fn post(&mut self, app: &App, path: &str, form: &[(&str, &str)]) -> Seen {
        let mut sent = self.headers();
        sent.insert("origin", ISSUER.parse().unwrap());
        self.keep(app.form(path, sent, form).await)
    }

    /// Follows redirects to pages of ours.
    pub(super) async fn follow(&mut self, app: &App, mut seen: Seen) -> Seen {
        while let Some(location) = seen.location.clone().filter(|location| location.starts_with('/')) {
            seen = self.get(app, &location).await;
        }
        seen
    }

    /// What the cookie of the session holds.
    pub(super) fn cookie(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The same with another cookie.
    pub(super) fn with_cookie(cookie: &str) -> Self {
        Self { session: Some(cookie.to_owned()) }
    }

    fn headers(&self) -> HeaderMap {
        let cookie = self.session.as_ref().map(|session| format!("__Host-writ-session={session}"));
        cookie.map_or_else(HeaderMap::new, |cookie| headers(&[("cookie", &cookie)]))
    }

    fn keep(&mut self, answer: Answer) -> Seen {
        for cookie in answer.headers.get_all("set-cookie") {
            let text = cookie.to_str().unwrap();
            let (name, rest) = text.split_once('=').unwrap();
            if name != "__Host-writ-session" {
                continue;
            }
            for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
                assert!(text.contains(part), "{text}");
            }
            let value = rest.split(';').next().unwrap();
            self.session = (!value.is_empty()).then(|| value.to_owned());
        }
        let location = answer.headers.get("location").map(|to| to.to_str().unwrap().to_owned());
        Seen { status: answer.status.as_u16(), location, html: answer.text, headers: answer.headers }
    }

    /// Signs somebody in with their password.
    pub(super) async fn sign_in(&mut self, app: &App, name: &str) -> Seen {
        self.post(app, "/login", &[("name", name), ("password", PASSWORD)]).await
    }
}

impl App {
    /// The id of a person.
    pub(super) fn person(&self, name: &str) -> PersonId {
        let known = self.control.snapshot();
        known.people.named(name).unwrap_or_else(|| panic!("there is no `{name}`")).id.clone()
    }

    /// A link for a person.
    pub(super) async fn link(&self, name: &str) -> String {
        let person = self.person(name);
        self.control.invite(&self.system(), &person, 600, None).await.unwrap().path.expose().to_owned()
    }

    /// Somebody who came by a link and set their password.
    pub(super) async fn arrived(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let link = self.link(name).await;
        let page = browser.get(self, &link).await;
        let seen = browser.post(self, "/join", &[("code", &page.hidden("code"))]).await;
        assert_eq!(seen.location.as_deref(), Some("/account/setup"), "{seen:?}");
        let seen = browser.post(self, "/account/password", &[("password", PASSWORD)]).await;
        assert_eq!(seen.status, 303, "{seen:?}");
        browser
    }

    /// Registers a client as an administrator does.
    pub(super) async fn client_document(&self, name: &str, spec: Value) {
        let spec: control::client::ClientSpec = serde_json::from_value(spec).unwrap();
        let make =
            |draft: &mut control::draft::Draft| draft.put::<control::client::Client>(name, spec.clone());
        self.control.change(&self.system(), make).await.unwrap();
    }

    /// A public client of this name, for agents.
    pub(super) async fn public_client(&self, name: &str) {
        self.client_document(
            name,
            serde_json::json!({ "display_name": "Helper", "redirect_uris": [CALLBACK] }),
        )
        .await;
    }

    /// Gives a person what everybody may do, and takes nothing.
    pub(super) async fn entitle(&self, name: &str) {
        let spec = control::grant::GrantSpec {
            to: format!("person/{name}"),
            role: "operator".into(),
            on: "catalogue".into(),
            reason: "test".into(),
            expires: None,
        };
        let make = |draft: &mut control::draft::Draft| {
            draft.put::<control::grant::Grant>(&format!("all-{name}"), spec.clone())
        };
        self.control.change(&self.system(), make).await.unwrap();
    }

    /// The last record of a kind.
    pub(super) async fn last_record(&self, kind: base::EventKind) -> Value {
        let sql = "select body from record where kind = $1 order by position desc limit 1";
        let mut read = self.bench.store.read().await.unwrap();
        let row = read.row(sql, &[kind.as_str().into()]).await.unwrap().expect("a record");
        serde_json::from_str(&row.text(0).unwrap()).unwrap()
    }
}

/// An authorization request of a client, with whatever else.
pub(super) fn request(client: &str, more: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("response_type", "code").append_pair("client_id", client);
    query
        .append_pair("code_challenge", CHALLENGE)
        .append_pair("code_challenge_method", "S256")
        .append_pair("state", "st-1");
    let has = |name: &str| more.iter().any(|(known, _)| *known == name);
    if !has("redirect_uri") {
        query.append_pair("redirect_uri", CALLBACK);
    }
    if !has("resource") && !has("scope") {
        query.append_pair("resource", crate::client::CRM);
    }
    query.extend_pairs(more.iter().filter(|(_, value)| !value.is_empty()));
    format!("/oauth2/authorize?{}", query.finish())
}

/// Everything that the page of consent offers, as it stands.
pub(super) fn all_of(page: &Seen) -> Vec<(String, String)> {
    let mut form = vec![
        ("visit".to_owned(), page.hidden("visit")),
        ("seconds".to_owned(), "3600".to_owned()),
        ("calls".to_owned(), "100".to_owned()),
        ("decision".to_owned(), "allow".to_owned()),
    ];
    if page.html.contains("name=\"adds\"") {
        form.push(("adds".to_owned(), page.hidden("adds")));
    }
    for rest in page.html.split("type=\"checkbox\" name=\"").skip(1) {
        form.push((rest.split('"').next().unwrap().to_owned(), "yes".to_owned()));
    }
    form
}

impl Browser {
    /// Lets a client act, as widely as it asks; where the answer goes.
    pub(super) async fn agree(&mut self, app: &App, path: &str) -> Seen {
        let seen = self.get(app, path).await;
        let page = self.follow(app, seen).await;
        if page.location.is_some() {
            return page;
        }
        let form = all_of(&page);
        let form: Vec<(&str, &str)> =
            form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.post(app, "/consent", &form).await
    }
}

/// Redeems a code as a public client.
pub(super) async fn redeem(app: &App, client: &str, code: &str) -> Answer {
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", CALLBACK),
    ];
    app.form("/oauth2/token", HeaderMap::new(), &form).await
}

/// Refreshes as a public client.
pub(super) async fn refresh(app: &App, client: &str, token: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
    app.form("/oauth2/token", HeaderMap::new(), &form).await
}
