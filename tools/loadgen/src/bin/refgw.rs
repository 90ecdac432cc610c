//! A bare reference MCP gateway: the practical floor for "check a signed token, apply a rule, pass the call on".
//! Not a product: one issuer key, one rule table, no audit. It answers: what does the unavoidable work cost here?
//! refgw --listen 127.0.0.1:9100 --upstream 127.0.0.1:9000 --jwks jwks.json --mode full|cached|none --threads 2
//!   full: verify the ES256/EdDSA signature on every call; cached: verify once per token, then look it up by SHA-256.
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::Engine;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use loadgen::{Flags, fail, loopback};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, RwLock};

struct G {
    upstream: String,
    pool: Mutex<Vec<SendRequest<Full<Bytes>>>>,
    keys: HashMap<String, (bool, Vec<u8>)>,
    cache: RwLock<HashMap<[u8; 32], u64>>,
    rules: HashSet<(String, String)>,
    mode: String,
}

fn d64(s: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(s).ok()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| d.as_secs()).unwrap_or(0)
}

impl G {
    fn subject(&self, token: &str) -> Option<String> {
        let (input, sig) = token.rsplit_once('.')?;
        let (h, p) = input.split_once('.')?;
        let claims: Value = serde_json::from_slice(&d64(p)?).ok()?;
        let exp = claims["exp"].as_u64()?;
        if exp <= now() {
            return None;
        }
        let hash: [u8; 32] =
            ring::digest::digest(&ring::digest::SHA256, token.as_bytes()).as_ref().try_into().ok()?;
        let cached = self.mode == "cached" && self.cache.read().ok()?.contains_key(&hash);
        if !cached && self.mode != "none" {
            let head: Value = serde_json::from_slice(&d64(h)?).ok()?;
            let (ec, key) = self.keys.get(head["kid"].as_str()?)?;
            let alg: &dyn ring::signature::VerificationAlgorithm =
                if *ec { &ring::signature::ECDSA_P256_SHA256_FIXED } else { &ring::signature::ED25519 };
            ring::signature::UnparsedPublicKey::new(alg, key).verify(input.as_bytes(), &d64(sig)?).ok()?;
            if self.mode == "cached" {
                self.cache.write().ok()?.insert(hash, exp);
            }
        }
        Some(claims["sub"].as_str()?.to_string())
    }

    async fn forward(&self, h: &HeaderMap, body: Bytes) -> Option<hyper::Response<hyper::body::Incoming>> {
        for _ in 0..3 {
            let taken = self.pool.lock().ok()?.pop();
            let mut tx = match taken {
                Some(t) => t,
                None => {
                    let s = tokio::net::TcpStream::connect(&self.upstream).await.ok()?;
                    let _ = s.set_nodelay(true);
                    let (tx, conn) =
                        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(s)).await.ok()?;
                    tokio::spawn(async move {
                        let _ = conn.await;
                    });
                    tx
                }
            };
            if tx.ready().await.is_err() {
                continue;
            }
            let mut b = hyper::Request::post("/mcp")
                .header("host", &self.upstream)
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream");
            for k in ["mcp-session-id", "mcp-protocol-version"] {
                if let Some(v) = h.get(k) {
                    b = b.header(k, v);
                }
            }
            if let Ok(r) = tx.send_request(b.body(Full::new(body.clone())).ok()?).await {
                let (parts, inc) = r.into_parts();
                if let Ok(mut p) = self.pool.lock() {
                    p.push(tx);
                }
                return Some(hyper::Response::from_parts(parts, inc));
            }
        }
        None
    }
}

async fn handle(State(g): State<Arc<G>>, h: HeaderMap, body: Bytes) -> Response {
    let token =
        h.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let Some(sub) = token.and_then(|t| g.subject(t)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let Ok(v) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if v["method"] == "tools/call" {
        let tool = v["params"]["name"].as_str().unwrap_or("");
        if !g.rules.contains(&(sub, tool.to_string())) {
            return StatusCode::FORBIDDEN.into_response();
        }
    }
    let Some(r) = g.forward(&h, body).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (parts, inc) = r.into_parts();
    let Ok(b) = inc.collect().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut out = (parts.status, b.to_bytes()).into_response();
    for k in ["content-type", "mcp-session-id"] {
        if let (Some(v), Ok(n)) = (parts.headers.get(k), header::HeaderName::from_bytes(k.as_bytes())) {
            out.headers_mut().insert(n, v.clone());
        }
    }
    out
}

fn main() {
    let f = Flags::parse(&[], &["listen", "upstream", "jwks", "mode", "threads", "subject", "rules"]);
    let jwks: Value = serde_json::from_str(
        &std::fs::read_to_string(f.str("jwks", "jwks.json"))
            .unwrap_or_else(|e| fail(&format!("--jwks: {e}"))),
    )
    .unwrap_or_else(|e| fail(&format!("--jwks: {e}")));
    let mut keys = HashMap::new();
    for k in jwks["keys"].as_array().unwrap_or(&vec![]) {
        let g = |n: &str| k[n].as_str().and_then(d64).unwrap_or_default();
        let ec = k["kty"] == "EC";
        let p = if ec { [vec![4], g("x"), g("y")].concat() } else { g("x") };
        keys.insert(k["kid"].as_str().unwrap_or("").to_string(), (ec, p));
    }
    let sub = f.str("subject", "agent-1");
    let mut rules: HashSet<(String, String)> =
        (0..f.num("rules", 1000)).map(|i| (format!("other-{i}"), "echo".to_string())).collect();
    rules.insert((sub, "echo".into()));
    let upstream = f.str("upstream", "127.0.0.1:9000");
    let g = Arc::new(G {
        upstream: upstream.clone(),
        pool: Mutex::new(vec![]),
        keys,
        cache: RwLock::new(HashMap::new()),
        rules,
        mode: f.str("mode", "full"),
    });
    let app = Router::new().route("/mcp", post(handle)).with_state(g);
    let addr = f.str("listen", "127.0.0.1:9100");
    loopback(&addr);
    loopback(&upstream);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(f.num("threads", 2))
        .enable_all()
        .build()
        .expect("runtime")
        .block_on(async move {
            let l =
                tokio::net::TcpListener::bind(&addr).await.unwrap_or_else(|e| fail(&format!("{addr}: {e}")));
            use axum::serve::ListenerExt;
            axum::serve(
                l.tap_io(|s| {
                    let _ = s.set_nodelay(true);
                }),
                app,
            )
            .await
            .expect("serve");
        });
}
