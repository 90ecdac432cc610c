use std::sync::Arc;

use base::{Secret, Timestamp};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{form, refused};
use crate::{
    jose::{Algorithm, Jwks, SigningKey, TokenRefusal},
    json::Json,
    oauth::{
        AssertionRules, ClientAuthentication, ClientSecret, ErrorCode, make_client_assertion,
        verify_client_assertion,
    },
};

const NOW: i64 = 1_800_000_000;
const TYPE: &str = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn of(authorization: &[&str], body: &str) -> Result<ClientAuthentication, super::OAuthError> {
    ClientAuthentication::of(authorization, &form(body))
}

fn pair(id: &str, secret: &str) -> ClientSecret {
    ClientSecret { client_id: id.into(), secret: Secret::new(secret.into()) }
}

fn readings(authorization: &str) -> Vec<ClientSecret> {
    match of(&[authorization], "").unwrap() {
        ClientAuthentication::Basic { readings } => readings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn basic_is_read_form_encoded_and_raw() {
    assert_eq!(readings(&basic("app:secret")), [pair("app", "secret")]);
    // What form-encoding clients make of `a+b/c=:d`, and what the others send.
    assert_eq!(
        readings(&basic("app:a%2Bb%2Fc%3D%3Ad")),
        [pair("app", "a+b/c=:d"), pair("app", "a%2Bb%2Fc%3D%3Ad")]
    );
    assert_eq!(readings(&basic("app:a+b/c=:d")), [pair("app", "a b/c=:d"), pair("app", "a+b/c=:d")]);
    // Decoding fails, only the raw reading is left.
    assert_eq!(readings(&basic("app:100%")), [pair("app", "100%")]);
    assert_eq!(readings(&basic("app:s").replace("Basic", "bASIC")), [pair("app", "s")]);
    for bad in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YXBwOnM",
        "Bearer abc",
        "DPoP abc",
        "",
        &basic("app"),
        &basic(":s"),
        &basic("app:"),
    ] {
        assert_eq!(refused(of(&[bad], "")).0, ErrorCode::InvalidClient, "{bad}");
    }
    let not_utf8 = format!("Basic {}", STANDARD.encode(b"app:\xff"));
    assert_eq!(refused(of(&[&not_utf8], "")).0, ErrorCode::InvalidClient);
}

#[test]
fn the_body_may_repeat_the_clients_name_but_not_change_it() {
    assert!(of(&[&basic("app:s")], "client_id=app").is_ok());
    assert_eq!(refused(of(&[&basic("app:s")], "client_id=other")).0, ErrorCode::InvalidRequest);
    // Only the reading that the body names is left.
    let Ok(ClientAuthentication::Basic { readings }) = of(&[&basic("a%2Bb:s")], "client_id=a%2Bb") else {
        panic!()
    };
    assert_eq!(readings, [pair("a+b", "s")]);
}

#[test]
fn one_way_only() {
    assert_eq!(of(&[], "client_id=a&client_secret=s").unwrap(), ClientAuthentication::Post(pair("a", "s")));
    let public = ClientAuthentication::Public { client_id: "a".into() };
    assert_eq!(of(&[], "client_id=a").unwrap(), public);
    assert_eq!(of(&[], "client_id=a&client_secret=").unwrap(), public);
    let header = basic("a:s");
    for (headers, body) in [
        (&[header.as_str()][..], "client_id=a&client_secret=s".to_owned()),
        (&[header.as_str()], format!("client_assertion=x&{TYPE}")),
        (&[], format!("client_id=a&client_secret=s&client_assertion=x&{TYPE}")),
        (&[header.as_str(), header.as_str()], String::new()),
        (&[], format!("client_id=a&{TYPE}")),
    ] {
        assert_eq!(refused(of(headers, &body)).0, ErrorCode::InvalidRequest, "{headers:?} {body}");
    }
    for body in ["", "client_secret=s", "grant_type=client_credentials"] {
        assert_eq!(refused(of(&[], body)).0, ErrorCode::InvalidClient, "{body}");
    }
}

#[test]
fn an_assertion_names_its_client() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let assertion =
        make_client_assertion(&key, "agt_1", "https://as", "j", Timestamp::from_seconds(NOW)).unwrap();
    for body in ["", "&client_id=agt_1"] {
        let found = of(&[], &format!("client_assertion={assertion}&{TYPE}{body}")).unwrap();
        assert_eq!(found.method(), "private_key_jwt");
        let ClientAuthentication::Assertion { client_id, .. } = found else { panic!() };
        assert_eq!(client_id, "agt_1");
    }
    let other = of(&[], &format!("client_assertion={assertion}&{TYPE}&client_id=agt_2"));
    assert_eq!(refused(other).0, ErrorCode::InvalidRequest);
    assert_eq!(refused(of(&[], &format!("client_assertion={assertion}"))).0, ErrorCode::InvalidRequest);
    let saml = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Asaml2-bearer";
    assert_eq!(
        refused(of(&[], &format!("client_assertion={assertion}&{saml}"))).0,
        ErrorCode::InvalidRequest
    );
    let nameless = key.sign("JWT", &Json::object([("iss", "a".into())])).unwrap();
    for bad in ["x", "a.b.c", nameless.as_str()] {
        assert_eq!(
            refused(of(&[], &format!("client_assertion={bad}&{TYPE}"))).0,
            ErrorCode::InvalidClient,
            "{bad}"
        );
    }
}

#[test]
fn assertions_are_verified() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let keys = Jwks::new([Arc::clone(key.public())]);
    let rules = AssertionRules {
        client_id: "agt_1",
        keys: &keys,
        audiences: &["https://as"],
        now: Timestamp::from_seconds(NOW),
        leeway_seconds: 10,
        lifetime_seconds_max: 300,
    };
    let make = |client: &str, audience: &str, jti: &str| {
        make_client_assertion(&key, client, audience, jti, Timestamp::from_seconds(NOW)).unwrap()
    };
    let passed = verify_client_assertion(&make("agt_1", "https://as", "j"), &rules).unwrap();
    assert_eq!((passed.kid.as_str(), passed.forget_after.seconds()), (key.kid(), NOW + 70));
    let again = verify_client_assertion(&make("agt_1", "https://as", "j2"), &rules).unwrap();
    assert_ne!(again.replay_id, passed.replay_id);

    let found = |token: &str| verify_client_assertion(token, &rules).unwrap_err();
    assert_eq!(found(&make("agt_2", "https://as", "j")), TokenRefusal::WrongIssuer);
    assert_eq!(found(&make("agt_1", "https://as/oauth2/token", "j")), TokenRefusal::WrongAudience);
    assert_eq!(found(&make("agt_1", "https://as", "")), TokenRefusal::MalformedClaim("jti"));
    let claims = |change: &dyn Fn(&mut crate::json::Object)| {
        let mut claims = Json::object([
            ("iss", "agt_1".into()),
            ("sub", "agt_1".into()),
            ("aud", "https://as".into()),
            ("jti", "j".into()),
            ("exp", (NOW + 60).into()),
        ]);
        change(claims.as_object_mut().unwrap());
        claims
    };
    let sign = |typ: &str, claims: &Json| key.sign(typ, claims).unwrap();
    assert!(verify_client_assertion(&sign("client-authentication+jwt", &claims(&|_| {})), &rules).is_ok());
    // An access token or a DPoP proof of the same client is no assertion.
    assert_eq!(found(&sign("at+jwt", &claims(&|_| {}))), TokenRefusal::WrongType);
    assert_eq!(found(&sign("dpop+jwt", &claims(&|_| {}))), TokenRefusal::WrongType);
    let other_subject = claims(&|claims| drop(claims.insert("sub", "agt_2")));
    assert_eq!(found(&sign("JWT", &other_subject)), TokenRefusal::MalformedClaim("sub"));
    let long = claims(&|claims| drop(claims.insert("exp", NOW + 301)));
    assert_eq!(found(&sign("JWT", &long)), TokenRefusal::LivesTooLong);
    let later = AssertionRules { now: passed.forget_after, ..rules };
    assert_eq!(
        verify_client_assertion(&make("agt_1", "https://as", "j"), &later),
        Err(TokenRefusal::Expired)
    );
}
