//! Reading documents from files: YAML with any number of documents, or JSON, one document or a list of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use control::documents::Document;
use serde::Deserialize as _;

/// The most documents of one folder.
const DOCUMENTS_MAX: usize = 10_000;

/// A document and where it stands, for messages.
#[derive(Debug)]
pub(crate) struct Placed {
    /// For example: document 2 of `config/agents.yaml`.
    pub(crate) place: String,
    /// What it says.
    pub(crate) document: Document,
}

/// The documents of a file, or of all `.yaml`, `.yml` and `.json` files below a folder, in order of their names.
pub(crate) fn read_documents(path: &Path) -> anyhow::Result<Vec<Placed>> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    let mut documents = Vec::new();
    for file in files {
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?;
        documents.extend(parse_documents(&text, &format!("`{}`", file.display()))?);
        if documents.len() > DOCUMENTS_MAX {
            bail!("`{}` holds more than {DOCUMENTS_MAX} documents", path.display());
        }
    }
    Ok(documents)
}

/// The documents of a text; `place` is where it comes from, for messages.
pub(crate) fn parse_documents(text: &str, place: &str) -> anyhow::Result<Vec<Placed>> {
    let mut documents = Vec::new();
    for part in serde_norway::Deserializer::from_str(text) {
        let next = format!("document {} of {place}", documents.len() + 1);
        let values = match serde_norway::Value::deserialize(part).context(next)? {
            serde_norway::Value::Null => continue,
            // What `writ export -o json` prints.
            serde_norway::Value::Sequence(values) => values,
            value => vec![value],
        };
        for value in values {
            let place = format!("document {} of {place}", documents.len() + 1);
            let document = serde_norway::from_value(value).with_context(|| place.clone())?;
            documents.push(Placed { place, document });
        }
        if documents.len() > DOCUMENTS_MAX {
            bail!("{place} holds more than {DOCUMENTS_MAX} documents");
        }
    }
    Ok(documents)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let about = std::fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if about.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_document = path
            .extension()
            .is_some_and(|extension| matches!(extension.to_str(), Some("yaml" | "yml" | "json")));
        if path.is_dir() || is_document {
            collect(&path, files)?;
        }
    }
    Ok(())
}
