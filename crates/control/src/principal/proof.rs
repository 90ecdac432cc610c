//! What it is worth when a person proves themself.

use base::PersonId;
use serde::{Deserialize, Serialize};

/// How strongly a person proved themself (`acr`). Ordered: the later, the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// By a link that was sent to them.
    Link,
    /// By one factor.
    Single,
    /// By two.
    Double,
    /// By something that cannot be phished, which verified who holds it.
    PhishingResistant,
}

impl Level {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Link, Self::Single, Self::Double, Self::PhishingResistant];

    /// The authentication context class reference. `phr` is OpenID's (Extended Authentication Profile 1.0); there is no
    /// registered one for the others.
    pub const fn acr(self) -> &'static str {
        match self {
            Self::Link => "urn:writ:acr:link",
            Self::Single => "urn:writ:acr:1fa",
            Self::Double => "urn:writ:acr:2fa",
            Self::PhishingResistant => "phr",
        }
    }

    /// The level with this reference.
    pub fn of(acr: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.acr() == acr)
    }
}

/// What really happened when a person proved themself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Who.
    pub person: PersonId,
    /// How strongly.
    pub level: Level,
    /// By what (`amr`, RFC 8176).
    pub methods: Vec<String>,
}

impl Proof {
    pub(crate) fn new(person: PersonId, level: Level, methods: &[&str]) -> Self {
        Self { person, level, methods: methods.iter().map(|&method| method.to_owned()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn levels_are_ordered_and_found_by_their_reference() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::of(level.acr()), Some(level));
        }
        assert_eq!(Level::of("urn:writ:acr:3fa"), None);
    }
}
