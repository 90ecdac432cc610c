//! What all pages have: a language, who is signed in, and what just happened.

use base::Timestamp;

use crate::{
    Language,
    asset::{SCRIPT_VERSION, STYLE_VERSION},
    moment::moment,
};

/// What just happened, by its key in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It went well.
    Done(&'static str),
    /// It did not, and why.
    Trouble(&'static str),
}

/// What all pages have.
#[derive(Clone, Debug)]
pub struct Page {
    /// The language.
    pub language: Language,
    /// The name of whoever is signed in.
    pub person: Option<String>,
    /// What just happened.
    pub notice: Option<Notice>,
    /// The address of this page with its query, for the choice of a language; empty where it cannot be asked for again.
    pub here: String,
}

impl Page {
    pub(crate) fn say(&self, key: &str) -> String {
        self.language.say(key, &[])
    }

    pub(crate) fn with(&self, key: &str, name: &str, value: impl std::fmt::Display) -> String {
        self.language.say(key, &[(name, &value.to_string())])
    }

    pub(crate) fn at(&self, at: Timestamp) -> String {
        moment(self.language, at)
    }

    #[expect(clippy::unused_self, reason = "templates call it on a page")]
    pub(crate) fn style(&self) -> String {
        format!("/assets/style.css?v={STYLE_VERSION:016x}")
    }

    #[expect(clippy::unused_self, reason = "templates call it on a page")]
    pub(crate) fn script(&self) -> String {
        format!("/assets/passkey.js?v={SCRIPT_VERSION:016x}")
    }

    pub(crate) fn is_in(&self, language: Language) -> bool {
        self.language == language
    }

    /// This page in another language.
    pub(crate) fn here_in(&self, language: Language) -> String {
        let separator = if self.here.contains('?') { '&' } else { '?' };
        format!("{}{separator}lang={}", self.here, language.code())
    }
}
