//! `writ audit`: reading the log, and checking it without trusting the server.

mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::exit::{Exit, Outcome, Trouble};
use super::output::{Column, Format, emit, talk};
use super::setting::Setting;
use crate::api_client::{ApiClient, Pieces, Target};

use verify::Verify;

const COLUMNS: &[Column] = &[
    Column::new("POSITION", "/position"),
    Column::new("TIME", "/record/time"),
    Column::new("KIND", "/record/kind"),
    Column::new("ACTOR", "/record/actor"),
    Column::new("SUBJECT", "/record/subject"),
    Column::new("TASK", "/record/task"),
    Column::wide("DATA", "/record/data"),
];

/// How many records are asked for at once while following.
const PAGE: i64 = 500;
/// How often the log is asked for more.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// The log: every change, every decision, every outcome.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show the newest records, and follow
    #[command(before_help = "$ writ audit tail --follow")]
    Tail {
        /// How many to begin with
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        lines: i64,
        /// Go on until interrupted
        #[arg(short, long)]
        follow: bool,
    },
    /// Find records
    #[command(before_help = "$ writ audit search --kind call.denied --limit 50")]
    Search(Search),
    /// Show one record with the payload that it names
    #[command(before_help = "$ writ audit show 4711")]
    Show {
        /// Its position
        position: i64,
    },
    /// Verify an export, offline; without a file, what the server exports now
    #[command(before_help = "$ writ audit verify log.jsonl --key log.vkey")]
    Verify(Verify),
    /// Write the log as JSON lines that can be verified offline
    #[command(before_help = "$ writ audit export --file log.jsonl")]
    Export(Export),
    /// Get a proof, verifiable offline, that one record is in the log (C2SP tlog-proof)
    #[command(before_help = "$ writ audit proof 4711")]
    Proof {
        /// Its position
        position: i64,
    },
}

/// Which records to find; everything that is given must match.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Of this kind, for example call.denied
    #[arg(long)]
    kind: Option<String>,
    /// Caused by this actor: an id
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// About this id
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Within this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<i64>,
    /// Up to this position
    #[arg(long, value_name = "POSITION")]
    until: Option<i64>,
    /// At most so many, the newest first
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

/// Which part of the log, and whereto.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file to write; standard output when not given
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// From this position on
    #[arg(long, value_name = "POSITION")]
    from: Option<i64>,
    /// Up to this position
    #[arg(long, value_name = "POSITION")]
    to: Option<i64>,
}

impl AuditCommand {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        match self {
            Self::Tail { lines, follow } => tail(setting, lines, follow).await,
            Self::Search(search) => {
                let client = setting.client()?;
                setting.list(COLUMNS, &records(&client, &search.target(&client)).await?)
            }
            Self::Show { position } => {
                let client = setting.client()?;
                setting.one(&client.get(&client.at(&["audit", "records", &position.to_string()])).await?)
            }
            Self::Verify(verify) => verify.run(setting).await,
            Self::Export(export) => export.run(setting).await,
            Self::Proof { position } => {
                let client = setting.client()?;
                let proof = client.open(&client.at(&["audit", "proof", &position.to_string()])).await?;
                copy(proof, &mut std::io::stdout().lock()).await.map(|_| Exit::Done)
            }
        }
    }
}

impl Search {
    fn target(self, client: &ApiClient) -> Target {
        client
            .at(&["audit", "records"])
            .with("kind", self.kind)
            .with("actor", self.actor)
            .with("subject", self.subject)
            .with("task", self.task)
            .with("from", self.from)
            .with("until", self.until)
            .with("limit", Some(self.limit))
    }
}

impl Export {
    async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let pieces = client.open(&target(&client, self.from, self.to)).await?;
        let Some(path) = self.file else {
            return copy(pieces, &mut std::io::stdout().lock()).await.map(|_| Exit::Done);
        };
        let mut file = std::fs::File::create(&path).map_err(|error| Trouble::file(&path, &error))?;
        let bytes = copy(pieces, &mut file).await?;
        file.sync_all().map_err(|error| Trouble::file(&path, &error))?;
        talk(&format!(
            "{bytes} bytes in {}; check them: writ audit verify {}",
            path.display(),
            path.display()
        ));
        Ok(Exit::Done)
    }
}

fn target(client: &ApiClient, from: Option<i64>, to: Option<i64>) -> Target {
    client.at(&["audit", "export"]).with("from", from).with("to", to)
}

async fn copy(mut pieces: Pieces, out: &mut impl Write) -> Result<usize, Trouble> {
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await? {
        out.write_all(&piece).map_err(|error| Trouble::new(Exit::Failed, format!("writing: {error}")))?;
        bytes += piece.len();
    }
    out.flush().map_err(|error| Trouble::new(Exit::Failed, format!("writing: {error}")))?;
    Ok(bytes)
}

async fn records(client: &ApiClient, target: &Target) -> Result<Value, Trouble> {
    Ok(client.get(target).await?["records"].take())
}

async fn tail(setting: &Setting, lines: i64, follow: bool) -> Outcome {
    let client = setting.client()?;
    let mut newest = records(&client, &client.at(&["audit", "records"]).with("limit", Some(lines))).await?;
    oldest_first(&mut newest);
    setting.list(COLUMNS, &newest)?;
    if !follow {
        return Ok(Exit::Done);
    }
    let mut last = last_position(&newest).unwrap_or_default();
    let mut ticks = tokio::time::interval(FOLLOW_EVERY);
    loop {
        ticks.tick().await;
        let window = client
            .at(&["audit", "records"])
            .with("from", Some(last + 1))
            .with("until", Some(last + PAGE))
            .with("limit", Some(PAGE));
        let mut more = records(&client, &window).await?;
        oldest_first(&mut more);
        if let Some(position) = last_position(&more) {
            last = position;
            emit(&without_header(
                setting.format(),
                &setting.format().list(COLUMNS, more.as_array().map_or(&[], Vec::as_slice)),
            ))?;
        }
    }
}

/// A table that goes on below an earlier one.
fn without_header(format: Format, text: &str) -> String {
    let is_table = matches!(format, Format::Table | Format::Wide);
    text.split_once('\n').filter(|_| is_table).map_or(text, |(_, rows)| rows).to_owned()
}

fn oldest_first(records: &mut Value) {
    if let Some(records) = records.as_array_mut() {
        records.reverse();
    }
}

fn last_position(records: &Value) -> Option<i64> {
    records.as_array()?.last()?["position"].as_i64()
}
