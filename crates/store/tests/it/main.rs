//! The store on both databases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

mod batch;
mod kill;
mod opening;
mod promise;
mod sealing;
mod silence;
mod support;
mod transactions;
mod tree;
mod usage;
mod wire;
