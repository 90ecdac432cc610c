//! Public keys: JWK and JWK sets (RFC 7517, RFC 7518 section 6, RFC 8037), strictly.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    },
};
use base::{Class, Refuse};

use super::{Algorithm, base64url, base64url_decode};
use crate::json::{Json, Object};

/// The longest `kid` accepted, in bytes.
const KID_BYTES_MAX: usize = 256;
/// Members that only private and symmetric keys have.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key, checked and ready to verify, bound to one algorithm.
pub struct PublicJwk {
    algorithm: Algorithm,
    kid: String,
    thumbprint: String,
    /// Exactly the members that RFC 7638, section 3.2 hashes.
    required: Json,
    key: ParsedPublicKey,
}

/// Why a public key, or a set of them, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// Not a JSON object, or a member has the wrong type.
    #[error("the key is not a JSON object with members of the right types; send a public JWK")]
    Shape,
    /// The key is a secret one.
    #[error(
        "the key has the private member `{0}`; send only the public key, and replace this one: it has been shown"
    )]
    Private(&'static str),
    /// `kty` and `crv` name nothing supported.
    #[error("the key's type is not supported; use EC on P-256, RSA, or OKP on Ed25519")]
    Type,
    /// A member that a key of this type needs is absent or not strict base64url.
    #[error("the key's member `{0}` is missing or not base64url without padding and leading zeros")]
    Member(&'static str),
    /// `use` or `key_ops` is for something else.
    #[error("the key is not meant for signatures (`use` must be `sig`, `key_ops` must contain `verify`)")]
    Purpose,
    /// `alg` is not the algorithm of this type of key.
    #[error("the key's `alg` does not fit its type; ES256, RS256 and EdDSA are supported")]
    Algorithm,
    /// Too few bits, too many, or an exponent that invites attacks.
    #[error("the RSA key must have 2048 to 8192 bits and an odd exponent from 65537 to 4294967295")]
    Size,
    /// The numbers are no key: a point off the curve, for example.
    #[error("the key's numbers are not a valid public key")]
    Invalid,
    /// `kid` is empty or too long.
    #[error("the key's `kid` must have 1 to 256 bytes")]
    Kid,
    /// No `keys` array, or an empty one.
    #[error("the key set must be an object with a non-empty array `keys`")]
    Set,
    /// More keys than accepted.
    #[error("the key set has more than {0} keys")]
    Count(usize),
    /// Two keys with one `kid`.
    #[error("two keys of the set have the same `kid`; give each its own")]
    DuplicateKid,
}

impl Refuse for KeyRefusal {
    fn class(&self) -> Class {
        Class::Invalid
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Private(_) => "key_private",
            Self::Size => "key_size",
            Self::Type | Self::Algorithm | Self::Purpose => "key_unsupported",
            Self::Set | Self::Count(_) | Self::DuplicateKid => "key_set_invalid",
            Self::Shape | Self::Member(_) | Self::Invalid | Self::Kid => "key_invalid",
        }
    }
}

impl PublicJwk {
    /// Reads a public key. Without a `kid` it is called by its thumbprint.
    pub fn parse(jwk: &Json) -> Result<Self, KeyRefusal> {
        let jwk = jwk.as_object().ok_or(KeyRefusal::Shape)?;
        if let Some(name) = PRIVATE_MEMBERS.into_iter().find(|name| jwk.contains(name)) {
            return Err(KeyRefusal::Private(name));
        }
        if text(jwk, "kty")? == Some("oct") {
            return Err(KeyRefusal::Private("k"));
        }
        let mut key = match (text(jwk, "kty")?, text(jwk, "crv")?) {
            (Some("EC"), Some("P-256")) => {
                let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
                if x.len() != 32 || y.len() != 32 {
                    return Err(KeyRefusal::Invalid);
                }
                Self::from_p256(&[&[4], x.as_slice(), y.as_slice()].concat())?
            }
            (Some("RSA"), _) => Self::from_rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
            (Some("OKP"), Some("Ed25519")) => Self::from_ed25519(&bytes(jwk, "x")?)?,
            _ => return Err(KeyRefusal::Type),
        };
        if text(jwk, "alg")?.is_some_and(|alg| alg != key.algorithm.as_str()) {
            return Err(KeyRefusal::Algorithm);
        }
        let verifies = jwk.get("key_ops").is_none_or(|operations| {
            operations
                .as_array()
                .is_some_and(|operations| operations.iter().any(|op| op.as_str() == Some("verify")))
        });
        if !verifies || text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
            return Err(KeyRefusal::Purpose);
        }
        if let Some(kid) = text(jwk, "kid")? {
            if kid.is_empty() || kid.len() > KID_BYTES_MAX {
                return Err(KeyRefusal::Kid);
            }
            kid.clone_into(&mut key.kid);
        }
        Ok(key)
    }

    /// `point`: uncompressed, 65 bytes.
    pub(super) fn from_p256(point: &[u8]) -> Result<Self, KeyRefusal> {
        let (x, y) = match point.split_first() {
            Some((4, coordinates)) if coordinates.len() == 64 => coordinates.split_at(32),
            _ => return Err(KeyRefusal::Invalid),
        };
        let required = Json::object([
            ("crv", "P-256".into()),
            ("kty", "EC".into()),
            ("x", base64url(x).into()),
            ("y", base64url(y).into()),
        ]);
        // Checks that the point lies on the curve.
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyRefusal::Invalid)?;
        Ok(Self::of(Algorithm::Es256, required, key))
    }

    /// Modulus and exponent, big endian, without leading zeros.
    pub(super) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyRefusal> {
        for (name, number) in [("n", n), ("e", e)] {
            if number.first().is_none_or(|&byte| byte == 0) {
                return Err(KeyRefusal::Member(name));
            }
        }
        let bits = n.len() * 8 - n[0].leading_zeros() as usize;
        let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        let exponent_fits =
            e.len() <= 4 && e.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) >= 65_537;
        if !(2048..=8192).contains(&bits) || !odd(n) || !odd(e) || !exponent_fits {
            return Err(KeyRefusal::Size);
        }
        let required =
            Json::object([("e", base64url(e).into()), ("kty", "RSA".into()), ("n", base64url(n).into())]);
        let key = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map_err(|_| KeyRefusal::Invalid)?;
        Ok(Self::of(Algorithm::Rs256, required, key))
    }

    pub(super) fn from_ed25519(x: &[u8]) -> Result<Self, KeyRefusal> {
        let required =
            Json::object([("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", base64url(x).into())]);
        let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyRefusal::Invalid)?;
        Ok(Self::of(Algorithm::EdDsa, required, key))
    }

    fn of(algorithm: Algorithm, required: Json, key: ParsedPublicKey) -> Self {
        let thumbprint = base64url(digest(&SHA256, &required.canonical()));
        Self { algorithm, kid: thumbprint.clone(), thumbprint, required, key }
    }

    /// The only algorithm that this key verifies.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What the key is called in headers.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// RFC 7638 with SHA-256, base64url: what `cnf.jkt` holds (RFC 9449, section 6.1).
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    /// Whether `signature` is this key's signature of `message`.
    pub fn verify_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// The key with `kid`, `alg` and `use`, as a key set holds it.
    pub fn to_json(&self) -> Json {
        let mut jwk = self.required.clone();
        if let Some(members) = jwk.as_object_mut() {
            members.insert("kid", self.kid.as_str());
            members.insert("alg", self.algorithm.as_str());
            members.insert("use", "sig");
        }
        jwk
    }

    /// The key's own members alone, as a DPoP proof's header holds it.
    pub const fn required_members(&self) -> &Json {
        &self.required
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicJwk")
            .field("alg", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl PartialEq for PublicJwk {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid && self.thumbprint == other.thumbprint
    }
}

impl Eq for PublicJwk {}

fn text<'a>(jwk: &'a Object, name: &str) -> Result<Option<&'a str>, KeyRefusal> {
    jwk.get(name).map(|value| value.as_str().ok_or(KeyRefusal::Shape)).transpose()
}

fn bytes(jwk: &Object, name: &'static str) -> Result<Vec<u8>, KeyRefusal> {
    text(jwk, name)?.and_then(base64url_decode).ok_or(KeyRefusal::Member(name))
}

/// A set of public keys with distinct ids. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwks {
    keys: Arc<[Arc<PublicJwk>]>,
}

impl Jwks {
    /// Reads a key set of at most `count_max` keys. One bad key spoils the set: whoever registers a key must
    /// not believe that it counts when it does not.
    pub fn parse(set: &Json, count_max: usize) -> Result<Self, KeyRefusal> {
        let keys = set
            .get("keys")
            .and_then(Json::as_array)
            .filter(|keys| !keys.is_empty())
            .ok_or(KeyRefusal::Set)?;
        if keys.len() > count_max {
            return Err(KeyRefusal::Count(count_max));
        }
        let keys =
            keys.iter().map(|jwk| PublicJwk::parse(jwk).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let second = |at: usize| keys[..at].iter().any(|key| key.kid() == keys[at].kid());
        if (1..keys.len()).any(second) {
            return Err(KeyRefusal::DuplicateKid);
        }
        Ok(Self { keys: keys.into() })
    }

    /// A set of these keys; of several with one `kid`, the first counts.
    pub fn new(keys: impl IntoIterator<Item = Arc<PublicJwk>>) -> Self {
        let mut distinct: Vec<Arc<PublicJwk>> = Vec::new();
        for key in keys {
            if distinct.iter().all(|known| known.kid() != key.kid()) {
                distinct.push(key);
            }
        }
        Self { keys: distinct.into() }
    }

    /// The keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<PublicJwk>> {
        self.keys.iter()
    }

    /// The key called `kid`.
    pub fn get(&self, kid: &str) -> Option<&Arc<PublicJwk>> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// The set as it is published at `jwks_uri`.
    pub fn to_json(&self) -> Json {
        Json::object([("keys", Json::Array(self.iter().map(|key| key.to_json()).collect()))])
    }
}
