use std::sync::LazyLock;

use base::Timestamp;
use proptest::prelude::*;

use super::{Proof, ProofRefusal as Refusal, ProofRules, TargetUri, make_proof, verify_proof};
use crate::{
    jose::{Algorithm, KeyRefusal, SigningKey, TokenRefusal, base64url},
    json::Json,
};

const NOW: i64 = 1_800_000_000;
const TOKEN: &str = "header.claims.signature";

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(Algorithm::Es256).unwrap());
static TARGET: LazyLock<TargetUri> = LazyLock::new(|| uri("https://gate.example/mcp/crm"));

fn uri(text: &str) -> TargetUri {
    TargetUri::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn rules() -> ProofRules<'static> {
    ProofRules {
        method: "POST",
        target: &TARGET,
        access_token: Some(TOKEN),
        thumbprint: Some(KEY.kid()),
        now: Timestamp::from_seconds(NOW),
        age_seconds_max: 60,
        leeway_seconds: 5,
    }
}

fn proof_at(seconds: i64) -> String {
    make_proof(&KEY, "POST", &TARGET, Some(TOKEN), "jti-1", None, Timestamp::from_seconds(seconds)).unwrap()
}

fn refusal(proof: &str) -> Refusal {
    verify_proof(proof, &rules()).expect_err(proof)
}

/// A proof whose header and claims are changed, truly signed.
fn changed(change: impl Fn(&mut Json, &mut Json)) -> String {
    let mut header = Json::object([
        ("typ", "dpop+jwt".into()),
        ("alg", "ES256".into()),
        ("jwk", KEY.public().required_members().clone()),
    ]);
    let mut claims = Json::object([
        ("jti", "j".into()),
        ("htm", "POST".into()),
        ("htu", TARGET.as_str().into()),
        ("iat", NOW.into()),
        ("ath", super::token_hash(TOKEN).into()),
    ]);
    change(&mut header, &mut claims);
    KEY.sign_with(&header, &claims).unwrap()
}

fn set(json: &mut Json, name: &str, value: impl Into<Json>) {
    json.as_object_mut().unwrap().insert(name, value);
}

#[test]
fn each_algorithm_makes_proofs_that_verify() {
    for &algorithm in Algorithm::ALL {
        let key = SigningKey::generate(algorithm).unwrap();
        let proof = make_proof(&key, "GET", &TARGET, None, "x", None, Timestamp::from_seconds(NOW)).unwrap();
        let rules = ProofRules { method: "GET", access_token: None, thumbprint: None, ..rules() };
        let Proof { issued, forget_after, .. } = verify_proof(&proof, &rules).unwrap();
        assert_eq!((issued.seconds(), forget_after.seconds()), (NOW, NOW + 61));
        assert_eq!(verify_proof(&proof, &rules).unwrap().thumbprint(), key.kid());
    }
}

#[test]
fn the_hash_is_that_of_the_standard() {
    // RFC 9449, section 7.1.
    let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
    assert_eq!(super::token_hash(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
}

#[test]
fn times_hold_to_the_second_and_replay_ids_last_as_long() {
    for (made, expected) in [
        (NOW - 60, None),
        (NOW - 61, Some(Refusal::TooOld)),
        (NOW + 5, None),
        (NOW + 6, Some(Refusal::FromFuture)),
    ] {
        assert_eq!(verify_proof(&proof_at(made), &rules()).err(), expected, "{}", made - NOW);
    }
    let proof = proof_at(NOW + 5);
    let forget_after = verify_proof(&proof, &rules()).unwrap().forget_after;
    let later = |now| verify_proof(&proof, &ProofRules { now, ..rules() });
    assert!(later(forget_after.plus_millis(-1)).is_ok());
    assert_eq!(later(forget_after), Err(Refusal::TooOld));
}

#[test]
fn a_proof_is_for_one_request_one_token_and_one_key() {
    let proof = proof_at(NOW);
    let other = uri("https://gate.example/mcp/mail");
    let with = |rules: ProofRules<'_>| verify_proof(&proof, &rules).map(|_| ());
    assert_eq!(with(ProofRules { method: "GET", ..rules() }), Err(Refusal::WrongMethod));
    assert_eq!(with(ProofRules { method: "post", ..rules() }), Err(Refusal::WrongMethod));
    assert_eq!(with(ProofRules { target: &other, ..rules() }), Err(Refusal::WrongTarget));
    assert_eq!(with(ProofRules { access_token: Some("other"), ..rules() }), Err(Refusal::WrongAccessToken));
    assert_eq!(with(ProofRules { thumbprint: Some("other"), ..rules() }), Err(Refusal::WrongKey));
    let without_token =
        make_proof(&KEY, "POST", &TARGET, None, "j", None, Timestamp::from_seconds(NOW)).unwrap();
    assert_eq!(refusal(&without_token), Refusal::WrongAccessToken);
}

#[test]
fn the_proof_itself_is_strict() {
    assert!(verify_proof(&changed(|_, _| {}), &rules()).is_ok());
    for typ in ["JWT", "at+jwt", "DPOP+JWT", "application/dpop+jwt"] {
        assert_eq!(refusal(&changed(|header, _| set(header, "typ", typ))), TokenRefusal::WrongType.into());
    }
    let missing_key = changed(|header, _| drop(header.as_object_mut().unwrap().remove("jwk")));
    assert_eq!(refusal(&missing_key), Refusal::MissingKey);
    let private =
        changed(|header, _| set(header.as_object_mut().unwrap().get_mut("jwk").unwrap(), "d", "AA"));
    assert_eq!(refusal(&private), KeyRefusal::Private("d").into());
    assert_eq!(
        refusal(&changed(|header, _| set(header, "crit", Json::array(["exp"])))),
        TokenRefusal::Critical.into()
    );
    assert_eq!(
        refusal(&changed(|header, _| set(header, "x5c", "a"))),
        TokenRefusal::KeyInHeader("x5c").into()
    );
    assert_eq!(
        refusal(&changed(|header, _| set(header, "alg", "HS256"))),
        TokenRefusal::UnsupportedAlgorithm.into()
    );
    assert_eq!(
        refusal(&changed(|header, _| set(header, "alg", "EdDSA"))),
        TokenRefusal::AlgorithmNotOfKey.into()
    );
    let stranger = SigningKey::generate(Algorithm::Es256).unwrap();
    let foreign = changed(|header, _| set(header, "jwk", stranger.public().required_members().clone()));
    assert_eq!(refusal(&foreign), TokenRefusal::BadSignature.into());
    for name in ["jti", "htm", "htu", "iat"] {
        let missing = changed(|_, claims| drop(claims.as_object_mut().unwrap().remove(name)));
        assert_eq!(refusal(&missing), TokenRefusal::MissingClaim(name).into());
        let malformed = changed(|_, claims| set(claims, name, Json::Null));
        assert_eq!(refusal(&malformed), TokenRefusal::MalformedClaim(name).into());
    }
    let long = changed(|_, claims| set(claims, "jti", "j".repeat(257)));
    assert_eq!(refusal(&long), TokenRefusal::MalformedClaim("jti").into());
    assert_eq!(refusal(&format!("{}.{}", "A".repeat(9000), base64url("x"))), TokenRefusal::TooLarge.into());
}

#[test]
fn replay_ids_belong_to_a_key() {
    let other = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let id = |key: &SigningKey, jti: &str| {
        let proof =
            make_proof(key, "POST", &TARGET, Some(TOKEN), jti, None, Timestamp::from_seconds(NOW)).unwrap();
        verify_proof(&proof, &ProofRules { thumbprint: None, ..rules() }).unwrap().replay_id
    };
    assert_eq!(id(&KEY, "a"), id(&KEY, "a"));
    assert_ne!(id(&KEY, "a"), id(&KEY, "b"));
    assert_ne!(id(&KEY, "a"), id(&other, "a"));
}

#[test]
fn targets_are_normalised_but_never_repaired() {
    for same in [
        "HTTPS://GATE.example:443/mcp/crm",
        "https://gate.example/mcp/crm?x=1#y",
        "https://gate.example/mcp/x/../crm",
        "https://gate.example/./mcp/crm",
    ] {
        assert_eq!(TargetUri::parse(same).as_ref(), Some(&*TARGET), "{same}");
    }
    assert_eq!(uri("http://h:80"), uri("http://h/"));
    assert_eq!(uri("http://[::1]:8420/a").as_str(), "http://[::1]:8420/a");
    for other in [
        "http://gate.example/mcp/crm",
        "https://gate.example:8443/mcp/crm",
        "https://gate.example/mcp/crm/",
        "https://gate.example/MCP/crm",
        "https://gate.example/mcp%2fcrm",
    ] {
        assert_ne!(uri(other), *TARGET, "{other}");
    }
    for refused in [
        "",
        "/mcp/crm",
        "gate.example/mcp",
        "ftp://h/",
        "https:h",
        "https:///h/x",
        "https:\\\\h/x",
        "https://h\\x",
        "https://u@h/",
        "https://u:p@h/",
        "https://@h/",
        "https://h /",
        " https://h/",
        "https://h/\n",
        "https://h/é",
        "https://?x",
    ] {
        assert_eq!(TargetUri::parse(refused), None, "{refused}");
    }
}

proptest! {
    #[test]
    fn any_text_is_refused_quietly(text in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(verify_proof(&text, &rules()).is_err());
    }

    #[test]
    fn a_normal_target_stays_as_it_is(text in "(http|https)://[a-z0-9.-]{1,12}(:[0-9]{1,4})?(/[a-zA-Z0-9._~%-]{0,6}){0,4}(\\?[a-z=&]{0,6})?") {
        if let Some(target) = TargetUri::parse(&text) {
            let again = TargetUri::parse(target.as_str());
            prop_assert_eq!(again.as_ref(), Some(&target));
        }
    }
}
