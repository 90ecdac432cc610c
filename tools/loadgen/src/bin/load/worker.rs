//! One connection and, in MCP mode, one session on it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use serde_json::{Value, json};

use crate::target::{Kind, Target};

pub(crate) struct Worker {
    pub(crate) sender: Option<SendRequest<Full<Bytes>>>,
    pub(crate) session: Option<String>,
    pub(crate) ready: bool,
    pub(crate) id: u64,
    pub(crate) reconnects: u64,
}

pub(crate) struct Sample {
    pub(crate) total: Duration,
    pub(crate) first: Duration,
    pub(crate) bytes: usize,
}

impl Worker {
    pub(crate) fn new() -> Worker {
        Worker { sender: None, session: None, ready: false, id: 0, reconnects: 0 }
    }

    pub(crate) async fn connect(&mut self, t: &Target) -> Result<(), String> {
        let s = tokio::net::TcpStream::connect(&t.authority)
            .await
            .map_err(|e| format!("connect: {}", e.kind()))?;
        let _ = s.set_nodelay(true);
        let (tx, conn) = hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(s))
            .await
            .map_err(|_| "handshake".to_string())?;
        tokio::spawn(async move {
            let _ = conn.await;
        });
        self.sender = Some(tx);
        Ok(())
    }

    pub(crate) async fn send(
        &mut self,
        t: &Target,
        method: &str,
        ctype: &str,
        body: Bytes,
    ) -> Result<(hyper::Response<hyper::body::Incoming>, Instant), String> {
        for attempt in 0..2 {
            if t.new_conn {
                self.sender = None;
            }
            let alive = match self.sender.as_mut() {
                Some(s) => s.ready().await.is_ok(),
                None => false,
            };
            let start = Instant::now();
            if !alive {
                if self.sender.is_some() {
                    self.reconnects += 1;
                }
                self.connect(t).await?;
            }
            let mut b = Request::builder().method(method).uri(&t.path).header("host", &t.authority);
            if !body.is_empty() {
                b = b.header("content-type", ctype);
            }
            if matches!(t.kind, Kind::Mcp { .. }) {
                b = b.header("accept", "application/json, text/event-stream");
            }
            if let Some(s) = &self.session {
                b = b.header("mcp-session-id", s);
            }
            if let (Kind::Mcp { protocol, .. }, true) = (&t.kind, self.ready) {
                b = b.header("mcp-protocol-version", protocol);
            }
            for (k, v) in &t.headers {
                b = b.header(k, v);
            }
            for (k, v) in t.credential.headers(method, &format!("http://{}{}", t.authority, t.path)) {
                b = b.header(k, v);
            }
            let req = b.body(Full::new(body.clone())).map_err(|_| "bad request".to_string())?;
            let tx = self.sender.as_mut().expect("connected");
            match tx.send_request(req).await {
                Ok(r) => return Ok((r, start)),
                Err(e) => {
                    self.sender = None;
                    self.reconnects += 1;
                    if attempt == 1 {
                        return Err(format!("send: {e}"));
                    }
                }
            }
        }
        Err("send".into())
    }

    pub(crate) async fn read(
        &mut self,
        mut r: hyper::Response<hyper::body::Incoming>,
    ) -> Result<(Vec<u8>, Option<Instant>), String> {
        let mut out = Vec::new();
        let mut first = None;
        while let Some(f) = r.body_mut().frame().await {
            let f = f.map_err(|e| {
                self.sender = None;
                format!("body: {e}")
            })?;
            if let Some(d) = f.data_ref() {
                if first.is_none() {
                    first = Some(Instant::now());
                }
                out.extend_from_slice(d);
            }
        }
        Ok((out, first))
    }

    pub(crate) async fn rpc(&mut self, t: &Target, body: Value) -> Result<Vec<u8>, String> {
        let (r, _) = self.send(t, "POST", "application/json", Bytes::from(body.to_string())).await?;
        let st = r.status();
        if let Some(s) = r.headers().get("mcp-session-id").and_then(|v| v.to_str().ok()) {
            self.session = Some(s.to_string());
        }
        let (b, _) = self.read(r).await?;
        if !st.is_success() {
            return Err(format!(
                "init status {} {}",
                st.as_u16(),
                String::from_utf8_lossy(&b[..b.len().min(120)])
            ));
        }
        Ok(b)
    }

    pub(crate) async fn prepare(&mut self, t: &Target) -> Result<(), String> {
        if self.ready {
            return Ok(());
        }
        if let Kind::Mcp { protocol, init: true, .. } = &t.kind {
            self.rpc(
                t,
                json!({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":protocol,
                "capabilities":{},"clientInfo":{"name":"loadgen","version":"1"}}}),
            )
            .await?;
            self.rpc(t, json!({"jsonrpc":"2.0","method":"notifications/initialized"})).await?;
        }
        self.ready = true;
        Ok(())
    }

    pub(crate) async fn one(&mut self, t: &Target) -> Result<Sample, String> {
        self.id += 1;
        let (method, ctype, body) = match &t.kind {
            Kind::Http { method, body, ctype } => (method.as_str(), ctype.as_str(), body.clone()),
            Kind::Mcp { tool, args, .. } => (
                "POST",
                "application/json",
                Bytes::from(json!({"jsonrpc":"2.0","id":self.id,"method":"tools/call","params":{"name":tool,"arguments":args}}).to_string()),
            ),
        };
        let (r, start) = self.send(t, method, ctype, body).await?;
        let st = r.status().as_u16();
        let head = Instant::now();
        let (b, first) = self.read(r).await?;
        let total = start.elapsed();
        let ok = match t.status {
            Some(s) => s == st,
            None => (200..300).contains(&st),
        };
        if !ok {
            return Err(format!("status {st} {}", String::from_utf8_lossy(&b[..b.len().min(160)])));
        }
        if let Some(e) = &t.expect
            && !b.windows(e.len()).any(|w| w == e.as_bytes())
        {
            return Err(format!("unexpected answer {}", String::from_utf8_lossy(&b[..b.len().min(160)])));
        }
        Ok(Sample { total, first: first.unwrap_or(head) - start, bytes: b.len() })
    }
}
