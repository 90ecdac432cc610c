//! DPoP: proof that the sender of a request holds a key (RFC 9449).
//!
//! Pure: that a proof was not seen before is for the store to say, by [`Proof::replay_id`], before the request has
//! any effect.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Context, SHA256, digest},
};
use base::{Class, Fault, Refuse, Timestamp};

use crate::{
    jose::{Compact, KeyInHeader, KeyRefusal, PublicJwk, SigningKey, TokenRefusal, base64url, seconds_of},
    json::Json,
    uri::strict_url,
};

/// The `typ` of a proof.
pub const PROOF_TYPE: &str = "dpop+jwt";
/// The largest proof, in bytes: an RSA key and signature of 8192 bits fit.
const PROOF_BYTES_MAX: usize = 8 * 1024;
/// The longest `jti` and the longest `nonce`, in bytes.
const JTI_BYTES_MAX: usize = 256;
const NONCE_BYTES_MAX: usize = 256;

/// The URI for which a proof is made (`htu`), normalised as RFC 9449, section 4.3 wants: without query and fragment,
/// scheme and host in lower case, no default port, no dot segments, an empty path as `/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUri(String);

impl TargetUri {
    /// The target of a URI; `None` unless it is an absolute `http` or `https` URL that every parser reads alike.
    pub fn parse(uri: &str) -> Option<Self> {
        let mut url = strict_url(uri)?;
        url.set_query(None);
        url.set_fragment(None);
        Some(Self(url.into()))
    }

    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What must hold for a proof.
#[derive(Clone, Copy, Debug)]
pub struct ProofRules<'a> {
    /// The request's method, compared exactly.
    pub method: &'a str,
    /// The request's URI as the client sees it: behind a proxy the public one.
    pub target: &'a TargetUri,
    /// The access token that the request carries; then the proof must be made for it (`ath`).
    pub access_token: Option<&'a str>,
    /// The key to which the token or the client is bound (`cnf.jkt`), if it is already known.
    pub thumbprint: Option<&'a str>,
    /// The present.
    pub now: Timestamp,
    /// How old a proof may be, in seconds.
    pub age_seconds_max: i64,
    /// How far in the future `iat` may lie, in seconds, for clocks that differ.
    pub leeway_seconds: i64,
}

/// A proof that passed, except that it may have been used before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The key that made it.
    pub key: Arc<PublicJwk>,
    /// SHA-256 over the key's thumbprint and `jti`: what must be new. It holds the key so that nobody can use up another's ids.
    pub replay_id: [u8; 32],
    /// The server's nonce that it holds.
    pub nonce: Option<String>,
    /// When it was made.
    pub issued: Timestamp,
    /// From when on the same proof would be refused as too old, so that its replay id may be forgotten.
    pub forget_after: Timestamp,
}

impl Proof {
    /// The thumbprint of the key: `cnf.jkt` of a token that is bound to it.
    pub fn thumbprint(&self) -> &str {
        self.key.thumbprint()
    }
}

/// Why a proof was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefusal {
    /// The proof as a token is wrong.
    #[error("the DPoP proof is not acceptable: {0}")]
    Token(#[from] TokenRefusal),
    /// The key in its header is wrong.
    #[error("the DPoP proof's `jwk` is not acceptable: {0}")]
    Key(#[from] KeyRefusal),
    /// The header has no key.
    #[error("the DPoP proof has no `jwk` in its header")]
    MissingKey,
    /// Made for another method.
    #[error("the DPoP proof is for another method (`htm`)")]
    WrongMethod,
    /// Made for another URI.
    #[error("the DPoP proof is for another URI (`htu`); use the URL under which clients reach this server")]
    WrongTarget,
    /// Made for another access token, or for none.
    #[error("the DPoP proof is not for this access token (`ath`)")]
    WrongAccessToken,
    /// Made with another key than the token is bound to.
    #[error("the DPoP proof is made with another key than the token is bound to")]
    WrongKey,
    /// Too old.
    #[error("the DPoP proof is too old (`iat`); make a new one for each request")]
    TooOld,
    /// From the future.
    #[error("the DPoP proof was made in the future (`iat`); check the clocks")]
    FromFuture,
}

impl Refuse for ProofRefusal {
    fn class(&self) -> Class {
        Class::Unauthenticated
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Token(refusal) => refusal.code(),
            Self::Key(_) => "dpop_key_invalid",
            Self::MissingKey => "dpop_key_missing",
            Self::WrongMethod => "dpop_wrong_method",
            Self::WrongTarget => "dpop_wrong_target",
            Self::WrongAccessToken => "dpop_wrong_access_token",
            Self::WrongKey => "dpop_wrong_key",
            Self::TooOld => "dpop_too_old",
            Self::FromFuture => "dpop_from_future",
        }
    }
}

/// Verifies a proof: RFC 9449, section 4.3, points 2 to 12, except whether it was used before and whether its nonce is
/// the server's.
pub fn verify_proof(proof: &str, rules: &ProofRules<'_>) -> Result<Proof, ProofRefusal> {
    let compact = Compact::parse(proof, PROOF_BYTES_MAX, KeyInHeader::Wanted)?;
    if compact.header.typ.as_deref() != Some(PROOF_TYPE) {
        return Err(TokenRefusal::WrongType.into());
    }
    let key = Arc::new(PublicJwk::parse(compact.jwk.as_ref().ok_or(ProofRefusal::MissingKey)?)?);
    let claims = compact.claims_signed_by(&key)?;
    let text = |name: &'static str| match claims.get(name) {
        None => Err(TokenRefusal::MissingClaim(name)),
        Some(value) => {
            value.as_str().filter(|text| !text.is_empty()).ok_or(TokenRefusal::MalformedClaim(name))
        }
    };
    if text("htm")? != rules.method {
        return Err(ProofRefusal::WrongMethod);
    }
    if TargetUri::parse(text("htu")?).as_ref() != Some(rules.target) {
        return Err(ProofRefusal::WrongTarget);
    }
    let jti = text("jti")?;
    if jti.len() > JTI_BYTES_MAX {
        return Err(TokenRefusal::MalformedClaim("jti").into());
    }
    let nonce = claims.get("nonce").map(|_| text("nonce")).transpose()?;
    if nonce.is_some_and(|nonce| nonce.len() > NONCE_BYTES_MAX) {
        return Err(TokenRefusal::MalformedClaim("nonce").into());
    }
    let issued = seconds_of(&claims, "iat")?.ok_or(TokenRefusal::MissingClaim("iat"))?;
    let now = rules.now.seconds();
    if issued > now.saturating_add(rules.leeway_seconds) {
        return Err(ProofRefusal::FromFuture);
    }
    let too_old_from = issued.saturating_add(rules.age_seconds_max).saturating_add(1);
    if now >= too_old_from {
        return Err(ProofRefusal::TooOld);
    }
    if let Some(token) = rules.access_token {
        let made_for = text("ath").map_err(|_| ProofRefusal::WrongAccessToken)?;
        verify_slices_are_equal(made_for.as_bytes(), token_hash(token).as_bytes())
            .map_err(|_| ProofRefusal::WrongAccessToken)?;
    }
    if rules.thumbprint.is_some_and(|bound_to| bound_to != key.thumbprint()) {
        return Err(ProofRefusal::WrongKey);
    }
    let replay_id = replay_id(key.thumbprint(), jti);
    let forget_after = Timestamp::from_seconds(too_old_from);
    let nonce = nonce.map(str::to_owned);
    Ok(Proof { replay_id, nonce, issued: Timestamp::from_seconds(issued), forget_after, key })
}

/// A proof for one request, made with the client's `key`. `jti` must be fresh: at least 96 bits of chance. `nonce` is the
/// server's, where it gave one.
pub fn make_proof(
    key: &SigningKey,
    method: &str,
    target: &TargetUri,
    access_token: Option<&str>,
    jti: &str,
    nonce: Option<&str>,
    now: Timestamp,
) -> Result<String, Fault> {
    let header = Json::object([
        ("typ", PROOF_TYPE.into()),
        ("alg", key.algorithm().as_str().into()),
        ("jwk", key.public().required_members().clone()),
    ]);
    let mut claims = Json::object([
        ("jti", jti.into()),
        ("htm", method.into()),
        ("htu", target.as_str().into()),
        ("iat", now.seconds().into()),
    ]);
    if let (Some(token), Some(members)) = (access_token, claims.as_object_mut()) {
        members.insert("ath", token_hash(token));
    }
    if let (Some(nonce), Some(members)) = (nonce, claims.as_object_mut()) {
        members.insert("nonce", nonce);
    }
    key.sign_with(&header, &claims)
}

/// `ath` of an access token: base64url of its SHA-256.
fn token_hash(token: &str) -> String {
    base64url(digest(&SHA256, token.as_bytes()))
}

fn replay_id(thumbprint: &str, jti: &str) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(thumbprint.as_bytes());
    // A thumbprint has a fixed length; the dot is for the reader.
    context.update(b".");
    context.update(jti.as_bytes());
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}

#[cfg(test)]
mod tests;
