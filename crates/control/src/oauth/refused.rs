//! Why an access token is not accepted.

use base::{Class, Refuse};
use wire::{dpop::ProofRefusal, jose::TokenRefusal};

use crate::snapshot::Dead;

/// Why a request's access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenRefused {
    /// There is none.
    #[error("this needs an access token")]
    Missing,
    /// It is not said which token counts.
    #[error("{0}")]
    Malformed(&'static str),
    /// The token as a signed text is no good.
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    /// It is meant for another endpoint.
    #[error("the token is meant for another resource; ask for one with `resource` set to this URL")]
    WrongAudience,
    /// What it says of its chain is not what is stored.
    #[error("the token does not say what is on record about its task")]
    ChainDiffers,
    /// It stands for a workload where only agents act.
    #[error("the token stands for a workload; only agents act here")]
    NotAnAgent,
    /// What it rests on has ended.
    #[error(transparent)]
    Dead(#[from] Dead),
    /// It is bound to a key, and was sent as if it were not.
    #[error("the token is bound to a key; send it with the scheme `DPoP` and a proof")]
    BoundAsBearer,
    /// It is not bound to a key, and was sent as if it were.
    #[error("the token is not bound to a key; send it with the scheme `Bearer`")]
    UnboundAsDpop,
    /// The agent's blueprint wants bound tokens only.
    #[error("this agent's tokens must be bound to a key (DPoP)")]
    BindingRequired,
    /// There is no proof.
    #[error("the request has no DPoP proof")]
    ProofMissing,
    /// The proof is no good.
    #[error(transparent)]
    Proof(#[from] ProofRefusal),
    /// The proof has no nonce of ours, or an old one.
    #[error("the DPoP proof needs the nonce of the header `DPoP-Nonce`; make it again with that")]
    NonceWanted,
    /// This node has not seen the log for too long.
    #[error("this node cannot prove that it knows the latest revocations")]
    Stale,
}

impl Refuse for TokenRefused {
    fn class(&self) -> Class {
        match self {
            Self::Malformed(_) => Class::Invalid,
            Self::Stale => Class::Busy,
            Self::Missing
            | Self::Token(_)
            | Self::WrongAudience
            | Self::ChainDiffers
            | Self::NotAnAgent
            | Self::Dead(_)
            | Self::BoundAsBearer
            | Self::UnboundAsDpop
            | Self::BindingRequired
            | Self::ProofMissing
            | Self::Proof(_)
            | Self::NonceWanted => Class::Unauthenticated,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Missing => MISSING,
            Self::Malformed(_) => "token_presentation",
            Self::Token(refusal) => refusal.code(),
            Self::WrongAudience => "token_wrong_audience",
            Self::ChainDiffers => "token_chain_differs",
            Self::NotAnAgent => "token_not_an_agents",
            Self::Dead(dead) => dead.code(),
            Self::BoundAsBearer => "dpop_token_is_bound",
            Self::UnboundAsDpop => "dpop_token_is_not_bound",
            Self::BindingRequired => "dpop_binding_required",
            Self::ProofMissing => "dpop_proof_missing",
            Self::Proof(refusal) => refusal.code(),
            Self::NonceWanted => NONCE_WANTED,
            Self::Stale => "node_stale",
        }
    }

    fn help(&self) -> Option<String> {
        match self {
            Self::Dead(dead) => dead.help(),
            Self::Missing | Self::Token(TokenRefusal::Expired) => {
                Some("get a new token from the token endpoint".into())
            }
            Self::Stale => Some("try again shortly".into()),
            _ => None,
        }
    }
}

/// The code of a request without credentials.
pub(super) const MISSING: &str = "token_missing";
/// The code of a proof without a nonce of ours, as RFC 9449 has it.
pub(crate) const NONCE_WANTED: &str = "use_dpop_nonce";
/// The code of a proof that was used before.
pub(super) const PROOF_REPLAYED: &str = "dpop_proof_replayed";

/// The proof of possession was used before.
#[derive(Debug, thiserror::Error)]
#[error("the DPoP proof was used before; make a new one for each request")]
pub struct ProofReplayed;

impl Refuse for ProofReplayed {
    fn class(&self) -> Class {
        Class::Unauthenticated
    }

    fn code(&self) -> &'static str {
        PROOF_REPLAYED
    }
}
