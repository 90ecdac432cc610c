//! Words that do not belong in a finished text.

use super::{File, Finding};

/// Written in two halves, so that this file does not find itself.
const WORDS: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "finish it, or open an issue and say here what holds today"),
    (concat!("FIX", "ME"), "finish it, or open an issue and say here what holds today"),
    (concat!("XX", "X"), "finish it, or open an issue and say here what holds today"),
    (concat!("todo", "!("), "no stubs: leave out what is not built"),
    (concat!("unimplemented", "!("), "no stubs: leave out what is not built"),
    (concat!("/wo", "rk/"), "a path of somebody's machine"),
    (concat!("/ro", "ot/"), "a path of somebody's machine"),
    (concat!("../sh", "ared"), "everything needed lies inside the clone"),
];

/// Where an invented word is data: lock files hold hashes.
const EXEMPT: &[&str] = &["Cargo.lock", "package-lock.json"];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let judged = files.iter().filter(|file| !EXEMPT.iter().any(|name| file.path.ends_with(name)));
    judged
        .flat_map(|file| file.lines().flat_map(move |(number, line)| check_line(file, number, line)))
        .collect()
}

fn check_line(file: &File, number: usize, line: &str) -> impl Iterator<Item = Finding> {
    // An example in a comment may leave out with a macro what it does not show.
    let is_comment = line.trim_start().starts_with("//");
    WORDS
        .iter()
        .filter(move |(word, _)| contains_word(line, word) && !(is_comment && word.ends_with("!(")))
        .map(move |(word, advice)| Finding::at(file, number, format!("`{word}`: {advice}")))
}

/// Whether `word` stands in `line` and is not the middle of a longer word.
fn contains_word(line: &str, word: &str) -> bool {
    let is_letter = |found: Option<char>| found.is_some_and(char::is_alphanumeric);
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        let open_start = !word.starts_with(char::is_alphanumeric) || !is_letter(before.chars().next_back());
        let open_end = !word.ends_with(char::is_alphanumeric) || !is_letter(after.chars().next());
        open_start && open_end
    })
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::{WORDS, check};

    #[test]
    fn finds_words_and_not_parts_of_words() {
        let text = format!("fine\n// {}: later\nmas{}n and X{}\n", WORDS[0].0, WORDS[0].0, WORDS[2].0);
        let found: Vec<_> = check(&[file("a.rs", &text)]).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("a.rs:2: "));
    }

    #[test]
    fn lock_files_are_data() {
        assert!(check(&[file("tools/x/Cargo.lock", WORDS[0].0)]).is_empty());
    }
}
