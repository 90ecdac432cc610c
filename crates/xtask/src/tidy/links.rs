//! Links between documents lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, Finding, has_extension};

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let documents: BTreeMap<&str, BTreeSet<String>> = files
        .iter()
        .filter(|file| has_extension(&file.path, "md"))
        .map(|file| (file.path.as_str(), headings(&file.text)))
        .collect();
    let mut places: BTreeSet<&str> = BTreeSet::new();
    for file in files {
        // A link may name a file or a folder that holds one.
        places.extend(file.path.match_indices('/').map(|(at, _)| &file.path[..at]));
        places.insert(&file.path);
    }

    let mut findings = Vec::new();
    for file in files.iter().filter(|file| documents.contains_key(file.path.as_str())) {
        for (number, line) in prose(&file.text) {
            for target in targets(line) {
                if let Some(text) = broken(&file.path, target, &places, &documents) {
                    findings.push(Finding::at(file, number, text));
                }
            }
        }
    }
    findings
}

fn broken(
    from: &str,
    target: &str,
    places: &BTreeSet<&str>,
    documents: &BTreeMap<&str, BTreeSet<String>>,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) =
        target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let path = if path.is_empty() { from.to_owned() } else { resolve(from, path)? };
    if !places.contains(path.as_str()) && !path.is_empty() {
        return Some(format!("link to `{target}`: there is no `{path}`"));
    }
    let known = documents.get(path.as_str())?;
    let heading = heading?;
    (!known.contains(heading)).then(|| format!("link to `{target}`: `{path}` has no such heading"))
}

/// `path` as seen from the file `from`; none when it leaves the repository, which only a web page can tell.
fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Lines outside of fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// What stands in the parentheses of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, mark)| {
        let rest = &line[at + mark.len()..];
        rest.split_once(')').map(|(target, _)| target.split(' ').next().unwrap_or_default())
    })
}

/// The anchors that code hosts make of headings.
fn headings(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|sign| sign.is_alphanumeric() || [' ', '-', '_'].contains(sign));
            kept.map(|sign| if sign == ' ' { '-' } else { sign }).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::check;

    fn count(text: &str) -> usize {
        check(&[
            file("docs/a/one.md", text),
            file("docs/b/two.md", "# Two words, 1.5"),
            file("README.md", ""),
        ])
        .len()
    }

    #[test]
    fn good_links_pass() {
        let text = "# Here\n[a](../b/two.md) [b](../b/two.md#two-words-15) [c](#here) [d](../b) [e](https://a.example/x)";
        assert_eq!(count(text), 0);
        assert_eq!(count("```\n[a](nowhere.md)\n```"), 0);
    }

    #[test]
    fn broken_links_are_found() {
        assert_eq!(count("[a](nowhere.md)"), 1);
        assert_eq!(count("[a](../b/two.md#three)"), 1);
        assert_eq!(count("[a](#nowhere) and [b](../c/two.md)"), 2);
    }
}
