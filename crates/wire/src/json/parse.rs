//! The parser.

use base::limit::{JSON_BYTES_MAX, JSON_DEPTH_MAX};

use super::{Json, JsonError, JsonErrorKind as Kind, Number, Object};

/// What the parser accepts at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest text, in bytes.
    pub bytes: usize,
    /// The deepest nesting of arrays and objects; a scalar has depth 0. The parser recurses: keep it below 256.
    pub depth: usize,
    /// The most values of all kinds. Bounds memory: a value of one byte of text takes 32 bytes when parsed.
    pub values: usize,
    /// The most digits of one number, without those of its exponent.
    pub digits: usize,
    /// The largest absolute exponent of ten of one number.
    pub exponent: u32,
}

impl Default for Limits {
    /// The house's limits for documents from outside. Digits and exponent leave room for every binary64 however it
    /// is written out.
    fn default() -> Self {
        Self { bytes: JSON_BYTES_MAX, depth: JSON_DEPTH_MAX, values: 1 << 20, digits: 512, exponent: 1024 }
    }
}

pub(super) fn parse(bytes: &[u8], limits: Limits) -> Result<Json, JsonError> {
    if bytes.len() > limits.bytes {
        return Err(Kind::TooLarge.at(limits.bytes));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Kind::InvalidUtf8.at(error.valid_up_to()))?;
    if text.starts_with('\u{feff}') {
        return Err(Kind::ByteOrderMark.at(0));
    }
    let mut parser = Parser { text, bytes, at: 0, limits, values: 0, name_offsets: Vec::new() };
    parser.skip_whitespace();
    let value = parser.value(0)?;
    parser.skip_whitespace();
    if parser.at == bytes.len() { Ok(value) } else { Err(Kind::TrailingBytes.at(parser.at)) }
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    values: usize,
    /// Where the names of the objects that are open stand; one stack for all, for error messages only.
    name_offsets: Vec<usize>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The refusal of whatever stands at the current place.
    fn unexpected(&self) -> JsonError {
        let kind = if self.at < self.bytes.len() { Kind::UnexpectedByte } else { Kind::UnexpectedEnd };
        kind.at(self.at)
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(Kind::TooManyValues.at(self.at));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.object(depth + 1).map(Json::Object),
            Some(b'[') => self.array(depth + 1).map(Json::Array),
            Some(b'-' | b'0'..=b'9') => {
                let (number, end) = number(self.bytes, self.at, self.limits)?;
                self.at = end;
                Ok(Json::Number(number))
            }
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            _ => Err(self.unexpected()),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        let matching = word.bytes().zip(&self.bytes[self.at..]).take_while(|(a, b)| a == *b).count();
        self.at += matching;
        Err(self.unexpected())
    }

    /// Steps over the opening bracket of an array or object.
    fn open(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > self.limits.depth {
            return Err(Kind::TooDeep.at(self.at));
        }
        self.at += 1;
        self.skip_whitespace();
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<Vec<Json>, JsonError> {
        self.open(depth)?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(items);
        }
        loop {
            items.push(self.value(depth)?);
            self.skip_whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(items);
                }
                _ => return Err(self.unexpected()),
            }
            self.skip_whitespace();
        }
    }

    fn object(&mut self, depth: usize) -> Result<Object, JsonError> {
        self.open(depth)?;
        let mut object = Object::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(object);
        }
        let first_name = self.name_offsets.len();
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            self.name_offsets.push(self.at);
            let name = self.string()?;
            self.skip_whitespace();
            if self.peek() != Some(b':') {
                return Err(self.unexpected());
            }
            self.at += 1;
            self.skip_whitespace();
            let value = self.value(depth)?;
            object.push_distinct(name, value);
            self.skip_whitespace();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.unexpected()),
            }
            self.skip_whitespace();
        }
        // SECURITY: parsers differ on which of two members counts; the names are compared after unescaping.
        if let Some(second) = object.second_of_a_name() {
            return Err(Kind::DuplicateMember.at(self.name_offsets[first_name + second]));
        }
        self.name_offsets.truncate(first_name);
        self.at += 1;
        Ok(object)
    }

    /// The string that begins at the current quote.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let begin = self.at;
            let ordinary = |byte: &u8| *byte != b'"' && *byte != b'\\' && *byte >= 0x20;
            self.at += self.bytes[begin..].iter().take_while(|byte| ordinary(byte)).count();
            // The run ends before an ASCII byte or at the end, so both ends are character boundaries.
            let run = &self.text[begin..self.at];
            match self.peek() {
                Some(b'"') if out.is_empty() => {
                    self.at += 1;
                    return Ok(run.to_owned());
                }
                Some(b'"') => {
                    self.at += 1;
                    out.push_str(run);
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(run);
                    out.push(self.escape()?);
                }
                Some(_) => return Err(Kind::ControlCharacter.at(self.at)),
                None => return Err(Kind::UnexpectedEnd.at(self.at)),
            }
        }
    }

    /// The character of the escape that begins at the current backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let begin = self.at;
        let Some(&letter) = self.bytes.get(begin + 1) else {
            return Err(Kind::UnexpectedEnd.at(self.bytes.len()));
        };
        self.at += 2;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(begin),
            _ => return Err(Kind::InvalidEscape.at(begin)),
        })
    }

    /// The rest of a `\uXXXX`, or of a pair of them that encodes one character beyond the basic plane.
    fn unicode(&mut self, begin: usize) -> Result<char, JsonError> {
        let high = self.hex4(begin)?;
        let code = match high {
            0xd800..=0xdbff if self.bytes[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                match self.hex4(begin)? {
                    low @ 0xdc00..=0xdfff => 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00),
                    _ => return Err(Kind::LoneSurrogate.at(begin)),
                }
            }
            _ => high,
        };
        char::from_u32(code).ok_or(Kind::LoneSurrogate.at(begin))
    }

    fn hex4(&mut self, begin: usize) -> Result<u32, JsonError> {
        let Some(digits) = self.bytes.get(self.at..self.at + 4) else {
            return Err(Kind::UnexpectedEnd.at(self.bytes.len()));
        };
        let code = digits
            .iter()
            .try_fold(0, |code, &digit| Some(code * 16 + char::from(digit).to_digit(16)?))
            .ok_or(Kind::InvalidEscape.at(begin))?;
        self.at += 4;
        Ok(code)
    }
}

/// The number that begins at `begin`, and where it ends (RFC 8259, section 6).
pub(super) fn number(bytes: &[u8], begin: usize, limits: Limits) -> Result<(Number, usize), JsonError> {
    let digits_from =
        |at: usize| bytes[at.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let missing = |at: usize| {
        let kind = if at < bytes.len() { Kind::InvalidNumber } else { Kind::UnexpectedEnd };
        kind.at(at)
    };
    let mut at = begin + usize::from(bytes.get(begin) == Some(&b'-'));
    let mut digits = digits_from(at);
    if digits == 0 {
        return Err(missing(at));
    }
    if digits > 1 && bytes[at] == b'0' {
        return Err(Kind::InvalidNumber.at(at));
    }
    at += digits;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits_from(at + 1);
        if fraction == 0 {
            return Err(missing(at + 1));
        }
        at += 1 + fraction;
        digits += fraction;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let count = digits_from(at);
        if count == 0 {
            return Err(missing(at));
        }
        let exponent = bytes[at..at + count].iter().fold(0_u32, |exponent, digit| {
            exponent.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
        });
        if exponent > limits.exponent {
            return Err(Kind::NumberTooLarge.at(at));
        }
        at += count;
    }
    if digits > limits.digits {
        return Err(Kind::NumberTooLarge.at(begin));
    }
    // Only ASCII was accepted.
    let text = std::str::from_utf8(&bytes[begin..at]).map_err(|_| Kind::InvalidNumber.at(begin))?;
    Ok((Number::from_checked(text), at))
}
