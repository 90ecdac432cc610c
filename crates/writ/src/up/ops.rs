//! What operators and their tools ask: is it alive, is it ready, what does it count.

use std::sync::OnceLock;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use control::control::Control;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts counting.
pub(super) fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    super::meters::describe();
    Ok(recorder)
}

/// Keeps the recorder for `/metrics`.
pub(super) fn keep_recorder(recorder: PrometheusHandle) {
    drop(RECORDER.set(recorder));
}

pub(super) fn router(control: &Control) -> Router {
    Router::new()
        .route("/", routing::get(front))
        .route("/livez", routing::get(|| std::future::ready("ok\n")))
        .route("/readyz", routing::get(ready))
        .route("/metrics", routing::get(render))
        .with_state(control.clone())
}

/// What somebody reads who opens the address and wonders what answers there.
async fn front() -> Response {
    Json(json!({
        "what": "Writ: identity and access management for AI agents",
        "mcp": "/mcp/{server}",
        "mcp_all": "/mcp",
        "api": "/api/v1/openapi.json",
        "authorization_server": "/.well-known/oauth-authorization-server",
        "log": "/log/checkpoint",
        "operation": ["/livez", "/readyz", "/metrics"],
        "next": "`writ status` on the command line, with WRIT_URL and WRIT_TOKEN",
    }))
    .into_response()
}

/// Ready means: this node can prove that it knows the latest revocations, and what it decides can be recorded.
async fn ready(State(control): State<Control>) -> Response {
    let not_ready = if !control.is_fresh(control.now()) {
        "the log cannot be read; every decision is a denial\n"
    } else if !control.store().takes_writes() {
        "the log cannot be written; nothing is allowed and nothing can be changed\n"
    } else {
        return (StatusCode::OK, "ok\n").into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, not_ready).into_response()
}

async fn render(State(control): State<Control>) -> Response {
    for (reason, count) in control.store().unrecorded() {
        metrics::gauge!("writ_writes_without_record", "reason" => reason.as_str())
            .set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    metrics::counter!("writ_outcomes_left_to_the_sweeper_total")
        .absolute(control.store().left_to_the_sweeper());
    metrics::counter!("writ_promises_late_total").absolute(control.store().promises_late());
    metrics::gauge!("writ_fresh").set(if control.is_fresh(control.now()) { 1.0 } else { 0.0 });
    metrics::gauge!("writ_writable").set(if control.store().takes_writes() { 1.0 } else { 0.0 });
    let text = RECORDER.get().map(PrometheusHandle::render).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Every other path.
pub(super) async fn nowhere() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "code": "not_found", "message": "there is nothing at this path" })))
        .into_response()
}
