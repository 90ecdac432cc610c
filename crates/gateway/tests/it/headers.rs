//! Headers of 2026-07-28 that disagree with the body: refused before anything is decided or forwarded.

use http::{HeaderName, HeaderValue, StatusCode};
use wire::json::Json;

use crate::{
    stage::{Stage, call, modern, modern_post, stage},
    young::young,
};

/// What becomes of a call of `echo` whose headers are changed like this.
async fn changed(stage: &Stage, name: &'static str, values: &[&[u8]]) -> (Option<i64>, u16) {
    let mut request = modern_post("alice", call(5, "echo", r#","arguments":{"region":"eu","n":42}"#));
    for (param, value) in [("mcp-param-region", "eu"), ("mcp-param-n", "42")] {
        request.headers_mut().insert(param, value.parse().unwrap());
    }
    request.headers_mut().remove(name);
    for value in values {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    let shown: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
    let answer = stage.unforwarded(request, &format!("{name}: {shown:?}")).await;
    assert_eq!(answer.last().get("id"), Some(&Json::from(5)), "{name}: {shown:?}");
    (answer.error_code(), answer.status.as_u16())
}

fn with_schema(stage: &Stage) {
    let schema = r#"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"text":{"type":"string","x-mcp-header":"Text"}}}"#;
    stage.plane.schemas.lock().unwrap().insert("echo".into(), Json::parse(schema.as_bytes()).unwrap());
}

#[tokio::test]
async fn each_disagreement_is_a_mismatch() {
    let stage = stage(young().await);
    with_schema(&stage);
    let cases: &[(&str, &[&[u8]])] = &[
        ("mcp-method", &[]),
        ("mcp-method", &[b"tools/list"]),
        ("mcp-method", &[b"Tools/Call"]),
        ("mcp-method", &[b"tools/call "]),
        ("mcp-method", &[b"tools/call", b"tools/call"]),
        ("mcp-method", &[b"tools/call", b"tools/list"]),
        ("mcp-method", &[b"tools/call, tools/call"]),
        ("mcp-method", &[b"=?base64?dG9vbHMvY2FsbA==?="]),
        ("mcp-method", &[b"\xff"]),
        ("mcp-method", &[b""]),
        ("mcp-name", &[]),
        ("mcp-name", &[b"Echo"]),
        ("mcp-name", &[b"echo", b"echo"]),
        ("mcp-name", &[b"secret", b"echo"]),
        ("mcp-name", &[b"echo,echo"]),
        ("mcp-name", &[b"echo\x09x"]),
        ("mcp-name", &[b"\xe9cho"]),
        ("mcp-name", &[b"=?base64?c2VjcmV0?="]),
        ("mcp-name", &[b"=?base64?ZWNobw?="]),
        ("mcp-name", &[b"=?base64?ZWNobx==?="]),
        ("mcp-name", &[b"=?base64?!!!!?="]),
        ("mcp-name", &[b"=?base64?/w==?="]),
        ("mcp-name", &[b"=?base64??="]),
        ("mcp-name", &[b"=?base64?ZWNobw=="]),
        ("mcp-name", &[b""]),
        ("mcp-protocol-version", &[b"2026-07-28", b"2026-07-28"]),
        ("mcp-protocol-version", &[b"2026-07-28", b"2025-11-25"]),
        ("mcp-protocol-version", &[b"2025-11-25"]),
        ("mcp-protocol-version", &[b"2099-01-01"]),
        ("mcp-protocol-version", &[b"=?base64?MjAyNi0wNy0yOA==?="]),
        ("mcp-protocol-version", &[b"\xff"]),
        ("mcp-protocol-version", &[b""]),
        ("mcp-protocol-version", &[]),
        ("mcp-param-region", &[]),
        ("mcp-param-region", &[b"us"]),
        ("mcp-param-region", &[b"EU"]),
        ("mcp-param-region", &[b"eu", b"eu"]),
        ("mcp-param-region", &[b"\"eu\""]),
        ("mcp-param-region", &[b"=?base64?dXM=?="]),
        ("mcp-param-region", &[b"\xff"]),
        ("mcp-param-n", &[]),
        ("mcp-param-n", &[b"43"]),
        ("mcp-param-n", &[b"42.5"]),
        ("mcp-param-n", &[b"042"]),
        ("mcp-param-n", &[b"+42"]),
        ("mcp-param-n", &[b"\"42\""]),
        ("mcp-param-text", &[b"told of nothing"]),
        ("mcp-param-text", &[b""]),
    ];
    for (name, values) in cases {
        assert_eq!(changed(&stage, name, values).await, (Some(-32020), 400), "{name}: {values:?}");
    }
    assert!(stage.plane.told().is_empty(), "nothing was decided or admitted");
}

#[tokio::test]
async fn each_agreement_passes_whatever_its_spelling() {
    let stage = stage(young().await);
    with_schema(&stage);
    for (name, value) in [
        ("mcp-name", "=?base64?ZWNobw==?="),
        ("mcp-param-region", "=?base64?ZXU=?="),
        ("mcp-param-n", "42.0"),
        ("mcp-param-n", "4.2e1"),
        ("mcp-param-n", "=?base64?NDI=?="),
        ("mcp-param-unknown", "anything"),
    ] {
        let mut request =
            modern_post("alice", call(5, "echo", r#","arguments":{"region":"eu","n":42,"text":null}"#));
        for (param, value) in [("mcp-param-region", "eu"), ("mcp-param-n", "42")] {
            request.headers_mut().insert(param, value.parse().unwrap());
        }
        request.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
        assert_eq!(stage.send(request).await.status(), StatusCode::OK, "{name}: {value}");
        let seen = stage.server.seen().pop().unwrap();
        assert_eq!(
            (&seen.headers["mcp-name"], &seen.headers["mcp-param-n"]),
            (&"echo".parse().unwrap(), &"42".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn an_unknown_version_is_told_what_is_spoken() {
    let stage = stage(young().await);
    for version in ["2099-01-01", "2025-11-25", "2026-07-28 ", ""] {
        let message = call(5, "echo", "").replace("\"2026-07-28\"", &format!("\"{version}\""));
        let mut request = modern_post("alice", message);
        request.headers_mut().insert("mcp-protocol-version", version.parse().unwrap());
        let answer = stage.unforwarded(request, version).await;
        assert_eq!(
            (answer.error_code(), answer.status),
            (Some(-32022), StatusCode::BAD_REQUEST),
            "{version:?}"
        );
        let supported = answer.last().pointer("/error/data/supported").unwrap().to_text();
        assert_eq!(supported, r#"["2026-07-28","2025-11-25","2025-06-18","2025-03-26"]"#);
        assert_eq!(answer.last().pointer("/error/data/requested"), Some(&Json::from(version)));
    }
}

#[tokio::test]
async fn an_envelope_of_the_wrong_shape_is_a_400() {
    let stage = stage(young().await);
    let good = modern(5, "tools/list", "{}", "{}", r#""io.modelcontextprotocol/clientInfo":{}"#);
    let key = |name: &str| format!(r#""io.modelcontextprotocol/{name}":"#);
    let cases = [
        good.replace(&(key("protocolVersion") + r#""2026-07-28","#), ""),
        good.replace(&(key("clientCapabilities") + "{},"), ""),
        good.replace(&(key("protocolVersion") + r#""2026-07-28""#), &(key("protocolVersion") + "20260728")),
        good.replace(&(key("protocolVersion") + r#""2026-07-28""#), &(key("protocolVersion") + "null")),
        good.replace(&(key("clientCapabilities") + "{}"), &(key("clientCapabilities") + "[]")),
        good.replace(&(key("clientCapabilities") + "{}"), &(key("clientCapabilities") + "null")),
        good.replace(&(key("clientInfo") + "{}"), &(key("clientInfo") + "\"me\"")),
        good.replace(&(key("clientInfo") + "{}"), &(key("logLevel") + "7")),
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{"_meta":{}}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/list","params":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/list"}"#.to_owned(),
    ];
    for message in cases {
        assert_ne!(message, good);
        let answer = stage.unforwarded(modern_post("alice", message.clone()), &message).await;
        assert_eq!(
            (answer.error_code(), answer.status),
            (Some(-32602), StatusCode::BAD_REQUEST),
            "{message}"
        );
        assert_eq!(answer.last().get("id"), Some(&Json::from(5)));
    }
    assert!(stage.plane.told().is_empty());
    assert_eq!(stage.modern("alice", good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_of_this_generation_needs_its_headers_even_within_a_session() {
    let stage = stage(young().await);
    let session = stage.open("alice", "2025-11-25", "{}").await;
    let message = call(5, "echo", "");
    for version in [None, Some("2025-11-25")] {
        let mut request = crate::world::post("alice", Some(&session), message.clone());
        if let Some(version) = version {
            request.headers_mut().insert("mcp-protocol-version", version.parse().unwrap());
        }
        let answer = stage.unforwarded(request, "a body of another generation").await;
        assert_eq!((answer.error_code(), answer.status), (Some(-32020), StatusCode::BAD_REQUEST));
    }
}
