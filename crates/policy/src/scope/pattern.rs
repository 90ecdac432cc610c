//! Patterns: one text, or all.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One exact text, or every text. Written as the text, or as `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// Matches everything.
    Any,
    /// Matches this text, byte by byte.
    Exact(String),
}

impl Pattern {
    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == text,
        }
    }

    /// Whether everything that matches `self` matches `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        *other == Self::Any || self == other
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Exact(text) => text,
        }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        if text == "*" { Self::Any } else { Self::Exact(text.to_owned()) }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}
