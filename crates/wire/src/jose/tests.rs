use std::sync::{Arc, LazyLock};

use base::Timestamp;
use jsonwebtoken as oracle;
use proptest::prelude::*;

use super::{
    Algorithm, Jwks, KeyRefusal, PublicJwk, SigningKey, TokenRefusal as Refusal, VerifyRules, base64url,
    base64url_decode, unverified_claim, verify,
};
use crate::json::{Json, JsonErrorKind};

const NOW: i64 = 1_800_000_000;

/// One key per algorithm, made once: RSA takes its time.
static KEYS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    Algorithm::ALL.iter().map(|&algorithm| SigningKey::generate(algorithm).unwrap()).collect()
});
static SET: LazyLock<Jwks> = LazyLock::new(|| Jwks::new(KEYS.iter().map(|key| Arc::clone(key.public()))));

fn rules() -> VerifyRules<'static> {
    VerifyRules {
        types: &[Some("at+jwt")],
        keys: &SET,
        issuer: Some("https://as"),
        audiences: &["https://gate/mcp/crm"],
        leeway_seconds: 30,
        now: Timestamp::from_seconds(NOW),
        lifetime_seconds_max: 3600,
        issued_at_required: true,
        require: &["sub", "jti"],
    }
}

fn good_claims() -> Json {
    Json::object([
        ("iss", "https://as".into()),
        ("sub", "per_1".into()),
        ("aud", "https://gate/mcp/crm".into()),
        ("iat", NOW.into()),
        ("exp", (NOW + 300).into()),
        ("jti", "j1".into()),
    ])
}

fn with(name: &str, value: impl Into<Json>) -> Json {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().insert(name, value);
    claims
}

fn without(name: &str) -> Json {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// A token with any header and payload text, truly signed by `key`.
fn forge(key: &SigningKey, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    format!("{input}.{}", base64url(key.sign_bytes(input.as_bytes()).unwrap()))
}

fn header_of(key: &SigningKey, extra: &str) -> String {
    format!(r#"{{"alg":"{}","typ":"at+jwt","kid":"{}"{extra}}}"#, key.algorithm(), key.kid())
}

fn refusal(token: &str) -> Refusal {
    verify(token, &rules()).expect_err(token)
}

#[test]
fn what_we_sign_verifies_here_and_elsewhere() {
    for key in KEYS.iter() {
        let token = key.sign("at+jwt", &good_claims()).unwrap();
        let verified = verify(&token, &rules()).unwrap();
        assert_eq!(Json::from(verified.claims), good_claims());
        assert_eq!((verified.kid.as_str(), verified.expires.seconds()), (key.kid(), NOW + 300));

        let jwk: oracle::jwk::Jwk = serde_json::from_str(&key.public().to_json().to_text()).unwrap();
        assert_eq!(jwk.thumbprint(oracle::jwk::ThumbprintHash::SHA256).unwrap(), key.kid());
        let (input, signature) = token.rsplit_once('.').unwrap();
        let decoding = oracle::DecodingKey::from_jwk(&jwk).unwrap();
        let algorithm = key.algorithm().as_str().parse().unwrap();
        assert!(oracle::crypto::verify(signature, input.as_bytes(), &decoding, algorithm).unwrap());
    }
}

#[test]
fn keys_survive_pkcs8_and_stay_with_their_algorithm() {
    for key in KEYS.iter() {
        let document = key.to_pkcs8().unwrap();
        for &algorithm in Algorithm::ALL {
            match SigningKey::from_pkcs8(algorithm, &document) {
                Ok(again) => assert_eq!((algorithm, again.kid()), (key.algorithm(), key.kid())),
                Err(_) => assert_ne!(algorithm, key.algorithm()),
            }
        }
        assert!(SigningKey::from_pkcs8(key.algorithm(), &document[1..]).is_err());
        assert!(!format!("{key:?}").contains(&hex::encode(&document[document.len() - 16..])));
    }
}

#[test]
fn no_algorithm_but_the_keys_own_is_accepted() {
    for key in KEYS.iter() {
        let payload = good_claims().to_text();
        for other in Algorithm::ALL.iter().filter(|&&other| other != key.algorithm()) {
            let header = format!(r#"{{"alg":"{other}","typ":"at+jwt","kid":"{}"}}"#, key.kid());
            for signer in KEYS.iter() {
                assert_eq!(refusal(&forge(signer, &header, &payload)), Refusal::AlgorithmNotOfKey);
            }
        }
        for name in [
            "none", "None", "NONE", "", "HS256", "HS384", "HS512", "es256", "ES256K", "PS256", "RS1", "RS512",
        ] {
            let header = format!(r#"{{"alg":"{name}","typ":"at+jwt","kid":"{}"}}"#, key.kid());
            assert_eq!(refusal(&forge(key, &header, &payload)), Refusal::UnsupportedAlgorithm, "{name}");
            let unsigned = format!("{}.{}.", base64url(&header), base64url(&payload));
            assert_eq!(refusal(&unsigned), Refusal::UnsupportedAlgorithm, "{name}");
        }
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    for key in KEYS.iter() {
        let jwk = key.public().to_json().to_text();
        let secrets =
            [jwk.as_bytes().to_vec(), key.public().required_members().canonical(), key.kid().into()];
        for secret in secrets {
            let secret = oracle::EncodingKey::from_secret(&secret);
            for alg in ["HS256", key.algorithm().as_str()] {
                let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{}"}}"#, key.kid());
                let input = format!("{}.{}", base64url(header), base64url(good_claims().to_text()));
                let mac = oracle::crypto::sign(input.as_bytes(), &secret, oracle::Algorithm::HS256).unwrap();
                let found = refusal(&format!("{input}.{mac}"));
                assert!(matches!(found, Refusal::UnsupportedAlgorithm | Refusal::BadSignature), "{found}");
            }
        }
    }
}

#[test]
fn signatures_that_do_not_fit_are_refused() {
    for key in KEYS.iter() {
        let token = key.sign("at+jwt", &good_claims()).unwrap();
        let (input, signature) = token.rsplit_once('.').unwrap();
        let bytes = base64url_decode(signature).unwrap();
        let zeros = vec![0; bytes.len()];
        let longer = [bytes.as_slice(), &[0]].concat();
        let der = [&[0x30, 0x44, 2, 32], &bytes[..32], &[2, 32], &bytes[32..64]].concat();
        for bad in
            [&[][..], &zeros, &longer, &bytes[1..], &bytes[..bytes.len() - 1], &der, &vec![255; bytes.len()]]
        {
            assert_eq!(refusal(&format!("{input}.{}", base64url(bad))), Refusal::BadSignature);
        }
        for other in KEYS.iter().filter(|other| other.kid() != key.kid()) {
            let stolen_name = forge(other, &header_of(key, ""), &good_claims().to_text());
            assert_eq!(refusal(&stolen_name), Refusal::BadSignature);
        }
    }
}

#[test]
fn the_form_is_strict() {
    let key = &KEYS[0];
    let token = key.sign("at+jwt", &good_claims()).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    for bad in [
        "",
        ".",
        "..",
        &token[..token.len() / 2],
        &format!("{header}.{claims}"),
        &format!("{token}."),
        &format!("{token}.x.y"),
    ] {
        let found = refusal(bad);
        assert!(
            matches!(found, Refusal::NotThreeParts | Refusal::HeaderJson(_) | Refusal::BadSignature),
            "{bad} {found}"
        );
    }
    for bad in [
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}=="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")) + "+",
    ] {
        assert_eq!(refusal(&bad), Refusal::NotBase64Url, "{bad}");
    }
    let padded = format!("{header}.{}=", base64url(good_claims().to_text()));
    let signed = format!("{padded}.{}", base64url(key.sign_bytes(padded.as_bytes()).unwrap()));
    assert_eq!(refusal(&signed), Refusal::NotBase64Url);
    assert_eq!(refusal(&format!("{token}{}", "A".repeat(20_000))), Refusal::TooLarge);
    // 64 bytes of signature are 86 characters, the last of which has four unused bits.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    assert_eq!(refusal(&format!("{header}.{claims}.{}{next}", &signature[..85])), Refusal::NotBase64Url);
}

#[test]
fn headers_say_nothing_they_should_not() {
    let key = &KEYS[0];
    let payload = good_claims().to_text();
    let found = |header: &str| refusal(&forge(key, header, &payload));
    for extra in [r#","crit":["exp"]"#, r#","crit":[]"#, r#","crit":null"#, r#","b64":false,"crit":["b64"]"#]
    {
        assert_eq!(found(&header_of(key, extra)), Refusal::Critical, "{extra}");
    }
    let jwk = key.public().to_json().to_text();
    for (name, value) in
        [("jwk", jwk.as_str()), ("jku", "\"https://evil\""), ("x5u", "\"https://evil\""), ("x5c", "[]")]
    {
        assert_eq!(found(&header_of(key, &format!(r#","{name}":{value}"#))), Refusal::KeyInHeader(name));
    }
    for typ in [r#""JWT""#, r#""AT+JWT""#, r#""application/at+jwt""#, r#""id_token""#, r#""at+jwt ""#] {
        let header = format!(r#"{{"alg":"ES256","typ":{typ},"kid":"{}"}}"#, key.kid());
        assert_eq!(found(&header), Refusal::WrongType, "{typ}");
    }
    assert_eq!(found(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, key.kid())), Refusal::WrongType);
    assert_eq!(found(r#"{"alg":"ES256","typ":"at+jwt","kid":"other"}"#), Refusal::UnknownKey);
    assert_eq!(found(r#"{"alg":"ES256","typ":"at+jwt","kid":1}"#), Refusal::WrongShape);
    assert_eq!(found(r#"{"typ":"at+jwt"}"#), Refusal::UnsupportedAlgorithm);
    assert_eq!(found(r#"{"alg":["ES256"],"typ":"at+jwt"}"#), Refusal::WrongShape);
    assert_eq!(found("[]"), Refusal::WrongShape);
    for duplicate in [r#","alg":"none""#, r#","\u0061lg":"none""#, r#","kid":"x""#] {
        assert_eq!(found(&header_of(key, duplicate)), Refusal::HeaderJson(JsonErrorKind::DuplicateMember));
    }
    // Without `kid` the only key of the algorithm is meant.
    assert!(verify(&forge(key, r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload), &rules()).is_ok());
    let second = SigningKey::generate(Algorithm::Es256).unwrap();
    let two = Jwks::new([Arc::clone(key.public()), Arc::clone(second.public())]);
    let token = forge(key, r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload);
    assert_eq!(verify(&token, &VerifyRules { keys: &two, ..rules() }), Err(Refusal::AmbiguousKey));
    assert_eq!(verify(&token, &VerifyRules { keys: &Jwks::default(), ..rules() }), Err(Refusal::UnknownKey));
    assert!(verify(&token, &VerifyRules { types: &[None, Some("at+jwt")], ..rules() }).is_ok());
}

#[test]
fn claims_are_strict() {
    let key = &KEYS[2];
    let found = |claims: &Json| refusal(&key.sign("at+jwt", claims).unwrap());
    for name in ["exp", "iat", "iss", "aud", "sub", "jti"] {
        assert_eq!(found(&without(name)), Refusal::MissingClaim(name));
        let null = found(&with(name, Json::Null));
        assert!(
            null == Refusal::MalformedClaim(name) || (name == "iss" && null == Refusal::WrongIssuer),
            "{name}"
        );
    }
    for name in ["exp", "iat", "nbf"] {
        for bad in [
            "0",
            "-1",
            "\"1800000300\"",
            "1800000000.5",
            "1e30",
            "99999999999999999999",
            "253402300800",
            "true",
            "[]",
        ] {
            let bad = Json::parse(bad.as_bytes()).unwrap();
            assert_eq!(found(&with(name, bad.clone())), Refusal::MalformedClaim(name), "{name} {bad}");
        }
    }
    for bad in ["", "https://as/", "https://AS", "https://evil"] {
        assert_eq!(found(&with("iss", bad)), Refusal::WrongIssuer);
    }
    let gate = "https://gate/mcp/crm";
    for bad in ["", "https://gate/mcp/crm/", "https://gate/mcp/CRM", "https://gate/mcp"] {
        assert_eq!(found(&with("aud", bad)), Refusal::WrongAudience, "{bad}");
    }
    assert_eq!(found(&with("aud", Json::array([gate, gate]))), Refusal::WrongAudience);
    assert_eq!(found(&with("aud", Json::array([gate, "https://other"]))), Refusal::WrongAudience);
    assert_eq!(found(&with("aud", Json::Array(vec![]))), Refusal::MalformedClaim("aud"));
    assert!(verify(&key.sign("at+jwt", &with("aud", Json::array([gate]))).unwrap(), &rules()).is_ok());
    for bad in [Json::from(""), Json::from(1), Json::Bool(true)] {
        assert_eq!(found(&with("sub", bad)), Refusal::MalformedClaim("sub"));
    }
    let text = good_claims().to_text();
    let duplicate = format!(r#"{},"sub":"per_2"}}"#, &text[..text.len() - 1]);
    let token = forge(key, &header_of(key, ""), &duplicate);
    assert_eq!(refusal(&token), Refusal::ClaimsJson(JsonErrorKind::DuplicateMember));
    assert_eq!(refusal(&forge(key, &header_of(key, ""), "[]")), Refusal::WrongShape);
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(60), "]".repeat(60));
    assert_eq!(refusal(&forge(key, &header_of(key, ""), &deep)), Refusal::ClaimsJson(JsonErrorKind::TooDeep));
}

#[test]
fn times_hold_to_the_second() {
    let key = &KEYS[2];
    let check = |claims: &Json, now: i64| {
        let rules = VerifyRules { now: Timestamp::from_seconds(now), ..rules() };
        verify(&key.sign("at+jwt", claims).unwrap(), &rules).map(|_| ())
    };
    let good = good_claims();
    assert_eq!(check(&good, NOW + 300 + 29), Ok(()));
    assert_eq!(check(&good, NOW + 300 + 30), Err(Refusal::Expired));
    assert_eq!(check(&good, NOW - 30), Ok(()));
    assert_eq!(check(&good, NOW - 31), Err(Refusal::IssuedInFuture));
    assert_eq!(check(&with("nbf", NOW + 30), NOW), Ok(()));
    assert_eq!(check(&with("nbf", NOW + 31), NOW), Err(Refusal::NotYetValid));
    assert_eq!(check(&with("exp", NOW + 3600), NOW), Ok(()));
    assert_eq!(check(&with("exp", NOW + 3601), NOW), Err(Refusal::LivesTooLong));
    assert_eq!(check(&with("exp", NOW), NOW), Err(Refusal::MalformedClaim("exp")));
    assert_eq!(check(&with("exp", 253_402_300_799_i64), NOW), Err(Refusal::LivesTooLong));

    let optional = VerifyRules { issued_at_required: false, ..rules() };
    let token = |claims: &Json| key.sign("at+jwt", claims).unwrap();
    assert!(verify(&token(&without("iat")), &optional).is_ok());
    let mut long = without("iat");
    long.as_object_mut().unwrap().insert("exp", NOW + 3601);
    assert_eq!(verify(&token(&long), &optional), Err(Refusal::LivesTooLong));
    assert_eq!(verify(&token(&with("iat", NOW + 31)), &optional), Err(Refusal::IssuedInFuture));
}

#[test]
fn an_unverified_claim_is_only_looked_up() {
    let token = KEYS[0].sign("JWT", &good_claims()).unwrap();
    assert_eq!(unverified_claim(&token, "sub").unwrap().as_deref(), Some("per_1"));
    assert_eq!(unverified_claim(&token, "exp").unwrap(), None);
    assert!(unverified_claim("a.b", "sub").is_err());
}

fn parse(jwk: &str) -> Result<PublicJwk, KeyRefusal> {
    PublicJwk::parse(&Json::parse(jwk.as_bytes()).unwrap())
}

#[test]
fn thumbprints_are_those_of_the_standards() {
    // RFC 7638, section 3.1.
    let rsa = parse(r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#).unwrap();
    assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(rsa.kid(), "2011-04-29");
    // RFC 8037, appendix A.3.
    let ed =
        parse(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#).unwrap();
    assert_eq!(ed.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn key_sets_are_strict() {
    for key in KEYS.iter() {
        let good = key.public().to_json();
        assert_eq!(&PublicJwk::parse(&good).unwrap(), key.public().as_ref());
        let change = |name: &str, value: Json| {
            let mut jwk = good.clone();
            jwk.as_object_mut().unwrap().insert(name, value);
            PublicJwk::parse(&jwk)
        };
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert_eq!(change(name, "AA".into()), Err(KeyRefusal::Private(name)));
        }
        assert_eq!(change("use", "enc".into()), Err(KeyRefusal::Purpose));
        assert_eq!(change("key_ops", Json::array(["sign"])), Err(KeyRefusal::Purpose));
        assert!(change("key_ops", Json::array(["verify"])).is_ok());
        assert_eq!(change("alg", "PS256".into()), Err(KeyRefusal::Algorithm));
        assert_eq!(change("kid", "".into()), Err(KeyRefusal::Kid));
        assert_eq!(change("kid", 1.into()), Err(KeyRefusal::Shape));
        assert_eq!(change("kid", "k".repeat(257).into()), Err(KeyRefusal::Kid));
        for name in ["x", "y", "n", "e"].into_iter().filter(|name| good.get(name).is_some()) {
            let text = good.get(name).unwrap().as_str().unwrap();
            assert!(change(name, format!("{text}=").into()).is_err());
            assert!(change(name, "".into()).is_err());
            assert!(
                change(name, base64url([&[0], base64url_decode(text).unwrap().as_slice()].concat()).into())
                    .is_err()
            );
        }
    }
    for (jwk, refusal) in [
        (r#"{"kty":"oct","k":"AAAA"}"#, KeyRefusal::Private("k")),
        (r#"{"kty":"oct"}"#, KeyRefusal::Private("k")),
        (r#"{"kty":"EC","crv":"P-521","x":"AA","y":"AA"}"#, KeyRefusal::Type),
        (r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#, KeyRefusal::Type),
        (r#"{"crv":"P-256"}"#, KeyRefusal::Type),
        ("[]", KeyRefusal::Shape),
    ] {
        assert_eq!(parse(jwk), Err(refusal), "{jwk}");
    }
    // On no curve: (1, 1).
    let one = base64url([&[0; 31][..], &[1]].concat());
    assert_eq!(
        parse(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{one}","y":"{one}"}}"#)),
        Err(KeyRefusal::Invalid)
    );
    let modulus = |bytes: usize| base64url([&[0x80], vec![0; bytes - 2].as_slice(), &[1]].concat());
    for (n, e) in [
        (modulus(255), "AQAB"),
        (modulus(1025), "AQAB"),
        (modulus(256), "Aw"),
        (modulus(256), "AQAA"),
        (modulus(256), "AQAAAAE"),
    ] {
        assert_eq!(parse(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)), Err(KeyRefusal::Size), "{e}");
    }

    assert_eq!(Jwks::parse(&SET.to_json(), 3).unwrap(), *SET);
    assert_eq!(Jwks::parse(&SET.to_json(), 2), Err(KeyRefusal::Count(2)));
    let one = KEYS[0].public().to_json();
    let twice = Json::object([("keys", Json::Array(vec![one.clone(), one]))]);
    assert_eq!(Jwks::parse(&twice, 8), Err(KeyRefusal::DuplicateKid));
    for bad in ["{}", "[]", r#"{"keys":{}}"#, r#"{"keys":[]}"#] {
        assert_eq!(Jwks::parse(&Json::parse(bad.as_bytes()).unwrap(), 8), Err(KeyRefusal::Set), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_character_is_found(place in any::<prop::sample::Index>(), which in 0_usize..3, letter in "[A-Za-z0-9_-]") {
        let key = &KEYS[which];
        let token = key.sign("at+jwt", &good_claims()).unwrap();
        let at = place.index(token.len());
        prop_assume!(token.as_bytes()[at] != b'.' && token[at..=at] != letter);
        let mut changed = token;
        changed.replace_range(at..=at, &letter);
        prop_assert!(verify(&changed, &rules()).is_err());
    }

    #[test]
    fn any_text_is_refused_quietly(text in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(verify(&text, &rules()).is_err());
    }
}
