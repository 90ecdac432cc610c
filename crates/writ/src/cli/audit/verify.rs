//! `writ audit verify`: nothing is believed but a key.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use bytes::Bytes;
use clap::Args;
use serde_json::json;
use wire::tlog::{ExportError, Report, VerifierKey, verify_export};

use super::target;
use crate::api_client::Pieces;
use crate::cli::exit::{Exit, Outcome, Trouble};
use crate::cli::file;
use crate::cli::setting::Setting;

/// How many pieces of an export may wait for the verifier.
const PIECES_MAX: usize = 16;

/// What to verify, and by which key.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The export; `-` is standard input; without it, what the server exports now
    file: Option<PathBuf>,
    /// The log's verifier key as you know it (`NAME+HASH+KEY`), or a file that holds it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Verify {
    pub(super) async fn run(self, setting: &Setting) -> Outcome {
        let key = self.key.as_deref().map(trusted).transpose()?;
        let has_key = key.is_some();
        let verified = match self.file {
            Some(path) if path == Path::new("-") => {
                blocking(move || verify_export(io::stdin().lock(), key.as_ref())).await?
            }
            Some(path) => {
                let opened = std::fs::File::open(&path).map_err(|error| Trouble::file(&path, &error))?;
                blocking(move || verify_export(BufReader::new(opened), key.as_ref())).await?
            }
            None => {
                let client = setting.client()?;
                verify_pieces(client.open(&target(&client, None, None)).await?, key).await?
            }
        };
        let report = verified.map_err(|error| {
            let help = "keep this export as evidence, and compare it with an older one or with the server's checkpoints";
            Trouble::new(Exit::Unverified, format!("the log does not verify: {error}")).help(help)
        })?;
        say(setting, &report, has_key)
    }
}

fn trusted(text: &str) -> Result<VerifierKey, Trouble> {
    let given = match text.parse() {
        Ok(key) => return Ok(key),
        Err(_) => file::text(Path::new(text))?,
    };
    given.trim().parse().map_err(|error| Trouble::usage(format!("`--key`: {error}")))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Trouble::new(Exit::Failed, error.to_string()))
}

/// Verifies while the answer comes in: an export may be larger than memory.
async fn verify_pieces(
    mut pieces: Pieces,
    key: Option<VerifierKey>,
) -> Result<Result<Report, ExportError>, Trouble> {
    let (sender, receiver) = mpsc::sync_channel::<Bytes>(PIECES_MAX);
    let verifying = tokio::task::spawn_blocking(move || {
        verify_export(BufReader::new(Incoming { receiver, rest: Bytes::new() }), key.as_ref())
    });
    while let Some(piece) = pieces.next().await? {
        // A verifier that has found something wrong reads no further.
        if tokio::task::block_in_place(|| sender.send(piece)).is_err() {
            break;
        }
    }
    drop(sender);
    verifying.await.map_err(|error| Trouble::new(Exit::Failed, error.to_string()))
}

/// Reads what another thread sends.
struct Incoming {
    receiver: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.recv() {
                Ok(piece) => self.rest = piece,
                Err(mpsc::RecvError) => return Ok(0),
            }
        }
        let count = out.len().min(self.rest.len());
        out[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}

fn say(setting: &Setting, report: &Report, has_key: bool) -> Outcome {
    let whole = report.from == 1 && report.to == report.size;
    let root = hex::encode(report.root);
    let answer = json!({
        "verified": true, "origin": report.origin, "vkey": report.vkey, "key_was_given": has_key,
        "from": report.from, "to": report.to, "records": report.records, "size": report.size,
        "whole": whole, "root": root,
    });
    let extent = if whole { "the whole log".to_owned() } else { format!("of {} in the log", report.size) };
    let by = if has_key {
        "by the key that you gave"
    } else {
        "by the key in the export itself; compare it with the one you know, or give it with --key"
    };
    setting.done(
        &format!(
            "verified: {} records, positions {} to {}, {extent}\n  root {root}\n  signed for {} {by}\n  {}",
            report.records, report.from, report.to, report.origin, report.vkey
        ),
        &answer,
    )
}

#[cfg(test)]
mod tests;
