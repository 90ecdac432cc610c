//! A server's answer, message by message.

use std::{collections::VecDeque, time::Duration};

use base::limit::ANSWER_BYTES_MAX;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::time::Instant;
use wire::{
    mcp::Message,
    sse::{Decoder, Event, SseError},
};

use super::{Trouble, link::Body};
use crate::{Upstream, room::AnswerRoom};

/// How much of a stream may follow the answer before the connection is given up instead of kept.
const REMNANT_BYTES_MAX: usize = 64 * 1024;

/// The messages in the body of an answer: one JSON text, or the events of a stream. Each is read strictly.
pub(crate) struct Frames {
    body: Body,
    form: Form,
    ready: VecDeque<Event>,
    /// How long to wait for the next piece; listening streams may be silent forever.
    idle: Option<Duration>,
    /// Since when the next piece is waited for. Kept across calls of `next`: whoever gives up waiting to show a sign
    /// of life and then goes on must not make the server's time begin anew.
    waiting_since: Option<Instant>,
    /// How much may come in all; of a listening stream, only each event is bounded.
    limit: Option<usize>,
    bytes: usize,
    ended: bool,
}

enum Form {
    Json {
        text: Vec<u8>,
        limit: usize,
    },
    Stream(Decoder),
    /// The body of a refusal with this HTTP status: an error in JSON-RPC, or nothing that says more than the status.
    Refusal {
        text: Vec<u8>,
        status: u16,
    },
}

/// The longest id of an event that is sent back to its server, in bytes.
const EVENT_ID_BYTES_MAX: usize = 1024;
/// The longest that a server may ask to wait before it is asked to go on.
const RESUME_WAIT_MAX: Duration = Duration::from_secs(30);

/// The longest body of a refusal that is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

impl Frames {
    /// The messages of the answer to one request.
    pub(crate) fn of_answer(
        answer: Response<Body>,
        upstream: &Upstream,
        in_session: bool,
    ) -> Result<Self, Trouble> {
        let limit = upstream.answer_bytes_max;
        let message = limit.min(ANSWER_BYTES_MAX);
        let form = match (answer.status(), media_type(&answer).as_deref()) {
            (StatusCode::NOT_FOUND, _) if in_session => return Err(Trouble::SessionGone),
            (StatusCode::OK, Some("application/json")) => Form::Json { text: Vec::new(), limit: message },
            (StatusCode::OK, Some("text/event-stream")) => Form::Stream(Decoder::new(message)),
            (StatusCode::OK, _) => return Err(Trouble::Garbage("neither JSON nor an event stream")),
            (status, Some("application/json")) if status.is_client_error() => {
                Form::Refusal { text: Vec::new(), status: status.as_u16() }
            }
            (status, _) => return Err(Trouble::Status(status.as_u16())),
        };
        let idle = Some(upstream.patience.idle);
        Ok(Self::new(answer.into_body(), form, idle, Some(limit)))
    }

    /// The messages of a listening stream; `None` when the server offers none.
    pub(crate) fn of_listening(answer: Response<Body>, upstream: &Upstream) -> Option<Self> {
        let is_stream = answer.status() == StatusCode::OK
            && media_type(&answer).is_some_and(|media_type| media_type == "text/event-stream");
        let form = Form::Stream(Decoder::new(upstream.answer_bytes_max.min(ANSWER_BYTES_MAX)));
        is_stream.then(|| Self::new(answer.into_body(), form, None, None))
    }

    /// The messages of a subscription's stream (2026-07-28). It may be silent for long, and hold any number of them.
    pub(crate) fn of_subscription(answer: Response<Body>, upstream: &Upstream) -> Result<Self, Trouble> {
        let frames = Self::of_answer(answer, upstream, false)?;
        Ok(if frames.is_stream() { Self { idle: None, limit: None, ..frames } } else { frames })
    }

    fn new(body: Body, form: Form, idle: Option<Duration>, limit: Option<usize>) -> Self {
        Self { body, form, ready: VecDeque::new(), idle, waiting_since: None, limit, bytes: 0, ended: false }
    }

    /// Whether the answer comes as a stream of events.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self.form, Form::Stream(_))
    }

    /// From which event on, and after how long, the server would go on with its stream if it were asked again (MCP
    /// 2025-11-25, transports, "Resumability and Redelivery").
    pub(crate) fn resume_point(&self) -> Option<(String, Option<Duration>)> {
        let Form::Stream(decoder) = &self.form else { return None };
        let id = decoder.last_event_id().filter(|id| !id.is_empty() && id.len() <= EVENT_ID_BYTES_MAX)?;
        let wait = decoder.retry_millis().map(|millis| Duration::from_millis(millis.into()));
        Some((id.to_owned(), wait.map(|wait| wait.min(RESUME_WAIT_MAX))))
    }

    /// Whether this is the body of a refusal. It may answer without naming what it answers.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self.form, Form::Refusal { .. })
    }

    /// How many bytes have come.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next message; `None` at the end. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self, room: &mut AnswerRoom) -> Result<Option<Message>, Trouble> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                // Servers prime streams with empty events, and may send events of their own types.
                if event.data.is_empty() || event.name.as_deref().is_some_and(|name| name != "message") {
                    continue;
                }
                return read(event.data.as_bytes()).map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(piece) = self.piece().await? {
                self.take(&piece)?;
                room.reach(self.held())?;
                continue;
            }
            self.ended = true;
            match &mut self.form {
                Form::Json { text, .. } => return read(&std::mem::take(text)).map(Some),
                Form::Refusal { text, status } => {
                    let error = Message::parse(text).ok().filter(
                        |message| matches!(message, Message::Response(response) if response.outcome.is_err()),
                    );
                    return error.map(Some).ok_or(Trouble::Status(*status));
                }
                Form::Stream(_) => {}
            }
        }
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Trouble> {
        loop {
            let frame = self.body.frame();
            let frame = match self.idle {
                Some(idle) => {
                    let end = *self.waiting_since.get_or_insert_with(Instant::now) + idle;
                    tokio::time::timeout_at(end, frame).await.map_err(|_elapsed| Trouble::Stalled)?
                }
                None => frame.await,
            };
            self.waiting_since = None;
            match frame {
                None => return Ok(None),
                Some(Err(trouble)) => return Err(trouble),
                // Trailers carry nothing in MCP.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// How many bytes are kept here.
    fn held(&self) -> usize {
        match &self.form {
            Form::Json { text, .. } | Form::Refusal { text, .. } => text.len(),
            Form::Stream(decoder) => {
                decoder.held() + self.ready.iter().map(|event| event.data.len()).sum::<usize>()
            }
        }
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), Trouble> {
        self.bytes += piece.len();
        if let Some(limit) = self.limit.filter(|limit| self.bytes > *limit) {
            return Err(Trouble::TooLarge(limit));
        }
        match &mut self.form {
            Form::Json { text, limit } => {
                if text.len() + piece.len() > *limit {
                    return Err(Trouble::TooLarge(*limit));
                }
                text.extend_from_slice(piece);
                Ok(())
            }
            Form::Refusal { text, status } => {
                if text.len() + piece.len() > REFUSAL_BYTES_MAX {
                    return Err(Trouble::Status(*status));
                }
                text.extend_from_slice(piece);
                Ok(())
            }
            Form::Stream(decoder) => {
                let mut events = Vec::new();
                let read = decoder.push(piece, &mut events);
                self.ready.extend(events);
                read.map_err(|error| {
                    tracing::debug!(%error, "the server's stream is not readable");
                    match error {
                        SseError::TooLarge { limit } => Trouble::TooLarge(limit),
                        SseError::NotUtf8 => Trouble::Garbage("a broken event stream"),
                    }
                })
            }
        }
    }

    /// Reads what follows the answer, up to a bound.
    pub(crate) async fn drain(&mut self) {
        let mut remnant = 0;
        while !self.ended && remnant <= REMNANT_BYTES_MAX {
            match self.body.frame().await {
                Some(Ok(frame)) => remnant += frame.data_ref().map_or(0, Bytes::len),
                None | Some(Err(_)) => self.ended = true,
            }
        }
    }
}

fn read(text: &[u8]) -> Result<Message, Trouble> {
    Message::parse_answer(text).map_err(|invalid| {
        tracing::debug!(error = %invalid.error.message, "the server sent no message");
        Trouble::Garbage("no JSON-RPC message")
    })
}

/// The media type without parameters, lower case.
fn media_type<B>(answer: &Response<B>) -> Option<String> {
    let value = answer.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
}
