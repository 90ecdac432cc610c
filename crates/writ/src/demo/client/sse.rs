//! Server-sent events, as far as MCP uses them: the data of each event.

/// Cuts a byte stream into events (WHATWG HTML, section 9.2.6): lines end with LF, CR LF or CR.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_cr: bool,
}

/// An event that grew beyond the bound, or is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Events {
    /// Takes the next bytes and returns the data of the events that they complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, Broken> {
        let mut events = Vec::new();
        for &byte in bytes {
            let ends = byte == b'\n' || byte == b'\r';
            // The LF of a CR LF ends nothing: its CR did.
            let skipped = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if ends && !skipped {
                events.extend(self.end_line()?);
            } else if !ends {
                self.line.push(byte);
            }
            if self.line.len() + self.data.len() > base::limit::JSON_BYTES_MAX {
                return Err(Broken);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<String>, Broken> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let has_data = std::mem::take(&mut self.has_data);
            return Ok(has_data.then(|| std::mem::take(&mut self.data)));
        }
        let line = std::str::from_utf8(&line).map_err(|_| Broken)?;
        // Comments and the other fields say nothing that a request needs.
        if let Some(value) = line.strip_prefix("data:") {
            if self.has_data {
                self.data.push('\n');
            }
            self.data.push_str(value.strip_prefix(' ').unwrap_or(value));
            self.has_data = true;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::{Broken, Events};

    fn split(text: &str, size: usize) -> Vec<String> {
        let mut events = Events::default();
        text.as_bytes().chunks(size).flat_map(|bytes| events.feed(bytes).expect("well-formed")).collect()
    }

    #[test]
    fn every_way_of_cutting_gives_the_same_events() {
        for text in [
            "data: a\ndata:b\n\n:c\n\nid: 7\ndata: d\n\nrest",
            "data: a\r\ndata:b\r\n\r\n:c\r\n\r\ndata: d\r\n\r\n",
        ] {
            for size in 1..=text.len() {
                assert_eq!(split(text, size), ["a\nb", "d"], "{text:?} in pieces of {size}");
            }
        }
        assert_eq!(split("data: a\rdata: b\r\r", 3), ["a\nb"]);
    }

    #[test]
    fn an_event_without_data_is_none_and_an_empty_one_is() {
        assert_eq!(split("event: x\n\n", 4), Vec::<String>::new());
        assert_eq!(split("data:\n\n", 4), [""]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut events = Events::default();
        let block = vec![b'a'; 1 << 20];
        let fed: Result<Vec<_>, Broken> = (0..8).map(|_| events.feed(&block)).collect();
        assert_eq!(fed, Err(Broken));
    }
}
