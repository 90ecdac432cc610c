//! Credentials: how agents and workloads prove themselves, and the API tokens of persons and workloads.
//!
//! INVARIANT: every credential carries the generation and the position of the log at which it was made, and is dead
//! once a revocation that concerns its principal is later ([`crate::snapshot::Snapshot::credential_lives`]).

mod model;
mod service;
mod standing;
mod store;

pub use model::{ApiToken, Credential, Proof};
pub use service::{API_TOKEN_PREFIX, ApiRefusal, CredentialRefusal};
pub use standing::Standing;
pub(crate) use store::{load_all, reload, reload_api_token};
