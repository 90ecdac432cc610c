//! Constraints on arguments.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use wire::json::{Json, Number};

/// What one argument must be.
///
/// INVARIANT: a constraint that cannot be checked is not satisfied. An argument that is not there satisfies only
/// [`Rule::Absent`]: what the upstream does by default is not known here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Where the argument stands, as a JSON Pointer (RFC 6901) into the arguments: `/amount`.
    pub argument: String,
    /// What it must be.
    pub rule: Rule,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rule {
    /// Equal to one of these, by value: `1` is `1.0`.
    OneOf(#[serde(with = "values")] Vec<Json>),
    /// A number between these bounds, both included.
    Range {
        /// The least value; none is without a bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<Exact>,
        /// The greatest value; none is without a bound.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<Exact>,
    },
    /// A string that begins like this and does not climb out again by a `..` path segment.
    Prefix(String),
    /// A string of at most so many characters (Unicode scalar values), or an array of at most so many items.
    MaxLength(u32),
    /// An array (also an empty one) each item of which satisfies this.
    Each(Box<Rule>),
    /// Not there at all.
    Absent,
}

/// An exact decimal number. Written as a string, because serde has no decimals: `"19.99"`; whole numbers may be
/// written as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(pub Number);

impl Constraint {
    /// Whether `arguments` satisfy it.
    pub fn is_satisfied_by(&self, arguments: &Json) -> bool {
        match (arguments.pointer(&self.argument), &self.rule) {
            (None, Rule::Absent) => is_pointer(&self.argument),
            (None, _) | (Some(_), Rule::Absent) => false,
            (Some(value), rule) => rule.admits(value),
        }
    }
}

impl Rule {
    /// Whether a value that is there satisfies the rule.
    pub fn admits(&self, value: &Json) -> bool {
        match self {
            Self::OneOf(choices) => choices.contains(value),
            Self::Range { min, max } => value.as_number().is_some_and(|number| {
                min.as_ref().is_none_or(|min| *number >= min.0)
                    && max.as_ref().is_none_or(|max| *number <= max.0)
            }),
            Self::Prefix(prefix) => {
                value.as_str().is_some_and(|text| text.starts_with(prefix.as_str()) && stays_inside(text))
            }
            Self::MaxLength(most) => match value {
                Json::String(text) => text.chars().count() <= *most as usize,
                Json::Array(items) => items.len() <= *most as usize,
                _ => false,
            },
            Self::Each(rule) => {
                value.as_array().is_some_and(|items| items.iter().all(|item| rule.admits(item)))
            }
            Self::Absent => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(choices) => {
                let texts: Vec<String> = choices.iter().take(5).map(Json::to_text).collect();
                let more = if choices.len() > 5 { ", ..." } else { "" };
                write!(f, "one of {}{more}", texts.join(", "))
            }
            Self::Range { min: Some(min), max: Some(max) } => {
                write!(f, "a number from {} to {}", min.0, max.0)
            }
            Self::Range { min: Some(min), max: None } => write!(f, "a number of at least {}", min.0),
            Self::Range { min: None, max: Some(max) } => write!(f, "a number of at most {}", max.0),
            Self::Range { min: None, max: None } => f.write_str("a number"),
            Self::Prefix(prefix) => write!(f, "a string that begins with `{prefix}`, without `..`"),
            Self::MaxLength(most) => write!(f, "at most {most} characters or items long"),
            Self::Each(rule) => write!(f, "an array, each item {rule}"),
            Self::Absent => f.write_str("left out"),
        }
    }
}

/// Whether `text` is a JSON Pointer.
pub(super) fn is_pointer(text: &str) -> bool {
    let bad_escape = |rest: &str| !rest.starts_with(['0', '1']);
    (text.is_empty() || text.starts_with('/')) && !text.split('~').skip(1).any(bad_escape)
}

/// Whether a text that was admitted by its beginning stays below it.
///
/// SECURITY: `/data/` must not admit `/data/../etc`. The whole text is looked at, because a prefix may end within
/// a segment. Percent-encoding, backslashes, path parameters (`..;`) and the tabs and line ends that URL parsers
/// drop are read as an upstream might read them.
pub(super) fn stays_inside(text: &str) -> bool {
    let mut plain = text.to_ascii_lowercase();
    plain.retain(|c| !matches!(c, '\t' | '\n' | '\r'));
    // Decoding until nothing changes also finds `%252e`; each round shortens the text, so it ends.
    loop {
        let decoded = plain.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\").replace("%25", "%");
        if decoded == plain {
            break;
        }
        plain = decoded;
    }
    !plain.split(['/', '\\']).any(|segment| segment == ".." || segment.starts_with("..;"))
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.as_text())
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Exact;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number in quotes, or a whole number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Exact, E> {
                Number::parse(text).map(Exact).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Exact, E> {
                Ok(Exact(value.into()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// JSON values in serde formats: through `serde_json::Value`, whose numbers are whole or binary64.
mod values {
    use super::{Deserialize, Deserializer, Json, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[Json], serializer: S) -> Result<S::Ok, S::Error> {
        values.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Json>, D::Error> {
        let values = Vec::<serde_json::Value>::deserialize(deserializer)?;
        Ok(values.iter().map(Json::from).collect())
    }
}
