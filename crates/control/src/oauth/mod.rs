//! The authorization server: tokens for agents and workloads, and their verification.
//!
//! A token says who acts within which task, and nothing about what they may do: that is asked of the stored task
//! tree, the grants and the policies at every call. So a token is small, minutes long, for one audience, and dies
//! with whatever it rests on.

mod asked;
mod asking;
mod audience;
mod authorize;
mod challenge;
mod claims;
mod client;
mod code;
mod device;
mod exchange;
mod farewell;
pub mod http;
mod introspect;
mod issue;
mod nonce;
mod openid;
mod presented;
mod pushed;
mod refused;
mod revoked;
mod said;
mod token;
mod verify;
mod wanted;
mod widen;
mod wish;

pub use audience::Audience;
pub use challenge::Challenged;
pub use farewell::Tell;
pub(crate) use nonce::ask_for_nonce;
pub(crate) use presented::api_token;
pub(crate) use refused::NONCE_WANTED;
pub use refused::{ProofReplayed, TokenRefused};
pub(crate) use revoked::{load_revoked_tokens, reload_revoked_token};
pub use verify::TokenHolder;
pub(crate) use verify::{Believed, TokenCache, stands, token_cache};
