//! What clients say about themselves: dynamic registration (RFC 7591) and client ID metadata documents.

use base::limit::LINE_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::{ErrorCode, OAuthError, RedirectUri};
use crate::{
    jose::Jwks,
    json::{Json, Object},
    uri::strict_url,
};

/// The most redirect URIs of a client.
const REDIRECT_URIS_MAX: usize = 16;
/// The most keys of a client.
const KEYS_MAX: usize = 8;

/// How a client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisteredMethod {
    /// Not at all: a public client. PKCE and its redirect URI bind it to its codes.
    None,
    /// By a signed assertion (RFC 7523).
    PrivateKeyJwt,
    /// By a secret in the `Authorization` header.
    ClientSecretBasic,
    /// By a secret in the form.
    ClientSecretPost,
}

impl RegisteredMethod {
    /// As written in metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::PrivateKeyJwt, Self::ClientSecretBasic, Self::ClientSecretPost]
            .into_iter()
            .find(|method| method.as_str() == text)
    }

    /// Whether the server has to make a secret for it.
    pub const fn wants_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// A client's metadata, as far as it counts here. Members that no rule names are ignored (RFC 7591, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMetadata {
    /// What people read. A claim of the client's own.
    pub client_name: String,
    /// Where its answers may go; at least one.
    pub redirect_uris: Vec<RedirectUri>,
    /// How it proves itself.
    pub method: RegisteredMethod,
    /// Its public keys, as JSON, where it proves itself by one.
    pub jwks: Option<String>,
    /// A page about it.
    pub client_uri: Option<String>,
    /// Where people come back after they signed out.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where it wants to hear that a session ended.
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    /// Whether its tokens must be bound to a key (RFC 9449, section 5.2).
    #[serde(default)]
    pub dpop_bound_access_tokens: bool,
}

impl ClientMetadata {
    /// Reads the body of a registration request. Without `token_endpoint_auth_method` it is `client_secret_basic`
    /// (section 2): what a client asked for is never switched to something else.
    pub fn of_registration(body: &Json) -> Result<Self, OAuthError> {
        let members = body.as_object().ok_or_else(|| invalid("the body must be a JSON object"))?;
        Self::read(members, RegisteredMethod::ClientSecretBasic)
    }

    /// Reads a client ID metadata document that was fetched from `url`: it names that URL as its `client_id`, and
    /// holds no shared secret (draft-ietf-oauth-client-id-metadata-document, section 4.1).
    pub fn of_document(document: &Json, url: &str) -> Result<Self, OAuthError> {
        let members = document.as_object().ok_or_else(|| invalid("the document must be a JSON object"))?;
        if members.get("client_id").and_then(Json::as_str) != Some(url) {
            return Err(invalid("`client_id` in the document must be the URL that it was fetched from"));
        }
        if members.contains("client_secret") || members.contains("client_secret_expires_at") {
            return Err(invalid("the document must not hold a secret"));
        }
        if members.get("client_name").and_then(Json::as_str).is_none() {
            return Err(invalid("`client_name` is missing"));
        }
        let read = Self::read(members, RegisteredMethod::None)?;
        if read.method.wants_secret() {
            return Err(invalid("`token_endpoint_auth_method` must be `none` or `private_key_jwt`"));
        }
        Ok(read)
    }

    fn read(members: &Object, method: RegisteredMethod) -> Result<Self, OAuthError> {
        let method = match text(members, "token_endpoint_auth_method")? {
            None => method,
            Some(named) => RegisteredMethod::parse(named).ok_or_else(|| {
                invalid("`token_endpoint_auth_method` must be `none`, `private_key_jwt`, `client_secret_basic` or `client_secret_post`")
            })?,
        };
        let grants = texts(members, "grant_types")?;
        let known = |grant: &&str| matches!(*grant, "authorization_code" | "refresh_token" | DEVICE_GRANT);
        if !grants.is_empty() && !grants.iter().any(known) {
            return Err(invalid(
                "`grant_types` has none of `authorization_code`, `refresh_token` and the device grant",
            ));
        }
        let responses = texts(members, "response_types")?;
        if !responses.is_empty() && !responses.contains(&"code") {
            return Err(invalid("`response_types` must have `code`"));
        }
        let jwks = keys(members)?;
        if method == RegisteredMethod::PrivateKeyJwt && jwks.is_none() {
            return Err(invalid("`private_key_jwt` needs `jwks`; `jwks_uri` is not fetched"));
        }
        let redirect_uris = redirects(members, "redirect_uris")?;
        if redirect_uris.is_empty() {
            return Err(OAuthError::new(
                ErrorCode::InvalidRedirectUri,
                "`redirect_uris` must have at least one address",
            ));
        }
        let name = text(members, "client_name")?.map(str::trim).filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| redirect_uris.first().map_or("", RedirectUri::host));
        if name.len() > LINE_BYTES_MAX || name.chars().any(is_deceptive) {
            return Err(invalid(
                "`client_name` must be one line of at most 500 bytes without invisible characters",
            ));
        }
        Ok(Self {
            client_name: name.to_owned(),
            method,
            jwks,
            client_uri: page(members, "client_uri")?,
            post_logout_redirect_uris: redirects(members, "post_logout_redirect_uris")?,
            backchannel_logout_uri: logout(members)?,
            dpop_bound_access_tokens: members.get("dpop_bound_access_tokens") == Some(&Json::Bool(true)),
            redirect_uris,
        })
    }

    /// The keys by which it proves itself, where it has any.
    pub fn keys(&self) -> Option<Jwks> {
        Jwks::parse(&Json::parse(self.jwks.as_ref()?.as_bytes()).ok()?, KEYS_MAX).ok()
    }

    /// Whether the client may have its answer there.
    pub fn redirects_to(&self, asked: &RedirectUri) -> bool {
        self.redirect_uris.iter().any(|registered| asked.is(registered))
    }

    /// The metadata as registered (RFC 7591, section 3.2.1), without what is absent.
    pub fn to_object(&self) -> Object {
        let uris = |uris: &[RedirectUri]| Json::array(uris.iter().map(RedirectUri::as_str));
        let mut members = Object::new();
        members.insert("client_name", self.client_name.as_str());
        members.insert("redirect_uris", uris(&self.redirect_uris));
        members.insert("token_endpoint_auth_method", self.method.as_str());
        members.insert("grant_types", Json::array(["authorization_code", "refresh_token"]));
        members.insert("response_types", Json::array(["code"]));
        if let Some(jwks) = self.jwks.as_deref().and_then(|jwks| Json::parse(jwks.as_bytes()).ok()) {
            members.insert("jwks", jwks);
        }
        if let Some(uri) = &self.client_uri {
            members.insert("client_uri", uri.as_str());
        }
        if !self.post_logout_redirect_uris.is_empty() {
            members.insert("post_logout_redirect_uris", uris(&self.post_logout_redirect_uris));
        }
        if let Some(uri) = &self.backchannel_logout_uri {
            members.insert("backchannel_logout_uri", uri.as_str());
        }
        if self.dpop_bound_access_tokens {
            members.insert("dpop_bound_access_tokens", Json::Bool(true));
        }
        members
    }
}

/// The grant of devices without a browser (RFC 8628, section 3.4).
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn invalid(why: &str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClientMetadata, why)
}

/// Characters that let a name read like another one: controls, and those that turn or hide text.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn text<'a>(members: &'a Object, name: &str) -> Result<Option<&'a str>, OAuthError> {
    match members.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| invalid(&format!("`{name}` must be a text"))),
    }
}

fn texts<'a>(members: &'a Object, name: &str) -> Result<Vec<&'a str>, OAuthError> {
    let Some(value) = members.get(name) else { return Ok(Vec::new()) };
    let texts = value.as_array().and_then(|items| items.iter().map(Json::as_str).collect::<Option<Vec<_>>>());
    texts.ok_or_else(|| invalid(&format!("`{name}` must be an array of texts")))
}

fn redirects(members: &Object, name: &str) -> Result<Vec<RedirectUri>, OAuthError> {
    let refuse = |why: String| OAuthError::new(ErrorCode::InvalidRedirectUri, why);
    let uris = texts(members, name).map_err(|error| refuse(error.description))?;
    if uris.len() > REDIRECT_URIS_MAX {
        return Err(refuse(format!("`{name}` has more than {REDIRECT_URIS_MAX} addresses")));
    }
    let read = |uri: &str| RedirectUri::parse(uri).map_err(|error| refuse(error.description));
    uris.into_iter().map(read).collect()
}

fn page(members: &Object, name: &str) -> Result<Option<String>, OAuthError> {
    let Some(uri) = text(members, name)? else { return Ok(None) };
    let url = strict_url(uri).filter(|url| url.fragment().is_none());
    url.map(|_| Some(uri.to_owned())).ok_or_else(|| invalid(&format!("`{name}` is not an http or https URL")))
}

fn logout(members: &Object) -> Result<Option<String>, OAuthError> {
    let uri = text(members, "backchannel_logout_uri")?;
    uri.map(|uri| logout_uri(uri).map(|()| uri.to_owned())).transpose()
}

/// Whether a client can hear there that a session ended: over TLS alone, since nothing else is ever called.
pub fn logout_uri(uri: &str) -> Result<(), OAuthError> {
    let url = strict_url(uri).filter(|url| url.scheme() == "https" && url.fragment().is_none());
    url.map(drop).ok_or_else(|| invalid("`backchannel_logout_uri` is not an https URL without fragment"))
}

fn keys(members: &Object) -> Result<Option<String>, OAuthError> {
    let Some(jwks) = members.get("jwks").filter(|jwks| **jwks != Json::Null) else { return Ok(None) };
    Jwks::parse(jwks, KEYS_MAX).map_err(|error| invalid(&format!("`jwks`: {error}")))?;
    Ok(Some(jwks.to_text()))
}

#[cfg(test)]
mod tests {
    use super::{ClientMetadata, RegisteredMethod};
    use crate::{json::Json, oauth::ErrorCode};

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_sdks_register_is_read_and_echoed_without_nulls() {
        let body = json(
            r#"{"client_name":"Inspector","redirect_uris":["http://localhost:6274/oauth/callback"],"grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none","client_uri":"https://a.example/","scope":"x","logo_uri":"https://a.example/l.png"}"#,
        );
        let client = ClientMetadata::of_registration(&body).unwrap();
        assert_eq!((client.client_name.as_str(), client.method), ("Inspector", RegisteredMethod::None));
        assert!(client.redirects_to(&"http://localhost:1/oauth/callback".parse().unwrap()));
        let echoed = Json::Object(client.to_object()).to_text();
        assert!(
            !echoed.contains("null") && echoed.contains(r#""token_endpoint_auth_method":"none""#),
            "{echoed}"
        );
    }

    #[test]
    fn a_client_without_a_method_is_a_confidential_one_and_without_a_name_its_host() {
        let client =
            ClientMetadata::of_registration(&json(r#"{"redirect_uris":["https://a.example/cb"]}"#)).unwrap();
        assert_eq!(
            (client.client_name.as_str(), client.method),
            ("a.example", RegisteredMethod::ClientSecretBasic)
        );
    }

    #[test]
    fn each_mistake_in_a_registration_has_its_code() {
        for (body, code) in [
            ("[]", ErrorCode::InvalidClientMetadata),
            ("{}", ErrorCode::InvalidRedirectUri),
            (r#"{"redirect_uris":"https://a.example/"}"#, ErrorCode::InvalidRedirectUri),
            (r#"{"redirect_uris":["http://a.example/"]}"#, ErrorCode::InvalidRedirectUri),
            (r#"{"redirect_uris":["https://a.example/#x"]}"#, ErrorCode::InvalidRedirectUri),
            (
                r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"tls_client_auth"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"grant_types":["implicit"]}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"response_types":["token"]}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                r#"{"redirect_uris":["https://a.example/"],"backchannel_logout_uri":"http://a.example/out"}"#,
                ErrorCode::InvalidClientMetadata,
            ),
            (
                "{\"redirect_uris\":[\"https://a.example/\"],\"client_name\":\"pay\u{202e}lap\"}",
                ErrorCode::InvalidClientMetadata,
            ),
        ] {
            assert_eq!(ClientMetadata::of_registration(&json(body)).unwrap_err().code, code, "{body}");
        }
    }

    #[test]
    fn a_document_is_its_own_urls_and_holds_no_secret() {
        let url = "https://c.example/client.json";
        let document = |rest: &str| {
            json(&format!(r#"{{"client_id":"{url}","redirect_uris":["https://c.example/cb"]{rest}}}"#))
        };
        let read = ClientMetadata::of_document(&document(r#","client_name":"C""#), url).unwrap();
        assert_eq!(read.method, RegisteredMethod::None);
        for rest in [
            "",
            r#","client_name":"C","client_secret":"x""#,
            r#","client_name":"C","token_endpoint_auth_method":"client_secret_post""#,
        ] {
            assert!(ClientMetadata::of_document(&document(rest), url).is_err(), "{rest}");
        }
        assert!(
            ClientMetadata::of_document(&document(r#","client_name":"C""#), "https://c.example/other.json")
                .is_err()
        );
    }
}
