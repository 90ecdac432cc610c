//! How answers are printed: tables for people, JSON and YAML for programs, names for pipes.
//!
//! Data goes to standard output and talk to standard error, so that on failure standard output is empty.

use std::io::{ErrorKind, Write};

use base::Timestamp;
use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::exit::{Exit, Outcome, Trouble};

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns.
    Wide,
    /// JSON, as the API gives it.
    Json,
    /// YAML.
    Yaml,
    /// Only names, one per line.
    Name,
}

/// A column of a table.
pub(crate) struct Column {
    title: &'static str,
    /// Where the value stands in a row, as a JSON Pointer.
    pointer: &'static str,
    wide: bool,
}

impl Column {
    /// A column that is always there.
    pub(crate) const fn new(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, wide: false }
    }

    /// A column of the wide form.
    pub(crate) const fn wide(title: &'static str, pointer: &'static str) -> Self {
        Self { title, pointer, wide: true }
    }
}

impl Format {
    /// A list of things.
    pub(crate) fn list(self, columns: &[Column], rows: &[Value]) -> String {
        match self {
            Self::Json => pretty(&Value::from(rows)),
            Self::Yaml => yaml(&Value::from(rows)),
            Self::Name => rows.iter().map(|row| name_of(row) + "\n").collect(),
            Self::Table | Self::Wide => {
                let shown: Vec<_> =
                    columns.iter().filter(|column| self == Self::Wide || !column.wide).collect();
                let mut table = plain_table();
                table.set_header(shown.iter().map(|column| column.title));
                for row in rows {
                    let cells = shown.iter().map(|column| cell(row.pointer(column.pointer), column.pointer));
                    table.add_row(cells);
                }
                lines(&table)
            }
        }
    }

    /// One thing, with everything that there is to say about it.
    pub(crate) fn one(self, value: &Value) -> String {
        match self {
            Self::Json => pretty(value),
            Self::Yaml => yaml(value),
            Self::Name => name_of(value) + "\n",
            Self::Table | Self::Wide => {
                let mut table = plain_table();
                let mut rows = Vec::new();
                flatten("", value, &mut rows);
                table.add_rows(rows);
                lines(&table)
            }
        }
    }

    /// Whether a program reads the output, so that a sentence would only be in its way.
    pub(crate) const fn is_for_programs(self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::Name)
    }
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's lines without the padding around them.
fn lines(table: &Table) -> String {
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn yaml(value: &Value) -> String {
    serde_norway::to_string(value).unwrap_or_default()
}

/// Nested members as `outer.inner`; lists of plain values in one line.
fn flatten(prefix: &str, value: &Value, rows: &mut Vec<[String; 2]>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&path, value, rows);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                flatten(&format!("{prefix}[{at}]"), item, rows);
            }
        }
        other => rows.push([prefix.to_owned(), cell(Some(other), prefix)]),
    }
}

fn cell(value: Option<&Value>, path: &str) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| cell(Some(item), "")).collect();
            if items.is_empty() { "-".to_owned() } else { items.join(",") }
        }
        Some(Value::Number(number))
            if path.ends_with("_ms") || path.ends_with("record/time") || path == "record.time" =>
        {
            number.as_i64().map_or_else(|| number.to_string(), |ms| Timestamp::from_millis(ms).to_string())
        }
        Some(other) => printable(&other.to_string()),
    }
}

/// SECURITY: descriptions and arguments come from strangers; a control character in them could rewrite the screen.
pub(crate) fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// What names a thing: its name, or else its id or position.
fn name_of(value: &Value) -> String {
    let found = ["name", "id", "tool", "position"].iter().find_map(|name| value.get(name));
    cell(found.or_else(|| value.is_string().then_some(value)), "")
}

/// Writes data to standard output. A reader that has gone away is no failure.
pub(crate) fn emit(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(Exit::Done),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Trouble::new(Exit::Failed, format!("standard output: {error}"))),
    }
}

/// Says something to the person at the terminal.
pub(crate) fn talk(text: &str) {
    // Nobody is left to be told that telling failed.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Column, Format, printable};

    const COLUMNS: &[Column] = &[
        Column::new("NAME", "/name"),
        Column::new("OWNER", "/spec/owner"),
        Column::wide("ENDS", "/spec/expires"),
    ];

    fn rows() -> Vec<serde_json::Value> {
        vec![
            json!({"name": "ada", "id": "agt_1", "spec": {"owner": "maya", "expires": "2026-12-31T23:59:59Z", "tools": ["a", "b"]}}),
            json!({"name": "bob", "id": "agt_2", "spec": {"owner": "a\u{1b}[31mb\nc", "expires": null}}),
        ]
    }

    #[test]
    fn the_same_rows_in_each_form() {
        insta::assert_snapshot!(Format::Table.list(COLUMNS, &rows()), @r"
        NAME  OWNER
        ada   maya
        bob   a�[31mb�c
        ");
        insta::assert_snapshot!(Format::Wide.list(COLUMNS, &rows()), @r"
        NAME  OWNER      ENDS
        ada   maya       2026-12-31T23:59:59Z
        bob   a�[31mb�c  -
        ");
        assert_eq!(Format::Name.list(COLUMNS, &rows()), "ada\nbob\n");
        let again: serde_json::Value = serde_json::from_str(&Format::Json.list(COLUMNS, &rows())).unwrap();
        assert_eq!(again, json!(rows()), "programs get what the API gave");
        let again: serde_json::Value = serde_norway::from_str(&Format::Yaml.list(COLUMNS, &rows())).unwrap();
        assert_eq!(again, json!(rows()));
    }

    #[test]
    fn one_thing_shows_all_of_its_members_in_the_order_of_the_answer() {
        insta::assert_snapshot!(Format::Table.one(&rows()[0]), @r"
        name          ada
        id            agt_1
        spec.owner    maya
        spec.expires  2026-12-31T23:59:59Z
        spec.tools    a,b
        ");
    }

    #[test]
    fn an_empty_list_is_a_header_and_no_error() {
        assert_eq!(Format::Table.list(COLUMNS, &[]), "NAME  OWNER\n");
        assert_eq!(Format::Json.list(COLUMNS, &[]), "[]\n");
        assert_eq!(Format::Name.list(COLUMNS, &[]), "");
    }

    #[test]
    fn what_could_rewrite_the_screen_is_replaced() {
        assert_eq!(printable("a\u{1b}\u{202e}\u{9b}\tb"), "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(printable("Größe 日本"), "Größe 日本");
    }
}
