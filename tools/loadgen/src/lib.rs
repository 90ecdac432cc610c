//! Shared code: a tiny flag parser and JWT minting.
use std::collections::HashMap;

/// Flags of the form `--name value` (repeatable) and `--name` (boolean, if listed in `bools`).
pub struct Flags(HashMap<String, Vec<String>>);

impl Flags {
    pub fn parse(bools: &[&str], known: &[&str]) -> Flags {
        let mut map: HashMap<String, Vec<String>> = HashMap::new();
        let mut it = std::env::args().skip(1);
        while let Some(a) = it.next() {
            let Some(name) = a.strip_prefix("--") else { fail(&format!("unexpected argument {a}")) };
            if bools.contains(&name) {
                map.entry(name.into()).or_default().push("true".into());
            } else if known.contains(&name) {
                let v = it.next().unwrap_or_else(|| fail(&format!("--{name} needs a value")));
                map.entry(name.into()).or_default().push(v);
            } else {
                fail(&format!("unknown flag --{name}; known: {known:?} {bools:?}"));
            }
        }
        Flags(map)
    }
    pub fn all(&self, n: &str) -> Vec<String> {
        self.0.get(n).cloned().unwrap_or_default()
    }
    pub fn opt(&self, n: &str) -> Option<String> {
        self.0.get(n).and_then(|v| v.last().cloned())
    }
    pub fn str(&self, n: &str, d: &str) -> String {
        self.opt(n).unwrap_or_else(|| d.into())
    }
    pub fn has(&self, n: &str) -> bool {
        self.0.contains_key(n)
    }
    pub fn num<T: std::str::FromStr>(&self, n: &str, d: T) -> T {
        match self.opt(n) {
            None => d,
            Some(s) => s.parse().unwrap_or_else(|_| fail(&format!("--{n}: not a number: {s}"))),
        }
    }
}

pub fn fail(msg: &str) -> ! {
    eprintln!("error: {msg}");
    std::process::exit(2)
}

/// These tools talk to this machine and to nothing else.
pub fn loopback(authority: &str) {
    let host = authority.rsplit_once(':').map_or(authority, |(h, _)| h);
    if !matches!(host, "127.0.0.1" | "localhost" | "[::1]") {
        fail(&format!("not a loopback address: {authority}"));
    }
}

pub fn b64(b: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(b)
}

/// An ES256 or EdDSA key that can mint JWTs and print its JWKS.
pub enum Key {
    Es256(ring::signature::EcdsaKeyPair),
    Ed25519(ring::signature::Ed25519KeyPair),
}

impl Key {
    pub fn generate(alg: &str) -> (Vec<u8>, Key) {
        let rng = ring::rand::SystemRandom::new();
        let der = match alg {
            "ES256" => ring::signature::EcdsaKeyPair::generate_pkcs8(
                &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                &rng,
            )
            .expect("key")
            .as_ref()
            .to_vec(),
            "EdDSA" => ring::signature::Ed25519KeyPair::generate_pkcs8(&rng).expect("key").as_ref().to_vec(),
            other => fail(&format!("algorithm {other} not supported (ES256, EdDSA)")),
        };
        let key = Key::load(alg, &der);
        (der, key)
    }
    pub fn load(alg: &str, der: &[u8]) -> Key {
        let rng = ring::rand::SystemRandom::new();
        match alg {
            "ES256" => Key::Es256(
                ring::signature::EcdsaKeyPair::from_pkcs8(
                    &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    der,
                    &rng,
                )
                .expect("ES256 key"),
            ),
            _ => Key::Ed25519(ring::signature::Ed25519KeyPair::from_pkcs8(der).expect("Ed25519 key")),
        }
    }
    pub fn sign(&self, msg: &[u8]) -> Vec<u8> {
        match self {
            Key::Es256(k) => k.sign(&ring::rand::SystemRandom::new(), msg).expect("sign").as_ref().to_vec(),
            Key::Ed25519(k) => k.sign(msg).as_ref().to_vec(),
        }
    }
    pub fn alg(&self) -> &'static str {
        match self {
            Key::Es256(_) => "ES256",
            Key::Ed25519(_) => "EdDSA",
        }
    }
    pub fn public(&self) -> Vec<u8> {
        use ring::signature::KeyPair;
        match self {
            Key::Es256(k) => k.public_key().as_ref().to_vec(),
            Key::Ed25519(k) => k.public_key().as_ref().to_vec(),
        }
    }
    pub fn jwks(&self, kid: &str) -> serde_json::Value {
        let p = self.public();
        let jwk = match self {
            Key::Es256(_) => {
                serde_json::json!({"kty":"EC","crv":"P-256","x":b64(&p[1..33]),"y":b64(&p[33..65]),"use":"sig","alg":"ES256","kid":kid})
            }
            Key::Ed25519(_) => {
                serde_json::json!({"kty":"OKP","crv":"Ed25519","x":b64(&p),"use":"sig","alg":"EdDSA","kid":kid})
            }
        };
        serde_json::json!({"keys":[jwk]})
    }
    pub fn jwt(&self, kid: &str, claims: &serde_json::Value) -> String {
        let header = serde_json::json!({"alg":self.alg(),"typ":"JWT","kid":kid});
        let input = format!("{}.{}", b64(header.to_string().as_bytes()), b64(claims.to_string().as_bytes()));
        let sig = self.sign(input.as_bytes());
        format!("{input}.{}", b64(&sig))
    }
}
