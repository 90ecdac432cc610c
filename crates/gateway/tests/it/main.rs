//! The gateway in process, in front of real HTTP servers that behave in every way, good and bad.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that fails is a test that fails")]

mod acts;
mod aggregate;
mod aggregate_asked;
mod bounds;
mod crossing;
mod elder;
mod generations;
mod headers;
mod hostile;
mod input;
mod links;
mod listen;
mod live;
mod parked;
mod plane;
mod proofs;
mod resume;
mod rights;
mod room;
mod rounds;
mod servers;
mod sessions;
mod stage;
mod state;
mod stateless;
mod tasks;
mod tls;
mod trouble;
mod world;
mod young;
