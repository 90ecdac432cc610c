//! The writers: compact and canonical.

use std::fmt;

use serde::ser::{Error, Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Json, Number, Object};

impl Json {
    /// The value of anything that serialises; fails as `value` fails, or for a map whose keys are no texts.
    pub fn from_serialize(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(Self::from)
    }

    /// The compact text: no whitespace, members in their order, numbers exactly as they were read.
    pub fn to_text(&self) -> String {
        let mut out = Vec::new();
        self.write_into(&mut out);
        // The writer emits whole `str`s and ASCII.
        String::from_utf8(out).unwrap_or_default()
    }

    /// Appends the compact text to `out`.
    pub fn write_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => number.write_text(out),
            Self::Object(object) => write_members(object.iter(), out, Self::write_into),
            Self::Array(items) => write_items(items, out, Self::write_into),
            _ => self.write_scalar(out),
        }
    }

    /// The canonical text: RFC 8785, except that a number prints its exact decimal value (see
    /// [`Number::canonical`]), so that two values have one canonical text exactly when they are equal. For a value
    /// whose numbers all are shortest prints of binary64, this is RFC 8785 to the byte.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_canonical(&mut out);
        out
    }

    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => number.write_canonical(out),
            Self::Object(object) => {
                let sorted = object.sorted();
                let members = sorted.into_iter().map(|(name, value)| (name.as_str(), value));
                write_members(members, out, Self::write_canonical);
            }
            Self::Array(items) => write_items(items, out, Self::write_canonical),
            _ => self.write_scalar(out),
        }
    }

    fn write_scalar(&self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => write_string(text, out),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Null | Self::Number(_) | Self::Array(_) | Self::Object(_) => out.extend_from_slice(b"null"),
        }
    }
}

/// The canonical text of a `serde_json` value, as records use it; see [`Json::canonical`].
pub fn canonical_of(value: &serde_json::Value) -> Vec<u8> {
    Json::from(value).canonical()
}

fn write_members<'a>(
    members: impl Iterator<Item = (&'a str, &'a Json)>,
    out: &mut Vec<u8>,
    write: impl Fn(&Json, &mut Vec<u8>),
) {
    out.push(b'{');
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

fn write_items(items: &[Json], out: &mut Vec<u8>, write: impl Fn(&Json, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Appends `text` as a JSON string, with exactly the escapes of RFC 8785, section 3.2.2.2.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            control => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(control >> 4)]);
                out.push(HEX[usize::from(control & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte stands that cannot stand in a string as it is.
///
/// Most of what is written has none, so whole words are passed over first.
fn escaped(text: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<u64>();
    let (words, _) = text.as_chunks::<WORD>();
    let clean = words.iter().take_while(|word| !has_escaped(u64::from_le_bytes(**word))).count() * WORD;
    let at = text[clean..].iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\')?;
    Some(clean + at)
}

/// Whether one of the eight bytes of `word` is below 0x20, a quotation mark or a backslash.
///
/// A byte less than `n` borrows into its highest bit when `n` is taken from it (Sean Eron Anderson, "Bit Twiddling Hacks",
/// "Determine if a word has a byte less than n"); a byte equal to another is one whose difference is less than one.
const fn has_escaped(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const fn less(word: u64, than: u64) -> u64 {
        word.wrapping_sub(ONES * than) & !word & (ONES * 0x80)
    }
    (less(word, 0x20) | less(word ^ (ONES * b'"' as u64), 1) | less(word ^ (ONES * b'\\' as u64), 1)) != 0
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => {
                let mut out = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| out.serialize_element(item))?;
                out.end()
            }
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(self.len()))?;
        self.iter().try_for_each(|(name, value)| out.serialize_entry(name, value))?;
        out.end()
    }
}

impl Serialize for Number {
    /// Exact or not at all: serde has no decimals, so a number that neither an integer type nor a binary64's
    /// shortest print holds exactly is an error. [`Json::write_into`] has no such bound.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(value) = self.as_i64() {
            return serializer.serialize_i64(value);
        }
        if let Some(value) = self.as_u64() {
            return serializer.serialize_u64(value);
        }
        let exact = self.as_text().parse::<f64>().ok().filter(|float| {
            float.is_finite() && Self::parse(&format!("{float:e}")).is_ok_and(|printed| printed == *self)
        });
        match exact {
            Some(float) => serializer.serialize_f64(float),
            None => {
                Err(S::Error::custom(format_args!("the number `{self}` has no exact form in this format")))
            }
        }
    }
}
