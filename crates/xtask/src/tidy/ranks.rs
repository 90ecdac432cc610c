//! The order among the concepts of the control plane: a concept uses only concepts of lower ranks.
//!
//! One crate holds them all, so the compiler would let them form circles; every large control plane that was looked
//! at has them. The order is a list, and the list is here.

use super::sources::without_tests;
use super::{File, Finding};

const ROOT: &str = "crates/control/src/";

/// Concepts by rank, lowest first.
const RANKS: &[&[&str]] = &[
    &["tenant", "principal"],
    &["credential", "session", "key"],
    &["federation", "relation", "grant", "rule", "catalogue"],
    &["decide", "task", "vault"],
    &["oauth", "inventory", "lifecycle", "request", "approval", "review", "duty"],
    &["risk", "revoke", "trust", "record"],
    &["audit"],
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.path.ends_with("/tests.rs")) {
        let Some(inside) = file.path.strip_prefix(ROOT) else { continue };
        let Some(concept) = inside.split('/').next().map(|name| name.trim_end_matches(".rs")) else {
            continue;
        };
        let Some(rank) = rank_of(concept) else { continue };
        for (number, line) in without_tests(file) {
            for used in used_concepts(line).filter(|used| *used != concept) {
                if rank_of(used).is_some_and(|found| found >= rank) {
                    let text = format!(
                        "`{concept}` (rank {rank}) uses `{used}` (rank {}): only lower ranks; let the lower one \
                         take what it needs as an argument, or move the rule up",
                        rank_of(used).unwrap_or_default(),
                    );
                    findings.push(Finding::at(file, number, text));
                }
            }
        }
    }
    findings
}

/// Counted from 1, as the architecture document does.
fn rank_of(concept: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&concept)).map(|index| index + 1)
}

/// The concepts that a line names by path: `crate::task::Task`, `use crate::{grant, task::Task}`.
fn used_concepts(line: &str) -> impl Iterator<Item = &str> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices("crate::").flat_map(|(at, prefix)| heads(&code[at + prefix.len()..]))
}

/// The first names of a path or of a group of paths.
fn heads(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                heads.push(name(group[start..at].trim_start()));
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    heads
}

fn name(path: &str) -> &str {
    path.split(|sign: char| !sign.is_ascii_alphanumeric() && sign != '_').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::check;

    fn count(concept: &str, text: &str) -> usize {
        check(&[file(&format!("crates/control/src/{concept}/service.rs"), text)]).len()
    }

    #[test]
    fn upward_and_sideways_uses_are_found() {
        assert_eq!(count("task", "use crate::grant::Grant;\nuse crate::task::Task;"), 0);
        assert_eq!(count("grant", "use crate::task::Task;"), 1);
        assert_eq!(count("grant", "use crate::catalogue::Tool;"), 1);
        assert_eq!(count("grant", "use crate::{principal::Agent, task::{Task, State}, audit};"), 2);
        assert_eq!(count("grant", "fn f(a: &crate::audit::Log) {} // crate::task"), 1);
    }

    #[test]
    fn tests_and_wiring_are_free() {
        assert_eq!(count("grant", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::task::Task; }"), 0);
        assert!(check(&[file("crates/control/src/lib.rs", "use crate::audit::Log;")]).is_empty());
    }
}
