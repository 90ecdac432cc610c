//! `writ status`

use clap::Args;

use super::exit::{Exit, Outcome};
use super::output::{Format, emit, talk};
use super::setting::Setting;

/// Shows how the server is.
#[derive(Debug, Args)]
#[command(
    before_help = "$ writ status",
    after_help = "Exit code: 8 when the server cannot prove that it is fresh, and so denies everything."
)]
pub(crate) struct Status;

impl Status {
    pub(crate) async fn run(self, setting: &Setting) -> Outcome {
        let client = setting.client()?;
        let status = client.get(&client.at(&["status"])).await?;
        match (setting.format(), status["issuer"].as_str()) {
            (Format::Name, Some(issuer)) => emit(&format!("{issuer}\n"))?,
            _ => setting.one(&status)?,
        };
        if status["fresh"] == true {
            return Ok(Exit::Done);
        }
        talk("the server is not fresh: until it can read the log again, every decision is a denial");
        Ok(Exit::Unavailable)
    }
}
