//! What the person in front of the terminal sees.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use crate::cli::environment::stopwatch;
use crate::cli::output::printable;

/// How wide the left column is.
const MARK_WIDTH: usize = 7;

/// The story on standard output: numbered steps, and marked lines below each.
pub(super) struct Screen {
    began: Instant,
    steps: usize,
    colour: bool,
}

/// What a line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// An allowed call.
    Allow,
    /// A refused one.
    Deny,
    /// Something that was checked and holds.
    Holds,
}

impl Screen {
    pub(super) fn new(colour: bool) -> Self {
        let colour = colour && std::io::stdout().is_terminal();
        Self { began: stopwatch(), steps: 0, colour }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        let at = self.began.elapsed();
        let title = if self.colour { format!("\u{1b}[1m{title}\u{1b}[0m") } else { title.to_owned() };
        line(&format!("\n{:>2}  {title}  ({}.{:01} s)", self.steps, at.as_secs(), at.subsec_millis() / 100));
    }

    /// Says something.
    pub(super) fn say(text: &str) {
        line(&format!("    {:MARK_WIDTH$} {}", "", printable(text)));
    }

    /// Reports something.
    pub(super) fn mark(&self, mark: Mark, text: &str) {
        let (word, colour) = match mark {
            Mark::Allow => ("ALLOW", "32"),
            Mark::Deny => ("DENY", "31"),
            Mark::Holds => ("holds", "36"),
        };
        let padding = " ".repeat(MARK_WIDTH - word.len());
        let word = if self.colour { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() };
        line(&format!("    {word}{padding} {}", printable(text)));
    }

    /// Lines as they are.
    pub(super) fn block(text: &str) {
        line(text);
    }

    /// Seconds since the beginning.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

fn line(text: &str) {
    // A reader that has gone away does not change what is demonstrated.
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}
