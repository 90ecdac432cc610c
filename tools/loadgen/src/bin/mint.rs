//! Makes a signing key, its JWKS and a JWT, for gateways under test.
//! mint --alg ES256 --jwks jwks.json --token token.txt --claims '{"iss":"x","sub":"a"}' --ttl 36000
use loadgen::{Flags, Key, fail};

fn main() {
    let f = Flags::parse(&[], &["alg", "jwks", "token", "claims", "ttl", "kid"]);
    let (_, key) = Key::generate(&f.str("alg", "ES256"));
    let kid = f.str("kid", "k1");
    let mut claims: serde_json::Value =
        serde_json::from_str(&f.str("claims", "{}")).unwrap_or_else(|e| fail(&format!("--claims: {e}")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock").as_secs();
    claims["iat"] = now.into();
    claims["exp"] = (now + f.num("ttl", 36000u64)).into();
    let put = |name: Option<String>, text: String| match name {
        Some(p) => std::fs::write(&p, text).unwrap_or_else(|e| fail(&format!("{p}: {e}"))),
        None => println!("{text}"),
    };
    put(f.opt("jwks"), key.jwks(&kid).to_string());
    put(f.opt("token"), key.jwt(&kid, &claims));
}
