//! What changed between two JSON texts, for a person who decides on it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::output::printable;

/// One line for each value that is gone (`-`) or new (`+`), with where it stands. Words of servers are made safe to
/// print; texts that are not JSON are shown whole.
pub(crate) fn difference(old: &str, new: &str) -> String {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let mut lines = String::new();
    compare("", Some(&parse(old)), Some(&parse(new)), &mut lines);
    lines
}

fn compare(path: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut String) {
    if old == new {
        return;
    }
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                compare(&format!("{path}/{name}"), old.get(name), new.get(name), lines);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                compare(&format!("{path}/{at}"), old.get(at), new.get(at), lines);
            }
        }
        _ => {
            for (sign, value) in [("-", old), ("+", new)] {
                if let Some(value) = value {
                    let at = printable(path);
                    let shown = printable(&value.to_string());
                    for part in [sign, " ", &at, " ", &shown, "\n"] {
                        lines.push_str(part);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_what_changed_is_shown_and_nothing_can_hide() {
        let old = r#"{"description":"reads","inputSchema":{"required":["a"]},"name":"t"}"#;
        let new = r#"{"annotations":{},"description":"reads\u202e\u001b[2J","inputSchema":{"required":["a","b"]},"name":"t"}"#;
        assert_eq!(
            difference(old, new),
            "+ /annotations {}\n- /description \"reads\"\n+ /description \"reads\u{fffd}\\u001b[2J\"\n+ /inputSchema/required/1 \"b\"\n"
        );
        assert_eq!(difference(old, old), "");
        assert_eq!(difference("{", "[1]"), "-  \"{\"\n+  [1]\n");
    }
}
