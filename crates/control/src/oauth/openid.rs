//! OpenID Connect: who signed in (Core 1.0), and that they signed out (Back-Channel Logout 1.0).

use base::{PersonId, Secret, SessionId};
use http::{HeaderMap, Method};
use wire::{
    jose::{Algorithm, base64url},
    json::{Json, Object},
    oauth::OAuthError,
};

use super::{
    audience::Audience,
    presented::Presented,
    said::said,
    verify::{TokenHolder, possession, stands},
};
use crate::{
    client::KnownClient, control::Control, delegation::Delegation, opaque::sha256, snapshot::Snapshot,
};

/// How long an ID token is good, in seconds.
const ID_TOKEN_SECONDS: i64 = 600;
const ID_TOKEN_TYPE: &str = "JWT";
const LOGOUT_TOKEN_TYPE: &str = "logout+jwt";
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

impl Control {
    /// Says who signed in, to one client (section 2).
    pub(super) fn id_token(
        &self,
        app: &KnownClient,
        delegation: &Delegation,
        nonce: Option<&str>,
        access_token: &Secret,
    ) -> Result<Secret, OAuthError> {
        let now = self.now();
        let digest = sha256(access_token.expose().as_bytes());
        let mut claims: Object = [
            ("iss", self.settings().issuer().into()),
            ("sub", delegation.person.as_str().into()),
            ("aud", app.client_id.as_str().into()),
            ("iat", now.seconds().into()),
            ("exp", now.plus_seconds(ID_TOKEN_SECONDS).seconds().into()),
            ("at_hash", base64url(&digest[..16]).into()),
        ]
        .into_iter()
        .collect();
        for (name, value) in delegation.signed_in.claims() {
            claims.insert(name, value);
        }
        if let Some(nonce) = nonce {
            claims.insert("nonce", nonce);
        }
        if let Some(session) = &delegation.session {
            claims.insert("sid", session.as_str());
        }
        for (name, value) in claims_about(&self.snapshot(), &delegation.person, &delegation.scope, None) {
            claims.insert(name, value);
        }
        self.signed(ID_TOKEN_TYPE, &Json::Object(claims))
    }

    /// Says that a session ended, to one client.
    pub(super) fn logout_token(
        &self,
        client_id: &str,
        person: &PersonId,
        session: &SessionId,
    ) -> Result<Secret, OAuthError> {
        let now = self.now();
        let event = Json::Object(Object::new());
        let claims = Json::object([
            ("iss", self.settings().issuer().into()),
            ("sub", person.as_str().into()),
            ("aud", client_id.into()),
            ("iat", now.seconds().into()),
            ("exp", now.plus_seconds(120).seconds().into()),
            ("jti", hex::encode(self.inner().dice.bytes::<16>()).into()),
            ("sid", session.as_str().into()),
            ("events", Json::object([(LOGOUT_EVENT, event)])),
        ]);
        self.signed(LOGOUT_TOKEN_TYPE, &claims)
    }

    fn signed(&self, typ: &str, claims: &Json) -> Result<Secret, OAuthError> {
        let signer = self.snapshot().ring.signer(Algorithm::Es256).cloned();
        let missing = || said(base::Fault::new("signing a token", "there is no signing key").into());
        let text = signer.ok_or_else(missing)?.sign(typ, claims).map_err(|fault| said(fault.into()))?;
        Ok(Secret::new(text))
    }

    /// Who the person behind an access token is (section 5.3), as far as they agreed that the client learns it.
    pub(super) async fn user_info(&self, headers: &HeaderMap, method: &Method) -> Result<Json, base::Error> {
        let audience = Audience::UserInfo;
        let issuer = self.settings().issuer();
        let url = audience.uri(&issuer);
        let presented = Presented::of(headers, method.as_str(), &url)?;
        let now = self.now();
        let known = std::sync::Arc::clone(&self.snapshot());
        let believed = self.believe_for(&presented, &audience, &known, now)?;
        let holder = stands(&known, &believed, &base::TenantId::first(), now)?;
        let TokenHolder::Person(person) = holder else {
            return Err(super::refused::TokenRefused::WrongAudience.into());
        };
        if let Some(proof) = possession(&presented, &believed.claims, now)? {
            self.use_proof(proof).await?;
        }
        let ways = self.ways_of(&person).await?;
        let scope: Vec<String> =
            believed.claims.scope.iter().flat_map(|scope| scope.split(' ')).map(str::to_owned).collect();
        let email = known.people.get(&person).and_then(|person| person.body.email.clone());
        let verified = email.is_some_and(|email| ways.reads(&email));
        let mut claims: Object = [("sub", person.as_str().into())].into_iter().collect();
        for (name, value) in claims_about(&known, &person, &scope, Some(verified)) {
            claims.insert(name, value);
        }
        Ok(Json::Object(claims))
    }
}

/// What a client learns about a person by these scopes (section 5.4). `verified` where it was looked up.
fn claims_about(
    known: &Snapshot,
    person: &PersonId,
    scope: &[String],
    verified: Option<bool>,
) -> Vec<(&'static str, Json)> {
    let Some(person) = known.people.get(person) else { return Vec::new() };
    let has = |wanted: &str| scope.iter().any(|scope| scope == wanted);
    let mut claims = Vec::new();
    if has("profile") {
        claims.push(("name", person.body.display_name.as_str().into()));
        claims.push(("preferred_username", person.name.as_ref().into()));
    }
    if let (true, Some(email)) = (has("email"), &person.body.email) {
        claims.push(("email", email.as_str().into()));
        if let Some(verified) = verified {
            claims.push(("email_verified", verified.into()));
        }
    }
    claims
}
