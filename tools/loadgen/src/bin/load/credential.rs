//! What a request shows of its sender: nothing, one token, another token each time, or a proof of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use loadgen::{Key, b64, fail};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

pub(crate) enum Credential {
    None,
    Bearer(String),
    /// A token for each request, so that none is known to the server.
    Each { tokens: Vec<String>, next: AtomicUsize },
    /// A token that is bound to a key, and a proof for each request (RFC 9449).
    Dpop { token: String, proofs: Proofs },
}

impl Credential {
    pub(crate) fn each(text: &str) -> Credential {
        Credential::Each { tokens: text.lines().map(str::to_owned).collect(), next: AtomicUsize::new(0) }
    }

    /// The headers of the next request.
    pub(crate) fn headers(&self, method: &str, url: &str) -> Vec<(&'static str, String)> {
        let bearer = |token: &str| vec![("authorization", format!("Bearer {token}"))];
        match self {
            Credential::None => vec![],
            Credential::Bearer(token) => bearer(token),
            Credential::Each { tokens, next } => match tokens.get(next.fetch_add(1, Ordering::Relaxed)) {
                Some(token) => bearer(token),
                None => fail(&format!("{} tokens are not enough for this run", tokens.len())),
            },
            Credential::Dpop { token, proofs } => {
                vec![("authorization", format!("DPoP {token}")), ("dpop", proofs.next(method, url))]
            }
        }
    }
}

/// Proofs by one key for one token.
pub(crate) struct Proofs {
    key: Key,
    header: String,
    token_digest: String,
    number: AtomicUsize,
}

impl Proofs {
    /// `pem` is a PKCS#8 file of an ES256 key.
    pub(crate) fn new(pem: &str, token: &str) -> Proofs {
        let key = Key::load("ES256", &pkcs8(pem));
        let mut jwk: Value = key.jwks("")["keys"][0].take();
        jwk.as_object_mut().expect("a key").retain(|name, _| ["kty", "crv", "x", "y"].contains(&name.as_str()));
        let header = b64(json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk}).to_string().as_bytes());
        let token_digest = b64(digest(&SHA256, token.as_bytes()).as_ref());
        Proofs { key, header, token_digest, number: AtomicUsize::new(0) }
    }

    fn next(&self, method: &str, url: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock");
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let claims = json!({"jti": format!("{}-{number}", now.as_nanos()), "htm": method, "htu": url,
            "iat": now.as_secs(), "ath": self.token_digest});
        let input = format!("{}.{}", self.header, b64(claims.to_string().as_bytes()));
        format!("{input}.{}", b64(&self.key.sign(input.as_bytes())))
    }
}

fn pkcs8(pem: &str) -> Vec<u8> {
    use base64::Engine;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap_or_else(|error| fail(&format!("--dpop-key: {error}")))
}
