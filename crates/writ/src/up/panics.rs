//! A panic is a refusal, and nobody else's trouble.

use std::panic::AssertUnwindSafe;

use axum::{
    Json,
    extract::Request,
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures_util::FutureExt as _;
use serde_json::json;

/// Answers a request whose handler panicked. Whatever the handler held is dropped: a transaction rolls back, a permit
/// is gone.
pub(super) async fn caught(request: Request, next: Next) -> Response {
    guarded(next.run(request)).await
}

/// The same for what no router stands before.
pub(super) async fn guarded(serving: impl Future<Output = Response>) -> Response {
    // What a handler shares with others is behind locks whose poisoning is dealt with where they are taken.
    if let Ok(response) = AssertUnwindSafe(serving).catch_unwind().await {
        return response;
    }
    // The hook has written message and place to standard error.
    tracing::error!("a request failed by a panic and was refused; please report it");
    metrics::counter!("writ_panics_total").increment(1);
    let body = json!({ "code": "fault", "message": "something failed on our side; nothing was changed" });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, http::Request, http::StatusCode, middleware, routing::get};
    use tower::ServiceExt as _;

    async fn broken() -> &'static str {
        std::panic::panic_any("a fault of ours")
    }

    #[tokio::test]
    async fn a_panic_is_a_refusal_and_the_next_request_is_served() {
        let routes = Router::new().route("/broken", get(broken)).route("/whole", get(|| async { "ok" }));
        let routes = routes.layer(middleware::from_fn(super::caught));
        let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let refused = routes.clone().oneshot(ask("/broken")).await.unwrap();
        assert_eq!(refused.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(refused.headers()["content-type"].to_str().unwrap().starts_with("application/json"));
        assert_eq!(routes.oneshot(ask("/whole")).await.unwrap().status(), StatusCode::OK);
    }
}
