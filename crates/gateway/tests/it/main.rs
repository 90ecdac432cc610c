//! The gateway in process, in front of real HTTP servers that behave in every way, good and bad.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that fails is a test that fails")]

mod acts;
mod input;
mod live;
mod plane;
mod room;
mod servers;
mod sessions;
mod tls;
mod trouble;
mod world;
