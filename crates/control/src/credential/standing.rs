//! What became of credentials and API tokens: the one judgement that logins and lists share.

use std::fmt;

use base::{AnyId, Ctx, IdKind, Position, Timestamp};

use super::model::{ApiToken, Credential};
use crate::snapshot::{Dead, Life, Snapshot};

/// Ended by a person.
const REVOKED: &str = "revoked";
/// Ended by itself.
const EXPIRED: &str = "expired";

/// What became of a credential or an API token, whatever the state of its principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can prove its principal.
    Active,
    /// A stop that concerns it came after it was made.
    Dead {
        /// Where the stop stands in the log; none where an older database came back.
        since: Option<Position>,
    },
    /// A person ended it.
    Revoked,
    /// It ended by itself.
    Expired,
}

impl Standing {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Dead { .. } => "dead",
            Self::Revoked => REVOKED,
            Self::Expired => EXPIRED,
        }
    }

    /// The position of the stop that made it dead.
    pub const fn dead_since(self) -> Option<Position> {
        match self {
            Self::Dead { since } => since,
            Self::Active | Self::Revoked | Self::Expired => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        self.dead_since().map_or(Ok(()), |position| write!(f, " since position {position}"))
    }
}

impl Snapshot {
    /// Whether an API token can still prove its principal, and the principal is alive.
    pub(crate) fn api_token_is_good(&self, token: &ApiToken, ctx: &Ctx) -> bool {
        self.token_may_prove(token, ctx).is_ok() && principal_lives(self, &token.principal, ctx).is_ok()
    }

    /// What became of an API token.
    pub(crate) fn api_token_standing(&self, token: &ApiToken, ctx: &Ctx) -> Standing {
        self.standing(self.token_may_prove(token, ctx))
    }

    /// Whether a credential can still prove its principal, and the principal is alive.
    pub fn credential_is_good(&self, credential: &Credential, ctx: &Ctx) -> Result<(), Dead> {
        self.may_prove(credential, ctx)?;
        principal_lives(self, &credential.principal, ctx)
    }

    /// What became of a credential.
    pub(crate) fn credential_standing(&self, credential: &Credential, ctx: &Ctx) -> Standing {
        self.standing(self.may_prove(credential, ctx))
    }

    /// Whether a principal has anything left to prove itself with, once it is at work.
    pub(crate) fn can_prove_itself(&self, principal: &AnyId, ctx: &Ctx) -> bool {
        let mut tokens = self.api_tokens.values().filter(|token| token.principal == *principal);
        self.credentials_of(principal).any(|credential| self.may_prove(credential, ctx).is_ok())
            || tokens.any(|token| self.token_may_prove(token, ctx).is_ok())
    }

    /// Whether a credential has not ended, whatever the state of its principal.
    pub(super) fn may_prove(&self, credential: &Credential, ctx: &Ctx) -> Result<(), Dead> {
        not_over((&credential.id).into(), credential.revoked, credential.expires, ctx)?;
        let life = Life {
            generation: credential.generation,
            position: credential.position,
            tenant: &ctx.tenant,
            token: None,
        };
        self.credential_lives(&life, &self.concerns(&credential.principal))
    }

    fn token_may_prove(&self, token: &ApiToken, ctx: &Ctx) -> Result<(), Dead> {
        not_over((&token.id).into(), token.revoked, token.expires, ctx)?;
        let life = Life {
            generation: token.generation,
            position: token.position,
            tenant: &ctx.tenant,
            token: Some(&token.id),
        };
        self.credential_lives(&life, &self.concerns(&token.principal))
    }

    fn standing(&self, judged: Result<(), Dead>) -> Standing {
        match judged {
            Ok(()) => Standing::Active,
            Err(Dead::Inactive(_, EXPIRED)) => Standing::Expired,
            Err(Dead::Inactive(..) | Dead::TokenRevoked) => Standing::Revoked,
            Err(Dead::Revoked(whose)) => Standing::Dead { since: self.revoked.get(&whose).copied() },
            Err(
                Dead::OtherGeneration
                | Dead::Unbound
                | Dead::Unknown(_)
                | Dead::Ownerless(_)
                | Dead::TaskEnded(..),
            ) => Standing::Dead { since: None },
        }
    }
}

fn not_over(id: AnyId, revoked: bool, expires: Option<Timestamp>, ctx: &Ctx) -> Result<(), Dead> {
    if revoked {
        return Err(Dead::Inactive(id, REVOKED));
    }
    if expires.is_some_and(|expires| expires <= ctx.now) {
        return Err(Dead::Inactive(id, EXPIRED));
    }
    Ok(())
}

/// Whether a principal of any kind is alive.
fn principal_lives(snapshot: &Snapshot, principal: &AnyId, ctx: &Ctx) -> Result<(), Dead> {
    let unknown = || Dead::Unknown(principal.clone());
    let text = principal.as_str();
    match principal.kind() {
        IdKind::PersonId => snapshot.person_lives(&text.parse().map_err(|_| unknown())?),
        IdKind::AgentId => snapshot.agent_lives(&text.parse().map_err(|_| unknown())?, ctx.now),
        IdKind::WorkloadId => snapshot.workload_lives(&text.parse().map_err(|_| unknown())?),
        IdKind::ClientId => {
            let known = snapshot.clients.get(&text.parse().map_err(|_| unknown())?);
            known.map(drop).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}
