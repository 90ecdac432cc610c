//! What stands in front of each operation: the asker first, then the body, then the asker again.

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base::{HeldBody, limit};

use super::{api::Need, asker, body, error::ApiError};
use crate::{control::Control, oauth::ask_for_nonce};

/// What stands in front of an operation.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) control: Control,
    pub(super) need: Need,
    pub(super) takes_body: bool,
}

/// Stands in front of each operation: authenticates, asks for what the operation needs, reads the body, and hands the
/// asker on.
pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    match gate.admit(request).await {
        Ok((request, held)) => {
            let response = next.run(request).await;
            drop(held);
            response
        }
        Err(error) => gate.refusal(error),
    }
}

impl Gate {
    fn refusal(&self, error: ApiError) -> Response {
        let nonce = error.wants_nonce().then(|| self.control.dpop_nonce(self.control.now())).flatten();
        let mut response = error.into_response();
        if let Some(nonce) = nonce {
            ask_for_nonce(response.headers_mut(), nonce);
        }
        response
    }

    async fn admit(&self, request: Request) -> Result<(Request, Option<HeldBody>), ApiError> {
        let (mut parts, body) = request.into_parts();
        let mut asked = asker::authenticate(&self.control, &parts, self.need).await?;
        let (body, held) = if self.takes_body {
            let sender = asked.sender().unwrap_or_else(|| body::stranger(&parts));
            let mut held = body::read(&parts, body, sender, limit::BODY_BYTES_MAX).await?;
            asked = asked.renewed(&self.control)?;
            (Body::from(held.take()), Some(held))
        } else if body.is_end_stream() {
            (body, None)
        } else {
            return Err(ApiError::bodiless());
        };
        parts.extensions.insert(asked);
        Ok((Request::from_parts(parts, body), held))
    }
}
