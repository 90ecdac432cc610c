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
    verify::{TokenHolder, stands},
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
    /// Says who signed in, to one client (section 2). `about` is what it learns of [`claims_of`](Self::claims_of).
    pub(super) fn id_token(
        &self,
        app: &KnownClient,
        delegation: &Delegation,
        nonce: Option<&str>,
        access_token: &Secret,
        about: &[(&'static str, Json)],
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
        if let Some(session) = delegation.session.session() {
            claims.insert("sid", session.as_str());
        }
        for (name, value) in about {
            claims.insert(*name, value.clone());
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
        if let Some(proof) = self.possession(&presented, &believed.claims, now)? {
            self.use_proof(proof).await?;
        }
        let delegation = believed.claims.delegation.as_ref().and_then(|id| known.delegations.get(id));
        let mut claims: Object = [("sub", person.as_str().into())].into_iter().collect();
        if let Some(delegation) = delegation {
            for (name, value) in self.claims_of(&known, delegation, &delegation.claims.userinfo).await? {
                claims.insert(name, value);
            }
        }
        Ok(Json::Object(claims))
    }

    /// What a client learns about a person: what the scopes stand for (section 5.4), and what it named (section 5.5).
    pub(super) async fn claims_of(
        &self,
        known: &Snapshot,
        delegation: &Delegation,
        named: &[String],
    ) -> Result<Vec<(&'static str, Json)>, base::Error> {
        let Some(person) = known.people.get(&delegation.person) else { return Ok(Vec::new()) };
        let has = |claim: &str| {
            let stands = |scope: &String| scope_of(claim) == Some(scope);
            delegation.scope.iter().any(stands) || named.iter().any(|name| name == claim)
        };
        let mut claims = Vec::new();
        for claim in PERSON_CLAIMS.into_iter().filter(|claim| has(claim)) {
            let value = match (claim, &person.body.email) {
                ("name", _) => Some(person.body.display_name.as_str().into()),
                ("preferred_username", _) => Some(person.name.as_ref().into()),
                ("email", Some(email)) => Some(email.as_str().into()),
                ("email_verified", Some(email)) => {
                    Some(self.ways_of(&delegation.person).await?.reads(email).into())
                }
                _ => None,
            };
            claims.extend(value.map(|value| (claim, value)));
        }
        Ok(claims)
    }
}

/// Claims about a person, beside who it is.
pub(super) const PERSON_CLAIMS: [&str; 4] = ["name", "preferred_username", "email", "email_verified"];

/// The scope that stands for a claim about a person (section 5.4).
pub(super) fn scope_of(claim: &str) -> Option<&'static str> {
    match claim {
        "name" | "preferred_username" => Some("profile"),
        "email" | "email_verified" => Some("email"),
        _ => None,
    }
}
