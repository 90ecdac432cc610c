//! Errors as OAuth says them (RFC 6749, section 5.2).

use std::fmt;

use base::{Class, Refuse};

use crate::json::Json;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $class:ident, $status:literal;)*) => {
        /// The registered error codes that Writ answers with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Which kind of "no" it is.
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

error_codes! {
    /// The request is malformed (RFC 6749).
    InvalidRequest = "invalid_request", Invalid, 400;
    /// The client did not prove who it is (RFC 6749).
    InvalidClient = "invalid_client", Unauthenticated, 401;
    /// The grant, or a token in it, is no good (RFC 6749).
    InvalidGrant = "invalid_grant", Invalid, 400;
    /// This client may not use this grant (RFC 6749).
    UnauthorizedClient = "unauthorized_client", Denied, 400;
    /// There is no such grant type here (RFC 6749).
    UnsupportedGrantType = "unsupported_grant_type", Invalid, 400;
    /// A scope is unknown, malformed or too wide (RFC 6749).
    InvalidScope = "invalid_scope", Invalid, 400;
    /// The resource is unknown or malformed (RFC 8707).
    InvalidTarget = "invalid_target", Invalid, 400;
    /// The authorization details are malformed or too wide (RFC 9396).
    InvalidAuthorizationDetails = "invalid_authorization_details", Invalid, 400;
    /// The DPoP proof is no good (RFC 9449).
    InvalidDpopProof = "invalid_dpop_proof", Invalid, 400;
    /// The DPoP proof needs a nonce, which comes with the answer (RFC 9449, sections 8 and 9).
    UseDpopNonce = "use_dpop_nonce", Invalid, 400;
    /// The authorization response type is not one of ours (RFC 6749, section 4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type", Invalid, 400;
    /// Request objects are not supported (OpenID Connect Core 1.0, section 3.1.2.6).
    RequestNotSupported = "request_not_supported", Invalid, 400;
    /// The person would have to sign in, and may not be asked (OpenID Connect Core 1.0, section 3.1.2.6).
    LoginRequired = "login_required", Denied, 400;
    /// The person would have to consent, and may not be asked (OpenID Connect Core 1.0, section 3.1.2.6).
    ConsentRequired = "consent_required", Denied, 400;
    /// The person cannot sign in as the client insists (OpenID Connect Core Error Code `unmet_authentication_requirements`).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", Denied, 400;
    /// The person has not decided yet (RFC 8628, section 3.5).
    AuthorizationPending = "authorization_pending", Denied, 400;
    /// The client asks too often (RFC 8628, section 3.5).
    SlowDown = "slow_down", Limited, 400;
    /// The device code's time is over (RFC 8628, section 3.5).
    ExpiredToken = "expired_token", Invalid, 400;
    /// A redirect URI of a registration is no good (RFC 7591, section 3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri", Invalid, 400;
    /// Something else of a registration is no good (RFC 7591, section 3.2.2).
    InvalidClientMetadata = "invalid_client_metadata", Invalid, 400;
    /// The person or a policy said no (RFC 6749, section 4.1.2.1; RFC 8628).
    AccessDenied = "access_denied", Denied, 400;
    /// The token type cannot be revoked (RFC 7009).
    UnsupportedTokenType = "unsupported_token_type", Invalid, 400;
    /// The access token is no good (RFC 6750).
    InvalidToken = "invalid_token", Unauthenticated, 401;
    /// The access token covers too little, and consent could help (RFC 6750).
    InsufficientScope = "insufficient_scope", Denied, 403;
    /// The person must sign in more strongly (RFC 9470).
    InsufficientUserAuthentication = "insufficient_user_authentication", Unauthenticated, 401;
    /// Our own failure (RFC 6749, section 4.1.2.1).
    ServerError = "server_error", Fault, 500;
    /// Not now (RFC 6749, section 4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable", Busy, 503;
}

/// A refusal in OAuth's words: a code for programs, a description for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthError {
    /// The code.
    pub code: ErrorCode,
    /// What happened, why, and what to do.
    pub description: String,
}

impl OAuthError {
    /// A refusal.
    pub fn new(code: ErrorCode, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    /// The response body. It goes with [`ErrorCode::status`], `application/json` and `Cache-Control: no-store`.
    pub fn to_json(&self) -> Json {
        Json::object([
            ("error", self.code.as_str().into()),
            ("error_description", plain_text(&self.description).into()),
        ])
    }
}

/// The characters that RFC 6749, section 5.2 and RFC 6750, section 3 admit in a description: printable ASCII without
/// `"` and `\`. Others are replaced, so that whatever a message quotes cannot leave its place in a header.
pub(super) fn plain_text(text: &str) -> String {
    let replace = |character| match character {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => character,
        _ => '?',
    };
    text.chars().take(DESCRIPTION_CHARACTERS_MAX).map(replace).collect()
}

const DESCRIPTION_CHARACTERS_MAX: usize = 500;

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

impl std::error::Error for OAuthError {}

impl Refuse for OAuthError {
    fn class(&self) -> Class {
        self.code.class()
    }

    fn code(&self) -> &'static str {
        self.code.as_str()
    }
}
