//! Private keys.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base::Fault;
use zeroize::Zeroizing;

use super::{Algorithm, PublicJwk, base64url, compact::signing_input};
use crate::json::Json;

/// A private key bound to one algorithm, and its public half.
///
/// `Debug` prints the key's id only. The private half leaves through [`to_pkcs8`](Self::to_pkcs8) alone.
pub struct SigningKey {
    pair: Pair,
    public: Arc<PublicJwk>,
}

enum Pair {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl SigningKey {
    /// A new key from the operating system's randomness. RSA keys have 2048 bits and take tens of milliseconds.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Fault> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256),
            Algorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).map(Pair::Rs256),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
        };
        Self::of(pair.map_err(|source| Fault::new("generating a signing key", source))?)
    }

    /// The key in a PKCS#8 document (RFC 5208, RFC 8410). Fails if the document holds a key for another algorithm or an
    /// inconsistent one.
    pub fn from_pkcs8(algorithm: Algorithm, document: &[u8]) -> Result<Self, Fault> {
        let pair = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document).map(Pair::Es256)
            }
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(document).map(Pair::Rs256),
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(document).map(Pair::EdDsa),
        };
        Self::of(pair.map_err(|source| Fault::new("reading a signing key", source))?)
    }

    /// The key as a PKCS#8 document, in memory that is wiped when dropped.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Fault> {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        let copied = match &self.pair {
            Pair::Es256(pair) => pair.to_pkcs8v1().map(|der| Zeroizing::new(der.as_ref().to_vec())),
            Pair::Rs256(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| Zeroizing::new(der.as_ref().to_vec()))
            }
            Pair::EdDsa(pair) => pair.to_pkcs8().map(|der| Zeroizing::new(der.as_ref().to_vec())),
        };
        copied.map_err(|source| Fault::new("writing a signing key", source))
    }

    fn of(pair: Pair) -> Result<Self, Fault> {
        let public = match &pair {
            Pair::Es256(pair) => PublicJwk::from_p256(pair.public_key().as_ref()),
            Pair::Rs256(pair) => {
                let key = pair.public_key();
                PublicJwk::from_rsa(
                    key.modulus().big_endian_without_leading_zero(),
                    key.exponent().big_endian_without_leading_zero(),
                )
            }
            Pair::EdDsa(pair) => PublicJwk::from_ed25519(pair.public_key().as_ref()),
        };
        let public = public.map_err(|refusal| Fault::new("deriving a public key", refusal))?;
        Ok(Self { pair, public: Arc::new(public) })
    }

    /// The algorithm for which the key was made.
    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }

    /// The key's id: its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// The public half.
    pub const fn public(&self) -> &Arc<PublicJwk> {
        &self.public
    }

    /// The raw signature of `message`, as JWS holds it: for ES256 the 64 bytes of r and s.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
            Pair::EdDsa(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
        };
        signature.map_err(|source| Fault::new("signing", source))
    }

    /// A signed token with header `{alg, typ, kid}` and these claims.
    pub fn sign(&self, typ: &str, claims: &Json) -> Result<String, Fault> {
        let header =
            [("alg", self.algorithm().as_str().into()), ("typ", typ.into()), ("kid", self.kid().into())];
        self.sign_with(&Json::object(header), claims)
    }

    /// A signed token with exactly this header, which must name this key's algorithm.
    pub(crate) fn sign_with(&self, header: &Json, claims: &Json) -> Result<String, Fault> {
        let mut token = signing_input(header, claims);
        let signature = self.sign_bytes(token.as_bytes())?;
        token.push('.');
        token.push_str(&base64url(signature));
        Ok(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("alg", &self.algorithm())
            .field("kid", &self.kid())
            .finish_non_exhaustive()
    }
}
