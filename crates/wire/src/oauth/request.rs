//! Token requests.

use base::Secret;

use super::{ErrorCode, Form, OAuthError, ResourceUri, TaskDetails};

/// The most scopes of a request.
const SCOPES_MAX: usize = 64;

/// A request to the token endpoint, without the client's proof of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenRequest {
    /// By what right.
    pub grant: Grant,
    /// For which resource (RFC 8707).
    pub resource: Option<ResourceUri>,
    /// The scopes asked for.
    pub scope: ScopeSet,
    /// The task asked for (RFC 9396).
    pub task: Option<TaskDetails>,
}

/// By what right a token is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// The client for itself (RFC 6749, section 4.4).
    ClientCredentials,
    /// One token for another (RFC 8693).
    TokenExchange(Exchange),
    /// What a person agreed to (RFC 6749, section 4.1.3).
    AuthorizationCode(CodeGrant),
    /// The next token of what a person agreed to (RFC 6749, section 6).
    RefreshToken(Secret),
    /// What a person agreed to on another device (RFC 8628, section 3.4).
    DeviceCode(Secret),
}

/// An authorization code with what proves that it came to the right client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeGrant {
    /// The code.
    pub code: Secret,
    /// Where it was sent, where the client named an address.
    pub redirect_uri: Option<String>,
    /// What the client committed to (RFC 7636).
    pub verifier: Secret,
}

impl Grant {
    /// The identifiers of all grants.
    pub const TYPES: [&str; 5] = [
        "authorization_code",
        "refresh_token",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:device_code",
    ];
}

/// A token exchange (RFC 8693, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// On whose behalf.
    pub subject: ExchangeToken,
    /// Who acts.
    pub actor: Option<ExchangeToken>,
    /// What is wanted; an access token when not said.
    pub requested: Option<TokenKind>,
    /// The logical name of the target.
    pub audience: Option<String>,
}

/// A token that takes part in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeToken {
    /// The token.
    pub token: Secret,
    /// What the client says it is.
    pub kind: TokenKind,
}

/// Token type identifiers (RFC 8693, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An access token, whatever its form.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// An OpenID ID token.
    IdToken,
    /// A JWT of another purpose.
    Jwt,
    /// An identity assertion authorization grant.
    IdJag,
}

impl TokenKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Jwt, Self::IdJag];

    /// The identifier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::RefreshToken => "urn:ietf:params:oauth:token-type:refresh_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::IdJag => "urn:ietf:params:oauth:token-type:id-jag",
        }
    }

    fn parse(parameter: &str, text: &str) -> Result<Self, OAuthError> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == text).ok_or_else(|| {
            OAuthError::new(
                ErrorCode::InvalidRequest,
                format!("`{parameter}` is no supported token type identifier"),
            )
        })
    }
}

impl TokenRequest {
    /// Reads a token request. Parameters that no rule names are ignored, as RFC 6749, section 3.2 wants.
    pub fn parse(form: &Form) -> Result<Self, OAuthError> {
        let grant = match form.required("grant_type")? {
            "client_credentials" => Grant::ClientCredentials,
            "urn:ietf:params:oauth:grant-type:token-exchange" => Grant::TokenExchange(Exchange::parse(form)?),
            "authorization_code" => Grant::AuthorizationCode(CodeGrant {
                code: Secret::new(form.required("code")?.to_owned()),
                redirect_uri: form.get("redirect_uri").map(str::to_owned),
                verifier: Secret::new(form.required("code_verifier")?.to_owned()),
            }),
            "refresh_token" => Grant::RefreshToken(Secret::new(form.required("refresh_token")?.to_owned())),
            "urn:ietf:params:oauth:grant-type:device_code" => {
                Grant::DeviceCode(Secret::new(form.required("device_code")?.to_owned()))
            }
            _ => {
                let why = format!("`grant_type` must be one of: {}", Grant::TYPES.join(", "));
                return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, why));
            }
        };
        Ok(Self {
            grant,
            resource: form.get("resource").map(ResourceUri::parse).transpose()?,
            scope: ScopeSet::parse(form.get("scope").unwrap_or_default())?,
            task: form.get("authorization_details").map(TaskDetails::parse).transpose()?,
        })
    }
}

impl Exchange {
    fn parse(form: &Form) -> Result<Self, OAuthError> {
        let token = |name: &str, kind: &str| {
            let token = Secret::new(form.required(name)?.to_owned());
            Ok(ExchangeToken { token, kind: TokenKind::parse(kind, form.required(kind)?)? })
        };
        let actor = match (form.get("actor_token"), form.get("actor_token_type")) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "`actor_token_type` stands without `actor_token`",
                ));
            }
            (Some(_), _) => Some(token("actor_token", "actor_token_type")?),
        };
        let requested = form.get("requested_token_type");
        Ok(Self {
            subject: token("subject_token", "subject_token_type")?,
            actor,
            requested: requested.map(|text| TokenKind::parse("requested_token_type", text)).transpose()?,
            audience: form.get("audience").map(str::to_owned),
        })
    }
}

/// Distinct scopes in the order in which they were given (RFC 6749, section 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Reads a space-delimited list of at most 64 scopes.
    pub fn parse(text: &str) -> Result<Self, OAuthError> {
        let refuse = |description: &str| Err(OAuthError::new(ErrorCode::InvalidScope, description));
        let mut scopes: Vec<String> = Vec::new();
        for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
            if !scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return refuse(
                    "`scope` must be printable ASCII words without quotes and backslashes, separated by single spaces",
                );
            }
            if scopes.iter().any(|known| known == scope) {
                continue;
            }
            if scopes.len() == SCOPES_MAX {
                return refuse("`scope` has more than 64 scopes");
            }
            scopes.push(scope.to_owned());
        }
        Ok(Self(scopes))
    }

    /// The scopes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `scope` is among them.
    pub fn contains(&self, scope: &str) -> bool {
        self.iter().any(|known| known == scope)
    }
}

impl std::fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}
