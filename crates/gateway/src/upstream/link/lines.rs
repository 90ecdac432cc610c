//! Messages as they come: lines of a process, events of a stream.

use std::collections::VecDeque;

use bytes::{Buf, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt};
use wire::sse::{Decoder, Event};

use crate::upstream::Trouble;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// Where a link's messages come from.
pub(super) enum Source {
    Lines(Lines),
    Events(Stream),
}

impl Source {
    /// The next message as text; `None` at the end. May be dropped and called again without losing anything.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Trouble> {
        match self {
            Self::Lines(lines) => lines.next().await,
            Self::Events(stream) => loop {
                let Some(event) = stream.next().await? else { return Ok(None) };
                if event.name.as_deref().is_none_or(|name| name == "message") && !event.data.is_empty() {
                    return Ok(Some(event.data));
                }
            },
        }
    }

    /// Reads and forgets, until the end.
    pub(super) async fn discard(&mut self) {
        if let Self::Lines(lines) = self {
            let mut piece = vec![0; PIECE_BYTES];
            while lines.output.read(&mut piece).await.is_ok_and(|read| read > 0) {}
        }
    }
}

/// The lines that a process writes, each bounded.
pub(super) struct Lines {
    output: Box<dyn AsyncRead + Send + Unpin>,
    held: BytesMut,
    /// How much of what is held has no line's end in it.
    searched: usize,
    limit: usize,
}

impl Lines {
    pub(super) fn new(output: Box<dyn AsyncRead + Send + Unpin>, limit: usize) -> Self {
        Self { output, held: BytesMut::new(), searched: 0, limit }
    }

    async fn next(&mut self) -> Result<Option<String>, Trouble> {
        loop {
            let end = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| self.searched + end) {
                let line = self.held.split_to(end);
                self.held.advance(1);
                self.searched = 0;
                return match String::from_utf8(line.into()) {
                    Ok(line) => Ok(Some(line)),
                    Err(_) => Err(Trouble::Garbage("a line that is not UTF-8")),
                };
            }
            self.searched = self.held.len();
            if self.held.len() > self.limit {
                return Err(Trouble::TooLarge(self.limit));
            }
            self.held.reserve(PIECE_BYTES);
            match self.output.read_buf(&mut self.held).await {
                // What stands after the last line's end was never finished.
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "the output of a local server cannot be read");
                    return Err(Trouble::Broken);
                }
            }
        }
    }
}

/// The events of a stream that a server keeps open.
pub(super) struct Stream {
    body: Incoming,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

impl Stream {
    pub(super) fn new(body: Incoming, limit: usize) -> Self {
        Self { body, decoder: Decoder::new(limit), ready: VecDeque::new() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<Event>, Trouble> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let Ok(piece) = frame.map_err(|_| Trouble::Broken)?.into_data() else { continue };
            let mut events = Vec::new();
            let read = self.decoder.push(&piece, &mut events);
            self.ready.extend(events);
            read.map_err(|_| Trouble::Garbage("a broken event stream"))?;
        }
    }
}
