//! A client of the authorization server, as agents are.

use std::sync::atomic::{AtomicU64, Ordering};

use base::{AnyId, Secret};
use http::{HeaderMap, Method};
use wire::{
    dpop::{TargetUri, make_proof},
    jose::{Algorithm, SigningKey},
    json::Json,
    oauth::make_client_assertion,
};

use crate::app::{Answer, App, ISSUER};

pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const CRM: &str = "https://writ.example/mcp/crm";
pub(crate) const MAIL: &str = "https://writ.example/mcp/mail";
pub(crate) const API: &str = "https://writ.example/api/v1";

/// A text that no other call gives.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// An agent or workload with its key.
pub(crate) struct Client {
    /// What it calls itself: name or id.
    pub(crate) id: String,
    /// What it proves itself with.
    pub(crate) key: SigningKey,
}

impl Client {
    /// Gives a principal a key and makes it a client.
    pub(crate) async fn register(app: &App, principal: &AnyId) -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let jwk: serde_json::Value = serde_json::from_str(&key.public().to_json().to_text()).unwrap();
        app.control.add_key(&app.system(), principal, "test", &jwk, None).await.expect("a credential");
        Self { id: principal.to_string(), key }
    }

    /// A fresh proof of who it is.
    pub(crate) fn assertion(&self, app: &App) -> String {
        make_client_assertion(&self.key, &self.id, ISSUER, &unique("assertion"), app.control.now()).unwrap()
    }

    /// The parameters that prove who it is.
    pub(crate) fn proving(&self, app: &App) -> Vec<(&'static str, String)> {
        vec![("client_assertion_type", JWT_BEARER.to_owned()), ("client_assertion", self.assertion(app))]
    }

    /// Asks an endpoint, with a fresh assertion.
    pub(crate) async fn ask(
        &self,
        app: &App,
        path: &str,
        headers: HeaderMap,
        form: &[(&str, &str)],
    ) -> Answer {
        let proving = self.proving(app);
        let mut all: Vec<(&str, &str)> =
            proving.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend_from_slice(form);
        app.form(path, headers, &all).await
    }

    /// Asks for a token.
    pub(crate) async fn token(&self, app: &App, form: &[(&str, &str)]) -> Answer {
        self.ask(app, "/oauth2/token", HeaderMap::new(), form).await
    }

    /// A token for itself, for a resource.
    pub(crate) async fn own_token(&self, app: &App, resource: &str) -> Answer {
        self.token(app, &[("grant_type", "client_credentials"), ("resource", resource)]).await
    }

    /// A token that is bound to `key`, for itself, for a resource.
    pub(crate) async fn bound_token(&self, app: &App, key: &SigningKey, resource: &str) -> Answer {
        let form = [("grant_type", "client_credentials"), ("resource", resource)];
        self.ask(app, "/oauth2/token", token_proof(app, key), &form).await
    }

    /// A token in exchange for another.
    pub(crate) async fn exchange(
        &self,
        app: &App,
        subject: &str,
        resource: &str,
        details: Option<&str>,
    ) -> Answer {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS_TOKEN),
            ("resource", resource),
        ];
        form.extend(details.map(|details| ("authorization_details", details)));
        self.token(app, &form).await
    }
}

/// A header with a fresh proof for the token endpoint.
pub(crate) fn token_proof(app: &App, key: &SigningKey) -> HeaderMap {
    let target = TargetUri::parse("https://writ.example/oauth2/token").unwrap();
    let proof = make_proof(key, "POST", &target, None, &unique("proof"), None, app.control.now()).unwrap();
    headers(&[("dpop", &proof)])
}

/// A proof for one request with a token.
pub(crate) fn proof_for(app: &App, key: &SigningKey, method: &Method, url: &str, token: &str) -> String {
    let target = TargetUri::parse(url).unwrap();
    make_proof(key, method.as_str(), &target, Some(token), &unique("proof"), None, app.control.now()).unwrap()
}

/// Headers from pairs.
pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
}

/// The header of a bearer token.
pub(crate) fn bearer(token: &str) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {token}"))])
}

/// The header of `client_secret_basic`.
pub(crate) fn basic(id: &str, secret: &Secret) -> HeaderMap {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let encoded = STANDARD.encode(format!("{id}:{}", secret.expose()));
    headers(&[("authorization", &format!("Basic {encoded}"))])
}

/// What a token says, without asking whether it is true.
pub(crate) fn claims(token: &str) -> serde_json::Value {
    let encoded = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&wire::jose::base64url_decode(encoded).unwrap()).unwrap()
}

/// A token that says other things, signed by `key`.
pub(crate) fn forged(token: &str, key: &SigningKey, change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut said = claims(token);
    change(&mut said);
    key.sign("at+jwt", &Json::from(said)).unwrap()
}
