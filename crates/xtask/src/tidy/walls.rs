//! Which crate may depend on which, and what must be absent from each.
//!
//! A wall stands only where something must be missing: I/O in `wire` and `policy`, SQL outside `store`, the other
//! plane in `gateway`. Cargo would let anybody add a line; this list makes it a decision.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Finding, output};

/// A crate of the workspace and the crates its manifest names outside of `[dev-dependencies]`.
#[derive(Debug)]
pub(super) struct Manifest {
    name: String,
    dependencies: Vec<String>,
}

/// Our own crates, and which of our own each may use. Testkit and xtask are tools: nothing may use them but tests.
const MAY_USE: &[(&str, &[&str])] = &[
    ("writ-base", &[]),
    ("writ-wire", &["writ-base"]),
    ("writ-policy", &["writ-base", "writ-wire"]),
    // Canonical JSON and the tile format are wire's; the log needs both.
    ("writ-store", &["writ-base", "writ-wire"]),
    ("writ-pages", &["writ-base"]),
    ("writ-passkey", &[]),
    ("writ-egress", &[]),
    ("writ-gateway", &["writ-base", "writ-wire", "writ-policy"]),
    // The binary joins control to the gateway's trait `Plane`: neither plane knows the other.
    ("writ-control", &["writ-base", "writ-wire", "writ-policy", "writ-store", "writ-pages", "writ-passkey"]),
    (
        "writ",
        &[
            "writ-base",
            "writ-wire",
            "writ-policy",
            "writ-store",
            "writ-control",
            "writ-gateway",
            "writ-egress",
        ],
    ),
];

/// Third-party crates that carry I/O, a runtime or SQL, and the only crates that may name them.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("sqlx", &["writ-store"], "SQL stays in `store`, so that one place knows both databases"),
    ("rusqlite", &["writ-store"], "SQL stays in `store`, so that one place knows both databases"),
    (
        "tokio",
        &["writ-store", "writ-egress", "writ-gateway", "writ-control", "writ"],
        "formats and decisions do no I/O",
    ),
    ("axum", &["writ-gateway", "writ-control", "writ"], "formats, decisions and storage know no HTTP server"),
    (
        "hyper",
        &["writ-egress", "writ-gateway", "writ"],
        "only the data plane, the client for strangers' addresses and the command line open connections",
    ),
    ("askama", &["writ-pages"], "what people see is in one place, in every language"),
    ("webauthn-rs", &["writ-passkey"], "it brings a second family of cryptography, for passkeys alone"),
    ("cedar-policy", &["writ-policy"], "the engine is replaceable behind `policy`"),
    ("jsonwebtoken", &["writ-wire"], "one strict verifier; the library checks neither `crit` nor `typ`"),
    ("rustix", &["writ"], "processes and their limits are the binary's matter"),
    ("clap", &["writ"], "configuration is read in the binary and handed down"),
];

/// Asks cargo for the manifests.
pub(super) fn read(root: &Path) -> Result<Vec<Manifest>> {
    let text = output(
        Command::new("cargo")
            .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
            .current_dir(root),
    )?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` without packages")?;
    packages.iter().map(manifest).collect()
}

fn manifest(package: &Value) -> Result<Manifest> {
    let name = package["name"].as_str().context("package without name")?.to_owned();
    let dependencies = package["dependencies"].as_array().context("package without dependencies")?;
    // `kind` is null for what the crate itself needs, `dev` for what its tests need, `build` for build scripts.
    let dependencies = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
        .collect();
    Ok(Manifest { name, dependencies })
}

/// Compares the manifests with the two lists above.
pub(super) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Manifest { name, dependencies } in manifests {
        let place = format!("crate {name}");
        for dependency in dependencies {
            if let Some(text) = own(name, dependency).or_else(|| reserved(name, dependency)) {
                findings.push(Finding::new(&place, text));
            }
        }
        if !is_tool(name) && MAY_USE.iter().all(|(known, _)| known != name) {
            findings.push(Finding::new(&place, "is not in the list of walls: say there what it may use"));
        }
    }
    findings
}

fn own(name: &str, dependency: &str) -> Option<String> {
    if dependency != "writ" && !dependency.starts_with("writ-") || is_tool(name) {
        return None;
    }
    let (_, allowed) = MAY_USE.iter().find(|(known, _)| *known == name)?;
    (!allowed.contains(&dependency))
        .then(|| format!("must not depend on `{dependency}`; allowed: {allowed:?}"))
}

fn reserved(name: &str, dependency: &str) -> Option<String> {
    let (_, holders, reason) = RESERVED.iter().find(|(known, ..)| *known == dependency)?;
    (!holders.contains(&name) && !is_tool(name))
        .then(|| format!("must not depend on `{dependency}`: {reason}"))
}

fn is_tool(name: &str) -> bool {
    ["writ-testkit", "xtask"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::{Manifest, check};

    fn texts(name: &str, dependencies: &[&str]) -> Vec<String> {
        let dependencies = dependencies.iter().map(ToString::to_string).collect();
        check(&[Manifest { name: name.into(), dependencies }]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_walls_hold() {
        assert_eq!(texts("writ-control", &["writ-store", "axum", "tokio", "serde"]), Vec::<String>::new());
        assert!(texts("writ-gateway", &["writ-store"])[0].contains("must not depend on `writ-store`"));
        assert!(texts("writ-gateway", &["writ-control"])[0].contains("must not depend on `writ-control`"));
        assert!(texts("writ-control", &["writ-gateway"])[0].contains("must not depend on `writ-gateway`"));
        assert!(texts("writ-policy", &["tokio"])[0].contains("no I/O"));
        assert!(texts("writ-control", &["sqlx"])[0].contains("stays in `store`"));
        assert!(texts("writ-base", &["writ-wire"])[0].contains("must not depend on `writ-wire`"));
        assert!(texts("writ-store", &["writ-testkit"])[0].contains("must not depend on `writ-testkit`"));
    }

    #[test]
    fn a_new_crate_needs_a_line() {
        assert!(texts("writ-extra", &[])[0].contains("not in the list of walls"));
        assert_eq!(texts("writ-testkit", &["writ-store", "sqlx"]), Vec::<String>::new());
    }
}
