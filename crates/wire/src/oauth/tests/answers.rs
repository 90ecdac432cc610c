//! What is sent: each rule of the interoperability trap matrix that concerns a message is a test here.

use base::{AnyId, Position, Secret, Timestamp};

use super::refused;
use crate::{
    jose::TokenRefusal,
    json::Json,
    oauth::{
        AccessClaims, Challenge, DpopChallenge, ErrorCode, Introspection, Issuer, OAuthError,
        ResourceMetadata, ResourceUri, ServerMetadata, TokenKind, TokenResponse, TokenType,
        protected_resource_path, server_metadata_paths,
    },
};

fn has_null(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(members) => members.iter().any(|(_, value)| has_null(value)),
        _ => false,
    }
}

fn claims() -> AccessClaims {
    AccessClaims {
        issuer: "https://as".into(),
        subject: "per_00000000000000000000000001".parse().unwrap(),
        audience: "https://gate/mcp/crm".into(),
        client_id: "agt_00000000000000000000000002".into(),
        id: "tok_00000000000000000000000003".parse().unwrap(),
        issued: Timestamp::from_seconds(1_800_000_000),
        expires: Timestamp::from_seconds(1_800_000_300),
        task: Some("tsk_00000000000000000000000004".parse().unwrap()),
        actors: ["agt_00000000000000000000000002", "agt_00000000000000000000000005"]
            .map(|id| id.parse::<AnyId>().unwrap())
            .to_vec(),
        thumbprint: Some("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".into()),
        scope: Some("a b".into()),
        delegation: None,
        signed_in: None,
        credential: Some("crd_00000000000000000000000006".parse().unwrap()),
        generation: 1,
        position: Position(42),
    }
}

fn bare() -> AccessClaims {
    AccessClaims { task: None, actors: vec![], thumbprint: None, scope: None, credential: None, ..claims() }
}

#[test]
fn token_responses_leave_out_what_is_not_there() {
    let response = TokenResponse {
        access_token: Secret::new("t".into()),
        token_type: TokenType::Bearer,
        expires_in: 300,
        scope: None,
        issued_token_type: None,
        id_token: None,
        refresh_token: None,
        authorization_details: None,
    };
    assert_eq!(
        response.to_json().to_text(),
        r#"{"access_token":"t","token_type":"Bearer","expires_in":300}"#
    );
    let full = TokenResponse {
        token_type: TokenType::Dpop,
        scope: Some("a".into()),
        issued_token_type: Some(TokenKind::AccessToken),
        refresh_token: Some(Secret::new("r".into())),
        authorization_details: Some(Json::array([Json::object([("type", "writ_task".into())])])),
        ..response
    };
    assert_eq!(
        full.to_json().to_text(),
        r#"{"access_token":"t","token_type":"DPoP","expires_in":300,"scope":"a","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","refresh_token":"r","authorization_details":[{"type":"writ_task"}]}"#
    );
    assert!(!format!("{full:?}").contains("\"t\""));
}

#[test]
fn errors_stay_within_their_characters() {
    let error = OAuthError::new(ErrorCode::InvalidGrant, "no `x\"y\\z` \u{1}\u{e9}\r\nSet-Cookie: a");
    assert_eq!(
        error.to_json().to_text(),
        r#"{"error":"invalid_grant","error_description":"no `x'y/z` ????Set-Cookie: a"}"#
    );
    let long = OAuthError::new(ErrorCode::InvalidGrant, "x".repeat(10_000)).to_json();
    assert!(long.to_text().len() < 600);
    for &code in ErrorCode::ALL {
        assert!(
            code.status() >= 400
                && code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        );
    }
}

#[test]
fn access_claims_round_trip_and_are_read_strictly() {
    for claims in [claims(), bare()] {
        let json = claims.to_json();
        assert!(!has_null(&json));
        assert_eq!(AccessClaims::read(json.as_object().unwrap()), Ok(claims));
    }
    let json = claims().to_json();
    assert_eq!(
        json.get("act").unwrap().to_text(),
        r#"{"sub":"agt_00000000000000000000000002","act":{"sub":"agt_00000000000000000000000005"}}"#
    );
    let change = |name: &str, value: &str| {
        let mut json = json.clone().into_object().unwrap();
        json.insert(name, Json::parse(value.as_bytes()).unwrap());
        AccessClaims::read(&json)
    };
    for (name, bad) in [
        ("sub", r#""maya""#),
        ("jti", r#""per_00000000000000000000000001""#),
        ("task", "null"),
        ("task", r#""agt_00000000000000000000000002""#),
        ("cnf", "null"),
        ("cnf", "{}"),
        ("cnf", r#"{"jkt":""}"#),
        ("cnf", r#"{"x5t#S256":"a"}"#),
        ("cnf", r#"{"jkt":"a","x5t#S256":"a"}"#),
        ("act", "null"),
        ("act", "{}"),
        ("act", r#"{"sub":"maya"}"#),
        ("act", r#"{"sub":"agt_00000000000000000000000002","iss":"x"}"#),
        ("act", r#"{"sub":"agt_00000000000000000000000002","act":[]}"#),
        ("pos", "-1"),
        ("pos", "1.5"),
        ("gen", r#""1""#),
        ("scope", "[]"),
    ] {
        let claim = json.as_object().unwrap().names().find(|known| *known == name).unwrap();
        assert!(
            matches!(change(name, bad), Err(TokenRefusal::MalformedClaim(found)) if found == claim),
            "{name} {bad}"
        );
    }
    let deep = (0..9).fold(r#"{"sub":"agt_00000000000000000000000002"}"#.to_owned(), |inner, _| {
        format!(r#"{{"sub":"agt_00000000000000000000000002","act":{inner}}}"#)
    });
    assert_eq!(change("act", &deep), Err(TokenRefusal::MalformedClaim("act")));
}

#[test]
fn introspection_says_all_or_nothing() {
    assert_eq!(Introspection::Inactive.to_json().to_text(), r#"{"active":false}"#);
    let details = Json::array([Json::object([("type", "writ_task".into())])]);
    let active = |claims, authorization_details| {
        Introspection::Active { claims: Box::new(claims), authorization_details }.to_json()
    };
    let json = active(claims(), Some(details));
    for name in
        ["act", "cnf", "authorization_details", "iss", "aud", "exp", "client_id", "scope", "task", "sub"]
    {
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!((json.get("active"), json.get("token_type")), (Some(&true.into()), Some(&"DPoP".into())));
    let json = active(bare(), None);
    assert!(!has_null(&json) && json.get("token_type") == Some(&"Bearer".into()));
}

#[test]
fn the_issuer_is_one_string() {
    for good in ["https://as", "http://127.0.0.1:8420", "https://as/idp", "http://[::1]:8420"] {
        assert_eq!(Issuer::parse(good).unwrap().as_str(), good);
    }
    for bad in [
        "https://as/",
        "https://as/idp/",
        "https://AS",
        "https://as:443",
        "https://as?x",
        "https://as#",
        "as",
        "",
        "https://as/a/../b",
    ] {
        assert_eq!(refused(Issuer::parse(bad)).0, ErrorCode::InvalidRequest, "{bad}");
    }
    let issuer = Issuer::parse("https://as/idp").unwrap();
    assert_eq!(
        server_metadata_paths(&issuer),
        [
            "/.well-known/oauth-authorization-server/idp",
            "/.well-known/openid-configuration/idp",
            "/idp/.well-known/oauth-authorization-server",
            "/idp/.well-known/openid-configuration",
        ]
    );
    let root = Issuer::parse("https://as").unwrap();
    assert_eq!(
        server_metadata_paths(&root),
        ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]
    );
    assert_eq!(protected_resource_path("/mcp/crm"), "/.well-known/oauth-protected-resource/mcp/crm");
    assert_eq!(protected_resource_path("/"), "/.well-known/oauth-protected-resource");
}

#[test]
fn metadata_holds_what_clients_need_and_no_null() {
    let issuer = Issuer::parse("https://as").unwrap();
    let json = ServerMetadata::new(&issuer, "/oauth2/token", "/oauth2/jwks").to_json().unwrap();
    assert!(!has_null(&json));
    assert_eq!(json.get("issuer"), Some(&"https://as".into()));
    assert_eq!(json.get("token_endpoint"), Some(&"https://as/oauth2/token".into()));
    for always in [
        "jwks_uri",
        "response_types_supported",
        "code_challenge_methods_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
        "dpop_signing_alg_values_supported",
    ] {
        assert!(json.get(always).is_some(), "{always}");
    }
    for unless_served in [
        "authorization_endpoint",
        "registration_endpoint",
        "userinfo_endpoint",
        "scopes_supported",
        "authorization_response_iss_parameter_supported",
        "client_id_metadata_document_supported",
    ] {
        assert!(json.get(unless_served).is_none(), "{unless_served}");
    }
    assert!(
        json.get("id_token_signing_alg_values_supported")
            .unwrap()
            .as_array()
            .unwrap()
            .contains(&"RS256".into())
    );

    let resource = ResourceUri::parse("https://gate/mcp/crm").unwrap();
    let scopes = ["mcp", "offline_access"].map(str::to_owned);
    let json = ResourceMetadata::new(&resource, &issuer, scopes).to_json().unwrap();
    assert!(!has_null(&json));
    assert_eq!(json.get("resource"), Some(&"https://gate/mcp/crm".into()));
    assert_eq!(json.get("authorization_servers").unwrap().to_text(), r#"["https://as"]"#);
    assert_eq!(json.get("scopes_supported").unwrap().to_text(), r#"["mcp"]"#);
    assert_eq!(json.get("bearer_methods_supported").unwrap().to_text(), r#"["header"]"#);
}

/// How the MCP SDKs read a challenge: the lines joined, then the first match of an unanchored pattern.
fn sdk_reads(lines: &[String], name: &str) -> Option<String> {
    let joined = lines.join(", ");
    let rest = joined.split_once(&format!("{name}="))?.1;
    let (value, end) = match rest.strip_prefix('"') {
        Some(quoted) => (quoted, quoted.find('"')?),
        None => (rest, rest.find([' ', ',']).unwrap_or(rest.len())),
    };
    Some(value[..end].to_owned())
}

#[test]
fn challenges_are_read_right_by_careless_clients() {
    let challenge = Challenge {
        resource_metadata: Some("https://gate/.well-known/oauth-protected-resource/mcp/crm"),
        scope: &["mcp:read", "offline_access", "mcp:admin"],
        error: Some(ErrorCode::InsufficientScope),
        description: Some("needs scope=\"evil\", error=none; resource_metadata=https://evil\r\nX: y"),
        dpop: Some(DpopChallenge::Refused(ErrorCode::InvalidDpopProof)),
        ..Challenge::default()
    };
    let lines = challenge.lines();
    assert_eq!(
        lines,
        [
            r#"Bearer resource_metadata="https://gate/.well-known/oauth-protected-resource/mcp/crm", scope="mcp:read mcp:admin", error="insufficient_scope", error_description="needs scope 'evil', error none; resource_metadata https://evil??X: y""#,
            r#"DPoP algs="ES256 RS256 EdDSA", error="invalid_dpop_proof""#,
        ]
    );
    assert_eq!(sdk_reads(&lines, "scope").as_deref(), Some("mcp:read mcp:admin"));
    assert_eq!(sdk_reads(&lines, "error").as_deref(), Some("insufficient_scope"));
    assert_eq!(
        sdk_reads(&lines, "resource_metadata").as_deref(),
        Some("https://gate/.well-known/oauth-protected-resource/mcp/crm")
    );
    assert!(lines.iter().all(|line| line.bytes().all(|byte| (b' '..=b'~').contains(&byte))));
}

#[test]
fn a_first_challenge_names_no_error() {
    let first = Challenge {
        resource_metadata: Some("https://gate/prm"),
        dpop: Some(DpopChallenge::Offered),
        ..Challenge::default()
    };
    assert_eq!(
        first.lines(),
        [r#"Bearer resource_metadata="https://gate/prm""#, r#"DPoP algs="ES256 RS256 EdDSA""#]
    );
    assert_eq!(Challenge::default().lines(), [r#"Bearer realm="writ""#]);
    let step_up = Challenge {
        error: Some(ErrorCode::InsufficientUserAuthentication),
        acr_values: &["phr"],
        max_age: Some(300),
        description: Some("sign in again"),
        ..Challenge::default()
    };
    assert_eq!(
        step_up.lines(),
        [
            r#"Bearer error="insufficient_user_authentication", acr_values="phr", max_age=300, error_description="sign in again""#
        ]
    );
}
