//! What goes out by mail.

use crate::Language;

/// A letter with a link by which a person comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl Letter {
    /// The letter to a person of this name.
    pub fn with_link(language: Language, name: &str, url: &str) -> Self {
        let text = language.say("mail-text", &[("name", name), ("url", url)]);
        Self { subject: language.say("mail-subject", &[]), text }
    }
}

#[cfg(test)]
mod tests {
    use super::Letter;
    use crate::Language;

    #[test]
    fn the_link_stands_in_every_language() {
        for language in Language::ALL {
            let letter = Letter::with_link(language, "Maya", "https://w.example/join/1");
            assert!(
                letter.text.contains("https://w.example/join/1") && letter.text.contains("Maya"),
                "{}",
                letter.text
            );
            assert!(letter.text.lines().count() >= 5 && !letter.subject.is_empty());
        }
    }
}
