//! Revisions of the protocol.

use std::fmt;

/// A revision with sessions. All of them open with `initialize` and carry single messages over streamable HTTP.
///
/// [2026-07-28](super::STATELESS) is another generation: no `initialize`, no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05: the first; HTTP+SSE, or standard input and output. Of servers alone: no client is offered it.
    V20241105,
    /// 2025-03-26: the first with streamable HTTP; knows no version header. Its batches are refused.
    V20250326,
    /// 2025-06-18.
    V20250618,
    /// 2025-11-25.
    V20251125,
}

impl Revision {
    /// All revisions that are spoken with clients, oldest first.
    pub const ALL: [Self; 3] = [Self::V20250326, Self::V20250618, Self::V20251125];
    /// What a client that asks for an unknown revision is offered.
    pub const LATEST: Self = Self::V20251125;

    /// The revision as written in messages and in the header `MCP-Protocol-Version`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
        }
    }

    /// The revision that is written like this, of those that are spoken with clients.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// The same of those that are spoken with servers.
    pub fn parse_of_server(text: &str) -> Option<Self> {
        Self::parse(text).or_else(|| (text == Self::V20241105.as_str()).then_some(Self::V20241105))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
