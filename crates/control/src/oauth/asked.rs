//! An authorization request, up to the point where it is known what is asked of whom.
//!
//! SECURITY: until the client and the address belong together, nothing is redirected anywhere: whoever is wrong about that is
//! shown to the person. From there on every refusal goes back to the client, with `iss` (RFC 9207).

use std::{collections::BTreeSet, sync::Arc};

use base::{Class, Ctx, Error};
use policy::Effect;
use wire::oauth::{
    AuthorizationRequest, AuthorizationTarget, ClaimsRequest, ErrorCode, Form, OAuthError, RedirectUri,
    TaskDetails,
};

use super::{audience::Audience, openid::PERSON_CLAIMS, said::said, widen::effects_of};
use crate::{
    client::{ClientUse, KnownClient},
    control::Control,
    delegation::NamedClaims,
    opaque::sha256,
};

/// What clients may learn about a person.
pub(super) const IDENTITY_SCOPES: [&str; 3] = ["openid", "profile", "email"];
/// The wish to come back without the person (OpenID Connect Core 1.0, section 11).
pub(super) const OFFLINE_ACCESS: &str = "offline_access";

/// Whether a scope says something here: about a person, and for how long. What an agent may do is said by its task.
pub(super) fn is_of_people(scope: &str) -> bool {
    IDENTITY_SCOPES.contains(&scope) || scope == OFFLINE_ACCESS
}

/// Where the answer to a request goes.
#[derive(Clone, Debug)]
pub(super) struct Answering {
    pub(super) client: Arc<KnownClient>,
    pub(super) redirect: RedirectUri,
    /// As the client named it; none where it named nothing.
    pub(super) named: Option<RedirectUri>,
    pub(super) state: Option<String>,
    issuer: String,
}

impl Answering {
    /// The address with an answer.
    pub(super) fn answer(&self, parameters: &[(&str, &str)]) -> String {
        let mut all = parameters.to_vec();
        if let Some(state) = &self.state {
            all.push(("state", state));
        }
        all.push(("iss", &self.issuer));
        self.redirect.with(&all)
    }

    /// The address with a refusal.
    pub(super) fn refusal(&self, error: &OAuthError) -> String {
        let description = error.to_json();
        let description =
            description.get("error_description").and_then(wire::json::Json::as_str).unwrap_or_default();
        self.answer(&[("error", error.code.as_str()), ("error_description", description)])
    }

    /// For a device, which is not answered through a browser.
    pub(super) fn of_device(
        client: Arc<KnownClient>,
        target: &AuthorizationTarget,
        issuer: String,
    ) -> Option<Self> {
        let redirect = RedirectUri::parse(target.redirect_uri.as_deref()?).ok()?;
        Some(Self { client, redirect, named: None, state: None, issuer })
    }

    /// The registered address that this one is, without the port of the moment: what a person agrees to.
    pub(super) fn registered(&self) -> String {
        let registered = self.client.metadata.redirect_uris.iter().find(|uri| self.redirect.is(uri));
        registered.unwrap_or(&self.redirect).to_string()
    }
}

/// What is asked of a person.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) request: AuthorizationRequest,
    pub(super) audience: Audience,
    /// The scopes that mean something here.
    pub(super) scope: Vec<String>,
    /// What the client wants to learn beside what they stand for.
    pub(super) claims: NamedClaims,
    /// The effects of tools that scopes stand for; none where the client leaves it to the person.
    pub(super) effects: BTreeSet<Effect>,
    /// The digest of the task that was described.
    pub(super) wish: Option<String>,
    /// What the client will be.
    pub(super) powers: ClientUse,
}

/// Why a request has no answer that could be redirected.
pub(super) enum Unanswerable {
    /// It is the client's mistake; shown to the person.
    Request(String),
    /// It is ours.
    Error(Error),
}

impl Control {
    /// Where the answer to a request may go.
    pub(super) async fn answering(&self, form: &Form, ctx: &Ctx) -> Result<Answering, Unanswerable> {
        let shown = |error: OAuthError| Unanswerable::Request(error.description);
        let target = AuthorizationTarget::parse(form).map_err(shown)?;
        let client = match self.known_client(&target.client_id, ctx).await {
            Ok(client) => client,
            Err(Error::Refused(refusal)) if matches!(refusal.class, Class::Missing | Class::Invalid) => {
                return Err(Unanswerable::Request(refusal.message));
            }
            Err(error) => return Err(Unanswerable::Error(error)),
        };
        let named = target.redirect_uri.as_deref().map(RedirectUri::parse).transpose().map_err(shown)?;
        let redirect = match (&named, client.metadata.redirect_uris.as_slice()) {
            (Some(named), _) if client.metadata.redirects_to(named) => named.clone(),
            (Some(_), _) => {
                let why = "`redirect_uri` is not one of those that the client registered";
                return Err(Unanswerable::Request(why.into()));
            }
            (None, [only]) if !only.is_loopback() => only.clone(),
            (None, _) => return Err(Unanswerable::Request("the parameter `redirect_uri` is missing".into())),
        };
        Ok(Answering { client, redirect, named, state: target.state, issuer: self.settings().issuer() })
    }

    /// What a request asks.
    pub(super) fn asked(&self, form: &Form, client: &KnownClient) -> Result<Asked, OAuthError> {
        let request = AuthorizationRequest::parse(form)?;
        let refuse = |why: String| OAuthError::new(ErrorCode::InvalidTarget, why);
        let issuer = self.settings().issuer();
        let known = self.snapshot();
        let is_identity = request.scope.contains("openid");
        let audience = match &request.resource {
            Some(resource) => Audience::of(resource, &issuer, &known).ok_or_else(|| {
                refuse(format!(
                    "`resource` is nothing of this issuer; use {issuer}/mcp/SERVER or {issuer}/mcp"
                ))
            })?,
            None if is_identity => Audience::UserInfo,
            None => {
                return Err(refuse(format!(
                    "`resource` is missing; set it to the URL the token is for, for example {issuer}/mcp/SERVER"
                )));
            }
        };
        let powers = match (&audience, client.purpose) {
            (Audience::UserInfo, _) if is_identity => ClientUse::SignIn,
            (Audience::UserInfo, _) => {
                return Err(OAuthError::new(
                    ErrorCode::InvalidScope,
                    "`scope` must have `openid` for this resource",
                ));
            }
            (Audience::Mcp(_) | Audience::AllServers, ClientUse::Agent) => ClientUse::Agent,
            (Audience::Api, ClientUse::Person) => ClientUse::Person,
            (Audience::Mcp(_) | Audience::AllServers | Audience::Api, _) => {
                let why = "this client is not registered for that `resource`";
                return Err(OAuthError::new(ErrorCode::InvalidTarget, why));
            }
        };
        let wish = match (&request.task, powers) {
            (None, _) => None,
            (Some(TaskDetails::New(new)), ClientUse::Agent) if new.parent.is_none() => {
                form.get("authorization_details").map(|text| hex::encode(sha256(text.as_bytes())))
            }
            (Some(_), ClientUse::Agent) => {
                let why = "describe a new task; one that exists, or its child, is reached by token exchange";
                return Err(OAuthError::new(ErrorCode::InvalidAuthorizationDetails, why));
            }
            (Some(_), _) => {
                let why = "tasks are for agents; leave `authorization_details` out";
                return Err(OAuthError::new(ErrorCode::InvalidAuthorizationDetails, why));
            }
        };
        // Scopes that mean nothing here are left out, and the answer says which were granted (RFC 6749, section 3.3).
        let scope = request.scope.iter().filter(|scope| is_of_people(scope)).map(str::to_owned).collect();
        let claims = if is_identity { named_claims(&request.claims) } else { NamedClaims::default() };
        let effects = match (powers, &wish) {
            (ClientUse::Agent, None) => effects_of(request.scope.iter()),
            _ => BTreeSet::new(),
        };
        Ok(Asked { request, audience, scope, claims, effects, wish, powers })
    }
}

/// Of the claims that are asked for one by one, those about persons. What stands in each ID token anyway need not be asked for.
fn named_claims(request: &ClaimsRequest) -> NamedClaims {
    let ours = |names: &[String]| -> Vec<String> {
        let is_asked = |name: &&str| names.iter().any(|asked| asked == name);
        PERSON_CLAIMS.into_iter().filter(is_asked).map(str::to_owned).collect()
    };
    NamedClaims { id_token: ours(&request.id_token), userinfo: ours(&request.userinfo) }
}

impl Unanswerable {
    /// What is said about it.
    pub(super) fn detail(self) -> Result<String, Error> {
        match self {
            Self::Request(why) => Ok(why),
            Self::Error(error @ Error::Fault(_)) => Err(error),
            Self::Error(error) => Ok(said(error).description),
        }
    }
}
