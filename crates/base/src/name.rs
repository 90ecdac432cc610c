//! Names that can be compared.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of a person, agent, server, role or other thing, as written in documents and commands.
///
/// SECURITY: one spelling per name. Only lower-case ASCII letters, digits, `.`, `_` and `-` are accepted, so
/// there are no case variants, normal forms, invisible characters or look-alikes to confuse
/// (threat class 13). Names for display are free text and never compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The longest name, in bytes.
    pub const LENGTH_MAX: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name: use 1 to 63 lower-case letters, digits, `.`, `_` or `-`, beginning and ending with a letter or digit, without `__`"
)]
pub struct NameError(String);

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let well_formed = (1..=Self::LENGTH_MAX).contains(&bytes.len())
            && bytes.first().is_some_and(alphanumeric)
            && bytes.last().is_some_and(alphanumeric)
            && bytes.iter().all(|byte| alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-'))
            // Tools behind the aggregated endpoint are called `{server}__{tool}`.
            && !text.contains("__");
        if well_formed { Ok(Self(text.into())) } else { Err(NameError(text.chars().take(80).collect())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn one_spelling_per_name() {
        for good in ["a", "crm", "team-a.eu_1", "0x"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in
            ["", "Ada", " ada", "ada ", "-a", "a-", "a__b", "ad\u{430}", "a\u{200b}b", "a/b", &"a".repeat(64)]
        {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
