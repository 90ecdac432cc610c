//! The authorization server: tokens for agents and workloads.

mod revoked;

pub(crate) use revoked::{load_revoked_tokens, reload_revoked_token};
