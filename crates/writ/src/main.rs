//! Writ in one binary: the server (`writ up`), the command line, and the demonstration.

mod api_client;
mod cli;
mod demo;
mod edge;
mod local;
mod plane;
mod up;

/// Calls are many small allocations on two kinds of threads, which the system's allocator hands around at a price.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    local::stage().unwrap_or_else(cli::main)
}
