//! `writ audit`: reading the log, and checking it without trusting the server.

mod search;
mod verify;
mod words;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use base::DecisionId;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::exit::{Exit, Outcome, Trouble};
use super::output::{Format, emit, talk};
use super::setting::Setting;
use crate::api_client::{ApiClient, Pieces, Target};

use search::Search;
use verify::Verify;

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
    #[command(before_help = "$ writ audit search --kind call.denied --agent ada --tool shop/send_mail")]
    Search(Box<Search>),
    /// Show one record with the payload that it names
    #[command(before_help = "$ writ audit show dec_01k9m3x8q2v4t6y8b0d2f4h6j8")]
    Show {
        /// Its position, or the id of the decision that a refused agent was told
        #[arg(value_name = "POSITION|DECISION", value_parser = position_or_decision)]
        which: String,
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
            Self::Search(search) => search.run(setting).await,
            Self::Show { which } => {
                let client = setting.client()?;
                setting.one(&client.get(&client.at(&["audit", "records", &which])).await?)
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

fn position_or_decision(text: &str) -> Result<String, String> {
    if text.parse::<i64>().is_ok_and(|position| position > 0) || text.parse::<DecisionId>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("give a position, for example 4711, or the id of a decision: `dec_` and 26 letters".to_owned())
}

async fn records(client: &ApiClient, target: &Target) -> Result<Value, Trouble> {
    Ok(client.get(target).await?["records"].take())
}

async fn tail(setting: &Setting, lines: i64, follow: bool) -> Outcome {
    let client = setting.client()?;
    let mut newest = records(&client, &client.at(&["audit", "records"]).with("limit", Some(lines))).await?;
    oldest_first(&mut newest);
    emit(&words::table(setting.format(), &newest))?;
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
            emit(&without_header(setting.format(), &words::table(setting.format(), &more)))?;
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
