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
    &["authenticator", "credential", "session", "key"],
    &["client", "federation", "relation", "grant", "login", "rule", "catalogue"],
    &["task", "secret", "vault"],
    &["decide", "delegation"],
    &["oauth", "inventory", "lifecycle", "request", "approval", "review", "duty"],
    &["account", "risk", "revoke", "trust", "record"],
    &["audit"],
];

/// Rooms through which concepts meet: what all kept things share, the snapshot of them all, and its way in and out.
/// They name every concept, and every concept may name them.
const FRAME: &[&str] = &[
    "authority",
    "bootstrap",
    "control",
    "documents",
    "draft",
    "follow",
    "http",
    "judge",
    "kind",
    "lib",
    "opaque",
    "readers",
    "row",
    "snapshot",
];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some(inside) = file.path.strip_prefix(ROOT) else { continue };
        let concept = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        match rank_of(concept) {
            Some(rank) => findings.extend(upward(file, concept, rank)),
            None if FRAME.contains(&concept) => {}
            None => findings.push(Finding::new(
                &file.path,
                format!("`{concept}` has no rank: say in xtask's `ranks.rs` which concepts it may use"),
            )),
        }
    }
    findings
}

/// Uses of concepts that are not below `rank`.
fn upward(file: &File, concept: &str, rank: usize) -> Vec<Finding> {
    // Paths in a `use` run over lines, so the code is read as one text with the comments blanked out.
    let mut code = String::new();
    for (_, line) in without_tests(file) {
        code.push_str(line.split("//").next().unwrap_or_default());
        code.push('\n');
    }
    let mut findings = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count() + 1;
        for used in heads(&code[at + prefix.len()..]).into_iter().filter(|used| *used != concept) {
            let Some(found) = rank_of(used).filter(|found| *found >= rank) else { continue };
            let text = format!(
                "`{concept}` (rank {rank}) uses `{used}` (rank {found}): only lower ranks; let the lower one take \
                 what it needs as an argument, or move the rule up"
            );
            findings.push(Finding::at(file, line, text));
        }
    }
    findings
}

/// Counted from 1, as the architecture document does.
fn rank_of(concept: &str) -> Option<usize> {
    RANKS.iter().position(|rank| rank.contains(&concept)).map(|index| index + 1)
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
        assert_eq!(
            count(
                "grant",
                "use crate::{\n    principal::Agent,\n    task::{\n        Task,\n    },\n    audit,\n};"
            ),
            2
        );
        assert_eq!(count("grant", "fn f(a: &crate::audit::Log) {} // crate::task"), 1);
    }

    #[test]
    fn the_place_is_the_line_of_the_path() {
        let found =
            check(&[file("crates/control/src/grant/mod.rs", "//! crate::task\n\nuse crate::task::Task;")]);
        assert_eq!(found.len(), 1);
        assert!(found[0].place.ends_with("grant/mod.rs:3"), "{}", found[0].place);
    }

    #[test]
    fn a_new_concept_needs_a_rank() {
        assert_eq!(count("novelty", ""), 1);
        assert_eq!(count("snapshot", "use crate::{task, audit};"), 0);
    }

    #[test]
    fn tests_and_wiring_are_free() {
        assert_eq!(count("grant", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::task::Task; }"), 0);
        assert!(check(&[file("crates/control/src/lib.rs", "use crate::audit::Log;")]).is_empty());
    }
}
