//! The signatures of project Wycheproof, as keys and messages of JOSE: what is forged in a known way is not believed.

use wire::{
    jose::{PublicJwk, base64url},
    json::Json,
};
use wycheproof::TestResult;

/// How many were believed, and how many were not.
#[derive(Default)]
struct Tally {
    believed: usize,
    refused: usize,
}

impl Tally {
    fn test(&mut self, key: &PublicJwk, id: usize, (message, signature): (&[u8], &[u8]), result: TestResult) {
        let is_believed = key.verify_bytes(message, signature);
        match result {
            TestResult::Valid => assert!(is_believed, "{id} is good"),
            TestResult::Invalid => assert!(!is_believed, "{id} is forged"),
            TestResult::Acceptable => {}
        }
        if is_believed {
            self.believed += 1;
        } else {
            self.refused += 1;
        }
    }

    /// That there was something to test.
    fn holds(&self, believed: usize, refused: usize) {
        let Self { believed: good, refused: bad } = *self;
        assert!(good >= believed && bad >= refused, "{good} believed, {bad} refused");
    }
}

/// A number in as many bytes as JOSE wants (RFC 7518, section 6.2.1.2), or its own without a sign.
fn number(bytes: &[u8], length: Option<usize>) -> String {
    let bare = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
    let padding = length.map_or(0, |length| length - bare.len());
    base64url([vec![0; padding], bare.to_vec()].concat())
}

fn key<const N: usize>(members: [(&str, &str); N]) -> PublicJwk {
    let jwk = Json::object(members.map(|(name, value)| (name, value.into())));
    PublicJwk::parse(&jwk).unwrap_or_else(|refusal| panic!("{refusal}: {}", jwk.to_text()))
}

#[test]
fn es256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap().test_groups {
        let (x, y) = (number(&group.key.affine_x, Some(32)), number(&group.key.affine_y, Some(32)));
        let key = key([("kty", "EC"), ("crv", "P-256"), ("x", &x), ("y", &y)]);
        for test in group.tests {
            tally.test(&key, test.tc_id, (&test.msg, &test.sig), test.result);
        }
    }
    tally.holds(170, 85);
}

#[test]
fn es256_as_asn1_is_no_signature_of_jose() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap().test_groups {
        let (x, y) = (number(&group.key.affine_x, Some(32)), number(&group.key.affine_y, Some(32)));
        let key = key([("kty", "EC"), ("crv", "P-256"), ("x", &x), ("y", &y)]);
        for test in group.tests {
            tally.test(&key, test.tc_id, (&test.msg, &test.sig), TestResult::Invalid);
        }
    }
    tally.holds(0, 400);
}

#[test]
fn eddsa() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut tally = Tally::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = key([("kty", "OKP"), ("crv", "Ed25519"), ("x", &base64url(&*group.key.pk))]);
        for test in group.tests {
            tally.test(&key, test.tc_id, (&test.msg, &test.sig), test.result);
        }
    }
    tally.holds(80, 50);
}

#[test]
fn rs256() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut tally = Tally::default();
    for set in [TestName::Rsa2048Sha256, TestName::Rsa3072Sha256, TestName::Rsa4096Sha256] {
        for group in TestSet::load(set).unwrap().test_groups {
            let (n, e) = (number(&group.key.n, None), number(&group.key.e, None));
            let jwk = Json::object(
                [("kty", "RSA"), ("n", &n), ("e", &e)].map(|(name, value)| (name, value.into())),
            );
            // Small exponents are refused before anything is signed with them.
            let Ok(key) = PublicJwk::parse(&jwk) else { continue };
            for test in group.tests {
                tally.test(&key, test.tc_id, (&test.msg, &test.sig), test.result);
            }
        }
    }
    tally.holds(20, 600);
}
