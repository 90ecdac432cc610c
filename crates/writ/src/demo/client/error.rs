//! How a call can fail below the level of tools.

use http::{Response, StatusCode, header};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use serde_json::Value;

/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Why a request has no result.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// An HTTP status other than success.
    Refused {
        /// The status.
        status: StatusCode,
        /// The `WWW-Authenticate` headers, one per line.
        challenge: String,
        /// The body, as far as it is text.
        body: String,
    },
    /// A JSON-RPC error.
    Rpc {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
        /// Its data, or null.
        data: Value,
    },
    /// The answer ended before the result came.
    Cut,
    /// No answer began in time.
    Silent,
    /// The connection failed.
    Transport(String),
    /// The proof of the key could not be made.
    Proof(String),
    /// The other side breaks the protocol.
    Protocol(String),
}

impl ClientError {
    pub(super) fn transport(error: impl std::error::Error) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Transport(format!("{error}{cause}"))
    }

    pub(super) async fn refused(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let challenges = head.headers.get_all(header::WWW_AUTHENTICATE);
        let challenge: Vec<&str> = challenges.iter().filter_map(|value| value.to_str().ok()).collect();
        // A refusal whose text cannot be read is still the refusal.
        let body = Limited::new(body, REFUSAL_BYTES_MAX).collect().await.map(Collected::to_bytes);
        let body = body.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Self::Refused { status: head.status, challenge: challenge.join("\n"), body }
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { status, body, .. } => write!(f, "the server answered {status}: {body}"),
            Self::Rpc { code, message, .. } => write!(f, "the server answered with error {code}: {message}"),
            Self::Cut => f.write_str("the answer was cut off before its result"),
            Self::Silent => f.write_str("no answer began in time"),
            Self::Transport(text) => write!(f, "the connection failed: {text}"),
            Self::Proof(text) => write!(f, "the proof of the key could not be made: {text}"),
            Self::Protocol(text) => write!(f, "the server breaks the protocol: {text}"),
        }
    }
}

impl std::error::Error for ClientError {}
