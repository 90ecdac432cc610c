//! The languages, and the catalogue of all words.

use std::sync::LazyLock;

use fluent_bundle::{FluentArgs, FluentResource, concurrent::FluentBundle};
use unic_langid::{LanguageIdentifier, langid};

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// Spanish.
    Spanish,
    /// Chinese, simplified.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::English, Self::German, Self::Spanish, Self::Chinese];

    /// The code (RFC 5646).
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::Spanish => "es",
            Self::Chinese => "zh",
        }
    }

    /// Its own name for itself.
    pub const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::Spanish => "Espa\u{f1}ol",
            Self::Chinese => "\u{4e2d}\u{6587}",
        }
    }

    /// The language with this code, whatever its region.
    pub fn of(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(primary))
    }

    /// The first language that is ours among those of an `Accept-Language` header, by its weights (RFC 9110, section
    /// 12.5.4).
    pub fn accepted(header: &str) -> Option<Self> {
        let mut wanted: Vec<(u32, Self)> = Vec::new();
        for item in header.split(',').take(32) {
            let mut parts = item.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Self::of) else { continue };
            let weight =
                parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0_f32));
            // Weights have at most three digits; whole numbers compare.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to 0 to 1000"
            )]
            let weight = (weight.clamp(0.0, 1.0) * 1000.0) as u32;
            if weight > 0 && wanted.iter().all(|(best, _)| weight > *best) {
                wanted.push((weight, language));
            }
        }
        wanted.last().map(|(_, language)| *language)
    }

    /// The words for `key`, with its places filled in.
    pub(crate) fn say(self, key: &str, arguments: &[(&str, &str)]) -> String {
        let bundle = match self {
            Self::English => &CATALOGUE[0],
            Self::German => &CATALOGUE[1],
            Self::Spanish => &CATALOGUE[2],
            Self::Chinese => &CATALOGUE[3],
        };
        let Some(pattern) = bundle.get_message(key).and_then(|message| message.value()) else {
            return key.to_owned();
        };
        let mut places = FluentArgs::new();
        for (name, value) in arguments {
            match value.parse::<i64>() {
                // Plurals count numbers.
                Ok(number) => places.set(*name, number),
                Err(_) => places.set(*name, *value),
            }
        }
        bundle.format_pattern(pattern, Some(&places), &mut Vec::new()).into_owned()
    }
}

const TEXTS: [(LanguageIdentifier, &str); 4] = [
    (langid!("en"), include_str!("../locales/en.ftl")),
    (langid!("de"), include_str!("../locales/de.ftl")),
    (langid!("es"), include_str!("../locales/es.ftl")),
    (langid!("zh"), include_str!("../locales/zh.ftl")),
];

static CATALOGUE: LazyLock<[FluentBundle<FluentResource>; 4]> = LazyLock::new(|| TEXTS.map(bundle));

fn bundle((language, text): (LanguageIdentifier, &str)) -> FluentBundle<FluentResource> {
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // Marks around what is filled in would end up in titles and in what screen readers spell.
    bundle.set_use_isolating(false);
    // What does not parse is missing, and a test finds what is missing.
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
    bundle.add_resource_overriding(resource);
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fluent_bundle::FluentResource;

    use super::{Language, TEXTS};

    fn keys(text: &str) -> BTreeSet<String> {
        let message = |line: &str| line.split_once(" =").map(|(key, _)| key.to_owned());
        text.lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .filter_map(message)
            .collect()
    }

    #[test]
    fn every_language_says_everything() {
        let english = keys(TEXTS[0].1);
        for (language, text) in &TEXTS {
            assert!(FluentResource::try_new((*text).to_owned()).is_ok(), "{language} does not parse");
            assert_eq!(keys(text), english, "{language}");
        }
    }

    #[test]
    fn every_word_of_a_template_is_in_the_catalogue_and_every_entry_is_used() {
        let known = keys(TEXTS[0].1);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
        let mut used = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for call in ["page.say(\"", "page.with(\""] {
                used.extend(text.split(call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            }
        }
        assert_eq!(
            used.difference(&known).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "not in the catalogue"
        );
        // Those are chosen by what happened, not by a template.
        let chosen = |key: &&String| {
            ["notice-", "error-", "effect-", "kind-", "scope-", "state-", "mail-"]
                .iter()
                .any(|prefix| key.starts_with(prefix))
        };
        let unused: Vec<_> = known.difference(&used).filter(|key| !chosen(key)).collect();
        assert_eq!(unused, Vec::<&String>::new(), "nobody says this");
    }

    #[test]
    fn the_language_is_the_one_preferred() {
        for (header, language) in [
            ("de-AT,de;q=0.9,en;q=0.8", Some(Language::German)),
            ("fr,es;q=0.5,en;q=0.7", Some(Language::English)),
            ("zh-Hant-TW", Some(Language::Chinese)),
            ("fr, it", None),
            ("en;q=0, es;q=0.001", Some(Language::Spanish)),
            ("", None),
            ("de;q=x", None),
        ] {
            assert_eq!(Language::accepted(header), language, "{header}");
        }
    }
}
