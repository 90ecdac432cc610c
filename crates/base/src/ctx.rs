//! What a request carries from the edge to the last line of SQL.

use std::fmt;

use crate::{Actor, SharedDice, TenantId, Timestamp};

/// The circumstances of one request or one background step, made once at the edge.
#[derive(Clone)]
pub struct Ctx {
    /// Who acts, from a verified credential.
    pub actor: Actor,
    /// The organisation in which everything of this request happens.
    pub tenant: TenantId,
    /// The instant at which this request lives.
    pub now: Timestamp,
    /// The source of chance.
    pub dice: SharedDice,
    /// Correlates log lines, records and answers.
    pub trace: TraceId,
}

impl Ctx {
    /// The same circumstances with another actor: after authentication, or when a consequence follows by itself.
    #[must_use]
    pub fn acting_as(&self, actor: Actor) -> Self {
        Self { actor, ..self.clone() }
    }
}

impl fmt::Debug for Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("actor", &self.actor)
            .field("tenant", &self.tenant)
            .field("now", &self.now)
            .field("trace", &self.trace)
            .finish_non_exhaustive()
    }
}

/// A W3C trace id: 16 bytes, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
