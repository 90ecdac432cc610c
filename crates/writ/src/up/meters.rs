//! What is counted, in words: the one list behind the HELP lines of `/metrics` and `docs/reference/metrics.md`.

use metrics::{describe_counter, describe_gauge};

/// What a meter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Goes up and down.
    Gauge,
}

use Kind::{Counter, Gauge};

/// All meters: name, kind, what it counts.
const METERS: [(&str, Kind, &str); 24] = [
    (
        "writ_bodies_refused_total",
        Counter,
        "bodies that were not read, because too much is held already or they are too large",
    ),
    ("writ_mcp_sessions", Gauge, "MCP sessions that are open"),
    ("writ_call_faults_total", Counter, "calls that were refused because something failed on our side"),
    ("writ_connections", Gauge, "open connections, by lane"),
    (
        "writ_connections_refused_total",
        Counter,
        "connections that were closed because no lane had a place, or another got theirs",
    ),
    (
        "writ_fresh",
        Gauge,
        "1 while this node can prove that it knows the latest revocations; at 0 every decision is a deny",
    ),
    ("writ_local_processes", Gauge, "processes of local servers"),
    ("writ_mcp_acts_total", Counter, "acts that were forwarded, by how they ended"),
    ("writ_mcp_denials_total", Counter, "acts that were denied, by code"),
    ("writ_mcp_left_out_total", Counter, "servers that did not answer in a list over all servers"),
    ("writ_mcp_stray_answers_total", Counter, "messages of servers that answered no question of ours"),
    (
        "writ_outcomes_left_to_the_sweeper_total",
        Counter,
        "outcomes that could not be recorded and become unknown",
    ),
    (
        "writ_promises_late_total",
        Counter,
        "in asynchronous mode, intents that became durable later than 100 ms after their calls went on",
    ),
    ("writ_panics_total", Counter, "requests whose handler panicked; each was refused"),
    ("writ_policy_errors_total", Counter, "decisions that could not be made, and were denied with an alarm"),
    ("writ_refusals_without_record_total", Counter, "refusals that could not be put on record, by code"),
    (
        "writ_requests_crowded_out_total",
        Counter,
        "requests on reserved connections for what they are not reserved for",
    ),
    (
        "writ_requests_misframed_total",
        Counter,
        "requests of HTTP/1 that were refused because a proxy may read them in another way",
    ),
    ("writ_sign_ins_refused_total", Counter, "tries to sign in that proved nothing, by method"),
    ("writ_sign_ins_total", Counter, "people who signed in, by how strongly"),
    ("writ_token_requests_total", Counter, "requests for tokens, by outcome"),
    (
        "writ_tokens_reused_total",
        Counter,
        "codes and refresh tokens that came a second time and ended what they were for",
    ),
    (
        "writ_writable",
        Gauge,
        "1 while the log can be written; at 0 nothing is allowed and nothing can be changed",
    ),
    ("writ_writes_without_record", Gauge, "writes of bookkeeping that need no record, by reason"),
];

/// Gives every meter its HELP line.
pub(super) fn describe() {
    for (name, kind, what) in METERS {
        match kind {
            Counter => describe_counter!(name, what),
            Gauge => describe_gauge!(name, what),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::{Counter, METERS};

    const PAGE: &str = include_str!("../../../../docs/reference/metrics.md");

    /// The names of all meters that the sources below `folder` move.
    fn moved(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                moved(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for word in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
                    let found = text.split(word).skip(1).filter_map(|rest| rest.split('"').next());
                    names.extend(found.filter(|name| name.starts_with("writ_")).map(str::to_owned));
                }
            }
        }
    }

    #[test]
    fn the_list_the_page_and_the_code_name_the_same_meters() {
        let listed: BTreeSet<String> = METERS.iter().map(|(name, ..)| (*name).to_owned()).collect();
        let mut used = BTreeSet::new();
        for part in ["control", "gateway", "store", "writ"] {
            moved(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(part).join("src"), &mut used);
        }
        assert_eq!(used, listed, "a meter has no words, or words no meter");
        for (name, kind, what) in METERS {
            let kind = if kind == Counter { "counter" } else { "gauge" };
            let row = PAGE.lines().find(|line| line.starts_with(&format!("| `{name}` | {kind} |")));
            assert!(
                row.is_some_and(|row| row.ends_with(&format!("| {what} |"))),
                "{name} is not on the page: {row:?}"
            );
        }
        let rows = PAGE.lines().filter(|line| line.starts_with("| `writ_")).count();
        assert_eq!(rows, METERS.len(), "the page has a row too many");
    }
}
