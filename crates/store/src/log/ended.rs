//! What became of an act, as its record says it.

use base::{Position, Timestamp};
use wire::json::Members;

/// The end of an act.
#[derive(Clone, Debug)]
pub struct Ended {
    /// `done`, `failed`, `cut` or `unknown`.
    pub result: &'static str,
    /// Why, as a stable code, where it did not simply end well.
    pub code: Option<&'static str>,
    /// What was seen of it; none where nobody saw the end.
    pub seen: Option<Seen>,
}

/// What whoever forwarded an act saw of its end.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How many bytes came back.
    pub bytes: i64,
    /// SHA-256 over the canonical answer, where there was one.
    pub answer: Option<[u8; 32]>,
    /// When it ended.
    pub at: Timestamp,
}

impl Ended {
    /// Nobody knows.
    pub(crate) const UNKNOWN: Self = Self { result: "unknown", code: None, seen: None };
    /// It never began: nobody took the receipt of its intent.
    pub(crate) const NOT_FORWARDED: Self = Self { result: "failed", code: Some("not_forwarded"), seen: None };

    /// The facts of the record, canonical JSON.
    pub(crate) fn data(&self, intent: Position) -> String {
        let mut data = Members::with_capacity(256);
        if let Some(seen) = &self.seen {
            match &seen.answer {
                Some(digest) => data.hex("answer_sha256", digest),
                None => data.opt_text("answer_sha256", None),
            }
            data.number("bytes", seen.bytes);
            data.opt_text("code", self.code);
            data.number("ended", seen.at.millis());
        } else if let Some(code) = self.code {
            data.text("code", code);
        }
        data.number("intent", intent.0);
        data.text("result", self.result);
        data.into_text()
    }
}

#[cfg(test)]
mod tests {
    use base::{Position, Timestamp};
    use wire::json::Json;

    use super::{Ended, Seen};

    #[test]
    fn the_facts_are_canonical() {
        let seen = |answer| Some(Seen { bytes: 5, answer, at: Timestamp::from_millis(7) });
        for ended in [
            Ended::UNKNOWN,
            Ended::NOT_FORWARDED,
            Ended { result: "done", code: None, seen: seen(Some([1; 32])) },
            Ended { result: "cut", code: Some("authority_revoked"), seen: seen(None) },
        ] {
            let text = ended.data(Position(3));
            let read = Json::parse(text.as_bytes()).unwrap();
            assert_eq!(read.canonical(), text.as_bytes(), "{text}");
            assert_eq!(read.get("intent"), Some(&Json::from(3_i64)), "{text}");
        }
        assert_eq!(Ended::UNKNOWN.data(Position(3)), r#"{"intent":3,"result":"unknown"}"#);
    }
}
