use super::{form, refused};
use crate::oauth::{ErrorCode, Exchange, Grant, ResourceUri, ScopeSet, TokenKind, TokenQuery, TokenRequest};

const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
const ACCESS: &str = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";

fn parse(body: &str) -> Result<TokenRequest, super::OAuthError> {
    TokenRequest::parse(&form(body))
}

#[test]
fn client_credentials_are_read() {
    let request =
        parse("grant_type=client_credentials&resource=https://gate/mcp/crm&scope=a+b+a&unknown=x").unwrap();
    assert_eq!(request.grant, Grant::ClientCredentials);
    assert_eq!(request.resource.unwrap().as_written(), "https://gate/mcp/crm");
    assert_eq!(request.scope.to_string(), "a b");
    assert_eq!(request.task, None);
}

#[test]
fn other_grants_are_unsupported() {
    assert_eq!(refused(parse("")).0, ErrorCode::InvalidRequest);
    for grant in ["password", "implicit", "CLIENT_CREDENTIALS", "client_credentials+"] {
        assert_eq!(
            refused(parse(&format!("grant_type={grant}"))).0,
            ErrorCode::UnsupportedGrantType,
            "{grant}"
        );
    }
}

#[test]
fn exchanges_are_read() {
    let request = parse(&format!(
        "{EXCHANGE}&subject_token=s&subject_token_type={ACCESS}&actor_token=a&actor_token_type={ACCESS}&audience=crm&requested_token_type={ACCESS}"
    ));
    let Grant::TokenExchange(Exchange { subject, actor, requested, audience }) = request.unwrap().grant
    else {
        panic!()
    };
    assert_eq!((subject.token.expose(), subject.kind), ("s", TokenKind::AccessToken));
    assert_eq!(actor.unwrap().token.expose(), "a");
    assert_eq!((requested, audience.as_deref()), (Some(TokenKind::AccessToken), Some("crm")));
    for body in [
        "subject_token=s".to_owned(),
        format!("subject_token_type={ACCESS}"),
        "subject_token=s&subject_token_type=access_token".to_owned(),
        format!("subject_token=s&subject_token_type={ACCESS}&actor_token=a"),
        format!("subject_token=s&subject_token_type={ACCESS}&actor_token_type={ACCESS}"),
        format!("subject_token=s&subject_token_type={ACCESS}&requested_token_type=x"),
    ] {
        assert_eq!(refused(parse(&format!("{EXCHANGE}&{body}"))).0, ErrorCode::InvalidRequest, "{body}");
    }
}

#[test]
fn resources_are_absolute_and_alike_with_or_without_the_bare_slash() {
    let uri = |text: &str| ResourceUri::parse(text).unwrap();
    assert_eq!(uri("https://h"), uri("https://h/"));
    assert_eq!(uri("https://H:443"), uri("https://h/"));
    assert_eq!(uri("https://h").as_written(), "https://h");
    assert_ne!(uri("https://h/mcp"), uri("https://h/mcp/"));
    assert_ne!(uri("https://h/mcp"), uri("http://h/mcp"));
    assert_ne!(uri("https://h/mcp"), uri("https://h/mcp?x"));
    for bad in [
        "crm",
        "/mcp/crm",
        "https://h#",
        "https://h/#x",
        "urn:x:y",
        "https://u@h/",
        "https://h\\@x",
        "https://",
    ] {
        assert_eq!(refused(ResourceUri::parse(bad)).0, ErrorCode::InvalidTarget, "{bad}");
    }
    assert_eq!(refused(parse("grant_type=client_credentials&resource=crm")).0, ErrorCode::InvalidTarget);
}

#[test]
fn scopes_are_words() {
    assert!(ScopeSet::parse("").unwrap().is_empty());
    let scopes = ScopeSet::parse("mcp:read  x").unwrap();
    assert!(scopes.contains("mcp:read") && scopes.contains("x") && !scopes.contains("mcp"));
    let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
    for bad in ["a\"b", "a\\b", "a\tb", "é", &many.join(" ")] {
        assert_eq!(refused(ScopeSet::parse(bad)).0, ErrorCode::InvalidScope, "{bad}");
    }
}

#[test]
fn queries_need_a_token() {
    let query = TokenQuery::parse(&form("token=t&token_type_hint=whatever")).unwrap();
    assert_eq!((query.token.expose(), query.hint.as_deref()), ("t", Some("whatever")));
    assert_eq!(refused(TokenQuery::parse(&form("token="))).0, ErrorCode::InvalidRequest);
}
