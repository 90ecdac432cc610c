//! Fake upstreams for gateway tests, and the control endpoint.
//!   GET  /ping                   plain text: the control
//!   POST /echo                   returns the body
//!   POST /mcp                    streamable-HTTP MCP server (initialize, tools/list, tools/call, ping)
//!   POST /v1/chat/completions    OpenAI-shaped, JSON or SSE
//!   GET  /jwks.json              a file given by --jwks
//! Flags: --listen ADDR --tools N --chunks N --chunk-delay-us N --sse (MCP answers as SSE) --stateless --jwks FILE
//!        --work-us N (sleep before a tools/call answer) --threads N
use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use loadgen::{Flags, fail, loopback};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;

struct Cfg {
    tools: Value,
    chunks: usize,
    delay: Duration,
    work: Duration,
    sse: bool,
    stateless: bool,
    jwks: String,
    sessions: AtomicU64,
    calls: AtomicU64,
}
type S = State<Arc<Cfg>>;

fn json_body(v: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], v).into_response()
}

async fn mcp(State(c): S, _h: HeaderMap, body: Bytes) -> Response {
    let Ok(v) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(id) = v.get("id").cloned() else {
        return StatusCode::ACCEPTED.into_response();
    };
    let mut session = None;
    let result = match v["method"].as_str().unwrap_or("") {
        "initialize" => {
            if !c.stateless {
                session = Some(format!("s-{}", c.sessions.fetch_add(1, Ordering::Relaxed)));
            }
            json!({"protocolVersion": v["params"]["protocolVersion"].as_str().unwrap_or("2025-06-18"),
                   "capabilities": {"tools": {"listChanged": false}},
                   "serverInfo": {"name": "fakeup", "version": "1"}})
        }
        "tools/list" => json!({"tools": c.tools}),
        "tools/call" => {
            c.calls.fetch_add(1, Ordering::Relaxed);
            if !c.work.is_zero() {
                tokio::time::sleep(c.work).await;
            }
            let text = v["params"]["arguments"]["message"].as_str().unwrap_or("ok");
            json!({"content": [{"type": "text", "text": text}], "isError": false})
        }
        "ping" => json!({}),
        "resources/list" => json!({"resources": []}),
        "resources/templates/list" => json!({"resourceTemplates": []}),
        "prompts/list" => json!({"prompts": []}),
        _ => {
            return json_body(
                json!({"jsonrpc":"2.0","id":id,"error":{"code":-32601,"message":"no such method"}})
                    .to_string(),
            );
        }
    };
    let msg = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
    let mut r = if c.sse {
        ([(header::CONTENT_TYPE, "text/event-stream")], format!("event: message\ndata: {msg}\n\n"))
            .into_response()
    } else {
        json_body(msg)
    };
    if let Some(s) = session {
        r.headers_mut().insert("mcp-session-id", s.parse().expect("header"));
    }
    r
}

async fn chat(State(c): S, body: Bytes) -> Response {
    let Ok(v) = serde_json::from_slice::<Value>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let model = v["model"].as_str().unwrap_or("m").to_string();
    if v["stream"].as_bool() != Some(true) {
        return json_body(
            json!({"id":"c1","object":"chat.completion","created":1,"model":model,
                "choices":[{"index":0,"message":{"role":"assistant","content":"Hello from the fake model."},"finish_reason":"stop"}],
                "usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}})
            .to_string(),
        );
    }
    let n = c.chunks;
    let delay = c.delay;
    let stream = futures_util::stream::unfold(0usize, move |i| {
        let model = model.clone();
        async move {
            if i > n + 1 {
                return None;
            }
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let s = if i < n {
                let d = json!({"id":"c1","object":"chat.completion.chunk","created":1,"model":model,
                    "choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]});
                format!("data: {d}\n\n")
            } else if i == n {
                let d = json!({"id":"c1","object":"chat.completion.chunk","created":1,"model":model,
                    "choices":[{"index":0,"delta":{},"finish_reason":"stop"}],
                    "usage":{"prompt_tokens":9,"completion_tokens":n,"total_tokens":n+9}});
                format!("data: {d}\n\n")
            } else {
                "data: [DONE]\n\n".to_string()
            };
            Some((Ok::<_, std::io::Error>(Bytes::from(s)), i + 1))
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response()
}

fn main() {
    let f = Flags::parse(
        &["sse", "stateless"],
        &["listen", "tools", "chunks", "chunk-delay-us", "work-us", "jwks", "threads"],
    );
    let n: usize = f.num("tools", 1);
    let tools: Vec<Value> = (0..n)
        .map(|i| {
            let name = if i == 0 { "echo".to_string() } else { format!("tool_{i}") };
            json!({"name": name, "description": "Returns the message it was given.",
                   "inputSchema": {"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}})
        })
        .collect();
    let cfg = Arc::new(Cfg {
        tools: Value::Array(tools),
        chunks: f.num("chunks", 20),
        delay: Duration::from_micros(f.num("chunk-delay-us", 0)),
        work: Duration::from_micros(f.num("work-us", 0)),
        sse: f.has("sse"),
        stateless: f.has("stateless"),
        jwks: f
            .opt("jwks")
            .map(|p| std::fs::read_to_string(&p).unwrap_or_else(|e| fail(&format!("{p}: {e}"))))
            .unwrap_or_else(|| "{\"keys\":[]}".into()),
        sessions: AtomicU64::new(1),
        calls: AtomicU64::new(0),
    });
    let app = Router::new()
        .route("/ping", get(|| async { "ok" }))
        .route("/echo", post(|b: Bytes| async move { b }))
        .route("/health", get(|| async { "ok" }))
        .route("/mcp", post(mcp).delete(|| async { StatusCode::NO_CONTENT }))
        .route("/v1/chat/completions", post(chat))
        .route(
            "/v1/models",
            get(|| async {
                json_body(json!({"object":"list","data":[{"id":"fake","object":"model"}]}).to_string())
            }),
        )
        .route("/calls", get(|State(c): S| async move { c.calls.load(Ordering::Relaxed).to_string() }))
        .route("/jwks.json", get(|State(c): S| async move { json_body(c.jwks.clone()) }))
        .with_state(cfg);
    let addr = f.str("listen", "127.0.0.1:9000");
    loopback(&addr);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(f.num("threads", 2))
        .enable_all()
        .build()
        .expect("runtime")
        .block_on(async move {
            let l =
                tokio::net::TcpListener::bind(&addr).await.unwrap_or_else(|e| fail(&format!("{addr}: {e}")));
            use axum::serve::ListenerExt;
            let l = l.tap_io(|s| {
                let _ = s.set_nodelay(true);
            });
            axum::serve(l, app).await.expect("serve");
        });
}
