//! Authorization requests (RFC 6749, section 4.1.1; OpenID Connect Core 1.0, section 3.1.2.1; RFC 9126, RFC 9396).

use base::limit::LINE_BYTES_MAX;

use super::{ClaimsRequest, CodeChallenge, ErrorCode, Form, OAuthError, ResourceUri, ScopeSet, TaskDetails};

/// The longest `state` and `nonce`, in bytes. Both are echoed.
const ECHO_BYTES_MAX: usize = 1024;

/// The part of a request that says where an answer may go. Until the client and this address are known to belong
/// together, nothing is redirected anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationTarget {
    /// Which client asks.
    pub client_id: String,
    /// Where the answer shall go; may be left out by a client that has one address.
    pub redirect_uri: Option<String>,
    /// Echoed in the answer.
    pub state: Option<String>,
}

/// What a client asks of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorizationRequest {
    /// The scopes.
    pub scope: ScopeSet,
    /// What the client will prove when it redeems the code.
    pub challenge: CodeChallenge,
    /// For which resource the token shall be (RFC 8707).
    pub resource: Option<ResourceUri>,
    /// The task asked for (RFC 9396).
    pub task: Option<TaskDetails>,
    /// Echoed in the ID token.
    pub nonce: Option<String>,
    /// What may or must be asked.
    pub prompt: Prompt,
    /// How long ago the person may have signed in, in seconds.
    pub max_age: Option<i64>,
    /// Authentication contexts, the preferred first.
    pub acr_values: Vec<String>,
    /// Claims asked for one by one.
    pub claims: ClaimsRequest,
    /// Who is expected to sign in.
    pub login_hint: Option<String>,
    /// The key to which the code shall be bound (RFC 9449, section 10).
    pub dpop_jkt: Option<String>,
}

/// What may or must be asked of the person (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Nothing may be asked: an error if something would have to be.
    pub none: bool,
    /// They sign in again.
    pub login: bool,
    /// They consent again.
    pub consent: bool,
}

impl AuthorizationTarget {
    /// Reads where an answer may go. What is wrong here is shown to the person, never redirected.
    pub fn parse(form: &Form) -> Result<Self, OAuthError> {
        Ok(Self {
            client_id: form.required("client_id")?.to_owned(),
            redirect_uri: form.get("redirect_uri").map(str::to_owned),
            state: echoed(form, "state")?,
        })
    }
}

impl AuthorizationRequest {
    /// Reads the rest. What is wrong here is told to the client.
    pub fn parse(form: &Form) -> Result<Self, OAuthError> {
        let invalid = |why: &str| OAuthError::new(ErrorCode::InvalidRequest, why);
        match form.get("response_type") {
            Some("code") => {}
            Some(_) => {
                let why = "`response_type` must be `code`; there is no other flow here";
                return Err(OAuthError::new(ErrorCode::UnsupportedResponseType, why));
            }
            None => return Err(invalid("the parameter `response_type` is missing")),
        }
        if form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(invalid("`response_mode` must be `query`"));
        }
        if form.get("request").is_some() {
            let why = "request objects are not supported; push the request instead (RFC 9126)";
            return Err(OAuthError::new(ErrorCode::RequestNotSupported, why));
        }
        let max_age = form
            .get("max_age")
            .map(|age| age.parse::<i64>().ok().filter(|age| (0..=MAX_AGE_MAX).contains(age)));
        Ok(Self {
            scope: ScopeSet::parse(form.get("scope").unwrap_or_default())?,
            challenge: CodeChallenge::parse(form.get("code_challenge"), form.get("code_challenge_method"))?,
            resource: form.get("resource").map(ResourceUri::parse).transpose()?,
            task: form.get("authorization_details").map(TaskDetails::parse).transpose()?,
            nonce: echoed(form, "nonce")?,
            prompt: Prompt::parse(form.get("prompt").unwrap_or_default())?,
            max_age: match max_age {
                Some(None) => return Err(invalid("`max_age` must be a number of seconds")),
                Some(age) => age,
                None => None,
            },
            acr_values: words(form, "acr_values"),
            claims: form.get("claims").map(ClaimsRequest::parse).transpose()?.unwrap_or_default(),
            login_hint: form.get("login_hint").filter(|hint| hint.len() <= LINE_BYTES_MAX).map(str::to_owned),
            dpop_jkt: form.get("dpop_jkt").map(str::to_owned),
        })
    }
}

/// The longest `max_age`, in seconds: a hundred years.
const MAX_AGE_MAX: i64 = 100 * 366 * 24 * 3600;
/// The most words of a list that is a wish.
const WORDS_MAX: usize = 16;

impl Prompt {
    fn parse(text: &str) -> Result<Self, OAuthError> {
        let mut prompt = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.none = true,
                "login" | "select_account" => prompt.login = true,
                "consent" => prompt.consent = true,
                _ => {
                    let why = "`prompt` must be of `none`, `login`, `consent` and `select_account`";
                    return Err(OAuthError::new(ErrorCode::InvalidRequest, why));
                }
            }
        }
        if prompt.none && (prompt.login || prompt.consent) {
            let why = "`prompt`: `none` stands alone";
            return Err(OAuthError::new(ErrorCode::InvalidRequest, why));
        }
        Ok(prompt)
    }
}

fn echoed(form: &Form, name: &str) -> Result<Option<String>, OAuthError> {
    match form.get(name) {
        Some(text) if text.len() > ECHO_BYTES_MAX => {
            Err(OAuthError::new(ErrorCode::InvalidRequest, format!("`{name}` is longer than 1024 bytes")))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

fn words(form: &Form, name: &str) -> Vec<String> {
    let words = form.get(name).unwrap_or_default().split(' ');
    words.filter(|word| !word.is_empty() && word.len() <= 128).take(WORDS_MAX).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{AuthorizationRequest, AuthorizationTarget};
    use crate::oauth::{ErrorCode, Form};

    const PKCE: &str =
        "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn read(rest: &str) -> Result<AuthorizationRequest, ErrorCode> {
        let form = Form::parse(format!("client_id=c&{rest}").as_bytes()).map_err(|error| error.code)?;
        AuthorizationRequest::parse(&form).map_err(|error| error.code)
    }

    #[test]
    fn what_clients_send_is_read() {
        let request = read(&format!(
            "response_type=code&{PKCE}&scope=openid+profile&prompt=login+consent&max_age=0&acr_values=phr+x&nonce=n&resource=https://w/mcp/crm"
        ));
        let request = request.unwrap();
        assert!(request.scope.contains("openid") && request.prompt.login && request.prompt.consent);
        assert_eq!((request.max_age, request.nonce.as_deref()), (Some(0), Some("n")));
        assert_eq!(request.acr_values, ["phr", "x"]);
    }

    #[test]
    fn each_mistake_has_its_code() {
        for (rest, code) in [
            (PKCE.to_owned(), ErrorCode::InvalidRequest),
            (format!("response_type=token&{PKCE}"), ErrorCode::UnsupportedResponseType),
            (format!("response_type=code+id_token&{PKCE}"), ErrorCode::UnsupportedResponseType),
            ("response_type=code".into(), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&request=e30.e30."), ErrorCode::RequestNotSupported),
            (format!("response_type=code&{PKCE}&response_mode=fragment"), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&prompt=none+login"), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&prompt=hello"), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&max_age=-1"), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&max_age=soon"), ErrorCode::InvalidRequest),
            (format!("response_type=code&{PKCE}&scope=a%22b"), ErrorCode::InvalidScope),
            (format!("response_type=code&{PKCE}&resource=mailto:x"), ErrorCode::InvalidTarget),
            (format!("response_type=code&{PKCE}&claims=x"), ErrorCode::InvalidRequest),
            (
                format!("response_type=code&{PKCE}&authorization_details=x"),
                ErrorCode::InvalidAuthorizationDetails,
            ),
            (format!("response_type=code&response_type=code&{PKCE}"), ErrorCode::InvalidRequest),
        ] {
            assert_eq!(read(&rest).unwrap_err(), code, "{rest}");
        }
    }

    #[test]
    fn where_the_answer_goes_is_read_apart() {
        let form = Form::parse(b"client_id=c&state=s").unwrap();
        let target = AuthorizationTarget::parse(&form).unwrap();
        assert_eq!(
            (target.client_id.as_str(), target.redirect_uri, target.state.as_deref()),
            ("c", None, Some("s"))
        );
        assert!(AuthorizationTarget::parse(&Form::parse(b"state=s").unwrap()).is_err());
    }
}
