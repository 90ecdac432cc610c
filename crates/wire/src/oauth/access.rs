//! The claims of our access tokens (RFC 9068, RFC 8693 `act`, RFC 7800 `cnf`).

use base::{AnyId, CredentialId, DelegationId, Position, TaskId, Timestamp, TokenId};
use serde::{Deserialize, Serialize};

use crate::{
    jose::{TokenRefusal, seconds_of},
    json::{Json, Object},
};

/// The `typ` of an access token.
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";
/// The most actors in a chain: as deep as tasks may be.
const ACTORS_MAX: usize = base::limit::TASK_DEPTH_MAX;

/// What an access token says. Written and read in one place, so that issuer and gate cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// `iss`
    pub issuer: String,
    /// `sub`: the person, or the agent or workload that acts for itself.
    pub subject: AnyId,
    /// `aud`: the one resource.
    pub audience: String,
    /// `client_id`
    pub client_id: String,
    /// `jti`
    pub id: TokenId,
    /// `iat`, whole seconds.
    pub issued: Timestamp,
    /// `exp`, whole seconds.
    pub expires: Timestamp,
    /// `task`
    pub task: Option<TaskId>,
    /// `act`: who acts, the current actor first, then those from whom it had the task. Empty when the subject acts
    /// itself. Only the first drives authorization; the chain in the store is what counts.
    pub actors: Vec<AnyId>,
    /// `cnf.jkt`: the key to which the token is bound (RFC 9449, section 6.1).
    pub thumbprint: Option<String>,
    /// `scope`
    pub scope: Option<String>,
    /// `cred`: the credential by which the client proved itself. The token ends with it.
    pub credential: Option<CredentialId>,
    /// `dlg`: what a person agreed to, where the token comes from that. The token ends with it.
    pub delegation: Option<DelegationId>,
    /// How the person signed in, where one did.
    pub signed_in: Option<SignedIn>,
    /// `gen`: the generation of the log in which it was issued.
    pub generation: i64,
    /// `pos`: the position of the log at which it was issued; a later revocation that concerns it ends it.
    pub position: Position,
}

/// How a person signed in, as tokens say it (OpenID Connect Core 1.0, section 2; RFC 9470).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// `auth_time`, whole seconds.
    pub at: Timestamp,
    /// `acr`: how strongly.
    pub acr: String,
    /// `amr`: by what (RFC 8176).
    pub amr: Vec<String>,
}

impl SignedIn {
    /// The claims.
    pub fn claims(&self) -> [(&'static str, Json); 3] {
        [
            ("auth_time", self.at.seconds().into()),
            ("acr", self.acr.as_str().into()),
            ("amr", Json::array(self.amr.iter().map(String::as_str))),
        ]
    }
}

impl AccessClaims {
    /// The claims as signed.
    pub fn to_json(&self) -> Json {
        let act = self.actors.iter().rev().fold(None, |inner: Option<Json>, actor| {
            let mut members = Object::new();
            members.insert("sub", actor.as_str());
            if let Some(inner) = inner {
                members.insert("act", inner);
            }
            Some(Json::Object(members))
        });
        let confirmation = self.thumbprint.as_deref().map(|jkt| Json::object([("jkt", jkt.into())]));
        let optional = [
            ("task", self.task.as_ref().map(|task| task.as_str().into())),
            ("act", act),
            ("cnf", confirmation),
            ("scope", self.scope.as_deref().map(Json::from)),
            ("cred", self.credential.as_ref().map(|credential| credential.as_str().into())),
            ("dlg", self.delegation.as_ref().map(|delegation| delegation.as_str().into())),
        ];
        let required = [
            ("iss", self.issuer.as_str().into()),
            ("sub", self.subject.as_str().into()),
            ("aud", self.audience.as_str().into()),
            ("client_id", self.client_id.as_str().into()),
            ("jti", self.id.as_str().into()),
            ("iat", self.issued.seconds().into()),
            ("exp", self.expires.seconds().into()),
            ("gen", self.generation.into()),
            ("pos", self.position.0.into()),
        ];
        let present = optional.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let signed_in = self.signed_in.iter().flat_map(SignedIn::claims);
        Json::Object(required.into_iter().chain(present).chain(signed_in).collect())
    }

    /// Reads the claims of a token that was verified: the signature is ours, so anything unexpected means another
    /// version or another purpose, and is refused.
    pub fn read(claims: &Object) -> Result<Self, TokenRefusal> {
        let audience = match claims.get("aud") {
            Some(Json::Array(only)) => {
                only.first().and_then(Json::as_str).ok_or(TokenRefusal::MalformedClaim("aud"))?
            }
            _ => text(claims, "aud")?,
        };
        Ok(Self {
            issuer: text(claims, "iss")?.to_owned(),
            subject: id(claims, "sub")?,
            audience: audience.to_owned(),
            client_id: text(claims, "client_id")?.to_owned(),
            id: id(claims, "jti")?,
            issued: time(claims, "iat")?,
            expires: time(claims, "exp")?,
            task: claims.get("task").map(|_| id(claims, "task")).transpose()?,
            actors: actors(claims)?,
            thumbprint: thumbprint(claims)?,
            scope: claims.get("scope").map(|_| text(claims, "scope")).transpose()?.map(str::to_owned),
            credential: claims.get("cred").map(|_| id(claims, "cred")).transpose()?,
            delegation: claims.get("dlg").map(|_| id(claims, "dlg")).transpose()?,
            signed_in: signed_in(claims)?,
            generation: whole(claims, "gen")?,
            position: Position(whole(claims, "pos")?),
        })
    }
}

fn text<'a>(claims: &'a Object, name: &'static str) -> Result<&'a str, TokenRefusal> {
    match claims.get(name) {
        None => Err(TokenRefusal::MissingClaim(name)),
        Some(value) => {
            value.as_str().filter(|text| !text.is_empty()).ok_or(TokenRefusal::MalformedClaim(name))
        }
    }
}

fn id<T: std::str::FromStr>(claims: &Object, name: &'static str) -> Result<T, TokenRefusal> {
    text(claims, name)?.parse().map_err(|_| TokenRefusal::MalformedClaim(name))
}

fn time(claims: &Object, name: &'static str) -> Result<Timestamp, TokenRefusal> {
    seconds_of(claims, name)?.map(Timestamp::from_seconds).ok_or(TokenRefusal::MissingClaim(name))
}

fn whole(claims: &Object, name: &'static str) -> Result<i64, TokenRefusal> {
    let value = claims.get(name).ok_or(TokenRefusal::MissingClaim(name))?;
    value.as_i64().filter(|&value| value >= 0).ok_or(TokenRefusal::MalformedClaim(name))
}

fn signed_in(claims: &Object) -> Result<Option<SignedIn>, TokenRefusal> {
    if claims.get("auth_time").is_none() {
        return Ok(None);
    }
    let amr = claims.get("amr").and_then(Json::as_array).unwrap_or_default();
    let amr = amr.iter().map(|method| method.as_str().map(str::to_owned)).collect::<Option<_>>();
    Ok(Some(SignedIn {
        at: time(claims, "auth_time")?,
        acr: text(claims, "acr")?.to_owned(),
        amr: amr.ok_or(TokenRefusal::MalformedClaim("amr"))?,
    }))
}

fn actors(claims: &Object) -> Result<Vec<AnyId>, TokenRefusal> {
    let malformed = TokenRefusal::MalformedClaim("act");
    let mut chain = Vec::new();
    let mut next = claims.get("act");
    while let Some(act) = next {
        let act = act.as_object().filter(|_| chain.len() < ACTORS_MAX).ok_or(malformed)?;
        if act.names().any(|name| name != "sub" && name != "act") {
            return Err(malformed);
        }
        chain.push(id(act, "sub").map_err(|_| malformed)?);
        next = act.get("act");
    }
    Ok(chain)
}

/// SECURITY: a `cnf` that is not exactly `{jkt}` is refused: a binding that is not understood must not count as none.
fn thumbprint(claims: &Object) -> Result<Option<String>, TokenRefusal> {
    let Some(confirmation) = claims.get("cnf") else { return Ok(None) };
    let malformed = TokenRefusal::MalformedClaim("cnf");
    let members = confirmation.as_object().filter(|members| members.len() == 1).ok_or(malformed)?;
    text(members, "jkt").map(|jkt| Some(jkt.to_owned())).map_err(|_| malformed)
}
