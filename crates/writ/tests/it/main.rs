//! Black-box tests: the real binary, its HTTP and its command line, on real databases. Nothing of the product is
//! linked in but the formats that a client needs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test stops at the first surprise, and shows what the server said"
)]

mod command;
mod mcp;
mod node;
mod upstream;
mod web;
mod world;

mod aggregate;
mod asynchronous;
mod attacks;
mod authz;
mod closed;
mod crash;
mod documents;
mod gate;
mod kill;
mod left;
mod local;
mod mutations;
mod once;
mod openapi;
mod operator;
mod policies;
mod soak;
mod up;
