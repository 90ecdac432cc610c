//! `writ doctor`: looks at what usually goes wrong, and says how to put it right.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::environment::now;
use super::exit::{Exit, Outcome, Trouble};
use super::output::{Column, printable};
use super::setting::Setting;
use crate::api_client::{ApiClient, ApiError};

const COLUMNS: &[Column] = &[
    Column::new("CHECK", "/check"),
    Column::new("STATE", "/state"),
    Column::new("FOUND", "/found"),
    Column::new("FIX", "/fix"),
];

/// By how much clocks may differ before proofs of keys are refused, in seconds.
const CLOCK_SECONDS_MAX: i64 = 5;
/// How far the snapshot of a node may be behind the log, in records.
const BEHIND_MAX: i64 = 1000;
/// The most files of a data folder that are looked at.
const FILES_MAX: usize = 10_000;

/// Checks address, token, clock, freshness, log and data folder; prints fixes.
#[derive(Debug, Args)]
#[command(before_help = "$ writ doctor --data .writ")]
pub(crate) struct Doctor {
    /// The server's data folder, where it is on this machine
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What was found.
#[derive(Default)]
struct Findings {
    rows: Vec<Value>,
    worst: Option<Exit>,
}

impl Findings {
    fn good(&mut self, check: &str, found: impl Into<String>) {
        self.rows.push(json!({ "check": check, "state": "ok", "found": found.into(), "fix": null }));
    }

    fn note(&mut self, check: &str, found: impl Into<String>, fix: &str) {
        self.rows.push(json!({ "check": check, "state": "look", "found": found.into(), "fix": fix }));
    }

    fn bad(&mut self, exit: Exit, check: &str, found: impl Into<String>, fix: impl Into<String>) {
        self.rows.push(json!({ "check": check, "state": "FAIL", "found": found.into(), "fix": fix.into() }));
        self.worst = self.worst.or(Some(exit));
    }
}

impl Doctor {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let mut findings = Findings::default();
        if let Some(folder) = &self.data {
            data_folder(&mut findings, folder)?;
        }
        match setting.connect() {
            Ok((client, has_token)) => {
                address(&mut findings, &client);
                if reachable(&mut findings, &client).await && has_token {
                    token(&mut findings, &client).await;
                    state(&mut findings, &client).await;
                } else if !has_token {
                    findings.bad(
                        Exit::Login,
                        "token",
                        "there is none",
                        "set WRIT_TOKEN, or `writ context add`",
                    );
                }
            }
            Err(trouble) => {
                findings.bad(trouble.exit, "address", trouble.what, trouble.help.unwrap_or_default());
            }
        }
        setting.list(COLUMNS, &Value::from(findings.rows))?;
        Ok(findings.worst.unwrap_or(Exit::Done))
    }
}

fn address(findings: &mut Findings, client: &ApiClient) {
    let base = client.base();
    if base.scheme() == "https" {
        findings.good("address", format!("{base}, encrypted"));
    } else {
        findings.good("address", format!("{base}, not encrypted, this machine only"));
    }
}

async fn reachable(findings: &mut Findings, client: &ApiClient) -> bool {
    match client.probe(&client.outside(&["livez"])).await {
        Ok(response) if response.status().is_success() => findings.good("reachable", "the server answers"),
        Ok(response) => {
            let found = format!("`/livez` answers {}", response.status());
            findings.bad(Exit::Unavailable, "reachable", found, "is this a Writ server? a proxy in between?");
            return false;
        }
        Err(error @ (ApiError::Unreachable { .. } | ApiError::Silent(_))) => {
            let fix =
                "start it: `writ up --data DIR`; check address, firewall, proxy and certificates (--ca-file)";
            findings.bad(Exit::Unavailable, "reachable", error.to_string(), fix);
            return false;
        }
        Err(error) => {
            findings.bad(Exit::Failed, "reachable", error.to_string(), "check the address");
            return false;
        }
    }
    match client.told(&client.outside(&["readyz"])).await {
        Ok(response) if response.status().is_success() => findings.good("ready", "the server decides"),
        // The server's own words say which of the two it is.
        Ok(response) => {
            let said = match response.body().lines().next() {
                Some(line) if !line.is_empty() && line.len() <= 200 => printable(line),
                _ => format!("`/readyz` answers {}", response.status()),
            };
            findings.bad(Exit::Unavailable, "ready", said, "look at the server's log and at its database");
        }
        Err(error) => {
            findings.bad(
                Exit::Unavailable,
                "ready",
                error.to_string(),
                "look at the server's log and its load",
            );
        }
    }
    true
}

async fn token(findings: &mut Findings, client: &ApiClient) {
    match client.get(&client.at(&["self"])).await {
        Ok(me) => {
            let text = |name: &str| me[name].as_str().unwrap_or("?").to_owned();
            let may: Vec<&str> =
                me["permissions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            findings.good("token", format!("{} {}, may: {}", text("kind"), text("name"), may.join(", ")));
        }
        Err(error) => {
            let trouble = Trouble::from(error);
            let fix = trouble
                .help
                .unwrap_or_else(|| "have a new one made: `writ person token create NAME`".to_owned());
            findings.bad(trouble.exit, "token", trouble.what, fix);
        }
    }
}

async fn state(findings: &mut Findings, client: &ApiClient) {
    let before = now();
    let status = match client.get(&client.at(&["status"])).await {
        Ok(status) => status,
        Err(ApiError::Refused { status: http::StatusCode::FORBIDDEN, message, .. }) => {
            return findings.note("state", message, "this needs the permission `audit`");
        }
        Err(error) => {
            let trouble = Trouble::from(error);
            let fix = trouble.help.unwrap_or_else(|| "look at the server's log".to_owned());
            return findings.bad(trouble.exit, "state", trouble.what, fix);
        }
    };
    clock(findings, &status, before);
    let number = |name: &str| status[name].as_i64();
    match (number("position"), number("applied")) {
        (Some(head), Some(applied)) if head - applied > BEHIND_MAX => findings.bad(
            Exit::Unavailable,
            "log",
            format!("the node is {} records behind", head - applied),
            "look at the server's log and at its database",
        ),
        (Some(head), Some(_)) => {
            findings.good("log", format!("head at {head}, generation {}", status["generation"]));
        }
        _ => findings.bad(Exit::Failed, "log", "the server does not say where its log ends", "upgrade it"),
    }
    match (number("checkpoint_size"), number("position")) {
        (Some(size), Some(head)) if head - size <= BEHIND_MAX => {
            findings.good("checkpoint", format!("signed at {size}"));
        }
        (Some(size), _) => {
            findings.note("checkpoint", format!("signed at {size}, far behind"), "look at the server's log");
        }
        (None, _) => findings.note("checkpoint", "none is signed yet", "wait a second after the first start"),
    }
    match status["issuer"].as_str() {
        Some(issuer) if issuer.trim_end_matches('/') == client.base().as_str().trim_end_matches('/') => {
            findings.good("public address", issuer);
        }
        Some(issuer) => findings.note(
            "public address",
            format!("the server calls itself {issuer}"),
            "agents must use that address; set --public-url if it is wrong",
        ),
        None => {}
    }
}

/// RFC 3339 in UTC sorts as text.
fn clock(findings: &mut Findings, status: &Value, before: base::Timestamp) {
    let theirs = status["now"].as_str().unwrap_or_default();
    let (earliest, latest) = (before.plus_seconds(-CLOCK_SECONDS_MAX), now().plus_seconds(CLOCK_SECONDS_MAX));
    if *earliest.to_string() <= *theirs && *theirs <= *latest.to_string() {
        findings.good("clock", format!("within {CLOCK_SECONDS_MAX} s of the server's"));
    } else {
        let found = format!("here {before}, there {theirs}");
        findings.bad(
            Exit::Failed,
            "clock",
            found,
            "set both clocks by NTP: proofs of keys and tokens depend on them",
        );
    }
}

/// Everything in the data folder is its owner's alone.
fn data_folder(findings: &mut Findings, folder: &Path) -> Result<(), Trouble> {
    let shown = folder.display();
    let mut open = Vec::new();
    let mut look = |path: &Path| -> Result<bool, Trouble> {
        let about = std::fs::symlink_metadata(path).map_err(|error| Trouble::file(path, &error))?;
        if !about.is_symlink() && about.permissions().mode() & 0o077 != 0 {
            open.push(path.display().to_string());
        }
        Ok(about.is_dir())
    };
    if !look(folder)? {
        return Err(Trouble::usage(format!("`{shown}` is not a folder")));
    }
    let entries = std::fs::read_dir(folder).map_err(|error| Trouble::file(folder, &error))?;
    for entry in entries.take(FILES_MAX) {
        let path = entry.map_err(|error| Trouble::file(folder, &error))?.path();
        // A folder that nobody else can enter protects what is in it.
        look(&path)?;
    }
    // The folder itself decides: behind a closed door, modes of files matter less.
    let closed = open.first().is_none_or(|first| *first != shown.to_string());
    match (open.is_empty(), closed) {
        (true, _) => findings.good("data folder", format!("{shown}, closed to others")),
        (false, true) => findings.note(
            "data folder",
            format!("closed, but its files are not: {}", open.join(", ")),
            "chmod go= them, in case they are ever moved",
        ),
        (false, false) => findings.bad(
            Exit::Failed,
            "data folder",
            format!("others can read {}", open.join(", ")),
            format!("chmod -R go= {shown}; it holds keys: rotate them if others have been on this machine"),
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Exit, Findings, data_folder};

    #[test]
    fn an_open_data_folder_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin.token");
        std::fs::write(&file, "t").unwrap();
        let mode = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let found = || {
            let mut findings = Findings::default();
            data_folder(&mut findings, folder.path()).unwrap();
            (findings.worst, findings.rows[0]["state"].as_str().unwrap().to_owned())
        };
        mode(folder.path(), 0o700);
        mode(&file, 0o600);
        assert_eq!(found(), (None, "ok".into()));
        mode(&file, 0o644);
        assert_eq!(found(), (None, "look".into()));
        mode(folder.path(), 0o755);
        assert_eq!(found(), (Some(Exit::Failed), "FAIL".into()));
    }
}
