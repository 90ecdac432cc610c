//! The house rules that neither the compiler nor clippy can hold.
//!
//! Each check is a pure function from texts to findings, so that its tests are a few lines. A finding says where,
//! what, and what to do instead.

mod links;
mod ranks;
mod sources;
mod tree;
mod walls;
mod words;

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// `path` or `path:line`, from the root of the repository.
    place: String,
    /// What is wrong and what to do instead.
    text: String,
    /// Whether it only asks for attention.
    warning: bool,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into(), warning: false }
    }

    fn at(file: &File, line: usize, text: impl Into<String>) -> Self {
        Self::new(format!("{}:{line}", file.path), text)
    }

    fn warning(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { warning: true, ..Self::new(place, text) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning: " } else { "" };
        write!(f, "{}: {kind}{}", self.place, self.text)
    }
}

/// A text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    /// Lines counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }
}

/// Runs all checks over the repository at `root`.
pub(crate) fn run(root: &Path) -> Result<()> {
    let files = read_files(root)?;
    ensure!(
        files.len() > 20,
        "only {} files found in `{}`: this is not the repository",
        files.len(),
        root.display()
    );

    let mut findings = walls::check(&walls::read(root)?);
    findings.extend(tree::check(root)?);
    findings.extend(sources::check(&files));
    findings.extend(ranks::check(&files));
    findings.extend(words::check(&files));
    findings.extend(links::check(&files));

    for finding in &findings {
        eprintln!("{finding}");
    }
    let broken = findings.iter().filter(|finding| !finding.warning).count();
    if broken > 0 {
        bail!("{broken} broken rules of the house");
    }
    println!("tidy: {} files, no broken rule", files.len());
    Ok(())
}

/// Every text file that is committed or about to be: what git ignores is not ours to judge.
fn read_files(root: &Path) -> Result<Vec<File>> {
    let listing = output(
        Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
            .current_dir(root),
    )?;
    let mut files = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        // A file that is listed and gone was deleted and not yet committed; one that is not UTF-8 is a picture.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

/// The standard output of a command that must succeed.
fn output(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let done = command.output().with_context(|| format!("cannot start {name}"))?;
    ensure!(done.status.success(), "{name} failed: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8(done.stdout)?)
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}
