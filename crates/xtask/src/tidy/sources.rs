//! Rules about Rust sources: sizes, documentation, and the few calls that only one place may make.

use super::{File, Finding};

/// Above this many lines of code a file asks for a split; above the second it must have one.
const LINES_ASKED: usize = 450;
const LINES_MAX: usize = 600;

/// Crates whose whole public face is documented: everybody else reads them.
const DOCUMENTED: &[&str] = &["base", "wire", "policy", "store"];

pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        findings.extend(size(file));
        findings.extend(file.lines().filter_map(|(number, line)| trusted_sql(file, number, line)));
        let mut shaped = Shaped::default();
        for (number, line) in without_tests(file) {
            let is_shape = shaped.covers(file, line);
            findings.extend(composed_sql(file, number, line).filter(|_| !is_shape));
            findings.extend(leaked(file, number, line));
            findings.extend(receipt(file, number, line));
            findings.extend(server_outside_http(file, number, line));
            findings.extend(bare_transaction(file, number, line));
        }
    }
    findings.extend(DOCUMENTED.iter().filter_map(|name| undocumented(files, name)));
    findings
}

/// The lines of a file before its tests, with their numbers; nothing when the whole file is tests.
pub(super) fn without_tests(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let all_tests = is_test_path(&file.path);
    file.lines().take_while(move |(_, line)| !all_tests && !line.starts_with("#[cfg(test)]"))
}

fn is_test_path(path: &str) -> bool {
    let folder = |name: &str| path.starts_with(&format!("{name}/")) || path.contains(&format!("/{name}/"));
    folder("tests") || folder("benches") || folder("testkit") || path.ends_with("/tests.rs")
}

fn size(file: &File) -> Option<Finding> {
    let lines = without_tests(file).count();
    let text = format!("{lines} lines without tests; aim below 250 and split where the thought splits");
    if lines > LINES_MAX {
        Some(Finding::new(&file.path, text))
    } else {
        (lines > LINES_ASKED).then(|| Finding::warning(&file.path, text))
    }
}

/// SECURITY: sqlx takes only literal SQL unless told that a text is safe. Nobody tells it, tests included.
fn trusted_sql(file: &File, number: usize, line: &str) -> Option<Finding> {
    let marker = concat!("AssertSql", "Safe");
    code(line).contains(marker).then(|| {
        Finding::at(
            file,
            number,
            format!("`{marker}` switches the guard against injection off: use literal SQL"),
        )
    })
}

/// SECURITY: a statement is one literal; whatever varies is a parameter.
fn composed_sql(file: &File, number: usize, line: &str) -> Option<Finding> {
    let code = code(line).to_ascii_lowercase();
    let text =
        code.split_once("format!(").and_then(|(_, rest)| rest.split_once('"')).map(|(_, text)| text)?;
    let shapes = [("select ", " from "), ("insert into ", ""), ("update ", " set "), ("delete from ", "")];
    let is_sql = shapes.iter().any(|(verb, part)| text.starts_with(verb) && text.contains(part));
    is_sql.then(|| {
        Finding::at(file, number, "SQL put together at run time: write one literal with `$1` parameters")
    })
}

/// The one place where SQL is put together: the store's statements for several rows at once, of which only the
/// number of rows varies. They are made once, by `Shaped::new`, a few lines above their text.
#[derive(Default)]
struct Shaped {
    lines_left: usize,
}

impl Shaped {
    fn covers(&mut self, file: &File, line: &str) -> bool {
        const LINES_BELOW: usize = 4;
        let begins = file.path.starts_with("crates/store/src/") && line.contains("Shaped::new(");
        self.lines_left = if begins { LINES_BELOW } else { self.lines_left.saturating_sub(1) };
        self.lines_left > 0
    }
}

/// SECURITY: a leaked text is `'static`, which is all that sqlx asks of a literal.
fn leaked(file: &File, number: usize, line: &str) -> Option<Finding> {
    let leaks = [".leak()", "::leak("].iter().any(|call| code(line).contains(call));
    (leaks && !file.path.starts_with("crates/xtask/"))
        .then(|| Finding::at(file, number, "leaks memory, and lets a run-time text pass as literal SQL"))
}

/// SECURITY: a receipt is half of a permit, so only the batch writer makes one, after its commit; a promise stands for one,
/// so only its line makes it.
fn receipt(file: &File, number: usize, line: &str) -> Option<Finding> {
    let allowed = ["crates/store/src/", "crates/base/src/record.rs", "crates/xtask/"];
    let markers = [concat!("Receipt::", "durable"), concat!("Promise::", "made")];
    let marker = markers.into_iter().find(|marker| code(line).contains(marker))?;
    (!allowed.iter().any(|place| file.path.starts_with(place)))
        .then(|| Finding::at(file, number, format!("`{marker}` belongs to the store's batch writer alone")))
}

/// SECURITY: in the control plane a transaction begins on somebody's right, which is asked again there.
fn bare_transaction(file: &File, number: usize, line: &str) -> Option<Finding> {
    let inside = file.path.strip_prefix("crates/control/src/")?;
    let begins = ["store().begin(", "store.begin("].iter().any(|call| code(line).contains(call));
    (begins && inside != "authority/mod.rs").then(|| {
        Finding::at(
            file,
            number,
            "begins a write on nobody's right: use `Control::begin` with an `Authority`",
        )
    })
}

/// Services must be callable from the command line and from tests, so HTTP types stay in `http.rs`.
fn server_outside_http(file: &File, number: usize, line: &str) -> Option<Finding> {
    let inside = file.path.strip_prefix("crates/control/src/")?;
    let is_http = inside.split('/').any(|part| part == "http" || part == "http.rs") || inside == "lib.rs";
    (!is_http && code(line).contains("axum::"))
        .then(|| Finding::at(file, number, "`axum` in a service: HTTP types stay in `http.rs`"))
}

fn undocumented(files: &[File], name: &str) -> Option<Finding> {
    let path = format!("crates/{name}/src/lib.rs");
    let file = files.iter().find(|file| file.path == path);
    let documented = file.is_some_and(|file| file.text.contains("#![warn(missing_docs)]"));
    (!documented)
        .then(|| Finding::new(path, "needs `#![warn(missing_docs)]`: everybody else reads this crate"))
}

/// The line without its comment. A `//` inside a text is cut too, which can only hide what follows a URL.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{File, file};
    use super::{LINES_ASKED, LINES_MAX, check, without_tests};

    /// Findings about `text` in `path`, without those about the documented crates, which are not there.
    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&[file(path, text)]);
        findings.iter().map(ToString::to_string).filter(|text| !text.contains("missing_docs")).collect()
    }

    #[test]
    fn long_files_are_warned_about_and_then_refused() {
        let lines = |count: usize| "fn f() {}\n".repeat(count);
        assert_eq!(found("a.rs", &lines(LINES_ASKED)), Vec::<String>::new());
        assert!(found("a.rs", &lines(LINES_ASKED + 1))[0].contains("warning"));
        assert!(!found("a.rs", &lines(LINES_MAX + 1))[0].contains("warning"));
        let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", lines(LINES_MAX));
        assert_eq!(found("a.rs", &tested), Vec::<String>::new());
    }

    #[test]
    fn sql_is_literal() {
        let composed = r#"let q = format!("Select a from {table}");"#;
        assert_eq!(found("crates/store/src/a.rs", composed).len(), 1);
        let message = r#"let m = format!("update of `{name}` refused");"#;
        assert_eq!(found("crates/store/src/a.rs", message), Vec::<String>::new());
        let shaped = r#"Shaped::new(|rows| format!("delete from a where b in ({})", list(rows)))"#;
        assert_eq!(found("crates/store/src/a.rs", shaped), Vec::<String>::new());
        assert_eq!(found("crates/control/src/task/store.rs", shaped).len(), 1, "only the store shapes");
        let below = format!("Shaped::new(x)\n{}{composed}", "\n".repeat(4));
        assert_eq!(found("crates/store/src/a.rs", &below).len(), 1, "only near the shape");
        assert_eq!(found("crates/store/src/a.rs", "let sql: &'static str = text.leak();").len(), 1);
        let trusted = format!("#[cfg(test)]\nfn f() {{ {}{}(x) }}", "AssertSql", "Safe");
        assert_eq!(found("crates/store/src/a.rs", &trusted).len(), 1, "tests too");
    }

    #[test]
    fn writes_begin_in_one_place() {
        let begin = "let mut tx = self.store().begin(ctx).await?;";
        assert_eq!(found("crates/control/src/task/service.rs", begin).len(), 1);
        assert_eq!(found("crates/control/src/authority/mod.rs", begin), Vec::<String>::new());
        assert_eq!(found("crates/control/tests/it/race.rs", begin), Vec::<String>::new());
    }

    #[test]
    fn receipts_and_servers_have_one_home() {
        let make = format!("let r = {}{}(p, d);", "Receipt::", "durable");
        assert_eq!(found("crates/gateway/src/a.rs", &make).len(), 1);
        assert_eq!(found("crates/gateway/src/tests.rs", &make).len(), 0);
        assert_eq!(found("crates/store/src/batch.rs", &make).len(), 0);
        let promise = format!("let p = {}{}(d);", "Promise::", "made");
        assert_eq!(found("crates/control/src/decide/promise.rs", &promise).len(), 1);
        assert_eq!(found("crates/store/src/batch/item.rs", &promise).len(), 0);
        assert_eq!(found("crates/control/src/task/service.rs", "use axum::Json;").len(), 1);
        assert_eq!(found("crates/control/src/task/http.rs", "use axum::Json;").len(), 0);
        assert_eq!(found("crates/control/src/task/http/create.rs", "use axum::Json;").len(), 0);
    }

    #[test]
    fn the_documented_crates_are_held_to_it() {
        let lib = |name: &str, text: &str| file(&format!("crates/{name}/src/lib.rs"), text);
        let mut files: Vec<File> =
            ["base", "wire", "policy", "store"].map(|name| lib(name, "#![warn(missing_docs)]")).into();
        assert!(check(&files).is_empty());
        files[1].text.clear();
        assert_eq!(check(&files).len(), 1);
    }

    #[test]
    fn a_test_file_has_no_other_lines() {
        assert_eq!(without_tests(&file("crates/a/tests/it/main.rs", "fn f() {}")).count(), 0);
    }
}
