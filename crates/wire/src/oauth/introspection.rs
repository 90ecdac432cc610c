//! Introspection (RFC 7662) and revocation (RFC 7009).

use base::Secret;

use super::{AccessClaims, Form, OAuthError, TokenType};
use crate::json::Json;

/// A token somebody asks about or gives up. Both endpoints take the same request; revocation answers 200 whether the
/// token was known or not, and introspection of a token that the asker may not see is inactive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenQuery {
    /// The token.
    pub token: Secret,
    /// `token_type_hint`: where to look first; an unknown hint is no error.
    pub hint: Option<String>,
}

impl TokenQuery {
    /// Reads the request.
    pub fn parse(form: &Form) -> Result<Self, OAuthError> {
        let token = Secret::new(form.required("token")?.to_owned());
        Ok(Self { token, hint: form.get("token_type_hint").map(str::to_owned) })
    }
}

/// The answer about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introspection {
    /// Unknown, ended, or not the asker's business: all the same from outside (RFC 7662, section 2.2).
    Inactive,
    /// Valid at this moment.
    Active {
        /// What it says.
        claims: Box<AccessClaims>,
        /// The task it stands for, as authorization details.
        authorization_details: Option<Json>,
    },
}

impl Introspection {
    /// The response body.
    pub fn to_json(&self) -> Json {
        let Self::Active { claims, authorization_details } = self else {
            return Json::object([("active", false.into())]);
        };
        let token_type = if claims.thumbprint.is_some() { TokenType::Dpop } else { TokenType::Bearer };
        let mut body = Json::object([("active", true.into()), ("token_type", token_type.as_str().into())]);
        if let (Some(members), Json::Object(claims)) = (body.as_object_mut(), claims.to_json()) {
            for (name, value) in claims {
                members.insert(name, value);
            }
            if let Some(details) = authorization_details {
                members.insert("authorization_details", details.clone());
            }
        }
        body
    }
}
