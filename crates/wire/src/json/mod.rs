//! Strict JSON (RFC 8259) that keeps what it read.
//!
//! Writ decides on a parsed value and forwards a serialisation of that same value. That only works when no two
//! readers can see different things in one text, so the parser refuses everything on which parsers are known to
//! disagree (duplicate member names, lone surrogates, a byte order mark, invalid UTF-8, trailing bytes), and
//! numbers keep their exact decimal value: nothing here passes through a binary float.
//!
//! INVARIANT: `Json::parse(value.to_text()) == value`, and two values are equal exactly when their
//! [`canonical`](Json::canonical) texts are.

mod error;
mod members;
mod number;
mod object;
mod parse;
mod write;

#[cfg(test)]
mod tests;

pub use error::{JsonError, JsonErrorKind};
pub use members::Members;
pub use number::Number;
pub use object::Object;
pub use parse::Limits;
pub use write::{canonical_of, write_string};

/// A JSON value. Equality is by value: `1.0 == 1`, and the order of members does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A decimal number of any size within the parser's limits.
    Number(Number),
    /// A text, unescaped.
    String(String),
    /// An ordered list.
    Array(Vec<Json>),
    /// Members with distinct names, in the order in which they were written.
    Object(Object),
}

impl Json {
    /// Parses one JSON text within the [default limits](Limits::default).
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        parse::parse(bytes, Limits::default())
    }

    /// Parses one JSON text within `limits`.
    pub fn parse_with(bytes: &[u8], limits: Limits) -> Result<Self, JsonError> {
        parse::parse(bytes, limits)
    }

    /// An object with these members; a later member of the same name replaces an earlier one.
    pub fn object<K: Into<String>, const N: usize>(members: [(K, Json); N]) -> Self {
        Self::Object(members.into_iter().collect())
    }

    /// An array of these values.
    pub fn array(items: impl IntoIterator<Item = impl Into<Json>>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }

    /// The member called `name`, when this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// The value at a JSON Pointer (RFC 6901); the empty pointer is the value itself.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        pointer.strip_prefix('/')?.split('/').try_fold(self, |value, token| match value {
            Self::Object(object) => object.get(&unescape_token(token)?),
            Self::Array(items) => items.get(array_index(token)?),
            _ => None,
        })
    }

    /// The truth value, when this is one.
    pub const fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, when this is one.
    pub const fn as_number(&self) -> Option<&Number> {
        if let Self::Number(value) = self { Some(value) } else { None }
    }

    /// The number as `i64`, when this is a number with exactly such a value.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_number()?.as_i64()
    }

    /// The number as `u64`, when this is a number with exactly such a value.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.as_u64()
    }

    /// The text, when this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(value) = self { Some(value) } else { None }
    }

    /// The items, when this is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The object, when this is one.
    pub const fn as_object(&self) -> Option<&Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The object, to be changed, when this is one.
    pub const fn as_object_mut(&mut self) -> Option<&mut Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// The object itself, when this is one.
    pub fn into_object(self) -> Option<Object> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    /// Whether this is `null`.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value this is, with an article, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// A reference token of a JSON Pointer: `~1` is `/`, `~0` is `~`, and no other `~` may stand.
fn unescape_token(token: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !token.contains('~') {
        return Some(token.into());
    }
    let mut parts = token.split('~');
    let mut text = String::from(parts.next()?);
    for part in parts {
        let (first, rest) = part.split_at_checked(1)?;
        text.push(match first {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text.into())
}

/// An array index of a JSON Pointer: decimal digits without leading zeros.
fn array_index(token: &str) -> Option<usize> {
    let canonical =
        token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<N: Into<Number>> From<N> for Json {
    fn from(number: N) -> Self {
        Self::Number(number.into())
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<Vec<Self>> for Json {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(number.into()),
            serde_json::Value::String(text) => Self::String(text.clone()),
            serde_json::Value::Array(items) => Self::Array(items.iter().map(Into::into).collect()),
            serde_json::Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), value.into())).collect())
            }
        }
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self::from(&value)
    }
}
