//! Server-sent events: the framing of MCP's streams (WHATWG HTML, section 9.2).
//!
//! The decoder takes bytes in any chunking and holds at most one event of bounded size. It is stricter than a
//! browser in one point: invalid UTF-8 is an error instead of being replaced, because what is decided on must be
//! what was sent.

use std::mem;

/// One dispatched event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The event's type; `None` where the stream named none, which readers treat as `message`.
    pub name: Option<String>,
    /// The data lines, joined by line feeds. May be empty: servers prime a stream that way.
    pub data: String,
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event did not end within the bound.
    #[error("event is larger than {limit} bytes")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// A line was not UTF-8.
    #[error("event is not UTF-8")]
    NotUtf8,
}

/// An incremental decoder of one stream.
///
/// After an error the decoder is spent: every further call gives the same error.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    name: Option<String>,
    data: Option<String>,
    last_event_id: Option<String>,
    /// The id of the event that is being read; it counts once the event is whole.
    next_event_id: Option<String>,
    retry_millis: Option<u32>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    /// No line has ended yet, so a byte order mark may still stand in front.
    at_start: bool,
    failed: Option<SseError>,
}

impl Decoder {
    /// A decoder whose events hold at most `limit` bytes each, counted over the lines that are kept for it.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            name: None,
            data: None,
            last_event_id: None,
            next_event_id: None,
            retry_millis: None,
            after_return: false,
            at_start: true,
            failed: None,
        }
    }

    /// Takes the next bytes and appends the events that they complete to `events`.
    ///
    /// Events before an error are kept: they were whole when they arrived.
    pub fn push(&mut self, mut chunk: &[u8], events: &mut Vec<Event>) -> Result<(), SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        while !chunk.is_empty() {
            if mem::take(&mut self.after_return) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &chunk[..end.unwrap_or(chunk.len())];
            if self.held() + part.len() > self.limit {
                return Err(self.fail(SseError::TooLarge { limit: self.limit }));
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { break };
            self.after_return = chunk[end] == b'\r';
            chunk = &chunk[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    /// The id that a reader would send as `Last-Event-ID` when it comes back; `None` until the stream gave one.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long the stream asked readers to wait before they come back, in milliseconds.
    pub const fn retry_millis(&self) -> Option<u32> {
        self.retry_millis
    }

    /// How many bytes are kept of an event that has not ended.
    pub fn held(&self) -> usize {
        self.line.len()
            + self.data.as_ref().map_or(0, String::len)
            + self.name.as_ref().map_or(0, String::len)
    }

    fn fail(&mut self, error: SseError) -> SseError {
        self.failed = Some(error);
        error
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), SseError> {
        let bytes = mem::take(&mut self.line);
        let line = match std::str::from_utf8(&bytes) {
            Ok(line) if mem::take(&mut self.at_start) => line.strip_prefix('\u{feff}').unwrap_or(line),
            Ok(line) => line,
            Err(_) => return Err(self.fail(SseError::NotUtf8)),
        };
        if line.is_empty() {
            let name = self.name.take();
            if let Some(id) = self.next_event_id.take() {
                self.last_event_id = Some(id);
            }
            if let Some(data) = self.data.take() {
                events.push(Event { name, data });
            }
        } else {
            self.field(line);
        }
        // The buffer is kept: most lines of a stream are of one size.
        self.line = bytes;
        self.line.clear();
        Ok(())
    }

    fn field(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => self.name = (!value.is_empty()).then(|| value.to_owned()),
            "id" if !value.contains('\0') => self.next_event_id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_millis = value.parse().ok().or(self.retry_millis);
            }
            // Comments have an empty field name; unknown fields are ignored (section 9.2.6).
            _ => {}
        }
    }
}

/// A comment, which readers ignore: keeps idle streams open through proxies.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends a `message` event with this data to `out`.
///
/// Line breaks within the data become several data lines; a reader joins them with line feeds, so carriage
/// returns do not survive. Compact JSON holds neither.
pub fn encode(data: &str, out: &mut Vec<u8>) {
    out.reserve(data.len() + 24);
    out.extend_from_slice(b"event: message\n");
    let mut rest = data;
    loop {
        let end = rest.find(['\n', '\r']);
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&rest.as_bytes()[..end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(end) = end else { break };
        let width = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + width..];
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decoder, Event, KEEP_ALIVE, SseError, encode};

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Event>, SseError> {
        let mut decoder = Decoder::new(1000);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk, &mut events)?;
        }
        Ok(events)
    }

    fn message(data: &str) -> Event {
        Event { name: None, data: data.into() }
    }

    #[test]
    fn reads_what_the_standard_shows() {
        // WHATWG HTML, section 9.2.6, the examples.
        let cases: [(&str, Vec<Event>); 6] = [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", vec![message("YHOO\n+2\n10")]),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
                vec![message("first event"), message("second event")],
            ),
            ("data\n\ndata\ndata\n\ndata:", vec![message(""), message("\n")]),
            ("data:test\n\ndata: test\n\n", vec![message("test"), message("test")]),
            (
                "event: add\ndata: 73857293\n\n",
                vec![Event { name: Some("add".into()), data: "73857293".into() }],
            ),
            ("\u{feff}data: x\r\n\r\ndata: y\r\rdata: z\n\n", vec![message("x"), message("y"), message("z")]),
        ];
        for (text, events) in cases {
            assert_eq!(decode(&[text.as_bytes()]), Ok(events), "{text:?}");
        }
    }

    #[test]
    fn an_event_without_data_is_not_dispatched_but_its_id_is_kept() {
        let mut decoder = Decoder::new(100);
        let mut events = Vec::new();
        decoder.push(b"id: 7\nretry: 500\nevent: x\n\nid: bad\0\nretry: 5x\n\n", &mut events).unwrap();
        assert!(events.is_empty());
        assert_eq!((decoder.last_event_id(), decoder.retry_millis()), (Some("7"), Some(500)));
        decoder.push(b"data: y\n\n", &mut events).unwrap();
        assert_eq!(events, [message("y")], "the name of an undispatched event does not stick");
    }

    #[test]
    fn a_second_byte_order_mark_is_content() {
        assert_eq!(decode(&["data: a\n\n\u{feff}data: b\n\n".as_bytes()]), Ok(vec![message("a")]));
    }

    #[test]
    fn endless_events_end() {
        for endless in [&b"x"[..], b"data: 0123456789\n", b"event: 0123456789\ndata: 1\n"] {
            let mut decoder = Decoder::new(1000);
            let mut events = Vec::new();
            let error = (0..2000).find_map(|_| decoder.push(endless, &mut events).err());
            assert_eq!(error, Some(SseError::TooLarge { limit: 1000 }));
            assert_eq!(decoder.push(b"\n", &mut events), Err(SseError::TooLarge { limit: 1000 }), "spent");
            assert!(events.is_empty());
        }
    }

    #[test]
    fn broken_text_is_an_error() {
        assert_eq!(decode(&[b"data: \xff\n\n"]), Err(SseError::NotUtf8));
        assert_eq!(decode(&[b"data: \xc3", b"\xa9\n\n"]), Ok(vec![message("é")]));
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            text in "(data|event|id|retry|:|x)?[:a\u{feff}é ]{0,3}(\r\n|\n|\r){0,3}(data: [a-z]{0,3}(\r\n|\n|\r){0,3}){0,6}",
            cuts in proptest::collection::vec(0usize..80, 0..12),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.push(0);
            cuts.push(bytes.len());
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&chunks), decode(&[bytes]));
        }

        #[test]
        fn what_is_encoded_is_read_back(texts in proptest::collection::vec("[^\r\u{0}]{0,40}", 0..5)) {
            let mut stream = KEEP_ALIVE.to_vec();
            for text in &texts {
                encode(text, &mut stream);
            }
            let read: Vec<_> = decode(&[&stream]).unwrap().into_iter().map(|event| event.data).collect();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&[&bytes]);
        }
    }
}
