//! `writ apply`, `writ diff`, `writ export`: configuration as documents.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::exit::{Exit, Outcome, Trouble, with_causes};
use super::file;
use super::output::{Column, Format, emit, printable, talk};
use super::setting::{DryRun, Setting};
use super::things::warn;
use crate::up::Placed;

const COLUMNS: &[Column] =
    &[Column::new("KIND", "/kind"), Column::new("NAME", "/name"), Column::new("OUTCOME", "/outcome")];

/// The documents to use.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// A YAML or JSON file, a folder of them, or `-` for standard input; may be given several times
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,
}

/// Makes things what the documents say: all of them, or none. What is not in the documents stays as it is.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ apply -f config/",
    after_help = "From another program: $ writ --context staging export | writ apply -f -"
)]
pub(crate) struct Apply {
    #[command(flatten)]
    documents: Files,
    #[command(flatten)]
    how: DryRun,
}

/// Shows where the server differs from the documents, and changes nothing. Exit code 6 where something differs.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ diff -f config/",
    after_help = "Exit code: 0 when nothing differs, 6 when something does.\nFrom another program: $ writ --context staging export | writ diff -f -"
)]
pub(crate) struct Diff {
    #[command(flatten)]
    documents: Files,
}

/// Prints everything that documents can say; the same bytes each time.
#[derive(Debug, Args)]
#[command(before_help = "$ writ export")]
pub(crate) struct Export;

impl Apply {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let documents = self.documents.read()?;
        let plan = plan(setting, &documents, self.how.dry_run).await?;
        for change in changes(&plan) {
            warn(&text(change, "kind"), &text(change, "name"), change);
        }
        if setting.format().is_for_programs() && setting.format() != Format::Name {
            return setting.one(&plan);
        }
        setting.list(COLUMNS, &plan["changes"])?;
        let changed = changes(&plan).filter(|change| change["outcome"] != "unchanged").count();
        let count = changes(&plan).count();
        let tense = if self.how.dry_run { "would change (dry run: nothing was changed)" } else { "changed" };
        talk(&format!("{changed} of {count} {tense}"));
        Ok(Exit::Done)
    }
}

impl Diff {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let documents = self.documents.read()?;
        let plan = plan(setting, &documents, true).await?;
        let client = setting.client()?;
        let present = client.get(&client.at(&["export"])).await?;
        let (wanted, present) = (
            by_name(documents.iter().map(|one| &one.document)),
            by_name(present.as_array().into_iter().flatten()),
        );
        let mut found = Vec::new();
        for change in changes(&plan).filter(|change| change["outcome"] != "unchanged") {
            let key = (text(change, "kind"), text(change, "name"));
            let members = match (present.get(&key), wanted.get(&key)) {
                (Some(before), Some(after)) => differences(&before["spec"], &after["spec"]),
                _ => Vec::new(),
            };
            found.push(
                json!({ "kind": key.0, "name": key.1, "outcome": change["outcome"], "members": members }),
            );
        }
        let exit = if found.is_empty() { Exit::Done } else { Exit::Unverified };
        if setting.format().is_for_programs() {
            emit(&setting.format().list(&[], &found))?;
        } else {
            emit(&found.iter().map(described).collect::<String>())?;
        }
        if found.is_empty() {
            talk("no difference");
        }
        Ok(exit)
    }
}

impl Export {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let documents = client.get(&client.at(&["export"])).await?;
        if matches!(setting.format(), Format::Json | Format::Name) {
            let names = documents.as_array().into_iter().flatten();
            return match setting.format() {
                Format::Json => setting.one(&documents),
                _ => {
                    emit(&names.map(|one| text(one, "kind") + "/" + &name_of(one) + "\n").collect::<String>())
                }
            };
        }
        emit(&yaml(documents.as_array().map_or(&[], Vec::as_slice))?)
    }
}

impl Files {
    fn read(&self) -> Result<Vec<Wanted>, Trouble> {
        let mut documents = Vec::new();
        for path in &self.files {
            documents.extend(read(path)?);
        }
        if documents.is_empty() {
            return Err(Trouble::usage("there are no documents in what was given"));
        }
        Ok(documents)
    }
}

/// A document as it is sent, and where it stands.
struct Wanted {
    place: String,
    document: Value,
}

/// The documents of a file, a folder or standard input, read as `writ up --apply` reads them.
fn read(path: &Path) -> Result<Vec<Wanted>, Trouble> {
    let wrong = |error: anyhow::Error| Trouble::new(Exit::Failed, with_causes(&error));
    let documents = if path == Path::new("-") {
        crate::up::parse_documents(&file::text(path)?, "standard input").map_err(wrong)?
    } else {
        crate::up::read_documents(path).map_err(wrong)?
    };
    documents
        .into_iter()
        .map(|Placed { place, document }| {
            let document = serde_json::to_value(document).map_err(|error| wrong(error.into()))?;
            Ok(Wanted { place, document })
        })
        .collect()
}

async fn plan(setting: &Setting, wanted: &[Wanted], dry_run: bool) -> Result<Value, Trouble> {
    let client = setting.client()?;
    let target = client.at(&["apply"]).with("dry_run", dry_run.then_some(true));
    let documents: Vec<&Value> = wanted.iter().map(|one| &one.document).collect();
    let body = json!({ "documents": documents });
    let (bytes, most) = (body.to_string().len(), base::limit::BODY_BYTES_MAX);
    if bytes > most {
        let count = documents.len();
        return Err(Trouble::usage(format!(
            "{count} documents of {bytes} bytes are too much at once: the server takes {most}; apply them in parts, what others name first"
        )));
    }
    let answer = client.post(&target, &body).await;
    answer.map_err(|error| {
        let mut trouble = Trouble::from(error);
        let places = places(wanted, &trouble.what);
        if !places.is_empty() {
            trouble.what = format!("{}: {}", places.join(" and "), trouble.what);
        }
        trouble
    })
}

/// Where the documents stand that a refusal is about. The server knows kinds and names; files are ours.
fn places<'a>(wanted: &'a [Wanted], refusal: &str) -> Vec<&'a str> {
    let about = |one: &&Wanted| {
        let (kind, name) = (text(&one.document, "kind"), name_of(&one.document));
        // What does not compile is found after all documents were taken, and named by its policy alone.
        refusal.starts_with(&format!("{kind} `{name}`: "))
            || (kind == "Policy"
                && refusal.starts_with("policy `")
                && refusal.contains(&format!(" of `{name}`: ")))
    };
    wanted.iter().filter(about).map(|one| one.place.as_str()).collect()
}

fn changes(plan: &Value) -> impl Iterator<Item = &Value> {
    plan["changes"].as_array().into_iter().flatten()
}

/// YAML documents with `---` before each.
fn yaml(documents: &[Value]) -> Result<String, Trouble> {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        out.push_str(
            &serde_norway::to_string(document)
                .map_err(|error| Trouble::new(Exit::Failed, error.to_string()))?,
        );
    }
    Ok(out)
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

fn name_of(document: &Value) -> String {
    text(&document["metadata"], "name")
}

fn by_name<'a>(documents: impl Iterator<Item = &'a Value>) -> BTreeMap<(String, String), &'a Value> {
    documents.map(|document| ((text(document, "kind"), name_of(document)), document)).collect()
}

/// The members that differ, by their paths, with what is and what shall be.
fn differences(before: &Value, after: &Value) -> Vec<Value> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten(String::new(), before, &mut old);
    flatten(String::new(), after, &mut new);
    let paths: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    paths
        .into_iter()
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| json!({ "path": path, "is": old.get(path), "shall_be": new.get(path) }))
        .collect()
}

fn flatten<'a>(path: String, value: &'a Value, out: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                flatten(format!("{path}/{}", name.replace('~', "~0").replace('/', "~1")), value, out);
            }
        }
        other => {
            out.insert(path, other);
        }
    }
}

fn described(change: &Value) -> String {
    let sign = if change["outcome"] == "created" { '+' } else { '~' };
    let mut lines =
        format!("{sign} {} {}\n", printable(&text(change, "kind")), printable(&text(change, "name")));
    for member in change["members"].as_array().into_iter().flatten() {
        let side = |name: &str| match &member[name] {
            Value::Null => "(left out)".to_owned(),
            value => printable(&value.to_string()),
        };
        let line =
            format!("    {}: {} -> {}\n", printable(&text(member, "path")), side("is"), side("shall_be"));
        lines.push_str(&line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{described, differences, yaml};

    #[test]
    fn differences_name_their_paths() {
        let before = json!({"owner": "maya", "limits": {"calls_max": 10}, "a/b": 1, "tools": ["x"]});
        let after = json!({"owner": "noor", "limits": {"calls_max": 10}, "a/b": 2, "email": "n@x"});
        let change = json!({"kind": "Agent", "name": "ada", "outcome": "changed", "members": differences(&before, &after)});
        insta::assert_snapshot!(described(&change), @r#"
        ~ Agent ada
            /a~1b: 1 -> 2
            /email: (left out) -> "n@x"
            /owner: "maya" -> "noor"
            /tools: ["x"] -> (left out)
        "#);
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn exports_are_the_same_bytes_and_read_back() {
        let documents = [
            json!({"apiVersion": "writ/v1", "kind": "Grant", "metadata": {"name": "g"}, "spec": {"on": "catalogue", "to": "agent/no", "reason": "yes: \"a\"\nb"}}),
            json!({"apiVersion": "writ/v1", "kind": "Role", "metadata": {"name": "null"}, "spec": {"effects": [], "description": "0x1f"}}),
        ];
        let text = yaml(&documents).unwrap();
        let again: Vec<serde_json::Value> = serde_norway::Deserializer::from_str(&text)
            .map(|part| serde::Deserialize::deserialize(part).unwrap())
            .collect();
        assert_eq!(again, documents, "{text}");
        assert_eq!(yaml(&again).unwrap(), text);
    }
}
