//! Claims that are asked for one by one (OpenID Connect Core 1.0, section 5.5).

use super::{ErrorCode, OAuthError};
use crate::json::{Json, Limits, Object};

/// The largest `claims`, in bytes.
const BYTES_MAX: usize = 4 * 1024;

/// What the parameter `claims` asks for. Of what stands for a single claim only what is honoured is kept: which values are
/// wanted of `sub` and `acr`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    /// The names wanted in the ID token.
    pub id_token: Vec<String>,
    /// The names wanted of user info.
    pub userinfo: Vec<String>,
    /// Who the answer has to be about (section 3.1.2.2).
    pub subject: Option<String>,
    /// How the person should have signed in.
    pub acr: Option<WantedAcr>,
}

/// The authentication contexts of which one is wanted (section 5.5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedAcr {
    /// Any of these.
    pub values: Vec<String>,
    /// Whether anything else is a failure.
    pub essential: bool,
}

impl ClaimsRequest {
    /// Reads the parameter: a JSON object. Members that nobody knows are left out, as the standard wants.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let limits = Limits { bytes: BYTES_MAX, depth: 8, values: 512, ..Limits::default() };
        let json = Json::parse_with(text.as_bytes(), limits).map_err(|error| refuse(&format!("{error}")))?;
        let members = json.as_object().ok_or_else(|| refuse("it must be an object"))?;
        let (id_token, userinfo) = (asked(members, "id_token")?, asked(members, "userinfo")?);
        let mut request = Self { id_token: names(id_token), userinfo: names(userinfo), ..Self::default() };
        if let Some(wanted) = id_token.and_then(|asked| asked.get("sub")) {
            request.subject = values(wanted)?.into_iter().next();
        }
        if let Some(wanted) = id_token.and_then(|asked| asked.get("acr")) {
            let values = values(wanted)?;
            let essential = wanted.get("essential") == Some(&Json::Bool(true));
            request.acr = (!values.is_empty()).then_some(WantedAcr { values, essential });
        }
        Ok(request)
    }
}

fn asked<'a>(members: &'a Object, place: &str) -> Result<Option<&'a Object>, OAuthError> {
    let asked = match members.get(place) {
        None | Some(Json::Null) => return Ok(None),
        Some(asked) => asked.as_object().ok_or_else(|| refuse(&format!("`{place}` must be an object")))?,
    };
    let is_form = |wanted: &Json| matches!(wanted, Json::Null | Json::Object(_));
    match asked.iter().find(|(_, wanted)| !is_form(wanted)) {
        Some(_) => Err(refuse(&format!("each member of `{place}` must be null or an object"))),
        None => Ok(Some(asked)),
    }
}

fn names(asked: Option<&Object>) -> Vec<String> {
    asked.into_iter().flat_map(Object::iter).map(|(name, _)| name.to_owned()).collect()
}

/// `value`, or all of `values`.
fn values(wanted: &Json) -> Result<Vec<String>, OAuthError> {
    let all = match (wanted.get("value"), wanted.get("values")) {
        (None, None) => return Ok(Vec::new()),
        (Some(value), None) => std::slice::from_ref(value),
        (None, Some(values)) => values.as_array().ok_or_else(|| refuse("`values` must be an array"))?,
        (Some(_), Some(_)) => return Err(refuse("`value` and `values` exclude each other")),
    };
    let text = |value: &Json| value.as_str().map(str::to_owned);
    all.iter().map(text).collect::<Option<_>>().ok_or_else(|| refuse("`sub` and `acr` are texts"))
}

fn refuse(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, format!("`claims`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::{ClaimsRequest, WantedAcr};
    use crate::oauth::ErrorCode;

    #[test]
    fn the_example_of_the_standard_is_read() {
        let request = ClaimsRequest::parse(
            r#"{ "userinfo": { "given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
                 "email_verified": {"essential": true}, "picture": null, "http://example.info/claims/groups": null },
                 "id_token": { "auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"] } } }"#,
        )
        .unwrap();
        assert_eq!(request.userinfo.len(), 6);
        assert_eq!(request.id_token, ["auth_time", "acr"]);
        let silver = vec!["urn:mace:incommon:iap:silver".to_owned()];
        assert_eq!(request.acr, Some(WantedAcr { values: silver, essential: false }));
    }

    #[test]
    fn who_it_has_to_be_and_how_they_have_to_have_signed_in_is_read() {
        let read = |text: &str| ClaimsRequest::parse(text).unwrap();
        let request =
            read(r#"{"id_token":{"sub":{"value":"per_1"},"acr":{"value":"phr","essential":true}}}"#);
        assert_eq!(request.subject.as_deref(), Some("per_1"));
        assert_eq!(request.acr, Some(WantedAcr { values: vec!["phr".to_owned()], essential: true }));
        assert_eq!(read(r#"{"id_token":{"acr":{"essential":true}}}"#).acr, None);
        // What user info holds is asked later: it decides nothing about who signs in.
        assert_eq!(read(r#"{"userinfo":{"sub":{"value":"per_1"}}}"#).subject, None);
        assert_eq!(read(r#"{"id_token":null,"other":1}"#), ClaimsRequest::default());
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "[]",
            "null",
            r#"{"id_token":[]}"#,
            r#"{"id_token":{"email":true}}"#,
            r#"{"id_token":{"email":null,"email":null}}"#,
            r#"{"id_token":{"acr":{"values":"phr"}}}"#,
            r#"{"id_token":{"acr":{"values":[1]}}}"#,
            r#"{"id_token":{"sub":{"value":1}}}"#,
            r#"{"id_token":{"sub":{"value":"a","values":["b"]}}}"#,
            &format!(r#"{{"id_token":{{"{}":null}}}}"#, "x".repeat(5000)),
        ] {
            let error = ClaimsRequest::parse(text).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidRequest, "{text}");
        }
    }
}
