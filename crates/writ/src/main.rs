//! Writ in one binary: the server (`writ up`), the command line, and the demonstration.

mod api_client;
mod cli;
mod demo;
mod edge;
mod plane;
mod up;

/// Many small and some large pieces of memory per request, freed on other threads than they were taken on: what the C
/// library's allocator is slowest at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
