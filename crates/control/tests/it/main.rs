//! The control plane in process, on each database, over its real routes.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that fails is a test that fails")]

mod app;
mod client;
mod discovery;
mod exchange;
mod keys;
mod left;
mod lifecycle;
mod moment;
mod narrowing;
mod nonces;
mod people;
mod race;
mod refusals;
mod standing;
mod states;
mod stops;
mod tasks;
mod token;
mod verify;
mod world;
