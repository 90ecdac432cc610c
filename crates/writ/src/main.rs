//! Writ in one binary: the server (`writ up`), the command line, and the demonstration.

mod api_client;
mod cli;
mod demo;
mod edge;
mod local;
mod plane;
mod up;

fn main() -> std::process::ExitCode {
    local::stage().unwrap_or_else(cli::main)
}
