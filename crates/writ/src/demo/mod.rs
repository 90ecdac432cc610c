//! The demonstration: a real server, a scripted agent that speaks MCP over HTTP, and a small MCP server to call.
//!
//! Nothing here is a short cut: the agent's client and the sample server know only their URLs, and everything
//! between them is the product. Every step is checked; one that does not hold ends the demonstration with exit code 1.

mod agent;
mod browser;
mod client;
mod evidence;
mod keep;
mod person;
mod sample;
mod screen;
mod stage;
mod steps;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::cli::environment::nonce;
use crate::cli::exit::{Exit, Outcome, Trouble};
use screen::Screen;
use stage::Stage;

/// Shows what Writ does, with a real server, a scripted agent and a small shop to act on
#[derive(Debug, Args)]
#[command(before_help = "$ writ demo --keep")]
pub(crate) struct Demo {
    /// Leave it running afterwards, and print how to connect your own client
    #[arg(long)]
    keep: bool,
    /// Keep the data in this empty folder; a temporary one otherwise
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Open no browser; this version opens none
    #[arg(long)]
    no_open: bool,
}

impl Demo {
    /// Plays all steps.
    pub(crate) async fn run(self, log: Option<&str>, colour: bool) -> Outcome {
        let failed =
            |error: anyhow::Error| Trouble::new(Exit::Failed, format!("the demonstration failed: {error:#}"));
        if let Some(folder) = self.data.as_deref().filter(|folder| !is_free(folder)) {
            return Err(Trouble::usage(format!("`{}` is not an empty folder", folder.display()))
                .help("name one that is empty, or not there yet; without `--data` a temporary one is used"));
        }
        // The server's own log would run through the story; its warnings are part of what is shown.
        crate::up::start_logging(Some(log.unwrap_or("error"))).map_err(failed)?;
        let temporary = self.data.is_none();
        let data =
            self.data.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("writ-demo-{}", nonce())));
        let played = Box::pin(self.play(&data, colour)).await;
        if temporary {
            // A folder that cannot be removed is not what was to be shown.
            drop(std::fs::remove_dir_all(&data));
        }
        played.map_err(failed)?;
        Ok(Exit::Done)
    }

    async fn play(&self, data: &std::path::Path, colour: bool) -> anyhow::Result<()> {
        let mut screen = Screen::new(colour);
        Screen::block(&format!(
            "Writ {}: a demonstration. Everything below really happens, over HTTP, on this machine.",
            env!("CARGO_PKG_VERSION")
        ));
        screen.step("A server, and a shop behind it");
        let stage = Stage::set(data).await?;
        let url = stage.server.url.as_str().trim_end_matches('/').to_owned();
        Screen::say(&format!("DEMO: {url}, reachable from this machine only; data in {}", data.display()));
        Screen::say(&format!(
            "the shop is an MCP server at {}; Writ stands before it at {}",
            stage.shop.url(),
            stage.gate()
        ));
        let played = play_steps(&stage, &mut screen).await;
        if played.is_ok() {
            Screen::block(&format!("\nall steps hold; {:.1} s in all", screen.seconds()));
            if self.keep {
                keep::keep(&stage).await?;
            } else {
                Screen::block(keep::NEXT);
            }
        }
        let stopped = stage.server.stop().await.context("stopping the server");
        played.and(stopped)
    }
}

/// Whether a folder can be made here, or is there and empty.
fn is_free(folder: &std::path::Path) -> bool {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

async fn play_steps(stage: &Stage, screen: &mut Screen) -> anyhow::Result<()> {
    let (task, client, token) = steps::identity(stage, screen).await?;
    steps::allowed(stage, screen, &client).await?;
    steps::denied(stage, screen, &client).await?;
    steps::child(stage, screen, &task).await?;
    steps::changed(stage, screen, &client).await?;
    steps::stolen(stage, screen, &token).await?;
    person::delegated(stage, screen).await?;
    steps::killed(stage, screen, &client).await?;
    steps::proved(stage, screen).await
}

#[cfg(test)]
mod tests {
    use super::{Screen, Stage, play_steps};

    #[tokio::test(flavor = "multi_thread")]
    async fn every_step_holds() {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage::set(&folder.path().join("data")).await.unwrap();
        let played = play_steps(&stage, &mut Screen::new(false)).await;
        stage.server.stop().await.unwrap();
        if let Err(error) = played {
            panic!("{error:#}");
        }
    }
}
