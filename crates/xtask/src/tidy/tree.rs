//! What must be absent from the whole tree of the binary, however deep.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Finding, output};

/// Crates that must not be linked in, and why.
const ABSENT: &[(&str, &str)] = &[
    ("ring", "a second crypto provider makes rustls panic at first use; aws-lc-rs is the one"),
    ("openssl-sys", "a second TLS stack, and a system library that the one file does not carry"),
    ("native-tls", "a second TLS stack"),
    ("reqwest", "hyper is the client; reqwest brings a TLS verifier and middleware of its own"),
];

/// Lists what the binary links and looks for what it must not.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let listing = output(
        Command::new("cargo")
            .args(["tree", "--locked", "--package", "writ", "--edges", "normal,build", "--prefix", "none"])
            .args(["--format", "{p}"])
            .current_dir(root),
    )?;
    ensure!(
        listing.contains("aws-lc-rs "),
        "`cargo tree` did not list aws-lc-rs: the check would see nothing"
    );
    Ok(forbidden(&listing))
}

fn forbidden(listing: &str) -> Vec<Finding> {
    let present = |name: &str| listing.lines().any(|line| line.split(' ').next() == Some(name));
    ABSENT
        .iter()
        .filter(|(name, _)| present(name))
        .map(|(name, reason)| {
            let text =
                format!("`{name}` is in the tree of the binary: {reason}; `cargo tree -i {name}` says why");
            Finding::new("Cargo.lock", text)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::forbidden;

    #[test]
    fn finds_whole_names_only() {
        assert_eq!(forbidden("writ v0.1.0\nstring v1.0.0\nring-like v1.0.0"), vec![]);
        assert!(
            forbidden("writ v0.1.0\nring v0.17.14")
                .first()
                .is_some_and(|found| found.text.contains("`ring`"))
        );
    }
}
